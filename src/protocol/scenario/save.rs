//! Saving something of an answer under a name: by JSONPath, from a header, by a regular expression. Pure.

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName};
use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::super::{
    Pattern, Problem,
    http::{Heard, text_of},
};
use crate::model::{Failure, Kind, Phase, Secret};

/// What is saved is no longer.
const LONGEST: usize = 8 * 1024;

/// What to save: a JSONPath, or `{ header: …, regex: … }`, one of them or both.
#[derive(Debug, Clone)]
pub enum SaveFile {
    /// The text or number at a place of a JSON body (RFC 9535).
    Path(String),
    /// Something else.
    Else(SaveElse),
}

/// What to save from a header or by a regular expression.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SaveElse {
    /// Name of a header; left out: the body.
    pub header: Option<String>,
    /// What of it: the first group of the match, or all of the match where there is no group. Left out: all.
    pub regex: Option<Pattern>,
}

impl<'de> Deserialize<'de> for SaveFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrElse;

        impl<'de> de::Visitor<'de> for PathOrElse {
            type Value = SaveFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSONPath, or `{ header: … }` or `{ regex: … }`")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<SaveFile, E> {
                Ok(SaveFile::Path(path.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SaveFile, A::Error> {
                SaveElse::deserialize(MapAccessDeserializer::new(map)).map(SaveFile::Else)
            }
        }

        deserializer.deserialize_any(PathOrElse)
    }
}

impl JsonSchema for SaveFile {
    fn schema_name() -> Cow<'static, str> {
        "Save".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let other = generator.subschema_for::<SaveElse>();
        json_schema!({"anyOf": [{"type": "string", "examples": ["$.devices[0].id"]}, other]})
    }
}

/// The same, prepared.
#[derive(Debug)]
pub(super) enum Save {
    Path(JsonPath),
    Header(HeaderName, Option<Regex>),
    Body(Regex),
}

impl Save {
    pub(super) fn of(file: &SaveFile, at: &str) -> Result<Self, Problem> {
        match file {
            SaveFile::Path(path) => JsonPath::parse(path).map(Self::Path).map_err(|error| {
                Problem::at(at, format!("`{path}` is not a JSONPath: {}", error.message()))
                    .help("a path begins with `$`, such as `$.devices[0].id` (RFC 9535)")
            }),
            SaveFile::Else(SaveElse { header: Some(name), regex }) => {
                let regex = regex.as_ref().map(|pattern| pattern.0.clone());
                let parsed = name
                    .parse()
                    .map_err(|_| Problem::at(&format!("{at}.header"), format!("`{name}` is not a header name")))?;
                Ok(Self::Header(parsed, regex))
            }
            SaveFile::Else(SaveElse { header: None, regex: Some(regex) }) => Ok(Self::Body(regex.0.clone())),
            SaveFile::Else(_) => Err(Problem::at(at, "give a JSONPath, or `{ header: … }` or `{ regex: … }`")),
        }
    }

    /// Whether it looks at the body.
    pub(super) const fn wants_content(&self) -> bool {
        !matches!(self, Self::Header(..))
    }

    /// What an answer has of it.
    pub(super) fn take(&self, name: &str, heard: &Heard) -> Result<Secret, Failure> {
        let found = match self {
            Self::Path(path) => at_path(path, heard)?,
            Self::Header(header, regex) => in_header(header, regex.as_ref(), &heard.headers),
            Self::Body(regex) => matched(regex, &String::from_utf8_lossy(&heard.read.bytes)),
        };
        let lost = |why: String| Failure::new(Phase::Transfer, Kind::BodyUnexpected, why);
        let found = found.ok_or_else(|| lost(format!("there is nothing {self} to save as `{name}`")))?;
        if found.len() > LONGEST {
            return Err(lost(format!("what is {self} is too long to save as `{name}`")));
        }
        Ok(Secret::new(found))
    }
}

