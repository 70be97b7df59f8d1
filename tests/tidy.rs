//! The house rules as tests: floors, headers, lengths, and words that belong to one place. Each failure names the line
//! that breaks the rule and what to do about it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// From the top down; a file may use only floors below its own.
const FLOORS: [&[&str]; 11] = [
    &["main", "lib"],
    &["cli"],
    &["app"],
    &["web"],
    &["replay"],
    &["engine", "hub"],
    &["config"],
    &["notify", "uplink"],
    &["protocol", "store", "feed", "metrics"],
    &["net", "attribution", "incident", "placement", "report"],
    &["model"],
];

/// Crates that only one floor may know, and why.
const OWNERS: [(&str, &[&str], &str); 7] = [
    ("sqlx", &["store"], "only the store knows SQL"),
    ("granit_parser", &["config"], "only the configuration knows YAML"),
    ("axum", &["web"], "only web serves pages"),
    ("prometheus_client", &["metrics"], "only metrics names a metric"),
    ("clap", &["cli"], "only the command line knows its flags"),
    ("tracing_subscriber", &["cli"], "where the log goes is decided at the edge"),
    ("rustls", &["net", "protocol"], "TLS belongs to what is measured"),
];

/// Files longer than 300 lines (tests not counted), each with its reason; none may have more than 500.
const LONG: [(&str, &str); 20] = [
    ("src/attribution/absorb.rs", "an observation on its way to everything that it is evidence for"),
    ("src/attribution/faults.rs", "one function for each way in which a region cannot see"),
    ("src/attribution/hypotheses.rs", "every explanation beside the others that it competes with"),
    ("src/attribution/inquiry.rs", "one inquiry from suspicion to answer"),
    ("src/attribution/judge.rs", "one judgement from regions to shared fate"),
    ("src/cli/check/mod.rs", "one command from its arguments to its exit code"),
    ("src/config/parse.rs", "one machine whose every state sees the same stack"),
    ("src/config/rules.rs", "one function a rule; the list is what one looks for"),
    ("src/config/value.rs", "serde asks for one method for each of its types"),
    ("src/metrics/encode/catalogue.rs", "one list of every metric: splitting it would hide what is missing"),
    ("src/hub/ourselves.rs", "one verdict for each thing that can be wrong with us"),
    ("src/hub/mod.rs", "one loop with everything that it waits for"),
    ("src/engine/session/mod.rs", "one machine whose every state sees the same session"),
    ("src/notify/words.rs", "everything that is said of an incident, to be read aloud in one go"),
    ("src/notify/outbox.rs", "exactly once is an argument over all steps of a letter, read in one go"),
    ("src/uplink/spool.rs", "that nothing is lost is an argument over all that a segment goes through"),
    ("src/protocol/http/line.rs", "one connection from its opening to its end, in both versions of HTTP"),
    ("src/protocol/firebase_realtime/talk.rs", "one conversation from the hello to every way in which it ends"),
    ("src/protocol/firestore/listen.rs", "one call from its beginning to every way in which it ends"),
    ("src/protocol/http/mod.rs", "one attempt in the order in which it happens"),
];

/// Words that say nothing in a name.
const EMPTY_WORDS: [&str; 5] = ["Manager", "Helper", "Utils", "Handler", "Wrapper"];

struct Source {
    path: PathBuf,
    name: String,
    text: String,
    /// The text up to its test module, without comments: same lines, so that numbers stay true.
    code: String,
}

impl Source {
    /// The first name under `src/`: `cli` for `src/cli/run.rs`, `app` for `src/app.rs`.
    fn floor(&self) -> &str {
        let inner = self.name.strip_prefix("src/").unwrap();
        inner.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs") || self.name.contains("/tests/")
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting = vec![root.join("src")];
    let mut found = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { code: code_of(&text), name, text, path });
            }
        }
    }
    assert!(found.len() > 40, "the sources were not found: {}", found.len());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Everything before the first `#[cfg(test)]` that stands alone, with comments emptied.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line == "#[cfg(test)]" {
            break;
        }
        let line = if line.trim_start().starts_with("//") { "" } else { line };
        code.push_str(line.split(" // ").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

fn floor_number(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// Names that follow `crate::` in a text, each with its line: `crate::a::b` and `crate::{a::b, c}` alike.
fn used_floors(code: &str) -> Vec<(usize, String)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = |offset: usize| code[..offset].lines().count().max(1);
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            used.push((line(at + 1), word(rest)));
            continue;
        }
        let (mut depth, mut expecting) = (0, false);
        for (offset, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            let opens = (c == '{' || c == ',') && depth == 1;
            if expecting && !c.is_whitespace() {
                used.push((line(at + "crate::".len() + offset + 1), word(&rest[offset..])));
                expecting = false;
            }
            expecting |= opens;
        }
    }
    used.retain(|(_, name)| !name.is_empty());
    used
}

