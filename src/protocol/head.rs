//! Heads of requests and answers, for everything that begins as HTTP: which headers are sent, what is said of waiting,
//! and what an answer means that was not the one hoped for.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::{Attempt, Problem};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::retry_after,
};

/// The headers of a request: who we are, and those of the probe, whose values are kept out of every log.
pub(super) fn headers(given: &BTreeMap<String, Secret>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("usoryou/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in given {
        let path = format!("headers.{name}");
        let name: HeaderName =
            name.parse().map_err(|_| Problem::at(&path, format!("`{name}` is not a header name")))?;
        let mut value = HeaderValue::from_str(value.reveal())
            .map_err(|_| Problem::at(&path, "the value holds characters that a header cannot carry"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Headers given at the command line replace those of the file, however they are written there.
pub(super) fn replace(headers: &mut BTreeMap<String, Secret>, by: &[(String, String)]) {
    for (name, value) in by {
        headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
        headers.insert(name.clone(), Secret::new(value.as_str()));
    }
}

impl Attempt {
    /// Notes status and waiting time of an answer.
    pub(super) fn note_head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.facts.http_status = Some(status.as_u16());
        self.facts.retry_after = retry_after(headers);
    }

    /// Whether an answer came that only a server which lives can give, whatever it says: any but an error of its own, and
    /// but "too many requests", which says nothing of those that it would have answered.
    pub(super) fn was_answered(&self) -> bool {
        self.facts.http_status.is_some_and(|status| (200..500).contains(&status) && status != 429)
    }
}

/// What an answer means that does not change to the protocol that was asked for (`wanted`), or does not give the kind of
/// answer that was. `None` for those that say nothing of it: the caller knows better words.
pub(super) fn refusal(phase: Phase, status: StatusCode) -> Option<Failure> {
    let kind = match status.as_u16() {
        401 | 403 | 407 => Kind::Unauthorized,
        429 => Kind::RateLimited,
        404..=599 if status.as_u16() != 426 => Kind::StatusUnexpected,
        _ => return None,
    };
    Some(Failure::new(phase, kind, format!("answered {}", status.as_u16())))
}

/// Whether a header or a query parameter says who we are, going by the names that services give it.
pub(super) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["auth", "token", "secret", "password", "cookie", "session", "signature", "credential"];
    words.iter().any(|word| name.contains(word))
        || name == "key"
        || name.ends_with("-key")
        || name.ends_with("_key")
        || matches!(&*name, "apikey" | "sig")
}

/// The same URL without the query parameters that say who we are.
pub(super) fn without_credential(url: &Url) -> Url {
    let mut bare = url.clone();
    if url.query_pairs().any(|(name, _)| is_credential(&name)) {
        let kept: Vec<_> = url.query_pairs().filter(|(name, _)| !is_credential(name)).collect();
        bare.set_query(None);
        if !kept.is_empty() {
            bare.query_pairs_mut().extend_pairs(kept);
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_kinds() {
        let kind = |status| refusal(Phase::Upgrade, StatusCode::from_u16(status).unwrap()).map(|failure| failure.kind);
        assert_eq!(kind(401), Some(Kind::Unauthorized));
        assert_eq!(kind(403), Some(Kind::Unauthorized));
        assert_eq!(kind(429), Some(Kind::RateLimited));
        assert_eq!(kind(404), Some(Kind::StatusUnexpected));
        assert_eq!(kind(503), Some(Kind::StatusUnexpected));
        for other in [200, 204, 302, 400, 426] {
            assert_eq!(kind(other), None, "{other}");
        }
    }

    #[test]
    fn a_mistaken_header_is_named_and_its_value_is_not() {
        let given = BTreeMap::from([("X-Key".to_owned(), Secret::new("s3cret\n"))]);
        let problem = headers(&given).unwrap_err();
        assert_eq!(problem.path, ["headers", "X-Key"]);
        assert!(!problem.message.contains("s3cret"));
    }
}
