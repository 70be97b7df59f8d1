//! What the simulated provider stores: one JSON tree, and whoever wants to know of changes. Knows no connection.

use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::broadcast;

/// Changes that a slow listener may fall behind.
const BEHIND_AT_MOST: usize = 256;
/// Deeper than anybody in this world writes.
const DEPTH_AT_MOST: usize = 32;

/// The tree, and news of it.
pub(super) struct Tree {
    root: Mutex<Value>,
    news: broadcast::Sender<Change>,
}

/// A place that has changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
}

impl Tree {
    pub(super) fn new(root: Value) -> Self {
        Self { root: Mutex::new(root), news: broadcast::channel(BEHIND_AT_MOST).0 }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Change> {
        self.news.subscribe()
    }

    /// What is at a path; null where nothing is.
    pub(super) fn get(&self, path: &[String]) -> Value {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        path.iter().try_fold(&*root, |at, part| at.get(part)).cloned().unwrap_or(Value::Null)
    }

    /// Writes a value; null removes what is there. What was written, with the server's stamps.
    pub(super) fn put(&self, path: &[String], value: &Value) -> Value {
        let value = stamped(value, chrono::Utc::now().timestamp_millis());
        if path.len() <= DEPTH_AT_MOST {
            let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
            set(&mut root, path, value.clone());
        }
        // Nobody listening is fine.
        let _ = self.news.send(Change { path: path.to_vec(), value: value.clone() });
        value
    }

    /// Writes each field of a value below a path.
    pub(super) fn merge(&self, path: &[String], value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let mut below = path.to_vec();
            below.extend(parts(name));
            self.put(&below, value);
        }
    }
}

/// A path's parts.
pub(super) fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What a change means to somebody who listens to a path: where it is to them, and what is there now.
pub(super) fn told(change: &Change, listens_to: &[String], tree: &Tree) -> Option<(Vec<String>, Value)> {
    if change.path.starts_with(listens_to) {
        return Some((change.path.clone(), change.value.clone()));
    }
    listens_to.starts_with(&change.path).then(|| (listens_to.to_vec(), tree.get(listens_to)))
}

fn set(at: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Some(fields) = at.as_object_mut() {
        if rest.is_empty() && value.is_null() {
            fields.remove(first);
        } else {
            set(fields.entry(first.clone()).or_insert(Value::Null), rest, value);
        }
    }
}

/// A value with the time in place of `{".sv": "timestamp"}`.
fn stamped(value: &Value, now: i64) -> Value {
    match value {
        Value::Object(fields) if fields.get(".sv") == Some(&"timestamp".into()) => now.into(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), stamped(value, now))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_there_and_told_to_whom_it_concerns() {
        let tree = Tree::new(json!({"a": 1}));
        let mut news = tree.listen();
        tree.put(&parts("b/c"), &json!({"n": 1, "at": {".sv": "timestamp"}}));
        assert_eq!(tree.get(&parts("/b/c/n")), json!(1));
        assert!(tree.get(&parts("b/c/at")).as_i64().unwrap() > 0);
        let change = news.try_recv().unwrap();
        assert_eq!(told(&change, &parts("b"), &tree).unwrap().0, parts("b/c"));
        assert_eq!(told(&change, &parts("b/c/n"), &tree), Some((parts("b/c/n"), json!(1))));
        assert_eq!(told(&change, &parts("a"), &tree), None);
        tree.put(&parts("b/c"), &Value::Null);
        assert_eq!(tree.get(&[]), json!({"a": 1, "b": {}}));
        tree.merge(&[], &json!({"x/y": 2, "a": null}));
        assert_eq!(tree.get(&[]), json!({"b": {}, "x": {"y": 2}}));
    }
}