fn told(broken: &str) {
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn uses_are_read_in_every_form() {
    let code =
        "use crate::model::Kind;\nuse crate::{\n    config::{self, Plan},\n    net,\n};\nfn f() { crate::web::g() }\n";
    let expected = [(1, "model"), (3, "config"), (4, "net"), (6, "web")];
    assert_eq!(used_floors(code), expected.map(|(line, name)| (line, name.to_owned())));
}

#[test]
fn floors_are_strictly_downward() {
    let mut broken = String::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let own = floor_number(source.floor());
        let Some(own) = own else {
            writeln!(
                broken,
                "{}: `{}` is on no floor; add it to FLOORS here and in ARCHITECTURE.md",
                source.name,
                source.floor()
            )
            .unwrap();
            continue;
        };
        for (line, used) in used_floors(&source.code) {
            let allowed = used == source.floor() || floor_number(&used).is_some_and(|floor| floor > own);
            // The library's root has the list of floors, and the binary's the one call.
            if !allowed && own != 0 {
                writeln!(
                    broken,
                    "{}:{line}: `{}` must not use `{used}`: it is not on a lower floor",
                    source.name,
                    source.floor()
                )
                .unwrap();
            }
        }
    }
    told(&broken);
}

#[test]
fn the_map_shows_these_floors() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).unwrap();
    let mut rest = map.as_str();
    for floor in FLOORS.iter().flat_map(|floor| floor.iter()).filter(|floor| **floor != "lib") {
        let found = rest.find(floor);
        assert!(found.is_some(), "docs/ARCHITECTURE.md does not show `{floor}` below the floors above it");
        rest = &rest[found.unwrap_or_default()..];
    }
}

#[test]
fn a_crate_with_an_owner_stays_with_it() {
    let mut broken = String::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (krate, owners, why) in OWNERS {
            if owners.contains(&source.floor()) {
                continue;
            }
            for (number, line) in source.lines() {
                let path = format!("{krate}::");
                let names_it = line
                    .match_indices(&path)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if names_it {
                    writeln!(broken, "{}:{number}: uses `{krate}`: {why}", source.name).unwrap();
                }
            }
        }
    }
    told(&broken);
}

#[test]
fn every_file_says_what_it_owns() {
    let mut broken = String::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            writeln!(broken, "{}:1: opens without `//!`: what it owns and what it must not know", source.name).unwrap();
        }
    }
    told(&broken);
}

#[test]
fn files_are_short() {
    let mut broken = String::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.code.lines().count();
        let reason = LONG.iter().any(|(name, _)| *name == source.name);
        if lines > 500 {
            writeln!(broken, "{}: {lines} lines; split it", source.name).unwrap();
        } else if lines > 300 && !reason {
            writeln!(broken, "{}: {lines} lines; split it, or give the reason in LONG", source.name).unwrap();
        }
    }
    told(&broken);
}

/// A protocol's key, as a text, occurs in its own file (or folder) and the registry: everybody else goes by what the
/// check says of itself.
#[test]
fn the_word_of_a_protocol_stays_in_its_file() {
    // Layers that other protocols stand on have their names there too: a phase, a transport, the scheme of a URL.
    let layers = ["tcp", "tls", "http", "websocket"];
    // Names the phases, one of which is called like a layer.
    let phases = "src/model/phase.rs";
    let mut broken = String::new();
    for key in usoryou::protocol::CheckFile::KEYS {
        let (home, folder) = (format!("src/protocol/{key}.rs"), format!("src/protocol/{key}/"));
        let homes: &[&str] = if layers.contains(key) { &["src/protocol/", phases] } else { &[&home, &folder] };
        let word = format!("\"{key}\"");
        for source in sources().iter().filter(|source| !source.is_test()) {
            // The list of parsers names each by the folder of its corpus; it is in no program.
            if homes.iter().any(|home| source.name.starts_with(home)) || source.name == "src/protocol/parsers.rs" {
                continue;
            }
            // A URL's scheme is a word of URLs, whoever handles them.
            let names_it = |line: &str| line.contains(&word) && !line.contains("scheme") && !line.contains("\"https\"");
            for (number, line) in source.lines().filter(|(_, line)| names_it(line)) {
                writeln!(broken, "{}:{number}: knows the protocol {word}: {}", source.name, line.trim()).unwrap();
            }
        }
    }
    told(&broken);
}

#[test]
fn lints_are_expected_with_a_reason_and_names_say_something() {
    let mut broken = String::new();
    for source in sources() {
        for (number, line) in source.lines() {
            if line.contains("#[allow(") || line.contains("#![allow(") {
                writeln!(broken, "{}:{number}: `#[expect(…, reason)]`, never `#[allow]`", source.name).unwrap();
            }
            let declares = ["struct ", "enum ", "trait ", "type "].iter().find_map(|word| line.split_once(word));
            let name: String = declares
                .map(|(_, rest)| rest.chars().take_while(|c| c.is_alphanumeric()).collect())
                .unwrap_or_default();
            for empty in EMPTY_WORDS.iter().filter(|empty| name.ends_with(**empty)) {
                writeln!(broken, "{}:{number}: `{name}`: `{empty}` says nothing", source.name).unwrap();
            }
        }
    }
    told(&broken);
}
