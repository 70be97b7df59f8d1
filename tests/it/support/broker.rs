//! An MQTT server for tests, in both versions: ordinary by default, and wrong in any way that a test wants.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fake::{Fake, Stream};

/// A packet of a client.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Type: 1 is CONNECT, 3 PUBLISH, 8 SUBSCRIBE, 12 PINGREQ, 14 DISCONNECT.
    pub sort: u8,
    pub body: Vec<u8>,
    /// Whether the connection speaks MQTT 5.
    pub five: bool,
}

/// What the server does about it.
pub enum Answer {
    Bytes(Vec<u8>),
    /// The same, and then nothing more is read.
    Last(Vec<u8>),
    /// The same, and the connection is closed.
    Close(Vec<u8>),
}

/// A server that does what `rule` says.
pub async fn broker(rule: impl Fn(&Asked) -> Answer + Clone + Send + Sync + 'static) -> Fake {
    Fake::tcp(move |stream| serve(stream, rule.clone())).await
}

/// One connection of it.
pub async fn serve(mut stream: impl Stream, rule: impl Fn(&Asked) -> Answer) {
    let mut five = false;
    while let Some((first, body)) = packet(&mut stream).await {
        if first >> 4 == 1 {
            five = body[6] == 5;
        }
        let (bytes, close, more) = match rule(&Asked { sort: first >> 4, body, five }) {
            Answer::Bytes(bytes) => (bytes, false, true),
            Answer::Last(bytes) => (bytes, false, false),
            Answer::Close(bytes) => (bytes, true, false),
        };
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() || close {
            return;
        }
        if !more {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}

/// What a server in order answers to its only client.
pub fn ordinary(asked: &Asked) -> Answer {
    let body = &asked.body;
    Answer::Bytes(match (asked.sort, asked.five) {
        (1, false) => vec![0x20, 2, 0, 0],
        (1, true) => vec![0x20, 3, 0, 0, 0],
        (8, false) => vec![0x90, 3, body[0], body[1], 1],
        (8, true) => vec![0x90, 4, body[0], body[1], 0, 1],
        (3, _) => {
            let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let mut back = vec![0x40, 2, body[id], body[id + 1]];
            back.extend(message(body));
            back
        }
        (12, _) => vec![0xd0, 0],
        _ => vec![],
    })
}

/// A message as a client sent it, as the server sends it on.
pub fn message(body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x32];
    let mut length = body.len();
    while length > 127 {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}

async fn packet(stream: &mut impl Stream) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first, body))
}
