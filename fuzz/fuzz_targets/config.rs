//! A configuration, from its text to a plan or to what people read of its mistakes. Its corpus: `tests/config/invalid` and `valid`.
#![no_main]

use std::{path::Path, sync::OnceLock};

use usoryou::{config, net::Net};

static NET: OnceLock<std::sync::Arc<Net>> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let net = NET.get_or_init(|| Net::system(Vec::new()).expect("a resolver"));
    // Files that it names are sought in a folder that does not exist.
    let path = Path::new("/nowhere/probes.yaml");
    match config::read_text(text, path, &|_| None, net, &config::VantageOverrides::default()) {
        Ok(loaded) => drop(loaded.warnings.to_string()),
        Err(mistakes) => drop((mistakes.to_string(), mistakes.in_colour())),
    }
});
