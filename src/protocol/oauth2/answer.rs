//! What a token endpoint answers (RFC 6749 §5), in our words. Pure; repeats nothing of the answer but the codes that the
//! specification lists.

use std::time::Duration;

use serde_json::Value;

use crate::model::{Failure, Kind, Phase, Secret};

/// How long a token is taken to last when the answer does not say.
const UNSAID: Duration = Duration::from_secs(3600);
/// No token is taken to last longer.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A token that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access: Secret,
    pub(super) lasts: Duration,
    /// The refresh token that replaces the one that was used.
    pub(super) refresh: Option<Secret>,
}

/// The codes that say that it is our credential which is wrong, and what that means.
const OURS: [(&str, &str); 4] = [
    ("invalid_client", "they do not know our client id, or its secret is wrong"),
    (
        "invalid_grant",
        "the refresh token is not valid any more: it was revoked, has expired, or somebody else has used it",
    ),
    ("unauthorized_client", "our client may not ask like this"),
    ("invalid_scope", "our client may not have this scope"),
];

/// The other codes that are repeated.
const THEIRS: [&str; 5] =
    ["invalid_request", "unsupported_grant_type", "server_error", "temporarily_unavailable", "access_denied"];

/// Reads an answer.
pub(super) fn read(status: u16, body: &[u8], complete: bool) -> Result<Granted, Failure> {
    let document: Option<Value> = serde_json::from_slice(body).ok().filter(|_| complete);
    if !(200..300).contains(&status) {
        return Err(refused(status, document.as_ref()));
    }
    let wrong = |detail: &str| Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail);
    if !complete {
        return Err(Failure::new(Phase::Transfer, Kind::BodyTooLarge, "the answer is too large for a token"));
    }
    let document = document.ok_or_else(|| wrong("the answer is not JSON"))?;
    let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let access = text("access_token").ok_or_else(|| wrong("the answer holds no `access_token`"))?;
    if !access.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("the `access_token` holds characters that a header cannot carry"));
    }
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(wrong("the `token_type` is not `Bearer`"));
    }
    let lasts = match document.get("expires_in") {
        None | Some(Value::Null) => UNSAID,
        // Some write the number as a text.
        Some(Value::String(text)) => seconds(text.parse().ok()).ok_or_else(|| wrong("`expires_in` is no number"))?,
        Some(number) => seconds(number.as_f64()).ok_or_else(|| wrong("`expires_in` is no number"))?,
    };
    Ok(Granted { access: Secret::new(access), lasts, refresh: text("refresh_token").map(Secret::new) })
}

fn seconds(number: Option<f64>) -> Option<Duration> {
    let number = number.filter(|number| number.is_finite())?;
    Some(Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(LONGEST).min(LONGEST))
}

fn refused(status: u16, document: Option<&Value>) -> Failure {
    let code = document.and_then(|document| document.get("error")).and_then(Value::as_str).unwrap_or_default();
    let at = |kind, detail: String| Failure::new(Phase::FirstByte, kind, detail);
    if status == 429 {
        return at(Kind::RateLimited, "got 429: we ask too often".to_owned());
    }
    if status < 500 {
        if let Some((code, meaning)) = OURS.iter().find(|(known, _)| *known == code) {
            return at(Kind::Unauthorized, format!("got {status} {code}: {meaning}"));
        }
        if matches!(status, 401 | 403) {
            return at(Kind::Unauthorized, format!("got {status}"));
        }
    }
    let code = THEIRS.iter().find(|known| **known == code).map_or_else(String::new, |code| format!(" {code}"));
    at(Kind::StatusUnexpected, format!("got {status}{code}, expected a token"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(status: u16, body: &str) -> (Kind, String) {
        let failure = read(status, body.as_bytes(), true).unwrap_err();
        (failure.kind, failure.detail)
    }

    #[test]
    fn tokens() {
        let granted = |body: &str| read(200, body.as_bytes(), true).unwrap();
        let one = granted(r#"{"access_token":"a","token_type":"bearer","expires_in":3600,"refresh_token":"r"}"#);
        assert_eq!((one.access.reveal(), one.lasts.as_secs()), ("a", 3600));
        assert_eq!(one.refresh.unwrap().reveal(), "r");
        assert_eq!(granted(r#"{"access_token":"a"}"#).lasts, UNSAID);
        assert_eq!(granted(r#"{"access_token":"a","expires_in":"90"}"#).lasts.as_secs(), 90);
        assert_eq!(granted(r#"{"access_token":"a","expires_in":-5}"#).lasts, Duration::ZERO);
        assert_eq!(granted(r#"{"access_token":"a","expires_in":1e300}"#).lasts, LONGEST);
    }

    #[test]
    fn whose_fault_a_refusal_is() {
        for code in ["invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"] {
            let (kind, detail) = failed(400, &format!(r#"{{"error":"{code}","error_description":"s3cret"}}"#));
            assert_eq!(kind, Kind::Unauthorized, "{code}");
            assert!(detail.contains(code) && !detail.contains("s3cret"), "{detail}");
        }
        assert_eq!(failed(401, "<html>").0, Kind::Unauthorized);
        assert_eq!(failed(429, "").0, Kind::RateLimited);
        assert_eq!(failed(503, r#"{"error":"invalid_client"}"#).0, Kind::StatusUnexpected);
        assert_eq!(failed(400, r#"{"error":"invalid_request"}"#).1, "got 400 invalid_request, expected a token");
        assert_eq!(failed(400, r#"{"error":"made up \u001b"}"#).1, "got 400, expected a token");
        assert_eq!(failed(302, "").0, Kind::StatusUnexpected);
    }

    #[test]
    fn what_is_no_token() {
        for body in ["", "<html>", "[]", "{}", r#"{"access_token":7}"#, r#"{"access_token":"a\nb"}"#] {
            assert_eq!(failed(200, body).0, Kind::BodyUnexpected, "{body}");
        }
        assert_eq!(failed(200, r#"{"access_token":"a","token_type":"mac"}"#).0, Kind::BodyUnexpected);
        assert_eq!(read(200, b"{}", false).unwrap_err().kind, Kind::BodyTooLarge);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(status, &body, true);
        }

        #[test]
        fn no_number_makes_it_panic(number in any::<f64>(), text in ".{0,20}") {
            let body = serde_json::json!({"access_token": "a", "expires_in": number}).to_string();
            prop_assert!(read(200, body.as_bytes(), true).is_ok());
            let body = serde_json::json!({"access_token": "a", "expires_in": text}).to_string();
            let _ = read(200, body.as_bytes(), true);
        }
    }
}
