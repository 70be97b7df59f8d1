//! Instants as feeds write them. What cannot be read, or cannot be true, is no instant.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::model::Timestamp;

/// With an offset; the last is how Go prints an instant.
const ZONED: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f %z UTC"];
/// Without one: UTC is meant.
const BARE: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f UTC"];

/// An instant.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().and_then(epoch);
    }
    let utc = |at: DateTime<chrono::FixedOffset>| at.with_timezone(&Utc);
    // Azure ends its dates of RFC 2822 with the letter of RFC 3339.
    let mended = text.strip_suffix(" Z").map(|rest| format!("{rest} +0000"));
    let found = DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(|| DateTime::parse_from_rfc2822(mended.as_deref().unwrap_or(text)).ok())
        .or_else(|| ZONED.iter().find_map(|form| DateTime::parse_from_str(text, form).ok()))
        .map(utc)
        .or_else(|| BARE.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|at| at.and_utc()));
    found.filter(is_sane)
}

/// Seconds since 1970, or milliseconds where seconds would make no sense.
pub(super) fn epoch(number: i64) -> Option<Timestamp> {
    let seconds = if number > 100_000_000_000 { number / 1000 } else { number };
    DateTime::from_timestamp(seconds, 0).filter(is_sane)
}

fn is_sane(at: &Timestamp) -> bool {
    (946_684_800..4_102_444_800).contains(&at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_every_dress() {
        let expected: Timestamp = "2026-11-22T16:29:09Z".parse().unwrap();
        for text in [
            "2026-11-22T16:29:09Z",
            "2026-11-22T17:29:09+01:00",
            "2026-11-22T08:29:09.000-0800",
            "Sun, 22 Nov 2026 16:29:09 GMT",
            "Sun, 22 Nov 2026 16:29:09 +0000",
            "Sun, 22 Nov 2026 16:29:09 Z",
            "2026-11-22 16:29:09 +0000 UTC",
            "2026-11-22 16:29:09",
            "1795364949",
            "1795364949000",
        ] {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "0001-01-01T00:00:00Z", "99999999999999999999", &"9".repeat(500)] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