impl fmt::Display for Save {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "at `{path}`"),
            Self::Header(name, None) => write!(f, "in header {name}"),
            Self::Header(name, Some(_)) => write!(f, "in header {name} that matches"),
            Self::Body(_) => f.write_str("in the body that matches"),
        }
    }
}

fn at_path(path: &JsonPath, heard: &Heard) -> Result<Option<String>, Failure> {
    if !heard.read.complete {
        let detail = format!("the body has more than {} bytes, and all of a JSON body is needed", heard.read.length);
        return Err(Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail));
    }
    let document: Value = serde_json::from_slice(&heard.read.bytes)
        .map_err(|_| Failure::new(Phase::Transfer, Kind::BodyUnexpected, "the body is not JSON"))?;
    let found = path.query(&document);
    Ok(found.first().filter(|value| !value.is_null()).map(|value| text_of(value).into_owned()))
}

fn in_header(name: &HeaderName, regex: Option<&Regex>, headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    match regex {
        None => values.next().map(str::to_owned),
        Some(regex) => values.find_map(|value| matched(regex, value)),
    }
}

fn matched(regex: &Regex, text: &str) -> Option<String> {
    let found = regex.captures(text)?;
    found.get(1).or_else(|| found.get(0)).map(|part| part.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::Read;

    fn heard(body: &str, complete: bool) -> Heard {
        let headers = [("location", "/jobs/42"), ("x-id", "one"), ("x-id", "two")]
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        let read = Read { bytes: body.as_bytes().to_vec(), length: body.len() as u64, complete };
        Heard { status: 200, headers: map, read }
    }

    fn taken(file: serde_json::Value, body: &str) -> Result<String, String> {
        let file: SaveFile = serde_json::from_value(file).unwrap();
        let save = Save::of(&file, "x").unwrap();
        save.take("v", &heard(body, true)).map(|found| found.reveal().to_owned()).map_err(|failure| failure.detail)
    }

    #[test]
    fn from_everywhere() {
        let body = r#"{"items":[{"id":"a-1","n":7,"none":null}]}"#;
        let path = |path: &str| taken(path.into(), body);
        assert_eq!(path("$.items[0].id").as_deref(), Ok("a-1"));
        assert_eq!(path("$.items[0].n").as_deref(), Ok("7"));
        assert_eq!(path("$.items[0].none").unwrap_err(), "there is nothing at `$.items[0].none` to save as `v`");
        assert_eq!(taken("$.a".into(), "<html>").unwrap_err(), "the body is not JSON");
        assert_eq!(taken(serde_json::json!({"header": "Location"}), "").as_deref(), Ok("/jobs/42"));
        assert_eq!(taken(serde_json::json!({"header": "location", "regex": "/(\\d+)$"}), "").as_deref(), Ok("42"));
        assert_eq!(taken(serde_json::json!({"header": "x-id", "regex": "^t.*"}), "").as_deref(), Ok("two"));
        assert_eq!(taken(serde_json::json!({"regex": "id=(\\w+)"}), "<a id=x9>").as_deref(), Ok("x9"));
        assert!(taken(serde_json::json!({"header": "etag"}), "").unwrap_err().contains("in header etag"));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_not_saved() {
        let save = Save::of(&SaveFile::Path("$.a".to_owned()), "x").unwrap();
        assert_eq!(save.take("v", &heard(r#"{"a":1"#, false)).unwrap_err().kind, Kind::BodyTooLarge);
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST + 1));
        assert!(save.take("v", &heard(&long, true)).unwrap_err().detail.contains("too long"));
    }

    #[test]
    fn mistakes_have_their_place() {
        let mistake = |file: SaveFile| Save::of(&file, "steps.0.save.v").unwrap_err().path.join(".");
        assert_eq!(mistake(SaveFile::Path("id".to_owned())), "steps.0.save.v");
        assert_eq!(mistake(SaveFile::Else(SaveElse::default())), "steps.0.save.v");
        let header = SaveElse { header: Some("a b".to_owned()), regex: None };
        assert_eq!(mistake(SaveFile::Else(header)), "steps.0.save.v.header");
    }
}
