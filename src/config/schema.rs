//! The JSON Schema of `probes.yaml`, for editors and for `usoryou schema`: the shapes' own schema, loosened where the
//! file may say `${VARIABLE}` or a number for a word.

use serde_json::{Value, json};

use super::file::File;

/// The schema (2020-12).
pub(super) fn schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    loosen(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!("usoryou: probes.yaml"));
    }
    schema
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // An editor would take `${API_URL:-https://…}` for a broken address.
            if object.get("format").is_some_and(|format| format == "uri") {
                object.remove("format");
            }
            let mut kinds: Vec<Value> = match object.get("type") {
                Some(Value::Array(kinds)) => kinds.clone(),
                Some(kind) => vec![kind.clone()],
                None => Vec::new(),
            };
            if kinds.iter().any(|kind| kind == "integer" || kind == "number" || kind == "boolean") {
                kinds.push(json!("string"));
                object.insert("type".to_owned(), kinds.into());
                object.insert("pattern".to_owned(), json!(r"\$\{"));
            }
            if let Some(Value::String(word)) = object.get("const")
                && let Ok(number @ Value::Number(_)) = serde_json::from_str::<Value>(word)
            {
                let words = json!([word, number]);
                object.remove("const");
                object.remove("type");
                object.insert("enum".to_owned(), words);
            }
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                let numbers: Vec<Value> = words
                    .iter()
                    .filter_map(|word| serde_json::from_str::<Value>(word.as_str()?).ok())
                    .filter(|number| number.is_number() && !words.contains(number))
                    .collect();
                if !numbers.is_empty() {
                    words.extend(numbers);
                    object.remove("type");
                }
            }
            object.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}
