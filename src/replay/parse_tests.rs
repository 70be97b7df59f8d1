//! Lines as we write them, as others write them, and as nobody should.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::number::seconds;
use super::*;
use crate::model::{Kind, Observation, Outcome, Phase};

const LEAST: &str = r#"{"probe":"p","party":"f","region":"r","outcome":"up","scheduled_at":"2026-11-22T10:32:00Z"}"#;

fn parse(line: &str) -> Result<(String, Option<Timestamp>, bool), NoObservation> {
    let mut parser = Parser::default();
    let parsed = parser.parse(line.as_bytes())?;
    Ok((format!("{:?}", parsed.sighting), parsed.received_at, parsed.foreign_outcome))
}

/// The same by serde: what a hub would have taken.
fn by_serde(line: &str) -> (String, Option<Timestamp>, bool) {
    let seen: Observation = serde_json::from_str(line).unwrap();
    (format!("{:?}", Sighting::from(&seen)), seen.received_at, false)
}

#[test]
fn the_line_of_the_documentation() {
    let line = r#"{"id":"7e0c8e9a-52c5-5d29-b4a3-9a3e6b3a2f11","probe":"rtdb-rest","party":"firebase","product":"realtime-database","protocol":"http",
 "region":"eu-west","node":"n1","round":176379,"scheduled_at":"2026-11-22T10:32:00.000Z","started_at":"2026-11-22T10:32:00.004Z",
 "outcome":"down","failure":{"phase":"tls","kind":"timed_out","detail":"no ServerHello within 5s"},
 "phases":{"resolve":0.0012,"connect":0.0104,"tls":4.9884},"duration":5.0,"connection":"cold",
 "peer":"203.0.113.7:443","tls":{"version":"1.3","issuer":"…","spki_sha256":"…"},"tcp":{"rtt":0.0101,"retransmits":0},
 "http_status":null,"build":"0.1.0","config":"sha256:…","credential":"a"}"#;
    let mut parser = Parser::default();
    let seen = parser.parse(line.as_bytes()).unwrap().sighting;
    assert_eq!((seen.probe, seen.product, seen.node), ("rtdb-rest", Some("realtime-database"), "n1"));
    assert_eq!((seen.failure, seen.detail), (Some((Phase::Tls, Kind::TimedOut)), "no ServerHello within 5s"));
    assert_eq!((seen.resolve, seen.duration), (Some(0.0012), 5.0));
    assert_eq!((seen.build, seen.config, seen.credential), ("0.1.0", "sha256:…", Some("a")));
    assert_eq!(parse(line).unwrap(), by_serde(line));
}

#[test]
fn the_least_is_enough_and_less_is_not() {
    assert_eq!(parse(LEAST).unwrap(), by_serde(LEAST));
    for name in ["probe", "party", "region", "outcome", "scheduled_at"] {
        let mut object: Map<String, Json> = serde_json::from_str(LEAST).unwrap();
        object.insert(name.to_owned(), json!(7));
        assert_eq!(parse(&Json::from(object.clone()).to_string()), Err(NoObservation::Lacking(name)));
        object.remove(name);
        assert_eq!(parse(&Json::from(object).to_string()), Err(NoObservation::Lacking(name)));
    }
}

