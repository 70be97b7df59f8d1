//! What an answer of one of the provider's APIs means: alive, as wanted, or which failure. What the provider writes is
//! repeated only where it is one of its own code words. Pure.

use serde_json::Value;

use crate::{
    model::{Failure, Kind, Phase},
    protocol::http::Answer,
};

/// A code word longer than this is none.
const WORD_AT_MOST: usize = 48;

/// Sentences that the provider writes where others write a code.
const SENTENCES: &[(&str, Kind)] = &[
    ("Permission denied", Kind::Unauthorized),
    ("Auth token is expired", Kind::Unauthorized),
    ("Could not parse auth token.", Kind::Unauthorized),
    ("Unauthorized request.", Kind::Unauthorized),
];

/// Whether the answer is the provider's own, whatever it says: JSON with success, or JSON that refuses a stranger. Errors
/// of the provider itself, "too many requests", and pages that somebody between us has written are no sign of life.
pub(in crate::protocol) fn is_alive(answer: &Answer) -> Result<(), Failure> {
    let refuses = matches!(answer.status, 400..=404);
    if !refuses && !is_2xx(answer.status) {
        return Err(refusal(answer));
    }
    let document = serde_json::from_slice::<Value>(&answer.body).ok();
    let is_its_own = match (&document, refuses) {
        (Some(document), true) => error_of(document).is_some(),
        (Some(document), false) => !document.is_string(),
        // More than is read of an answer: it began like JSON, and that must do.
        (None, _) => !answer.complete && matches!(answer.body.first(), Some(b'{' | b'[' | b'"')),
    };
    if is_its_own { Ok(()) } else { Err(not_its_own(answer)) }
}

/// Whether the answer is a success, and JSON: the document.
pub(in crate::protocol) fn judge(answer: &Answer) -> Result<Value, Failure> {
    is_success(answer)?;
    if !answer.complete {
        let detail = format!("the answer has more than {} bytes", answer.body.len());
        return Err(Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail));
    }
    serde_json::from_slice(&answer.body).map_err(|_| not_its_own(answer))
}

/// Whether the answer is a success, whatever it holds.
pub(in crate::protocol) fn is_success(answer: &Answer) -> Result<(), Failure> {
    if is_2xx(answer.status) { Ok(()) } else { Err(refusal(answer)) }
}

const fn is_2xx(status: u16) -> bool {
    matches!(status, 200..=299)
}

fn not_its_own(answer: &Answer) -> Failure {
    let first = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
    let what = if first == Some(&b'<') { "a page" } else { "something" };
    let detail =
        format!("{} with {what} that is not the provider's own JSON: somebody between may answer", answer.status);
    Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail)
}

/// The failure that an answer without success stands for.
fn refusal(answer: &Answer) -> Failure {
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let words = document.as_ref().and_then(error_of).map(words_of).unwrap_or_default();
    let kind = match answer.status {
        429 => Kind::RateLimited,
        401 | 403 => words.iter().find_map(|word| kind_of(word)).unwrap_or(Kind::Unauthorized),
        _ => words.iter().find_map(|word| kind_of(word)).unwrap_or(Kind::StatusUnexpected),
    };
    let said = words.first().map(|word| format!(" {word}")).unwrap_or_default();
    Failure::new(Phase::FirstByte, kind, format!("got {}{said}", answer.status))
}

/// The `error` of a document; Firestore wraps it in a list.
fn error_of(document: &Value) -> Option<&Value> {
    let document = document.as_array().and_then(|list| list.first()).unwrap_or(document);
    document.get("error").filter(|error| error.is_object() || error.is_string())
}

/// The code words of an error, the most exact first.
fn words_of(error: &Value) -> Vec<String> {
    if let Some(text) = error.as_str() {
        let known =
            SENTENCES.iter().find(|(sentence, _)| *sentence == text).map(|(sentence, _)| (*sentence).to_owned());
        return known.or_else(|| code_word(text)).into_iter().collect();
    }
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let exact = details.flat_map(|detail| [detail.get("errorCode"), detail.get("reason")]).flatten();
    let texts = exact.chain(error.get("message")).chain(error.get("status")).filter_map(Value::as_str);
    texts.take(16).filter_map(code_word).collect()
}

/// `QUOTA_EXCEEDED` of `QUOTA_EXCEEDED`, or of `QUOTA_EXCEEDED : Exceeded quota …`; nothing of a sentence.
fn code_word(text: &str) -> Option<String> {
    let word = text.split_once(" : ").map_or(text, |(word, _)| word).trim();
    let fits = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
    let is_upper = word.contains(|c: char| c.is_ascii_uppercase()) && word.chars().all(fits);
    let is_oauth = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (!word.is_empty() && word.len() <= WORD_AT_MOST && (is_upper || is_oauth)).then(|| word.to_owned())
}

