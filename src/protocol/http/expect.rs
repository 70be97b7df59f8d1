//! What an answer must be, prepared once, and what to say when it is not. Pure.

use http::{HeaderMap, HeaderName};
use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::{
    asking::Heard,
    body::Read,
    file::{Expect, JsonExpectation, StatusRange},
};
use crate::{
    model::{Failure, Kind, Phase, Timestamp},
    protocol::Problem,
};

/// Texts of a peer or of the configuration are shown up to this many characters.
const SHOWN_AT_MOST: usize = 40;

/// Expectations, ready to compare.
#[derive(Debug)]
pub(in crate::protocol) struct Expectations {
    status: Vec<StatusRange>,
    headers: Vec<(HeaderName, Regex)>,
    contains: Option<String>,
    regex: Option<Regex>,
    json: Vec<Json>,
}

#[derive(Debug)]
struct Json {
    path: JsonPath,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Equals(Value),
    Matches(Regex),
    Exists(bool),
}

impl Expect {
    /// Whether an expectation looks at the body.
    pub(in crate::protocol) fn wants_body(&self) -> bool {
        self.body_contains.is_some() || self.body_regex.is_some() || !self.json.is_empty()
    }
}

impl Expectations {
    pub(in crate::protocol) fn of(expect: &Expect) -> Result<Self, Problem> {
        let header = |name: &String| {
            let path = format!("expect.header.{name}");
            name.parse::<HeaderName>().map_err(|_| Problem::at(&path, format!("`{name}` is not a header name")))
        };
        let headers = expect.header.iter().map(|(name, pattern)| Ok((header(name)?, pattern.0.clone())));
        let json = expect.json.iter().enumerate().map(|(index, one)| Json::of(one, index));
        Ok(Self {
            status: if expect.status.is_empty() { vec![StatusRange::SUCCESS] } else { expect.status.clone() },
            headers: headers.collect::<Result<_, _>>()?,
            contains: expect.body_contains.clone(),
            regex: expect.body_regex.as_ref().map(|pattern| pattern.0.clone()),
            json: json.collect::<Result<_, _>>()?,
        })
    }

    /// What only a server that lives can say: any status but an error of its own, and but "too many requests", which
    /// says nothing of those that it would have answered.
    pub(super) fn any_answer() -> Self {
        let status = vec![StatusRange { from: 200, to: 428 }, StatusRange { from: 430, to: 499 }];
        Self { status, headers: Vec::new(), contains: None, regex: None, json: Vec::new() }
    }

    /// The same, with every status expected where the shape names none.
    #[must_use]
    pub(in crate::protocol) fn or_any_status(mut self, expect: &Expect) -> Self {
        if expect.status.is_empty() {
            self.status = vec![StatusRange { from: 100, to: 599 }];
        }
        self
    }

    /// Whether an answer that was read is as expected.
    pub(in crate::protocol) fn judge(&self, heard: &Heard) -> Result<(), Failure> {
        self.judge_head(heard.status, &heard.headers)?;
        self.judge_body(&heard.read)
    }

