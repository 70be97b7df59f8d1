//! Every kind of status feed. Its corpus: `tests/feeds`.
#![no_main]

use usoryou::feed::Kind;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for kind in Kind::ALL {
        let _ = kind.parse(bytes, chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_779));
    }
});
