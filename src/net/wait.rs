//! How long the other side asks us to wait.

use std::time::Duration;

use http::{HeaderMap, header};

/// What `Retry-After` says: seconds, or a date (RFC 9110 §10.2.3) that has not passed yet.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    (date.to_utc() - chrono::Utc::now()).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        let date = (chrono::Utc::now() + chrono::TimeDelta::seconds(100)).format("%a, %d %b %Y %H:%M:%S GMT");
        assert!(matches!(read(&date.to_string()), Some(95..=100)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(read("soon"), None);
    }
}