    /// Whether status and headers are as expected.
    pub(super) fn judge_head(&self, status: u16, headers: &HeaderMap) -> Result<(), Failure> {
        if !self.status.iter().any(|range| range.holds(status)) {
            let kind = match status {
                401 | 403 => Kind::Unauthorized,
                429 => Kind::RateLimited,
                _ => Kind::StatusUnexpected,
            };
            let expected: Vec<String> = self.status.iter().map(ToString::to_string).collect();
            let detail = format!("got {status}, expected {}", expected.join(" or "));
            return Err(Failure::new(Phase::FirstByte, kind, detail));
        }
        for (name, pattern) in &self.headers {
            let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).peekable();
            let detail = if values.peek().is_none() {
                format!("there is no header {name}")
            } else if values.any(|value| pattern.is_match(value)) {
                continue;
            } else {
                format!("header {name} does not match `{}`", clipped(pattern.as_str()))
            };
            return Err(Failure::new(Phase::FirstByte, Kind::BodyUnexpected, detail));
        }
        Ok(())
    }

    /// Whether the body, or what was read of it, is as expected.
    pub(super) fn judge_body(&self, read: &Read) -> Result<(), Failure> {
        let unmet = |detail: String| {
            if read.complete {
                return Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail);
            }
            let detail = format!("{detail} in its first {} bytes, and there are more", read.length);
            Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail)
        };
        if self.contains.is_some() || self.regex.is_some() {
            let text = String::from_utf8_lossy(&read.bytes);
            if let Some(wanted) = self.contains.as_ref().filter(|wanted| !text.contains(wanted.as_str())) {
                return Err(unmet(format!("the body does not contain `{}`", clipped(wanted))));
            }
            if let Some(pattern) = self.regex.as_ref().filter(|pattern| !pattern.is_match(&text)) {
                return Err(unmet(format!("the body does not match `{}`", clipped(pattern.as_str()))));
            }
        }
        if self.json.is_empty() {
            return Ok(());
        }
        if !read.complete {
            let detail = format!("the body has more than {} bytes, and all of a JSON body is needed", read.length);
            return Err(Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail));
        }
        let document: Value =
            serde_json::from_slice(&read.bytes).map_err(|_| unmet("the body is not JSON".to_owned()))?;
        self.json.iter().try_for_each(|one| one.judge(&document).map_err(unmet))
    }
}

impl Json {
    fn of(file: &JsonExpectation, index: usize) -> Result<Self, Problem> {
        let at = format!("expect.json.{index}");
        let path = JsonPath::parse(&file.path).map_err(|error| {
            Problem::at(&format!("{at}.path"), format!("`{}` is not a JSONPath: {}", file.path, error.message()))
                .help("a path begins with `$`, such as `$.status` or `$.items[0].name` (RFC 9535)")
        })?;
        let wanted = match (&file.equals, &file.matches, file.exists) {
            (Some(value), None, None) => Wanted::Equals(value.clone()),
            (None, Some(pattern), None) => Wanted::Matches(pattern.0.clone()),
            (None, None, Some(exists)) => Wanted::Exists(exists),
            _ => return Err(Problem::at(&at, "give exactly one of `equals`, `matches` and `exists`")),
        };
        Ok(Self { path, wanted })
    }

    fn judge(&self, document: &Value) -> Result<(), String> {
        let found = self.path.query(document);
        let path = &self.path;
        let Some(first) = found.first() else {
            return match self.wanted {
                Wanted::Exists(false) => Ok(()),
                _ => Err(format!("there is nothing at `{path}`")),
            };
        };
        let met = match &self.wanted {
            Wanted::Equals(wanted) => found.iter().any(|value| *value == wanted),
            Wanted::Matches(pattern) => found.iter().any(|value| pattern.is_match(&text_of(value))),
            Wanted::Exists(wanted) => *wanted,
        };
        if met {
            return Ok(());
        }
        Err(match &self.wanted {
            Wanted::Equals(wanted) => format!("`{path}` is {}, expected {}", shown(first), shown(wanted)),
            Wanted::Matches(pattern) => {
                format!("`{path}` is {}, expected a match of `{}`", shown(first), clipped(pattern.as_str()))
            }
            Wanted::Exists(_) => format!("there is something at `{path}`"),
        })
    }
}

/// A JSON value as a pattern sees it: texts without their quotes.
pub(in crate::protocol) fn text_of(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => clipped(&other.to_string()),
    }
}

