//! From bytes to text and from text to a shape: byte order marks, encodings, and what is said when it is something else.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::{NotUnderstood, time};
use crate::model::Timestamp;

/// A body as JSON of a shape.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, NotUnderstood> {
    let text = text(body)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(NotUnderstood::new("it is empty"));
    }
    if text.starts_with('<') {
        return Err(NotUnderstood::new("it is a web page"));
    }
    serde_json::from_str(text).map_err(|error| NotUnderstood::new(error.to_string()))
}

/// A body as text: UTF-16 where it begins with that byte order mark, UTF-8 otherwise, whatever a header claims.
pub(super) fn text(body: &[u8]) -> Result<Cow<'_, str>, NotUnderstood> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(NotUnderstood::new("it ends in the middle of a character"));
        }
        let units = pairs.iter().map(|pair| unit(*pair));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned).map_err(|_| NotUnderstood::new("it is not the UTF-16 text that it begins as"))
    };
    match body {
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => narrow(rest),
        _ => narrow(body),
    }
}

fn narrow(body: &[u8]) -> Result<Cow<'_, str>, NotUnderstood> {
    std::str::from_utf8(body).map(Cow::Borrowed).map_err(|_| NotUnderstood::new("it is not UTF-8 text"))
}

/// An instant as a text or a number; what cannot be read is none, since only headlines must be right.
pub(super) fn when<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(match Option::<Plain>::deserialize(deserializer)? {
        Some(Plain::Text(text)) => time::instant(&text),
        Some(Plain::Number(number)) => time::epoch(number),
        Some(Plain::Fraction(number)) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "what does not fit is no instant either")]
            time::epoch(number as i64)
        }
        None => None,
    })
}

/// A word that some write as a number.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Plain::deserialize(deserializer)? {
        Plain::Text(text) => text,
        Plain::Number(number) => number.to_string(),
        Plain::Fraction(number) => number.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Plain {
    Text(String),
    Number(i64),
    Fraction(f64),
}
