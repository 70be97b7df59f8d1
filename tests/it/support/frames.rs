//! WebSocket servers that misbehave on request: the upgrade and frames by hand.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::fake::{Stream, request, silence};

/// The answer that changes to WebSocket; `more` are further header lines.
pub fn switching(head: &str, more: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.trim().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// Changes a connection to WebSocket; the head of the request comes back.
pub async fn upgrade(stream: &mut impl Stream, more: &str) -> String {
    let head = request(stream).await.unwrap();
    stream.write_all(switching(&head, more).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    head
}

/// Changes to WebSocket, sends these bytes and keeps the connection.
pub async fn sends(mut stream: TcpStream, bytes: Vec<u8>) {
    upgrade(&mut stream, "").await;
    let _ = stream.write_all(&bytes).await;
    silence(stream).await;
}

/// A frame as servers send it: first byte (FIN, reserved bits, opcode) and payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A text in one frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A close frame.
pub fn close(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}
