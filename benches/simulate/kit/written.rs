//! A case as files that `usoryou replay` takes: `probes.yaml`, `trace.jsonl` (PRODUCT.md §9, with `received_at`) and
//! `truth.json`. The first is also how the rule that ships comes to know the world.

use std::{fmt::Write as _, fs, io, io::Write as _, path::Path, sync::Arc};

use serde_json::json;
use usoryou::model::{PartyKind, Timestamp, Vantage, observation_id, round_of};

use super::{
    case::{Case, Name},
    fault::Whom,
    parameters::Parameters,
    stream::{Seen, Stream},
    world::{INTERVAL, World},
};

/// The configuration of a world.
pub fn probes_yaml(world: &World) -> String {
    let mut text = format!(
        "vantage: {{ region: hub, node: n1 }}\ndefaults: {{ interval: {INTERVAL}s, timeout: 10s }}\nparties:\n"
    );
    for party in &world.parties {
        let kind = match party.kind {
            PartyKind::Us => "us",
            PartyKind::Provider => "provider",
            PartyKind::Control => "control",
        };
        let on: Vec<&str> = party.depends_on.iter().map(|on| &*world.parties[*on].key).collect();
        let on = if on.is_empty() { String::new() } else { format!(", depends_on: [{}]", on.join(", ")) };
        let _ = writeln!(text, "  {}: {{ kind: {kind}{on} }}", party.key);
    }
    text.push_str("probes:\n");
    for target in &world.targets {
        let product = target.product.as_ref().map(|product| format!(" product: {product},")).unwrap_or_default();
        let check = match target.protocol {
            "dns" => "dns: { name: example.com, type: A, servers: [192.0.2.53] }".to_owned(),
            "tcp" | "mqtt" => "tcp: { address: \"192.0.2.1:443\" }".to_owned(),
            "tls" => "tls: { address: \"192.0.2.1:443\" }".to_owned(),
            _ => format!("http: {{ url: \"https://{}.example/\" }}", target.probe),
        };
        let party = &world.parties[target.party].key;
        let _ = writeln!(
            text,
            "  - {{ name: {}, party: {party},{product} timeout: {}s, check: {{ {check} }} }}",
            target.probe, target.timeout
        );
    }
    text
}

/// Writes a case into a folder of its own.
///
/// # Errors
/// What the file system says.
pub fn write(name: &Name, case: &Case, parameters: &Parameters, folder: &Path) -> io::Result<()> {
    let folder = folder.join(name.to_string().replace('/', "-"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("probes.yaml"), probes_yaml(&case.world))?;
    let mut trace = io::BufWriter::new(fs::File::create(folder.join("trace.jsonl"))?);
    let mut stream = case.stream(parameters);
    for second in 0..case.length as i64 {
        let seen = stream.second(second);
        for one in &seen {
            serde_json::to_writer(&mut trace, &line(&stream, one))?;
            trace.write_all(b"\n")?;
        }
        stream.done(second, seen);
    }
    trace.flush()?;
    fs::write(folder.join("truth.json"), format!("{:#}\n", truth(name, case, &stream)))
}

fn stamp(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// One observation as a line of JSON.
pub fn line(stream: &Stream<'_>, seen: &Seen) -> serde_json::Value {
    let sighting = stream.sighting(seen);
    let target = &stream.world.targets[seen.cell as usize % stream.world.targets.len()];
    let vantage = Vantage { region: sighting.region.into(), node: Arc::from(sighting.node) };
    let round = round_of(sighting.scheduled_at, std::time::Duration::from_secs_f64(INTERVAL));
    let micros = |seconds: f64| (seconds * 1e6).round() / 1e6;
    let last = match target.protocol {
        "websocket" => "upgrade",
        "dns" | "mqtt" => "exchange",
        _ => "first_byte",
    };
    let phases: serde_json::Map<String, serde_json::Value> = ["resolve", "connect", "tls", last]
        .into_iter()
        .zip(seen.phases)
        .filter_map(|(phase, took)| took.map(|took| (phase.to_owned(), json!(micros(took)))))
        .collect();
    let failure = seen.failure.map(|(phase, kind)| json!({ "phase": phase, "kind": kind, "detail": sighting.detail }));
    let mut line = json!({
        "id": observation_id(sighting.probe, &vantage, round, 0),
        "probe": sighting.probe, "party": sighting.party, "product": sighting.product, "protocol": target.protocol,
        "region": sighting.region, "node": sighting.node, "round": round,
        "scheduled_at": stamp(sighting.scheduled_at),
        "started_at": sighting.started_at.map(stamp),
        "outcome": sighting.outcome,
        "phases": phases, "duration": micros(seen.duration), "connection": "cold",
        "http_status": seen.status, "build": sighting.build, "config": sighting.config, "credential": sighting.credential,
        "peer": sighting.peer,
        "received_at": stamp(stream.instant(stream.seconds_of(seen.received))),
    });
    if let Some(object) = line.as_object_mut() {
        object.extend(failure.map(|failure| ("failure".to_owned(), failure)));
        object.extend(seen.retry_after.map(|wait| ("retry_after".to_owned(), json!(wait))));
    }
    line
}

fn truth(name: &Name, case: &Case, stream: &Stream<'_>) -> serde_json::Value {
    let (world, fault) = (&case.world, &case.fault);
    let truths: Vec<serde_json::Value> = fault
        .truths
        .iter()
        .map(|truth| {
            let regions: Vec<&str> = truth.regions.iter().map(|region| &*world.regions[*region].name).collect();
            let (party, products) = match &truth.about {
                Whom::Party(party, subjects) => {
                    let products: Vec<_> = subjects.iter().filter_map(|subject| subject.product.clone()).collect();
                    (world.parties[*party].key.to_string(), products)
                }
                Whom::Region(region) => ("usoryou".to_owned(), vec![world.regions[*region].name.clone()]),
                Whom::Nobody => (String::new(), vec![]),
            };
            json!({ "cause": truth.cause, "party": party, "products": products, "regions": regions, "optional": truth.optional })
        })
        .collect();
    let happens = fault.onset < f64::MAX;
    json!({
        "case": name.to_string(),
        "kind": name.kind,
        "regions": world.regions.iter().map(|region| &*region.name).collect::<Vec<_>>(),
        "onset": happens.then(|| stamp(stream.instant(fault.onset))),
        "end": happens.then(|| stamp(stream.instant(fault.end))),
        "truths": truths,
        "any": fault.any,
    })
}