/// What a code word means; nothing where the status says as much.
fn kind_of(word: &str) -> Option<Kind> {
    Some(match word {
        "UNAUTHENTICATED"
        | "PERMISSION_DENIED"
        | "INVALID_LOGIN_CREDENTIALS"
        | "EMAIL_NOT_FOUND"
        | "INVALID_PASSWORD"
        | "INVALID_EMAIL"
        | "USER_DISABLED"
        | "USER_NOT_FOUND"
        | "TOKEN_EXPIRED"
        | "INVALID_REFRESH_TOKEN"
        | "INVALID_ID_TOKEN"
        | "API_KEY_INVALID"
        | "API_KEY_SERVICE_BLOCKED"
        | "SENDER_ID_MISMATCH"
        | "THIRD_PARTY_AUTH_ERROR"
        | "invalid_grant"
        | "invalid_client"
        | "unauthorized_client"
        | "invalid_scope" => Kind::Unauthorized,
        "RESOURCE_EXHAUSTED" | "QUOTA_EXCEEDED" | "TOO_MANY_ATTEMPTS_TRY_LATER" | "RATE_LIMIT_EXCEEDED" => {
            Kind::RateLimited
        }
        "UNAVAILABLE" => Kind::NotServing,
        _ => return SENTENCES.iter().find(|(sentence, _)| *sentence == word).map(|(_, kind)| *kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: http::HeaderMap::new(), body: body.as_bytes().to_vec(), complete: true }
    }

    #[test]
    fn the_providers_own_words_are_a_sign_of_life_and_nothing_else_is() {
        let refused = r#"{"error":{"code":400,"message":"INVALID_LOGIN_CREDENTIALS"}}"#;
        let alive = [
            (200, "{}"),
            (200, "null"),
            (400, refused),
            (401, r#"{"error":"Permission denied"}"#),
            (403, r#"[{"error":{"status":"PERMISSION_DENIED"}}]"#),
            (404, r#"{"error":{"status":"NOT_FOUND"}}"#),
        ];
        for (status, body) in alive {
            assert_eq!(is_alive(&answer(status, body)), Ok(()), "{status} {body}");
        }
        let not = [
            (200, "<html>Welcome to our Wi-Fi</html>", Kind::BodyUnexpected),
            (200, "", Kind::BodyUnexpected),
            (401, "<html>proxy", Kind::BodyUnexpected),
            (403, "{}", Kind::BodyUnexpected),
            (302, "", Kind::StatusUnexpected),
            (429, refused, Kind::RateLimited),
            (500, "{}", Kind::StatusUnexpected),
            (503, r#"{"error":{"status":"UNAVAILABLE"}}"#, Kind::NotServing),
            (503, "<html>", Kind::StatusUnexpected),
        ];
        for (status, body, kind) in not {
            assert_eq!(is_alive(&answer(status, body)).map_err(|failure| failure.kind), Err(kind), "{status} {body}");
        }
    }

    #[test]
    fn the_code_that_says_most_decides() {
        let table = [
            (
                400,
                r#"{"error":{"message":"EMAIL_NOT_FOUND","status":"INVALID_ARGUMENT"}}"#,
                Kind::Unauthorized,
                "got 400 EMAIL_NOT_FOUND",
            ),
            (
                400,
                r#"{"error":{"message":"TOO_MANY_ATTEMPTS_TRY_LATER : Access disabled"}}"#,
                Kind::RateLimited,
                "got 400 TOO_MANY_ATTEMPTS_TRY_LATER",
            ),
            (
                400,
                r#"{"error":{"message":"a sentence","status":"INVALID_ARGUMENT"}}"#,
                Kind::StatusUnexpected,
                "got 400 INVALID_ARGUMENT",
            ),
            (
                400,
                r#"{"error":{"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                Kind::Unauthorized,
                "got 400 API_KEY_INVALID",
            ),
            (
                429,
                r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"errorCode":"QUOTA_EXCEEDED"}]}}"#,
                Kind::RateLimited,
                "got 429 QUOTA_EXCEEDED",
            ),
            (503, r#"{"error":{"status":"UNAVAILABLE"}}"#, Kind::NotServing, "got 503 UNAVAILABLE"),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
                Kind::Unauthorized,
                "got 400 invalid_grant",
            ),
            (401, r#"{"error":"Permission denied"}"#, Kind::Unauthorized, "got 401 Permission denied"),
            (401, r#"{"error":"what my secret is: s3cret"}"#, Kind::Unauthorized, "got 401"),
            (502, "<html>", Kind::StatusUnexpected, "got 502"),
        ];
        for (status, body, kind, detail) in table {
            let failure = judge(&answer(status, body)).unwrap_err();
            assert_eq!((failure.kind, &*failure.detail), (kind, detail), "{body}");
        }
    }
}
