//! What cells saw, round by round, and what that says for a fault: whatever explains it.

use super::{
    cell::Sample,
    noise::SEVERITIES,
    part::Channel,
    sort::{Sort, Sound},
    watched::Watched,
};

/// Rounds that are looked at, at most.
pub(super) const ROUNDS: i64 = 16;

/// Where a cell is, as far as explanations tell one from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) probe: usize,
    pub(super) subject: usize,
    pub(super) region: usize,
    /// How much later than a release to its region this began, in rounds; nothing when it has nothing to do with one.
    pub(super) changed: Option<i64>,
}

/// A cell, and what it saw round by round.
pub(super) struct Row<'a> {
    pub(super) watched: &'a Watched<'a>,
    pub(super) place: Place,
    /// How many looks were bad, and how many there were.
    pub(super) bad: u32,
    pub(super) all: u32,
    counts: Vec<Count>,
    /// Evidence of a good and of a bad sample for each severity: in full, and as much of it as one may give.
    in_full: [[f32; SEVERITIES.len()]; 2],
    clipped: [[f32; SEVERITIES.len()]; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    bad: u32,
    all: u32,
    sorts: [u8; Sort::COUNT],
}

/// Evidence of a round in nats for each severity, and how many failures were heard in it: as many numbers as are added at
/// once.
pub(super) type Said = [f32; SEVERITIES.len() + 1];
/// Where the failures are among them.
pub(super) const VOTERS: usize = SEVERITIES.len();
/// What the way in which cells fail in a round says for each sort of explanation.
pub(super) type Votes = [f32; Sound::ALL.len()];

impl<'a> Row<'a> {
    /// From an instant on in rounds of so many milliseconds; what is `bad` of it, where a look says anything.
    pub(super) fn new(
        (watched, place): (&'a Watched<'a>, Place),
        channel: Channel,
        (begin, interval): (i64, i64),
        bad: impl Fn(&Sample) -> Option<bool>,
    ) -> Self {
        let noise = watched.cell.noise(channel);
        let mut row = Self {
            watched,
            place,
            bad: 0,
            all: 0,
            counts: Vec::with_capacity(ROUNDS as usize + 1),
            in_full: [false, true].map(|bad| noise.likelihood(bad)),
            clipped: [false, true].map(|bad| noise.evidence(bad)),
        };
        let (mut round, mut ends) = (0, begin.saturating_add(interval));
        for look in watched.since(begin) {
            while look.at >= ends {
                (round, ends) = (round + 1, ends.saturating_add(interval));
            }
            let Some(bad) = bad(look) else { continue };
            if row.counts.len() <= round {
                row.counts.resize(round + 1, Count::default());
            }
            let count = &mut row.counts[round];
            count.all += 1;
            row.all += 1;
            if bad {
                count.bad += 1;
                row.bad += 1;
                let sort = &mut count.sorts[Sort::of(look) as usize];
                *sort = sort.saturating_add(1);
            }
        }
        row
    }

    /// How many rounds it was looked at, to the last look.
    pub(super) const fn rounds(&self) -> usize {
        self.counts.len()
    }

    /// Whether it failed in a round.
    pub(super) fn fails_in(&self, round: usize) -> bool {
        self.counts.get(round).is_some_and(|count| count.bad > 0)
    }

    /// Whether it failed in the last round in which it was looked at.
    pub(super) fn fails_now(&self) -> bool {
        self.counts.iter().rev().find(|count| count.all > 0).is_some_and(|count| count.bad > 0)
    }

    /// Evidence of a round for a fault of a severity, in nats; no single sample may say too much.
    pub(super) fn said(&self, round: usize, severity: usize) -> f32 {
        self.counts.get(round).map_or(0.0, |count| count.weigh(&self.clipped, severity))
    }

    /// The same in full.
    pub(super) fn said_in_full(&self, round: usize, severity: usize) -> f32 {
        self.counts.get(round).map_or(0.0, |count| count.weigh(&self.in_full, severity))
    }

    /// What it says round by round, in as many rounds as there is room for.
    pub(super) fn speak(&self, said: &mut [Said], votes: &mut [Votes]) {
        for ((count, said), votes) in self.counts.iter().zip(said).zip(votes) {
            for (severity, said) in said.iter_mut().take(SEVERITIES.len()).enumerate() {
                *said = count.weigh(&self.in_full, severity);
            }
            if count.bad == 0 {
                continue;
            }
            for sort in Sort::ALL.into_iter().filter(|sort| count.sorts[*sort as usize] > 0) {
                let many = f32::from(count.sorts[sort as usize]);
                said[VOTERS] += many;
                for (votes, sound) in votes.iter_mut().zip(Sound::ALL) {
                    *votes += many * sort.speaks_for(sound);
                }
            }
        }
    }

    pub(super) fn sort(&self, sort: Sort) -> u32 {
        self.counts.iter().map(|count| u32::from(count.sorts[sort as usize])).sum()
    }
}

impl Count {
    fn weigh(&self, evidence: &[[f32; SEVERITIES.len()]; 2], severity: usize) -> f32 {
        to_f32(self.bad) * evidence[1][severity] + to_f32(self.all - self.bad) * evidence[0][severity]
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
pub(super) const fn to_f32(count: u32) -> f32 {
    count as f32
}