fn clipped(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_AT_MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc2822(value).ok().map(|date| date.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectations(json: serde_json::Value) -> Expectations {
        Expectations::of(&serde_json::from_value(json).unwrap()).unwrap()
    }

    fn judged(expect: serde_json::Value, body: &str, complete: bool) -> Result<(), (Kind, String)> {
        let read = Read { bytes: body.as_bytes().to_vec(), length: body.len() as u64, complete };
        expectations(expect).judge_body(&read).map_err(|failure| (failure.kind, failure.detail))
    }

    fn head(expected: &Expectations, status: u16) -> Result<(), Failure> {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-a"), "1".parse().unwrap())]);
        expected.judge_head(status, &headers)
    }

    #[test]
    fn statuses() {
        let kind = |status| head(&expectations(serde_json::json!({})), status).err().map(|f| f.kind);
        assert_eq!(kind(204), None);
        assert_eq!(kind(503), Some(Kind::StatusUnexpected));
        assert_eq!(kind(401), Some(Kind::Unauthorized));
        assert_eq!(kind(429), Some(Kind::RateLimited));
        let expected = expectations(serde_json::json!({"status": [200, 401, "5xx"]}));
        assert_eq!(head(&expected, 401), Ok(()));
        assert_eq!(head(&expected, 404).unwrap_err().detail, "got 404, expected 200 or 401 or 5xx");
    }

    #[test]
    fn headers() {
        let failure = |json| head(&expectations(json), 200).err().map(|f| f.detail);
        assert_eq!(failure(serde_json::json!({"header": {"X-A": "^1$"}})), None);
        assert_eq!(failure(serde_json::json!({"header": {"X-A": "2"}})).unwrap(), "header x-a does not match `2`");
        assert_eq!(failure(serde_json::json!({"header": {"X-B": "."}})).unwrap(), "there is no header x-b");
    }

    #[test]
    fn what_the_limit_cuts_off_may_have_been_the_wanted_part() {
        let contains = serde_json::json!({"body_contains": "ok"});
        assert_eq!(judged(contains.clone(), "all ok", false), Ok(()));
        assert_eq!(judged(contains.clone(), "all", true).unwrap_err().0, Kind::BodyUnexpected);
        assert_eq!(judged(contains, "all", false).unwrap_err().0, Kind::BodyTooLarge);
        let json = serde_json::json!({"json": [{"path": "$.a", "exists": true}]});
        assert_eq!(judged(json, "{\"a\":1}", false).unwrap_err().0, Kind::BodyTooLarge);
    }

    #[test]
    fn json_bodies() {
        let body = r#"{"status":"pass","n":3,"list":[{"a":1},{"a":2}]}"#;
        let one = |one: serde_json::Value| judged(serde_json::json!({"json": [one]}), body, true).map_err(|e| e.1);
        assert_eq!(one(serde_json::json!({"path": "$.status", "equals": "pass"})), Ok(()));
        assert_eq!(one(serde_json::json!({"path": "$.n", "equals": 3})), Ok(()));
        assert_eq!(one(serde_json::json!({"path": "$.list[*].a", "equals": 2})), Ok(()));
        assert_eq!(one(serde_json::json!({"path": "$.status", "matches": "^p"})), Ok(()));
        assert_eq!(one(serde_json::json!({"path": "$.gone", "exists": false})), Ok(()));
        assert_eq!(
            one(serde_json::json!({"path": "$.status", "equals": "ok"})).unwrap_err(),
            "`$.status` is \"pass\", expected \"ok\""
        );
        assert_eq!(one(serde_json::json!({"path": "$.x", "matches": "."})).unwrap_err(), "there is nothing at `$.x`");
        assert_eq!(
            judged(serde_json::json!({"json": [{"path": "$", "exists": true}]}), "<", true).unwrap_err().1,
            "the body is not JSON"
        );
    }

    #[test]
    fn mistakes_name_their_place() {
        let mistake = |json| Expectations::of(&serde_json::from_value(json).unwrap()).unwrap_err().path.join(".");
        assert_eq!(mistake(serde_json::json!({"json": [{"path": "status", "exists": true}]})), "expect.json.0.path");
        assert_eq!(mistake(serde_json::json!({"json": [{"path": "$.a"}]})), "expect.json.0");
        assert_eq!(mistake(serde_json::json!({"header": {"a b": "."}})), "expect.header.a b");
    }
}
