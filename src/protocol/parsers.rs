//! Every parser of ours that reads what a peer sends, as a function of bytes alone: what `fuzz/` throws noise at, and
//! what the corpus in `tests/corpus` is replayed through. Not part of the program.

/// A parser with the name of its corpus.
pub type Parser = (&'static str, fn(&[u8]));

/// All of them.
pub const PARSERS: &[Parser] = &[
    ("mqtt", mqtt),
    ("delivery", delivery),
    ("grpc", grpc),
    ("realtime", realtime),
    ("firestore", firestore),
    ("sse", sse),
    ("token", token),
    ("upgrade", upgrade),
];

/// Packets of MQTT, in both versions.
pub fn mqtt(bytes: &[u8]) {
    super::mqtt::parse(bytes);
}

/// Answers about health.
pub fn grpc(bytes: &[u8]) {
    super::grpc::parse(bytes);
}

/// Frames of a Realtime Database, a line each, and the script with which long polling starts.
pub fn realtime(bytes: &[u8]) {
    super::firebase_realtime::parse(bytes);
}

/// What a listener of Firestore is told.
pub fn firestore(bytes: &[u8]) {
    super::firestore::parse(bytes);
}

/// A stream of events, and the same cut in two.
pub fn sse(bytes: &[u8]) {
    super::sse::parser::parse(bytes);
}

/// What a token endpoint answers.
pub fn token(bytes: &[u8]) {
    super::oauth2::parse(bytes);
}

/// The head of the answer to an upgrade.
pub fn upgrade(bytes: &[u8]) {
    super::ws::parse(bytes);
}

/// Messages of a `round_trip`.
pub fn delivery(bytes: &[u8]) {
    let vantage = crate::model::Vantage { region: "r".into(), node: "n".into() };
    let now = super::delivery::Moment::now();
    let mut ledger = super::delivery::Ledger::new(&vantage, std::time::Duration::from_secs(1), now);
    ledger.write(now);
    for piece in bytes.split(|byte| *byte == b'\n') {
        ledger.hear(piece, now);
    }
    ledger.take(now);
}

#[cfg(test)]
mod tests {
    use super::PARSERS;

    #[test]
    fn the_corpus_breaks_no_parser() {
        for (name, parse) in PARSERS {
            let folder = format!("{}/tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
            let mut count = 0;
            for file in files {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                // Also cut off anywhere, as a connection may be.
                for end in 0..=bytes.len().min(400) {
                    parse(&bytes[..end]);
                }
                parse(&bytes);
                count += 1;
            }
            assert!(count > 2, "{folder} holds next to nothing");
        }
    }
}
