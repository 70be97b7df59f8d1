//! A Slack that answers as it is told and remembers what it was sent.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// Takes it.
    Ok,
    /// Takes it, and says so after a while.
    OkAfter(Duration),
    /// Any other answer: status, `Retry-After`, body.
    Status(u16, Option<u64>, &'static str),
    /// Nothing, with the connection open.
    Silence,
    /// Reads everything and resets the connection.
    Reset,
}

/// One request that came in completely.
#[derive(Debug, Clone)]
pub struct Message {
    /// `text` of the payload.
    pub text: String,
    /// When.
    pub at: Instant,
    /// What it was answered with.
    pub answer: Say,
}

impl Message {
    /// Whether Slack has shown it to people.
    pub fn shown(&self) -> bool {
        matches!(self.answer, Say::Ok | Say::OkAfter(_))
    }

    /// The first line.
    pub fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Say>,
    otherwise: Option<Say>,
    messages: Vec<Message>,
}

/// The server, for as long as the test runs.
pub struct Slack {
    /// An incoming webhook with a secret in its path.
    pub webhook: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Slack {
    /// The part of the webhook that nobody may print.
    pub const SECRET: &'static str = "T0SECRET0webhook";

    /// Takes everything unless told otherwise.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let webhook = format!("http://{}/services/{}", listener.local_addr().unwrap(), Self::SECRET);
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { webhook, state }
    }

    /// What to answer to the next requests, one after the other.
    pub fn script(&self, answers: impl IntoIterator<Item = Say>) {
        self.state().script.extend(answers);
    }

    /// What to answer when the script is used up.
    pub fn otherwise(&self, say: Say) {
        self.state().otherwise = Some(say);
    }

    /// Everything that came in.
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    /// What people have seen.
    pub fn shown(&self) -> Vec<Message> {
        self.messages().into_iter().filter(Message::shown).collect()
    }

    /// Waits until so many requests have come in, whatever they were answered with.
    pub fn comes(&self, requests: usize) -> Vec<Message> {
        self.wait(requests, "requests", |_| true)
    }

    /// Waits until people have seen so many messages.
    pub fn shows(&self, messages: usize) -> Vec<Message> {
        self.wait(messages, "messages shown", Message::shown)
    }

    fn wait(&self, wanted: usize, what: &str, counts: impl Fn(&Message) -> bool) -> Vec<Message> {
        let until = Instant::now() + Duration::from_secs(30);
        let mut state = self.state();
        loop {
            let found: Vec<Message> = state.messages.iter().filter(|message| counts(message)).cloned().collect();
            if found.len() >= wanted {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {wanted} {what}: {:#?}", found.len(), state.messages);
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream);
    // A client that dies in the middle of a request has sent nothing that counts.
    let Some(body) = request(&mut reader) else { return };
    let payload: serde_json::Value = serde_json::from_slice(&body).expect("a payload in JSON");
    let text = payload["text"].as_str().expect("a text").to_owned();
    let answer = {
        let mut state = shared.0.lock().unwrap();
        let otherwise = state.otherwise.clone().unwrap_or(Say::Ok);
        let answer = state.script.pop_front().unwrap_or(otherwise);
        state.messages.push(Message { text, at: Instant::now(), answer: answer.clone() });
        shared.1.notify_all();
        answer
    };
    let stream = reader.get_mut();
    let written = match answer {
        Say::Ok => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Say::OkAfter(pause) => {
            std::thread::sleep(pause);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        Say::Status(status, wait, body) => {
            let wait = wait.map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
            write!(stream, "HTTP/1.1 {status} No\r\n{wait}Content-Length: {}\r\n\r\n{body}", body.len())
        }
        Say::Silence => {
            // Until the other side has had enough.
            let _ = stream.read(&mut [0]);
            Ok(())
        }
        Say::Reset => {
            let socket = socket2::SockRef::from(&*stream);
            socket.set_linger(Some(Duration::ZERO))
        }
    };
    // The other side may be gone.
    drop(written);
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.expect("Slack wants a Content-Length")];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
