//! A Realtime Database by WebSocket that does what it is told, the right things too.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

use super::fake::Fake;

/// The server's end of a connection.
pub struct Peer {
    socket: WebSocketStream<TcpStream>,
    /// Path and query of the upgrade.
    pub path: String,
}

impl Peer {
    async fn accept(stream: TcpStream) -> Option<Self> {
        let path = Arc::new(Mutex::new(String::new()));
        let note = Arc::clone(&path);
        #[expect(clippy::result_large_err, reason = "the shape that the library asks for")]
        let callback = move |request: &Request, response: Response| {
            *note.lock().unwrap() = request.uri().to_string();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, callback).await.ok()?;
        let path = path.lock().unwrap().clone();
        Some(Self { socket, path })
    }

    /// Sends a text as it is.
    pub async fn raw(&mut self, text: impl Into<String>) {
        let _ = self.socket.send(Message::text(text.into())).await;
    }

    /// Sends bytes.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.socket.send(Message::binary(bytes.to_vec())).await;
    }

    /// Sends a message, announced as one frame, as some servers do.
    pub async fn say(&mut self, message: Value) {
        self.raw("1").await;
        self.raw(message.to_string()).await;
    }

    /// A control message.
    pub async fn control(&mut self, word: &str, more: Value) {
        self.say(json!({"t": "c", "d": {"t": word, "d": more}})).await;
    }

    pub async fn hello(&mut self) {
        self.control("h", json!({"ts": 1, "v": "5", "h": "localhost", "s": "x"})).await;
    }

    /// What the client says next; `None` when it has gone.
    pub async fn heard(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap_or(Value::Null)),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Answers a request.
    pub async fn reply(&mut self, request: &Value, status: &str) {
        self.say(json!({"t": "d", "d": {"r": request["d"]["r"], "b": {"s": status, "d": {}}}})).await;
    }

    /// Tells of a change.
    pub async fn push(&mut self, path: &str, value: &Value) {
        let path = path.trim_matches('/');
        self.say(json!({"t": "d", "d": {"a": "d", "b": {"p": path, "d": value}}})).await;
    }

    /// Does everything as it should, with control pings answered or not.
    pub async fn behave(mut self, pongs: bool) {
        self.hello().await;
        while let Some(request) = self.heard().await {
            if request["t"] == "c" {
                if pongs {
                    self.control("o", Value::Null).await;
                }
                continue;
            }
            let body = &request["d"]["b"];
            if request["d"]["a"] == "p" {
                self.push(body["p"].as_str().unwrap(), &body["d"]).await;
            }
            if !request["d"].is_null() {
                self.reply(&request, "ok").await;
            }
        }
    }
}

/// Serves each connection; what it does is up to `serve`.
pub async fn realtime<F, W>(serve: F) -> Fake
where
    F: Fn(Peer) -> W + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let serve = Arc::new(serve);
    Fake::tcp(move |stream| {
        let serve = Arc::clone(&serve);
        async move {
            if let Some(peer) = Peer::accept(stream).await {
                serve(peer).await;
            }
        }
    })
    .await
}
