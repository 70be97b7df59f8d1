//! Which keys hold secrets, told from the schema: for values that nobody looked at, because what is around them is wrong.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::fault::nearest;

/// The keys of the schema.
#[derive(Default)]
pub(super) struct Keys {
    /// Their values are no secrets.
    pub(super) open: HashSet<String>,
    /// Their values are secrets, at least at one place.
    pub(super) secret: HashSet<String>,
    /// They hold further keys.
    pub(super) more: HashSet<String>,
    /// Unknown keys, and whether they look like an open one and like no secret one.
    guessed: HashMap<String, bool>,
}

impl Keys {
    pub(super) fn of(schema: &Value) -> Self {
        let mut keys = Self::default();
        keys.sort(schema, schema.get("$defs").unwrap_or(&Value::Null));
        keys.open.retain(|key| !keys.secret.contains(key));
        keys
    }

    /// Whether what stands under a key, perhaps a mistyped one, is no secret.
    pub(super) fn are_open(&mut self, key: &str) -> bool {
        let Self { open, secret, guessed, .. } = self;
        let near = |key: &str, keys: &HashSet<String>| nearest(key, keys.iter().map(String::as_str)).is_some();
        let guess = |key: &str| near(key, open) && !near(key, secret);
        open.contains(key)
            || !secret.contains(key) && *guessed.entry(key.to_owned()).or_insert_with_key(|key| guess(key))
    }

    /// Sorts the keys by what they hold.
    fn sort(&mut self, schema: &Value, definitions: &Value) {
        match schema {
            Value::Object(object) => {
                if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                    for (key, value) in properties {
                        let kind = match holds(value, definitions) {
                            Holds::Open => &mut self.open,
                            Holds::Secret => &mut self.secret,
                            Holds::More => &mut self.more,
                        };
                        kind.insert(key.clone());
                    }
                }
                object.values().for_each(|inner| self.sort(inner, definitions));
            }
            Value::Array(items) => items.iter().for_each(|inner| self.sort(inner, definitions)),
            _ => {}
        }
    }
}

/// What stands under a key.
enum Holds {
    Open,
    Secret,
    /// Further keys: a single value does not belong there, and may be anything.
    More,
}

fn holds(schema: &Value, definitions: &Value) -> Holds {
    let text = schema.to_string();
    if text.contains("#/$defs/Secret\"") {
        return Holds::Secret;
    }
    let has_keys = |text: &str| text.contains("\"properties\"") || text.contains("\"additionalProperties\"");
    let mut referred = text.split("#/$defs/").skip(1).filter_map(|rest| definitions.get(rest.split('"').next()?));
    if has_keys(&text) || referred.any(|definition| has_keys(&definition.to_string())) {
        Holds::More
    } else {
        Holds::Open
    }
}
