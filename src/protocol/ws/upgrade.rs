//! The change of a connection to WebSocket (RFC 6455 §4). Done here rather than by the library, whose handshake keeps
//! its 4 KiB read buffer for as long as the connection lasts, and takes `Connection: keep-alive, Upgrade` for a mistake.

use http::{HeaderMap, HeaderName, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::{
    client::{Response, generate_key},
    derive_accept_key,
    machine::TryParse as _,
};

use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
    protocol::{Attempt, head, link::Link},
};

/// What the head of the answer may be at most.
const HEAD_AT_MOST: usize = 64 * 1024;
/// Answers that announce another one, at most.
const ANNOUNCED_AT_MOST: usize = 8;

/// Sends the head of a request, which lacks only the key and its end, and judges the answer. What came after the answer
/// comes back.
pub(super) async fn change(
    attempt: &mut Attempt,
    link: &mut Link,
    request: &str,
    offered: &[String],
) -> Result<Vec<u8>, Failure> {
    let key = generate_key();
    let request = format!("{request}Sec-WebSocket-Key: {key}\r\n\r\n");
    let sent = async {
        link.write_all(request.as_bytes()).await?;
        link.flush().await
    };
    sent.await.map_err(|error| classify::io(Phase::Upgrade, &error))?;
    let mut read = Vec::new();
    for _ in 0..ANNOUNCED_AT_MOST {
        let answer = answer(link, &mut read).await?;
        // 100 and 103 announce the answer.
        if answer.status().is_informational() && answer.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            continue;
        }
        attempt.note_head(answer.status(), answer.headers());
        judge(&answer, &key, offered)?;
        // Not the buffer itself: it is larger than what is in it, and would be kept.
        return Ok(read.as_slice().to_vec());
    }
    Err(breach("announces one answer after the other"))
}

/// The head of the next answer, taken off what was read.
async fn answer(link: &mut Link, read: &mut Vec<u8>) -> Result<Response, Failure> {
    let mut new = 0;
    loop {
        // An end of the head, or a mistake in it, shows at the end of a line; a short beginning may be no HTTP at all.
        if read.len() < 64 || read[new..].contains(&b'\n') {
            let parsed = Response::try_parse(read).map_err(|error| classify::websocket(Phase::Upgrade, &error))?;
            if let Some((length, answer)) = parsed {
                read.drain(..length);
                return Ok(answer);
            }
        }
        if read.len() >= HEAD_AT_MOST {
            return Err(breach("the head of the answer is too large"));
        }
        new = read.len();
        read.reserve(1024);
        let room = (HEAD_AT_MOST - new) as u64;
        let count = (&mut *link).take(room).read_buf(read).await;
        if count.map_err(|error| classify::io(Phase::Upgrade, &error))? == 0 {
            let detail = "connection closed before the answer was complete";
            return Err(Failure::new(Phase::Upgrade, Kind::ClosedEarly, detail));
        }
    }
}

fn judge(answer: &Response, key: &str, offered: &[String]) -> Result<(), Failure> {
    let (status, headers) = (answer.status(), answer.headers());
    if status != http::StatusCode::SWITCHING_PROTOCOLS {
        return Err(head::refusal(Phase::Upgrade, status).unwrap_or_else(|| refused(status.as_u16(), headers)));
    }
    if !says(headers, &header::UPGRADE, "websocket") {
        return Err(breach("answered 101 without `Upgrade: websocket`"));
    }
    if !says(headers, &header::CONNECTION, "upgrade") {
        return Err(breach("answered 101 without `Connection: Upgrade`"));
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().trim_ascii());
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(breach("the answer's Sec-WebSocket-Accept is not for our key"));
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err(breach("agreed to an extension that was not offered"));
    }
    match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        None if offered.is_empty() => Ok(()),
        None => {
            let detail = "agreed to none of the subprotocols";
            Err(Failure::new(Phase::Upgrade, Kind::UpgradeRefused, detail))
        }
        Some(chosen) if offered.iter().any(|name| name.as_bytes() == chosen.as_bytes().trim_ascii()) => Ok(()),
        Some(_) => Err(breach("agreed to a subprotocol that was not offered")),
    }
}

/// Whether a header that is a list holds a word, in any case.
fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn breach(detail: &str) -> Failure {
    Failure::new(Phase::Upgrade, Kind::ProtocolError, detail)
}

/// What was answered instead of the change.
fn refused(status: u16, headers: &HeaderMap) -> Failure {
    let kind_of_page = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let detail = match status {
        200..=299 if kind_of_page.is_some_and(|kind| kind.starts_with("text/html")) => {
            format!("answered {status} with a page instead of changing to WebSocket")
        }
        300..=399 => format!("answered {status}: redirected, which a WebSocket does not follow"),
        _ => format!("answered {status} instead of changing to WebSocket"),
    };
    Failure::new(Phase::Upgrade, Kind::UpgradeRefused, detail)
}

#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    if let Ok(Some((length, answer))) = Response::try_parse(bytes) {
        assert!(length <= bytes.len(), "more is read than there is");
        let _ = judge(&answer, "dGhlIHNhbXBsZSBub25jZQ==", &["chat".to_owned()]);
    }
}
