//! The words of the Realtime Database's protocol, version 5: what a server says and what a client asks, each a JSON
//! envelope. Pure. Of what a peer writes nothing is repeated but its own code words.

use serde_json::{Value, json};

use crate::model::{Failure, Kind, Phase};

/// What a server says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The connection stands.
    Hello,
    /// Another host is the right one.
    Reset(String),
    /// The server ends this, and clients do not come back by themselves.
    Shutdown,
    /// Something is wrong with what we do.
    Complaint,
    /// The answer to a control ping.
    Pong,
    /// The answer to a request.
    Reply { number: u64, status: String },
    /// What is at a path has changed, wholly (`d`) or in part (`m`).
    Change { path: String, now: Value },
    /// Nobody may listen to this any more.
    ListenRevoked,
    /// The credential is not good any more; whether because its time is over.
    AuthRevoked { expired: bool },
    /// Something else, which asks nothing of us.
    Other,
}

impl Said {
    /// Reads an envelope.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let document: Value = serde_json::from_str(text).map_err(|_| breach("a message that is not JSON"))?;
        Self::of(&document)
    }

    /// The same of one that has been read.
    pub(super) fn of(document: &Value) -> Result<Self, Failure> {
        let body = document.get("d").unwrap_or(&Value::Null);
        match document.get("t").and_then(Value::as_str) {
            Some("c") => Ok(Self::control(body)),
            Some("d") => Self::message(body),
            _ => Err(breach("a message without an envelope")),
        }
    }

    fn control(body: &Value) -> Self {
        let more = body.get("d");
        match body.get("t").and_then(Value::as_str) {
            Some("h") => Self::Hello,
            Some("r") => Self::Reset(more.and_then(Value::as_str).unwrap_or_default().to_owned()),
            Some("s") => Self::Shutdown,
            Some("e") => Self::Complaint,
            Some("o") => Self::Pong,
            _ => Self::Other,
        }
    }

    fn message(body: &Value) -> Result<Self, Failure> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let inner = body.get("b").unwrap_or(&Value::Null);
        if let Some(number) = body.get("r") {
            let number = number.as_u64().ok_or_else(|| breach("an answer to no request"))?;
            return Ok(Self::Reply { number, status: text(inner.get("s")) });
        }
        Ok(match body.get("a").and_then(Value::as_str) {
            Some("d" | "m") => {
                Self::Change { path: text(inner.get("p")), now: inner.get("d").cloned().unwrap_or(Value::Null) }
            }
            Some("c") => Self::ListenRevoked,
            Some("ac") => Self::AuthRevoked { expired: text(inner.get("s")) == "expired_token" },
            _ => Self::Other,
        })
    }
}

/// What a client asks.
#[derive(Debug)]
pub(super) enum Ask<'a> {
    /// Says who we are.
    Auth { token: &'a str, is_oauth: bool },
    /// Listens to a path.
    Listen { path: &'a str },
    /// Writes a value.
    Put { path: &'a str, value: Value },
    /// Has a value removed when this connection ends.
    RemoveAtEnd { path: &'a str },
}

impl Ask<'_> {
    /// The envelope of the request with this number.
    pub(super) fn write(self, number: u64) -> String {
        let (action, body) = match self {
            Self::Auth { token, is_oauth } => (if is_oauth { "gauth" } else { "auth" }, json!({ "cred": token })),
            Self::Listen { path } => ("q", json!({"p": path, "h": ""})),
            Self::Put { path, value } => ("p", json!({"p": path, "d": value})),
            Self::RemoveAtEnd { path } => ("o", json!({"p": path, "d": null})),
        };
        json!({"t": "d", "d": {"r": number, "a": action, "b": body}}).to_string()
    }
}

/// The control message that a server answers with [`Said::Pong`].
pub(super) const PING: &str = r#"{"t":"c","d":{"t":"p","d":null}}"#;

/// What is sent so that nobody between takes an idle connection for a dead one. It is not answered.
pub(super) const KEEP_ALIVE: &str = "0";

/// What an answer means that is not `ok`. `to` completes "the answer to …".
pub(super) fn refused(status: &str, to: &str) -> Failure {
    let kind = match status {
        "permission_denied" | "expired_token" | "invalid_token" | "invalid_credential" | "auth_canceled" => {
            Kind::Unauthorized
        }
        "unavailable" | "disconnected" | "network_error" => Kind::NotServing,
        "too_big" | "datastale" | "overloaded" | "internal_error" | "unknown_error" => Kind::StatusUnexpected,
        _ => return Failure::new(Phase::Exchange, Kind::StatusUnexpected, format!("{to}: the answer is not ok")),
    };
    Failure::new(Phase::Exchange, kind, format!("{to}: {status}"))
}

/// Something that the protocol does not allow.
pub(super) fn breach(what: impl Into<String>) -> Failure {
    Failure::new(Phase::Exchange, Kind::ProtocolError, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say() {
        let read = |text: &str| Said::read(text).map_err(|failure| failure.kind);
        let hello = r#"{"t":"c","d":{"t":"h","d":{"ts":1,"v":"5","h":"s-usc1c-nss-114.firebaseio.com","s":"x"}}}"#;
        assert_eq!(read(hello), Ok(Said::Hello));
        assert_eq!(read(r#"{"t":"c","d":{"t":"r","d":"s-1.a.test"}}"#), Ok(Said::Reset("s-1.a.test".to_owned())));
        assert_eq!(read(r#"{"t":"c","d":{"t":"r","d":7}}"#), Ok(Said::Reset(String::new())));
        assert_eq!(read(r#"{"t":"c","d":{"t":"s","d":"bye"}}"#), Ok(Said::Shutdown));
        assert_eq!(read(r#"{"t":"c","d":{"t":"o","d":null}}"#), Ok(Said::Pong));
        let ok = Said::Reply { number: 2, status: "ok".to_owned() };
        assert_eq!(read(r#"{"t":"d","d":{"r":2,"b":{"s":"ok","d":{}}}}"#), Ok(ok));
        let change = Said::Change { path: "a/b".to_owned(), now: json!({"x": 1}) };
        assert_eq!(read(r#"{"t":"d","d":{"a":"d","b":{"p":"a/b","d":{"x":1}}}}"#), Ok(change));
        let revoked = r#"{"t":"d","d":{"a":"ac","b":{"s":"expired_token","d":"Auth token is expired"}}}"#;
        assert_eq!(read(revoked), Ok(Said::AuthRevoked { expired: true }));
        assert_eq!(read(r#"{"t":"d","d":{"a":"zz"}}"#), Ok(Said::Other));
        for bad in ["", "1000000000", "[]", "{}", "<html>", r#"{"t":"x"}"#, r#"{"t":"d","d":{"r":-1}}"#] {
            assert_eq!(read(bad), Err(Kind::ProtocolError), "{bad}");
        }
    }

    #[test]
    fn what_clients_ask() {
        assert_eq!(
            Ask::Listen { path: "/usoryou" }.write(3),
            r#"{"d":{"a":"q","b":{"h":"","p":"/usoryou"},"r":3},"t":"d"}"#
        );
        let auth = Ask::Auth { token: "t", is_oauth: true }.write(1);
        assert!(auth.contains(r#""a":"gauth""#) && auth.contains(r#""cred":"t""#), "{auth}");
    }

    #[test]
    fn a_status_that_is_not_known_is_not_repeated() {
        let failure = refused("s3cret", "put");
        assert!(!failure.detail.contains("s3cret"), "{failure}");
        assert_eq!(refused("permission_denied", "put").kind, Kind::Unauthorized);
    }
}
