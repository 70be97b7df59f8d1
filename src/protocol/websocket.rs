//! The `websocket` check: the upgrade, optionally a text sent and an answer waited for; held, a ping on every round.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Attempt, Check, Ending, Hold, Ip, Looking, Opening, Overrides, Pattern, Problem, Protocol, Secure, Session,
    TlsFile, head,
    ws::{Call, Message, WebSocket},
};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::Net,
};

/// What is read at most while looking for a match.
const READ_AT_MOST: usize = 64 * 1024;

/// A WebSocket: the upgrade, and optionally a text to send and an answer to wait for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebsocketFile {
    /// Where to; `ws://` or `wss://`.
    pub url: url::Url,
    /// Subprotocols to offer, best first; the server must agree to one of them.
    #[serde(default)]
    pub subprotocols: Vec<String>,
    /// Text to send once connected.
    #[serde(default)]
    pub send: Option<Secret>,
    /// Pattern that a message which comes back must match.
    #[serde(default)]
    pub expect_regex: Option<Pattern>,
    /// Headers of the request for the upgrade; values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// The check.
#[derive(Debug)]
pub struct Websocket {
    call: Call,
    secure: Option<Arc<Secure>>,
    talk: Arc<Talk>,
    /// Satisfied with any answer to the upgrade.
    any_answer: bool,
}

/// What is said and what is waited for.
#[derive(Debug)]
struct Talk {
    send: Option<Secret>,
    expect: Option<Regex>,
}

impl Check for Websocket {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.call.shown().to_owned()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = match self.connect(attempt).await {
                Ok(mut socket) => {
                    socket.part();
                    Ok(())
                }
                Err(_) if self.any_answer && attempt.was_answered() => Ok(()),
                Err(failure) => Err(failure),
            };
            attempt.let_go();
            looked
        })
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        let call = self.call.without_credential()?;
        let talk = Arc::new(Talk { send: None, expect: None });
        Some(Arc::new(Self { call, secure: self.secure.clone(), talk, any_answer: true }))
    }

    fn hold(&self) -> Option<&dyn Hold> {
        Some(self)
    }
}

impl Websocket {
    async fn connect(&self, attempt: &mut Attempt) -> Result<WebSocket, Failure> {
        let mut socket = self.call.open(attempt, self.secure.as_deref()).await?;
        if self.talk.send.is_some() || self.talk.expect.is_some() {
            self.talk.hold(attempt, &mut socket).await?;
        }
        Ok(socket)
    }
}

impl Talk {
    /// Sends and waits, as a phase.
    async fn hold(&self, attempt: &mut Attempt, socket: &mut WebSocket) -> Result<(), Failure> {
        let talk = async {
            if let Some(text) = &self.send {
                socket.send_text(text.reveal()).await?;
            }
            match &self.expect {
                Some(wanted) => read_until(socket, wanted).await,
                None => Ok(()),
            }
        };
        attempt.phase(Phase::Exchange, "match of the expected answer", talk).await
    }
}

async fn read_until(socket: &mut WebSocket, wanted: &Regex) -> Result<(), Failure> {
    let mut read = 0;
    while read < READ_AT_MOST {
        let (text, length) = match socket.read().await? {
            Message::Text(text) => (wanted.is_match(&text), text.len()),
            Message::Binary(bytes) => (wanted.is_match(&String::from_utf8_lossy(&bytes)), bytes.len()),
            Message::Pong(_) => (false, 0),
        };
        if text {
            return Ok(());
        }
        // A message costs something even when it is empty.
        read += length.max(1);
    }
    let detail = format!("no match of `{wanted}` in the first {READ_AT_MOST} bytes");
    Err(Failure::new(Phase::Exchange, Kind::BodyTooLarge, detail))
}

impl Hold for Websocket {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            let socket = self.connect(attempt).await?;
            Ok(Box::new(Held { socket, talk: Arc::clone(&self.talk) }) as Box<dyn Session>)
        })
    }
}

/// An open WebSocket.
struct Held {
    socket: WebSocket,
    talk: Arc<Talk>,
}

impl Session for Held {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            self.socket.resume(attempt);
            if self.talk.send.is_some() && self.talk.expect.is_some() {
                return self.talk.hold(attempt, &mut self.socket).await;
            }
            let ping = async { Ok(self.socket.ping(drop).await?) };
            attempt.phase(Phase::Exchange, "pong", ping).await
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            loop {
                if let Err(end) = self.socket.read().await {
                    return end;
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.socket.close().await })
    }
}

impl Protocol for Websocket {
    const KEY: &'static str = "websocket";
    const SCHEMES: &'static [&'static str] = &["ws", "wss"];
    type File = WebsocketFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        if !matches!(file.url.scheme(), "ws" | "wss") {
            let message = format!("`{}` is not a scheme of WebSocket: write ws:// or wss://", file.url.scheme());
            return Err(Problem::at("url", message));
        }
        let subprotocols: Vec<&str> = file.subprotocols.iter().map(String::as_str).collect();
        let call = Call::new(&file.url, file.ip, head::headers(&file.headers)?, &subprotocols)?;
        let secure = match call.secured {
            true => Some(Arc::new(Secure::new(net, &file.tls, &["http/1.1"])?)),
            false if file.tls != TlsFile::default() => {
                return Err(Problem::at("tls", "there is no TLS here: the URL begins with ws://").help("write wss://"));
            }
            false => None,
        };
        let expect = file.expect_regex.clone().map(|pattern| pattern.0);
        Ok(Self { call, secure, talk: Arc::new(Talk { send: file.send.clone(), expect }), any_answer: false })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        Ok(WebsocketFile {
            url: url.clone(),
            subprotocols: Vec::new(),
            send: None,
            expect_regex: None,
            headers: BTreeMap::new(),
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let has_scheme = target.starts_with("ws://") || target.starts_with("wss://");
        let url = if has_scheme { target.parse() } else { format!("ws://{target}").parse() };
        let url = url.map_err(|error: url::ParseError| format!("`{target}` is not a URL: {error}"))?;
        Ok(WebsocketFile { url, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure && file.url.scheme() == "wss";
        head::replace(&mut file.headers, &overrides.headers);
    }
}
