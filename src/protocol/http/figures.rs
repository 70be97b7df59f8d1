//! The figures of an answer that `GET /probe` shows, as blackbox_exporter names them.

use http::{Response, Version, header};

use super::{Attempt, Body, expect};

type Named = (&'static str, &'static str);

const STATUS: Named = ("probe_http_status_code", "Response HTTP status code");
const CONTENT_LENGTH: Named = ("probe_http_content_length", "Length of http content response");
const UNCOMPRESSED_LENGTH: Named = ("probe_http_uncompressed_body_length", "Length of uncompressed response body");
const REDIRECTS: Named = ("probe_http_redirects", "The number of redirects");
const SSL: Named = ("probe_http_ssl", "Indicates if SSL was used for the final redirect");
const VERSION: Named = ("probe_http_version", "Returns the version of HTTP of the probe response");
const FAILED_DUE_TO_REGEX: Named = ("probe_failed_due_to_regex", "Indicates if probe failed due to regex");
const LAST_MODIFIED: Named =
    ("probe_http_last_modified_timestamp_seconds", "Returns the Last-Modified HTTP response header in unixtime");

/// Those that are there, as 0, also when there was no answer.
pub(super) const ALWAYS: &[Named] =
    &[STATUS, CONTENT_LENGTH, UNCOMPRESSED_LENGTH, REDIRECTS, SSL, VERSION, FAILED_DUE_TO_REGEX];

/// What the head of an answer says.
pub(super) fn of_head(attempt: &mut Attempt, https: bool, answer: &Response<Body>, redirects: u32) {
    let field = |name: header::HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let length = field(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    note(attempt, STATUS, f64::from(answer.status().as_u16()));
    note(attempt, CONTENT_LENGTH, length.unwrap_or(-1.0));
    note(attempt, REDIRECTS, f64::from(redirects));
    note(attempt, SSL, f64::from(u8::from(https)));
    note(
        attempt,
        VERSION,
        match answer.version() {
            Version::HTTP_3 => 3.0,
            Version::HTTP_2 => 2.0,
            _ => 1.1,
        },
    );
    if let Some(date) = field(header::LAST_MODIFIED).and_then(expect::http_date) {
        note(attempt, LAST_MODIFIED, date.timestamp() as f64);
    }
}

/// A redirect that is taken as the answer counts there as well.
pub(super) fn not_followed(attempt: &mut Attempt) {
    note(attempt, REDIRECTS, 1.0);
}

/// Bytes of the body that were read.
pub(super) fn of_body(attempt: &mut Attempt, length: u64) {
    note(attempt, UNCOMPRESSED_LENGTH, length as f64);
}

/// An expectation about content was not met.
pub(super) fn failed_due_to_regex(attempt: &mut Attempt) {
    note(attempt, FAILED_DUE_TO_REGEX, 1.0);
}

fn note(attempt: &mut Attempt, (name, help): Named, value: f64) {
    attempt.gauge(name, help, value);
}
