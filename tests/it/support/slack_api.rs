//! Slack's Web API as far as a bot needs it: it keeps messages, threads and metadata, finds faults with requests as the
//! real one does, and answers badly on request.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::receiver::{Answer, Receiver, Request};

/// A message that Slack shows.
#[derive(Debug, Clone)]
pub struct Posted {
    pub ts: String,
    pub text: String,
    pub thread: Option<String>,
    /// How often it was edited.
    pub edits: usize,
    pub metadata: Value,
    pub broadcast: bool,
}

/// What to do with the next request to a method, instead of what is right.
#[derive(Debug, Clone)]
pub enum Instead {
    /// Answers so and does nothing.
    Say(Answer),
    /// Does it, and answers so.
    DoAnd(Answer),
}

#[derive(Default)]
struct State {
    messages: Vec<Posted>,
    script: VecDeque<(&'static str, Instead)>,
    always: Option<Answer>,
    pause: Duration,
    clock: u64,
}

/// The server, for as long as the test runs.
pub struct SlackApi {
    /// `api_url` of the configuration.
    pub url: String,
    receiver: Receiver,
    state: Arc<Mutex<State>>,
}

impl SlackApi {
    pub const TOKEN: &'static str = "xoxb-T0SECRET0bot";
    pub const CHANNEL: &'static str = "C0123456789";

    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let receiver = Receiver::start(move |request| shared.lock().unwrap().answer(request));
        Self { url: receiver.url("/api"), receiver, state }
    }

    /// What to do with the next request to a method.
    pub fn script(&self, method: &'static str, instead: Instead) {
        self.state.lock().unwrap().script.push_back((method, instead));
    }

    /// What to answer to everything, or to work as it should.
    pub fn always(&self, answer: Option<Answer>) {
        self.state.lock().unwrap().always = answer;
    }

    /// How long every answer takes.
    pub fn pause(&self, pause: Duration) {
        self.state.lock().unwrap().pause = pause;
    }

    /// Takes a message away, as people do.
    pub fn delete(&self, ts: &str) {
        self.state.lock().unwrap().messages.retain(|message| message.ts != ts);
    }

    /// Everything that is shown.
    pub fn all(&self) -> Vec<Posted> {
        self.state.lock().unwrap().messages.clone()
    }

    /// The messages of the channel itself.
    pub fn messages(&self) -> Vec<Posted> {
        self.all().into_iter().filter(|message| message.thread.is_none()).collect()
    }

    /// What is said in the thread of a message.
    pub fn thread(&self, of: &Posted) -> Vec<Posted> {
        self.all().into_iter().filter(|message| message.thread.as_ref() == Some(&of.ts)).collect()
    }

    /// Requests to a method so far.
    pub fn calls(&self, method: &str) -> Vec<Request> {
        self.receiver.requests().into_iter().filter(|request| request.path.contains(method)).collect()
    }

    /// Waits until what is shown is as it should be.
    pub fn shows(&self, what: &str, right: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !right(self) {
            assert!(Instant::now() < until, "no {what}: {:#?}", self.all());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn no(error: &str) -> Value {
    json!({"ok": false, "error": error})
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let method = request.path.trim_start_matches("/api/").split('?').next().unwrap().to_owned();
        if let Some(answer) = &self.always {
            return answer.clone();
        }
        let scripted = self.script.iter().position(|(of, _)| *of == method);
        let instead = scripted.and_then(|at| self.script.remove(at)).map(|(_, instead)| instead);
        if let Some(Instead::Say(answer)) = instead {
            return answer;
        }
        let said = self.work(&method, request);
        if let Some(Instead::DoAnd(answer)) = instead {
            return answer;
        }
        Answer::After(self.pause, 200, said.to_string())
    }

    fn work(&mut self, method: &str, request: &Request) -> Value {
        if request.headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {}", SlackApi::TOKEN)) {
            return no("invalid_auth");
        }
        match method {
            "chat.postMessage" => self.post(&request.json()),
            "chat.update" => self.update(&request.json()),
            "conversations.history" => self.page(request, false),
            "conversations.replies" => self.page(request, true),
            _ => no("unknown_method"),
        }
    }

    fn wrong(message: &Value) -> Option<&'static str> {
        if !["#support", SlackApi::CHANNEL].contains(&message["channel"].as_str()?) {
            return Some("channel_not_found");
        }
        let blocks = message["blocks"].as_array()?;
        let long = blocks.iter().any(|block| {
            let texts = [&block["text"]["text"], &block["elements"][0]["text"]];
            texts.iter().any(|text| text.as_str().is_some_and(|text| text.chars().count() > 3_000))
        });
        (long || blocks.len() > 50).then_some("invalid_blocks")
    }

    fn post(&mut self, message: &Value) -> Value {
        if let Some(wrong) = Self::wrong(message) {
            return no(wrong);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.clock += 1;
        let ts = format!("{now}.{:06}", self.clock);
        self.messages.push(Posted {
            ts: ts.clone(),
            text: message["text"].as_str().unwrap().to_owned(),
            thread: message["thread_ts"].as_str().map(str::to_owned),
            edits: 0,
            metadata: message["metadata"].clone(),
            broadcast: message["reply_broadcast"] == true,
        });
        json!({"ok": true, "channel": SlackApi::CHANNEL, "ts": ts, "message": message})
    }

    fn update(&mut self, message: &Value) -> Value {
        if let Some(wrong) = Self::wrong(message) {
            return no(wrong);
        }
        match self.messages.iter_mut().find(|known| known.ts == message["ts"].as_str().unwrap()) {
            Some(known) => {
                known.text = message["text"].as_str().unwrap().to_owned();
                known.edits += 1;
                json!({"ok": true, "channel": SlackApi::CHANNEL, "ts": known.ts})
            }
            None => no("message_not_found"),
        }
    }

    /// Two messages a page, so that there are pages.
    fn page(&self, request: &Request, of_thread: bool) -> Value {
        if request.query("channel").as_deref() != Some(SlackApi::CHANNEL) {
            return no("channel_not_found");
        }
        let with_metadata = request.query("include_all_metadata").as_deref() == Some("true");
        let thread = request.query("ts");
        let mut found: Vec<&Posted> = self
            .messages
            .iter()
            .filter(|message| match of_thread {
                true => message.thread == thread || Some(&message.ts) == thread.as_ref(),
                false => message.thread.is_none(),
            })
            .collect();
        if !of_thread {
            found.reverse();
        }
        let begin: usize = request.query("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let messages: Vec<Value> = found
            .iter()
            .skip(begin)
            .take(2)
            .map(|message| match with_metadata {
                true => json!({"ts": message.ts, "text": message.text, "metadata": message.metadata}),
                false => json!({"ts": message.ts, "text": message.text}),
            })
            .collect();
        let more = if begin + 2 < found.len() { (begin + 2).to_string() } else { String::new() };
        json!({"ok": true, "messages": messages, "response_metadata": {"next_cursor": more}})
    }
}
