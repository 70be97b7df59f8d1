//! The simulated provider's end of a connection by WebSocket: the Realtime Database's protocol, version 5, well enough for
//! the clients that people use.

use std::{io, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::interval};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Firelike,
    tree::{parts, told},
};
use crate::cli::demo::{
    faults::{Behaviour, Service, distance},
    servers::Request,
};

/// How soon a connection notices a fault that was switched on.
const LOOK_AROUND: Duration = Duration::from_millis(200);
/// What a client may send in one message.
const MESSAGE_AT_MOST: usize = 1 << 20;
/// A message in more frames than this is none.
const FRAMES_AT_MOST: usize = 1000;

/// Changes a connection to WebSocket and talks until it ends.
pub(super) async fn serve(
    mut stream: TcpStream,
    request: &Request,
    world: Arc<Firelike>,
    region: &'static str,
) -> io::Result<()> {
    let Some(key) = request.header("sec-websocket-key") else {
        return super::super::servers::respond(&mut stream, 400, "{\"error\":\"not a WebSocket\"}").await;
    };
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(head.as_bytes()).await?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_AT_MOST)).read_buffer_size(4096);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let mut live =
        Live { socket, world, region, listens: Vec::new(), at_end: Vec::new(), missing: 0, text: String::new() };
    let host = request.header("host").unwrap_or("localhost").to_owned();
    // A client that goes, or breaks the protocol, ends its own connection and nothing else.
    let _ = live.talk(&host).await;
    for (path, value) in std::mem::take(&mut live.at_end) {
        live.world.tree.put(&path, &value);
    }
    Ok(())
}

struct Live {
    socket: WebSocketStream<TcpStream>,
    world: Arc<Firelike>,
    region: &'static str,
    listens: Vec<Vec<String>>,
    /// What is written when the connection ends.
    at_end: Vec<(Vec<String>, Value)>,
    /// Frames that the present message lacks, and what of it has come.
    missing: usize,
    text: String,
}

/// Why a conversation ends.
struct Over;

impl Live {
    async fn talk(&mut self, host: &str) -> Result<(), Over> {
        let mut news = self.world.tree.listen();
        let mut look_around = interval(LOOK_AROUND);
        let now = chrono::Utc::now().timestamp_millis();
        let hello = json!({"ts": now, "v": "5", "h": host, "s": "demo"});
        self.say(&json!({"t": "c", "d": {"t": "h", "d": hello}})).await?;
        loop {
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(frame))) => self.take(&frame).await?,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
                    Some(Ok(_)) => {}
                },
                // Whoever has fallen so far behind does not know what is there any more.
                change = news.recv() => {
                    let change = change.map_err(|_| Over)?;
                    let concerned: Vec<_> =
                        self.listens.iter().filter_map(|path| told(&change, path, &self.world.tree)).collect();
                    for (path, value) in concerned {
                        self.push(&path, &value).await?;
                    }
                }
                _ = look_around.tick() => self.suffer().await?,
            }
        }
    }

    /// What the faults that are on do to a connection that stands.
    async fn suffer(&mut self) -> Result<(), Over> {
        loop {
            match self.world.behaviour(Service::Live, self.region) {
                // A refused credential is told to whoever gives one.
                Behaviour::Serve | Behaviour::Status(401) => return Ok(()),
                Behaviour::Silent => tokio::time::sleep(LOOK_AROUND).await,
                Behaviour::Reset => {
                    let _ = socket2::SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO));
                    return Err(Over);
                }
                Behaviour::Status(_) => return Err(Over),
            }
        }
    }

    async fn take(&mut self, frame: &str) -> Result<(), Over> {
        if self.missing == 0 {
            let number = frame.parse::<usize>().ok().filter(|_| frame.len() <= 6);
            match number {
                Some(0) => return Ok(()),
                Some(number) if number <= FRAMES_AT_MOST => {
                    self.missing = number;
                    return Ok(());
                }
                Some(_) => return Err(Over),
                None => self.text.push_str(frame),
            }
        } else {
            self.missing -= 1;
            self.text.push_str(frame);
        }
        if self.text.len() > MESSAGE_AT_MOST {
            return Err(Over);
        }
        if self.missing > 0 {
            return Ok(());
        }
        let message: Value = serde_json::from_str(&std::mem::take(&mut self.text)).map_err(|_| Over)?;
        // There and back.
        tokio::time::sleep(2 * distance(self.region)).await;
        self.suffer().await?;
        let body = &message["d"];
        match message["t"].as_str() {
            Some("c") if body["t"] == "p" => self.say(&json!({"t": "c", "d": {"t": "o", "d": null}})).await,
            Some("d") => self.answer(body).await,
            _ => Ok(()),
        }
    }

    async fn answer(&mut self, asked: &Value) -> Result<(), Over> {
        let tree = &self.world.tree;
        let path = parts(asked["b"]["p"].as_str().unwrap_or_default());
        let value = &asked["b"]["d"];
        let mut status = "ok";
        let mut more = json!({});
        match asked["a"].as_str().unwrap_or_default() {
            "q" => {
                let now = tree.get(&path);
                self.push(&path, &now).await?;
                self.listens.push(path);
            }
            "n" => self.listens.retain(|known| *known != path),
            "g" => more = tree.get(&path),
            "p" => {
                tree.put(&path, value);
            }
            "m" => tree.merge(&path, value),
            "o" => self.at_end.push((path, value.clone())),
            "oc" => self.at_end.retain(|(known, _)| *known != path),
            "auth" | "gauth" if self.world.behaviour(Service::Live, self.region) == Behaviour::Status(401) => {
                status = "expired_token";
            }
            _ => {}
        }
        self.say(&json!({"t": "d", "d": {"r": asked["r"], "b": {"s": status, "d": more}}})).await
    }

    async fn push(&mut self, path: &[String], value: &Value) -> Result<(), Over> {
        self.say(&json!({"t": "d", "d": {"a": "d", "b": {"p": path.join("/"), "d": value}}})).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), Over> {
        self.socket.send(Message::text(message.to_string())).await.map_err(|_| Over)
    }
}
