//! An instant as people write it in a query: RFC 3339, Unix seconds, or how long ago.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{model::Timestamp, protocol::Span};

/// `2026-11-22T10:32:00Z`, `1795343520`, `15m`.
pub(super) struct Instant(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse(&text, chrono::Utc::now()).map(Self).ok_or_else(|| {
            let expected = "write 2026-11-22T10:32:00Z, seconds since 1970, or how long ago, such as 15m";
            D::Error::custom(format!("`{text}` is not an instant: {expected}"))
        })
    }
}

fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    // In a query `+` stands for a space: a zone such as +01:00 arrives with one unless it was escaped.
    let rfc3339 = || chrono::DateTime::parse_from_rfc3339(&text.replace(' ', "+")).ok().map(|at| at.to_utc());
    let unix = || text.parse().ok().and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
    let ago = || now.checked_sub_signed(chrono::TimeDelta::from_std(text.parse::<Span>().ok()?.0).ok()?);
    rfc3339().or_else(unix).or_else(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_people_write_them() {
        let now = Timestamp::from_timestamp(1_795_343_520, 0).unwrap();
        assert_eq!(parse("2026-11-22T10:32:00Z", now), Some(now));
        assert_eq!(parse("2026-11-22T11:32:00 01:00", now), Some(now));
        assert_eq!(parse("1795343520", now), Some(now));
        assert_eq!(parse("15m", now), Some(now - chrono::TimeDelta::minutes(15)));
        for wrong in ["", "yesterday", "15", "999999999999999999999", "1e999s", "99999999999d", "2026-13-01T00:00:00Z"]
        {
            let expected = if wrong == "15" { Timestamp::from_timestamp(15, 0) } else { None };
            assert_eq!(parse(wrong, now), expected, "{wrong}");
        }
    }
}
