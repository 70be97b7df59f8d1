//! When a region could not see: spells, the newest last. What it saw in one says nothing about others, also when it is blind
//! again later.

use super::{absorb::REACH, index::millis};

/// From when until when, both included, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Spells(Vec<(i64, i64)>);

impl Spells {
    /// It cannot see, since then and now. What touches goes on.
    pub(super) fn add(&mut self, since: i64, now: i64) {
        let touches = |(_, until): &(i64, i64)| *until >= since;
        let from = self.0.iter().filter(|spell| touches(spell)).map(|(from, _)| *from).fold(since, i64::min);
        // What is older than all that is remembered need not be known.
        let oldest = now - millis(REACH);
        self.0.retain(|spell| !touches(spell) && spell.1 >= oldest);
        self.0.push((from, now));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, at: i64) -> bool {
        self.0.iter().any(|(from, until)| (*from..=*until).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_spell_is_remembered_and_what_touches_is_one() {
        let mut spells = Spells::default();
        spells.add(10_000, 20_000);
        spells.add(15_000, 30_000);
        assert_eq!(spells.0, [(10_000, 30_000)]);
        spells.add(60_000, 70_000);
        assert_eq!(
            [5, 10, 30, 45, 60, 70, 71].map(|at| spells.contains(at * 1_000)),
            [false, true, true, false, true, true, false]
        );
        let later = 30_001 + millis(REACH);
        spells.add(later, later);
        assert_eq!(spells.0, [(60_000, 70_000), (later, later)]);
    }
}
