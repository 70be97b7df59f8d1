//! The description of the API for programs against the API: the same paths, methods and parameters, and answers of the shape that it
//! promises.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{
    peers::{get, post, request},
    program::{Answering, Program, eventually, write},
};

const TOKEN: &str = "eu-token";

fn description() -> Value {
    serde_json::from_str(include_str!("../../src/web/openapi.json")).unwrap()
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(to) => document.pointer(to.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{to} leads nowhere")),
        None => part,
    }
}

/// Whether a value is of a type, in the words of JSON Schema.
fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

/// What about a value is not as a schema says. A field that it does not name is a mistake too: it should.
fn mistakes(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let schema = resolved(document, schema);
    if let Some(several) = schema["oneOf"].as_array() {
        let each: Vec<_> = several.iter().map(|one| mistakes(document, one, value, place)).collect();
        let fits = each.iter().any(Vec::is_empty);
        return if fits { vec![] } else { each.concat() };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
        return vec![format!("{place}: {value} is not of {kinds:?}")];
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return vec![format!("{place}: {value} is none of {}", schema["enum"])];
    }
    let mut wrong = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(mistakes(document, &schema["items"], item, &format!("{place}[{index}]")));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    wrong.extend(required.filter(|key| value.get(key).is_none()).map(|key| format!("{place}: `{key}` is missing")));
    for (key, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(known), _) | (None, Some(known)) => wrong.extend(mistakes(document, known, inner, &place)),
            (None, None) if schema.get("properties").is_some() => wrong.push(format!("{place} is not described")),
            (None, None) => {}
        }
    }
    wrong
}

/// What the sources route below `/api/v1`.
fn routed() -> BTreeSet<String> {
    let routes = |source: &'static str| source.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let below = routes(include_str!("../../src/web/api.rs")).map(|path| format!("/api/v1{path}"));
    let beside = routes(include_str!("../../src/web/mod.rs")).filter(|path| path.starts_with("/api/v1/"));
    below.chain(beside.map(str::to_owned)).collect()
}

struct Hub {
    _directory: tempfile::TempDir,
    program: Program,
    _answering: Answering,
}

impl Hub {
    /// One that judges, has something to tell of everything, and takes what agents send.
    fn start() -> Self {
        let (directory, answering) = (tempfile::tempdir().unwrap(), Answering::start());
        let well = answering.address;
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TOKEN.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let config = format!(
            r#"
vantage: {{ region: eu-west, node: n1 }}
defaults: {{ interval: 200ms, timeout: 150ms }}
parties:
  firebase: {{ kind: provider, name: Firebase }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, product: rtdb, check: {{ tcp: {{ address: "{refusing}" }} }} }}
  - {{ name: control, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: control-too, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
alerts: {{ open_after: 2 }}
hub: {{ agents: [ {{ name: eu-1, region: us-east, token_sha256: "{digest}" }} ] }}
"#
        );
        write(directory.path(), "probes.yaml", &config);
        let program = Program::start(directory.path());
        eventually("something to tell of everything", || {
            let (_, open) = program.get("/api/v1/incidents?state=open");
            let (_, stored) = program.get("/api/v1/reports");
            let (_, then) = program.get("/api/v1/verdicts?at=1s");
            let (_, seen) = program.get("/api/v1/observations?limit=50");
            let told = open.contains("firebase-1") && stored.contains("firebase-1") && then.contains("sentence");
            if told && seen.matches("scheduled_at").count() >= 10 { Ok(()) } else { Err(stored) }
        });
        Self { _directory: directory, program, _answering: answering }
    }
}

#[test]
fn every_reference_in_the_description_leads_somewhere_and_every_operation_has_a_name() {
    fn references(part: &Value, found: &mut Vec<String>) {
        match part {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let document = description();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for one in found {
        resolved(&document, &json!({ "$ref": one }));
    }
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name), "{name} stands there twice");
            let in_path = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
            assert_eq!(in_path.count(), path.matches('{').count(), "{method} {path}");
        }
    }
}

