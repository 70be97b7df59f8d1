//! An instant as people write it on a command line: RFC 3339, a day, a time of today, or how long ago.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};

use crate::{model::Timestamp, protocol::Span};

/// `2026-11-22T10:32:00Z`, `2026-11-22`, `10:32`, `15m ago`; without a zone it is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text.trim(), chrono::Utc::now()).map(Self).ok_or_else(|| {
            "write 2026-11-22T10:32:00Z, 2026-11-22, a time of today such as 10:32 (UTC), or how long ago, such as 15m ago"
                .to_owned()
        })
    }
}

fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let rfc3339 = || chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    let local = |form| chrono::NaiveDateTime::parse_from_str(text.trim_end_matches(" UTC"), form).ok();
    let naive = || {
        let forms = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
        forms.into_iter().find_map(local).map(|at| at.and_utc())
    };
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN).and_utc());
    let clock = || {
        let bare = text.trim_end_matches(" UTC");
        let time = ["%H:%M:%S", "%H:%M"].into_iter().find_map(|form| NaiveTime::parse_from_str(bare, form).ok())?;
        let today = now.date_naive().and_time(time).and_utc();
        // A time that is still to come was meant of yesterday.
        if today > now { today.checked_sub_days(Days::new(1)) } else { Some(today) }
    };
    let ago = || {
        let span: Span = text.strip_suffix("ago").unwrap_or(text).trim().parse().ok()?;
        now.checked_sub_signed(TimeDelta::from_std(span.0).ok()?)
    };
    rfc3339().or_else(naive).or_else(day).or_else(clock).or_else(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_people_write_them() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for text in [
            "2026-11-22T10:32:00Z",
            "2026-11-22T11:32:00+01:00",
            "2026-11-22 10:32",
            "10:32",
            "10:32:00 UTC",
            "88m ago",
        ] {
            assert_eq!(parse(text, now), "2026-11-22T10:32:00Z".parse().ok(), "{text}");
        }
        assert_eq!(parse("23:00", now), "2026-11-21T23:00:00Z".parse().ok());
        assert_eq!(parse("2026-11-01", now), "2026-11-01T00:00:00Z".parse().ok());
        for wrong in ["", "yesterday", "25:00", "2026-13-01", "ago", "99999999999d"] {
            assert_eq!(parse(wrong, now), None, "{wrong}");
        }
    }
}