#[test]
fn words_of_a_newer_version() {
    let line = |more: &str| LEAST.replace("\"up\"", more);
    let (seen, _, foreign) = parse(&line(r#""dreaming""#)).unwrap();
    assert!(foreign && seen.contains("Inconclusive"));
    let (seen, ..) = parse(&line(r#""down","failure":{"phase":"teleport","kind":"lost_in_space"}"#)).unwrap();
    assert!(seen.contains("outcome: Down, failure: Some((Exchange, Unclassified))"), "{seen}");
    let (seen, ..) = parse(&line(r#""up","duration":-1,"http_status":99999,"product":3,"connection":"hot""#)).unwrap();
    assert_eq!(seen, parse(LEAST).unwrap().0);
}

#[test]
fn unknown_fields_are_passed_over_however_they_nest() {
    let odd = r#"{"a":[{"probe":"no"},[[]],{}," \" ] } \\"],"b":{"probe":"no","c":{"party":{}}},"probe":"p","party":"f","z":-1.5e+3,"t":true,
        "region":"r","outcome":"up","n":null,"failure":null,"scheduled_at":"2026-11-22T10:32:00Z"}"#;
    assert_eq!(parse(odd).unwrap(), parse(LEAST).unwrap());
    assert_eq!(parse(odd).unwrap(), by_serde(odd));
}

#[test]
fn escapes_say_what_they_mean_and_the_last_of_two_counts() {
    let line = LEAST.replace("\"f\"", r#""f","party":"a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#);
    let mut parser = Parser::default();
    assert_eq!(parser.parse(line.as_bytes()).unwrap().sighting.party, "a\"\\/\u{8}\u{c}\n\r\tä😀");
    for wrong in [r"\x", r"\u12", r"\ud800", r"\ud800A", r"\udc00"] {
        assert_eq!(parse(&LEAST.replace("\"f\"", &format!("\"{wrong}\""))), Err(NoObservation::NotJson), "{wrong}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let deep = format!("{}{}", "{\"a\":".repeat(1_000_000), "}".repeat(1_000_000));
    let wide = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
    for line in ["", "{", "[]", "null", "{}x", "{\"a\"}", "{\"a\":}", "{,}", "{\"a\":[}]}", "nonsense", &deep, &wide] {
        assert!(parse(line).is_err(), "{}", &line[..line.len().min(20)]);
    }
    for end in 0..LEAST.len() {
        assert!(parse(&LEAST[..end]).is_err(), "{end}");
    }
    assert_eq!(Parser::default().parse(b"{\"probe\":\"\xff\"}"), Err(NoObservation::NotJson));
    assert!(parse(&LEAST.replace("\"f\"", "\"f\n\"")).is_err());
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{0,12}", "\\PC{0,12}", "[\"\\\\\\x00-\\x1f/ä😀]{0,12}"]
}

fn some_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text().prop_map(Json::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn observation()(
        texts in prop::collection::vec(text(), 5), maybe in prop::collection::vec(prop::option::of(text()), 5),
        outcome in prop::sample::select(&Outcome::ALL[..]), phase in prop::sample::select(&Phase::ALL[..]),
        kind in prop::sample::select(&Kind::ALL[..]), failed in any::<bool>(), warm in any::<bool>(),
        at in -2_000_000_000_i64..4_000_000_000, millis in 0_u32..1000, duration in 0_u32..1_000_000_000,
        resolve in prop::option::of(0_u32..10_000_000), status in prop::option::of(any::<u16>()),
        peer in prop::option::of(any::<(std::net::IpAddr, u16)>()),
        unknown in prop::collection::btree_map("x_[a-z\"\\\\ä]{0,6}", some_json(), 0..4),
    ) -> Map<String, Json> {
        let instant = Timestamp::from_timestamp(at, millis * 1_000_000).unwrap();
        let seconds = |micros: u32| f64::from(micros) / 1e6;
        let mut object = json!({
            "probe": texts[0], "party": texts[1], "region": texts[2], "node": texts[3], "product": maybe[0],
            "credential": maybe[1], "outcome": outcome, "scheduled_at": instant, "started_at": maybe[2].as_ref().map(|_| instant),
            "received_at": maybe[3].as_ref().map(|_| instant), "duration": seconds(duration),
            "peer": peer.map(|(address, port)| std::net::SocketAddr::from((address, port))),
            "connection": if warm { "warm" } else { "cold" }, "http_status": status,
            "phases": resolve.map_or(json!({}), |took| json!({"resolve": seconds(took), "connect": seconds(took / 3), "x": 1})),
        });
        let object = object.as_object_mut().unwrap();
        if failed {
            object.insert("failure".to_owned(), json!({"phase": phase, "kind": kind, "detail": texts[4], "more": [1]}));
        }
        object.extend(unknown);
        std::mem::take(object)
    }
}

proptest! {
    #[test]
    fn reads_what_serde_reads(object in observation(), pretty in any::<bool>(), seed in any::<u64>()) {
        // Any order of the keys.
        let mut fields: Vec<(String, Json)> = object.into_iter().collect();
        let length = fields.len();
        fields.rotate_left(usize::try_from(seed % length as u64).unwrap());
        let fields: Vec<String> = fields.iter().map(|(key, value)| {
            let value = if pretty { format!(" {value:#} ") } else { value.to_string() };
            format!("{}:{value}", Json::from(key.as_str()))
        }).collect();
        let line = format!("{{{}}}", fields.join(","));
        prop_assert_eq!(close(parse(&line).unwrap()), close(by_serde(&line)), "{}", line);
    }

    #[test]
    fn what_lines_came_before_does_not_matter(objects in prop::collection::vec(observation(), 2..6), spaced in any::<bool>()) {
        let mut parser = Parser::default();
        for object in objects {
            let line = Json::from(object).to_string();
            let line = if spaced { line.replace(",\"", ", \"").replace("\":", "\" : ") } else { line };
            prop_assert_eq!(read(&mut parser, &line), read(&mut Parser::default(), &line));
        }
    }

    #[test]
    fn lines_that_are_written_alike_say_what_they_say_alone(
        first in observation(), others in prop::collection::vec((observation(), any::<u32>()), 1..12), twice in any::<bool>(),
    ) {
        let mut parser = Parser::default();
        let mut object = first;
        // Of the same probe and region, so that they meet in one place.
        object.extend([("probe".to_owned(), json!("p")), ("region".to_owned(), json!("r"))]);
        for (other, which) in others {
            for (place, (key, value)) in object.iter_mut().enumerate() {
                if which >> (place % 32) & 1 == 1 && !matches!(&**key, "probe" | "region") {
                    *value = other.get(key).cloned().unwrap_or_default();
                }
            }
            let mut line = Json::from(object.clone()).to_string();
            if twice {
                line = line.replace("\"region\":\"r\"", "\"region\":\"r\",\"outcome\":\"down\"");
            }
            prop_assert_eq!(read(&mut parser, &line), read(&mut Parser::default(), &line), "{}", line);
        }
    }

    #[test]
    fn decimals_are_what_std_makes_of_them(whole in "[0-9]{1,9}", behind in "(\\.[0-9]{0,12})?") {
        let number = format!("{whole}{behind}");
        prop_assert_eq!(seconds(&number), number.parse().ok().filter(|seconds| *seconds < 1e9));
    }

    #[test]
    fn anything_at_all_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Parser::default().parse(&bytes);
    }

    #[test]
    fn a_damaged_line_does_no_harm(object in observation(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = Json::from(object).to_string().into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        let mut parser = Parser::default();
        let _ = parser.parse(&line);
        // What serde takes we take, but for what it does not look at.
        if std::str::from_utf8(&line).is_ok() && serde_json::from_slice::<Observation>(&line).is_ok() {
            prop_assert!(parser.parse(&line).is_ok(), "{}", String::from_utf8_lossy(&line));
        }
    }
}

fn read(parser: &mut Parser, line: &str) -> String {
    format!("{:?}", parser.parse(line.as_bytes()))
}

#[test]
fn what_changes_from_line_to_line_is_read_and_the_rest_is_not() {
    let line = |at: u32, status: &str| {
        LEAST.replace(
            "32:00Z\"}",
            &format!("32:{at:02}Z\",\"http_status\":{status},\"failure\":null,\"tls\":{{\"v\":[{at}]}}}}"),
        )
    };
    let mut parser = Parser::default();
    let mut by_template = |line: &str| {
        let known = parser.templates.read(line, &mut parser.values, &mut parser.fields).is_ok();
        assert_eq!(read(&mut parser, line), read(&mut Parser::default(), line));
        known
    };
    let known: Vec<bool> = (0..5).map(|at| by_template(&line(at, "200"))).collect();
    assert_eq!(known, [false, false, true, true, true]);
    assert!(by_template(&line(7, "503")) && by_template(&line(8, "null")));
    // Another shape is another template, and the first is still known.
    let failing = |at| line(at, "503").replace("null", r#"{"phase":"tls","kind":"timed_out"}"#);
    assert_eq!([9, 10, 11].map(|at| by_template(&failing(at))), [false, false, true]);
    assert!(by_template(&line(12, "200")) && by_template(&failing(13)));
    assert!(!by_template(&line(14, "200").replace("}}", "}")));
}

#[test]
fn what_lies_in_an_object_that_is_none_of_ours_is_none_of_ours() {
    let line = |at: u32| {
        let tcp =
            format!(r#"{{"rtt":0.0{at},"probe":"x","outcome":"down","phases":{{"resolve":{at}}},"failure":null}}"#);
        LEAST.replace("\"region\"", &format!("\"tcp\":{tcp},\"tls\":{{}},\"region\""))
    };
    let mut parser = Parser::default();
    for at in 1..6 {
        assert_eq!(read(&mut parser, &line(at)), read(&mut Parser::default(), LEAST), "{at}");
    }
    assert!(parser.templates.read(&line(7), &mut parser.values, &mut parser.fields).is_ok());
}

/// Durations pass through whole nanoseconds on the way through `Observation`.
fn close(mut read: (String, Option<Timestamp>, bool)) -> (String, Option<Timestamp>, bool) {
    let number = regex::Regex::new(r"(duration: |resolve: Some\()([0-9.e-]+)").unwrap();
    let rounded = |found: &regex::Captures<'_>| format!("{}{:.6}", &found[1], found[2].parse::<f64>().unwrap());
    read.0 = number.replace_all(&read.0, rounded).into_owned();
    read
}