#[test]
fn the_description_has_the_paths_methods_and_parameters_of_the_server() {
    let document = description();
    let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, routed(), "src/web/openapi.json must describe what src/web routes below /api/v1");
    let hub = Hub::start();
    let address = hub.program.address;
    assert_eq!(get(address, "/api/v1/openapi.json").unwrap().text(), include_str!("../../src/web/openapi.json"));
    for (path, methods) in document["paths"].as_object().unwrap() {
        // No path takes this method, and so each tells which it takes.
        let refused = request(address, "BREW", &path.replace("{id}", "s-0"), &[]).unwrap();
        assert_eq!(refused.status, 405, "{path}: {}", refused.text());
        let allowed = refused.head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).filter(|method| *method != "head").collect();
        let methods = methods.as_object().unwrap();
        assert_eq!(methods.keys().map(String::as_str).collect::<BTreeSet<_>>(), allowed, "{path}");
        for parameter in methods.get("get").into_iter().flat_map(|get| get["parameters"].as_array()).flatten() {
            let parameter = resolved(&document, parameter);
            let (name, schema) = (parameter["name"].as_str().unwrap(), resolved(&document, &parameter["schema"]));
            let value = match schema["type"].as_str().unwrap() {
                "boolean" => "true".to_owned(),
                "integer" => "1".to_owned(),
                _ if schema["enum"].is_array() => schema["enum"][1].as_str().unwrap().to_owned(),
                _ => schema["examples"][2].as_str().unwrap_or("firebase").to_owned(),
            };
            let answer = get(address, &format!("{path}?{name}={value}")).unwrap();
            assert_eq!(answer.status, 200, "{path}?{name}={value}: {}", answer.text());
        }
    }
}

#[test]
fn answers_are_as_they_are_described() {
    let (document, hub) = (description(), Hub::start());
    let address = hub.program.address;
    let check = |method: &str, path: &str, body: Option<(&str, &str)>, status: u16| -> Value {
        let bearer = format!("Bearer {TOKEN}");
        let answer = match body {
            None => request(address, method, path, &[]),
            Some((kind, body)) => {
                let who = [("Usoryou-Node", "n2"), ("Usoryou-Build", "0.1.0"), ("Usoryou-Config", "sha256:eu")];
                let headers = [&who[..], &[("Content-Type", kind), ("Authorization", &bearer)]].concat();
                post(address, path, &headers, body.as_bytes())
            }
        };
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let path = if method == "DELETE" { "/api/v1/silences/{id}" } else { path };
        let answers = &document["paths"][path][method.to_ascii_lowercase()]["responses"];
        let described = resolved(&document, &answers[status.to_string()]);
        let schema = &described["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: {status} is not described");
        let wrong = mistakes(&document, schema, &told, "answer");
        assert!(wrong.is_empty(), "{method} {path} answers {told:#}\n{wrong:#?}");
        told
    };
    let seen = json!({
        "probe": "rtdb", "party": "firebase", "product": "rtdb", "region": "us-east", "node": "n2", "outcome": "up",
        "protocol": "tcp", "scheduled_at": chrono::Utc::now(), "duration": 0.01, "phases": {"connect": 0.01}
    });
    let batch = format!("{seen}\nno observation\n");
    let taken = check("POST", "/api/v1/observations", Some(("application/jsonl", &batch)), 200);
    assert_eq!((&taken["taken"], &taken["refused"][0]["line"]), (&json!(1), &json!(2)), "{taken}");
    check("POST", "/api/v1/handover", Some(("application/json", "{}")), 200);
    let wish = json!({"party": "firebase", "by": "ann", "why": "known", "for": "1h"}).to_string();
    let silence = check("POST", "/api/v1/silences", Some(("application/json", &wish)), 201);
    for (path, at_least) in [
        ("/api/v1/probes", 3),
        ("/api/v1/verdicts", 1),
        ("/api/v1/verdicts?at=1s", 1),
        ("/api/v1/incidents", 1),
        ("/api/v1/observations?limit=50", 10),
        ("/api/v1/silences", 1),
    ] {
        let told = check("GET", path, None, 200);
        assert!(told.as_array().unwrap().len() >= at_least, "{path}: {told:#}");
    }
    assert!(!check("GET", "/api/v1/status", None, 200)["bad"].as_array().unwrap().is_empty());
    assert_eq!(check("GET", "/api/v1/agents", None, 200)["agents"][0]["agent"], "eu-1");
    assert!(!check("GET", "/api/v1/reports", None, 200)["incidents"].as_array().unwrap().is_empty());
    check("DELETE", &format!("/api/v1/silences/{}", silence["id"].as_str().unwrap()), None, 200);
    // Refusals.
    let refusals = [("/api/v1/incidents?since=yesterday", 400), ("/api/v1/observations?colour=red", 400)];
    for (path, status) in refusals {
        check("GET", path, None, status);
    }
    check("DELETE", "/api/v1/silences/s-0", None, 404);
    check("POST", "/api/v1/silences", Some(("application/json", "{}")), 400);
    let stranger = post(address, "/api/v1/observations", &[("Authorization", "Bearer nobody")], b"").unwrap();
    let described = resolved(&document, &document["paths"]["/api/v1/observations"]["post"]["responses"]["401"]);
    assert_eq!(stranger.status, 401);
    let headers: BTreeMap<&str, &str> = stranger.head.lines().filter_map(|line| line.split_once(": ")).collect();
    for name in described["headers"].as_object().unwrap().keys() {
        assert!(headers.contains_key(&*name.to_ascii_lowercase()), "{name}: {headers:?}");
    }
}
