//! Texts with `${name}` in them, to be filled with what earlier steps saved. Pure. A value comes from a peer: it is
//! written the way that the place wants it, so that it stays a value there.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::model::Secret;

/// What was saved so far, by name.
pub(super) type Saved = BTreeMap<String, Secret>;

/// A URL with variables in it, as it stands in the file.
#[derive(Debug, Clone)]
pub struct UrlTemplate(pub String);

impl<'de> Deserialize<'de> for UrlTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for UrlTemplate {
    fn schema_name() -> Cow<'static, str> {
        "UrlWithVariables".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["https://api.example.com/devices/${device}"]})
    }
}

/// A text in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// How a place wants its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Percent-encoded, but for one that a URL begins with: that is a URL itself.
    Url,
    /// As a part of a JSON text.
    Json,
    /// As a part of a form.
    Form,
    /// As it is.
    Plain,
}

impl Template {
    /// Reads a text; `$${` stands for `${`, and whatever is no `${name}` for itself.
    pub(super) fn parse(text: &str) -> Self {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            plain.push_str(before);
            let inside = after.get(2..).and_then(|inside| inside.split_once('}'));
            match inside.filter(|(name, _)| is_name(name)) {
                Some((name, more)) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Variable(name.to_owned()));
                    rest = more;
                }
                None => {
                    plain.push_str("${");
                    rest = after.get(2..).unwrap_or_default();
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Self(parts)
    }

    /// The names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether it begins with a variable: where a URL leads is then for a peer to say.
    pub(super) fn begins_with_variable(&self) -> bool {
        matches!(self.0.first(), Some(Part::Variable(_)))
    }

    /// The text with everything filled in; `Err` is a name that nobody saved.
    pub(super) fn fill(&self, saved: &Saved, place: Place) -> Result<String, &str> {
        let mut text = String::new();
        for (number, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Variable(name) => {
                    let value = saved.get(name).ok_or(name.as_str())?.reveal();
                    let place = if number == 0 && place == Place::Url { Place::Plain } else { place };
                    text.push_str(&written(value, place));
                }
            }
        }
        Ok(text)
    }
}

/// Whether a text is a name for what is saved.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 64
}

fn written(value: &str, place: Place) -> Cow<'_, str> {
    match place {
        Place::Plain => value.into(),
        Place::Form => url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().into(),
        Place::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned().into()
        }
        Place::Url => {
            let mut text = String::new();
            for byte in value.bytes() {
                // RFC 3986 §2.3; a value of nothing but dots would be a step up the path.
                let is_dots = value == "." || value == "..";
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && !is_dots) {
                    text.push(char::from(byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
            }
            text.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, value: &str, place: Place) -> String {
        let saved = Saved::from([("id".to_owned(), Secret::new(value))]);
        Template::parse(text).fill(&saved, place).unwrap()
    }

    #[test]
    fn values_stay_values_where_they_are_put() {
        let sly = "a/../b?x=\"1\"&y";
        assert_eq!(
            filled("https://a.test/d/${id}/on", sly, Place::Url),
            "https://a.test/d/a%2F..%2Fb%3Fx%3D%221%22%26y/on"
        );
        assert_eq!(filled("https://a.test/${id}", "..", Place::Url), "https://a.test/%2E%2E");
        assert_eq!(filled("${id}/state", "https://b.test/d/1", Place::Url), "https://b.test/d/1/state");
        assert_eq!(filled("{\"id\":\"${id}\"}", "a\"b\n", Place::Json), "{\"id\":\"a\\\"b\\n\"}");
        assert_eq!(filled("id=${id}", "a&b c", Place::Form), "id=a%26b+c");
        assert_eq!(filled("<id>${id}</id>", "7", Place::Plain), "<id>7</id>");
    }

    #[test]
    fn what_is_no_variable_stays_as_it_is() {
        for text in ["", "$", "$5", "${", "${}", "${a b}", "${a", "a$", "^1$"] {
            assert_eq!(filled(text, "x", Place::Plain), text);
            assert_eq!(Template::parse(text).names().count(), 0, "{text}");
        }
        assert_eq!(filled("$${id} ${id}", "x", Place::Plain), "${id} x");
        assert_eq!(Template::parse("${a}${b}-${a}").names().collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    proptest! {
        #[test]
        fn every_text_can_be_read(text in "[$a{}b ]{0,30}", value in ".{0,20}") {
            let template = Template::parse(&text);
            let saved: Saved = template.names().map(|name| (name.to_owned(), Secret::new(value.as_str()))).collect();
            for place in [Place::Url, Place::Json, Place::Form, Place::Plain] {
                prop_assert!(template.fill(&saved, place).is_ok());
            }
        }

        #[test]
        fn no_value_leaves_its_place_in_json(value in ".{0,40}") {
            let saved = Saved::from([("id".to_owned(), Secret::new(value.as_str()))]);
            let text = Template::parse("{\"id\":\"${id}\"}").fill(&saved, Place::Json).unwrap();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &serde_json::json!({"id": value}));
        }
    }
}
