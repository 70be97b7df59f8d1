//! Observations as `usoryou replay` reads them.
#![no_main]

use usoryou::{
    attribution::Absorbed,
    model::{Sighting, Timestamp},
    replay,
};

struct Taken(u64);

impl replay::Taker for Taken {
    fn take(&mut self, _: &Sighting<'_>, _: Timestamp) -> Option<Absorbed> {
        self.0 += 1;
        Some(Absorbed::Taken)
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut taken = Taken(0);
    let tally = replay::read(bytes, &mut taken).expect("a slice can be read");
    assert!(taken.0 <= tally.observations);
});
