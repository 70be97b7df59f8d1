//! The ledger of messages that are written at one end and waited for at the other (`round_trip`): makes them, recognises
//! them, and says of each what became of it. Pure: knows no connection and reads no clock. What arrives may have been
//! written by anybody, so nothing in it is trusted further than its shape, and memory is bounded whatever comes.

mod track;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{Arrival, Came, Timestamp, Vantage};
use track::{REMEMBERED, Track};

/// No message of ours is longer, in bytes.
pub const MESSAGE_AT_MOST: usize = 1000;

/// Writers that are followed at once; the one that was silent longest gives way to a new one.
const WRITERS: usize = 64;
/// What became known and was not taken yet, at most.
const KNOWN: usize = 1024;
/// The longest name of a region or node that is believed.
const NAME_AT_MOST: usize = 100;
/// A clock that is further behind or a message that is older than this says nothing about time.
const AHEAD_AT_MOST: Duration = Duration::from_mins(1);
const AGE_AT_MOST: Duration = Duration::from_hours(1);

/// An instant on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic: for what we wrote ourselves.
    pub at: Instant,
    /// Wall clock: for what others wrote.
    pub wall: Timestamp,
}

impl Moment {
    /// This instant.
    #[must_use]
    pub fn now() -> Self {
        Self { at: Instant::now(), wall: chrono::Utc::now() }
    }
}

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number among those of this ledger.
    pub number: u64,
    /// Its text: one JSON object, shorter than [`MESSAGE_AT_MOST`].
    pub text: String,
}

/// What something that arrived was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The message of this ledger with that number.
    Own(u64),
    /// A message of another vantage point.
    Other,
    /// Nothing of ours, or too old to say what became of it.
    Ignored,
}

/// What a message says. Other fields are ignored, so that neighbouring versions understand each other.
#[derive(Debug, Serialize, Deserialize)]
struct Message<'a> {
    /// Says that it is one of ours, and in which form.
    usoryou: u8,
    #[serde(borrow)]
    region: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    node: std::borrow::Cow<'a, str>,
    /// When the writer's ledger began, in microseconds: its numbers begin anew with each.
    run: i64,
    /// Its number.
    n: u64,
    /// When it was written, in microseconds since 1970.
    at: i64,
}

const FORM: u8 = 1;

/// Messages of ours under way, and those of every other writer as they come.
#[derive(Debug)]
pub struct Ledger {
    me: Writer,
    patience: Duration,
    written: u64,
    under_way: VecDeque<(u64, Instant)>,
    own: Track,
    others: Vec<(Writer, Track)>,
    known: Vec<Arrival>,
    ignored: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Writer {
    region: Arc<str>,
    node: Arc<str>,
    run: i64,
}

impl Ledger {
    /// A ledger of a vantage point that begins now. What is not there after `patience` is lost.
    #[must_use]
    pub fn new(vantage: &Vantage, patience: Duration, now: Moment) -> Self {
        let me = Writer {
            region: short(&vantage.region).into(),
            node: short(&vantage.node).into(),
            run: now.wall.timestamp_micros(),
        };
        let own = Track::begin(0, now.at);
        Self { me, patience, written: 0, under_way: VecDeque::new(), own, others: vec![], known: vec![], ignored: 0 }
    }

    /// The next message. It counts as written from `now` on.
    pub fn write(&mut self, now: Moment) -> Letter {
        self.written += 1;
        let number = self.written;
        if self.under_way.len() >= REMEMBERED as usize && self.under_way.pop_front().is_some() {
            self.lose(1, &Arc::clone(&self.me.region));
        }
        self.under_way.push_back((number, now.at));
        let Writer { region, node, run } = &self.me;
        let message = Message {
            usoryou: FORM,
            region: (&**region).into(),
            node: (&**node).into(),
            run: *run,
            n: number,
            at: now.wall.timestamp_micros(),
        };
        // Text and numbers: there is nothing in it that JSON cannot say.
        Letter { number, text: serde_json::to_string(&message).unwrap_or_default() }
    }

    /// Forgets a message that never left: nobody can lose it.
    pub fn unsent(&mut self, number: u64) {
        self.under_way.retain(|(known, _)| *known != number);
    }

    /// Takes in something that arrived.
    pub fn hear(&mut self, bytes: &[u8], now: Moment) -> Heard {
        let heard = match read(bytes) {
            Some(message) => self.sort(&message, now),
            None => Heard::Ignored,
        };
        if heard == Heard::Ignored {
            self.ignored += 1;
        }
        heard
    }

    fn sort(&mut self, message: &Message<'_>, now: Moment) -> Heard {
        let Writer { region, node, run } = &self.me;
        if message.region == **region && message.node == **node && message.run == *run {
            return self.sort_own(message.n, now);
        }
        // Another probe of this vantage point, or an earlier life of this one: whoever wrote it waits for it, or is gone.
        if message.region == **region && message.node == **node {
            return Heard::Ignored;
        }
        let seconds = seconds_since(message.at, now.wall);
        let track = self.track(message, now.at);
        let Some(came) = track.note(message.n, now.at) else { return Heard::Ignored };
        self.note(Arrival { writer_region: message.region.as_ref().into(), came, seconds });
        Heard::Other
    }

    fn sort_own(&mut self, number: u64, now: Moment) -> Heard {
        // A number that we have not given yet is somebody's joke.
        if number > self.written {
            return Heard::Ignored;
        }
        let Some(came) = self.own.note(number, now.at) else { return Heard::Ignored };
        // Our own gaps are known from what is under way, each with the time at which it was written.
        self.own.missing.clear();
        let waited = self.under_way.iter().position(|(known, _)| *known == number);
        let written = waited.and_then(|index| self.under_way.remove(index));
        let seconds = written.map(|(_, at)| now.at.duration_since(at).as_secs_f64());
        self.note(Arrival { writer_region: Arc::clone(&self.me.region), came, seconds });
        Heard::Own(number)
    }

    /// The track of a message's writer; a new one begins with this message.
    fn track(&mut self, message: &Message<'_>, at: Instant) -> &mut Track {
        let is_it = |writer: &Writer| {
            writer.run == message.run && *writer.region == *message.region && *writer.node == *message.node
        };
        let index = match self.others.iter().position(|(writer, _)| is_it(writer)) {
            Some(index) => index,
            None => {
                if self.others.len() >= WRITERS {
                    let longest = self.others.iter().enumerate().min_by_key(|(_, (_, track))| track.heard);
                    let longest = longest.map_or(0, |(index, _)| index);
                    self.others.swap_remove(longest);
                }
                let writer = Writer {
                    region: message.region.as_ref().into(),
                    node: message.node.as_ref().into(),
                    run: message.run,
                };
                self.others.push((writer, Track::begin(message.n.saturating_sub(1), at)));
                self.others.len() - 1
            }
        };
        &mut self.others[index].1
    }

    /// Gives up what has been waited for too long, and hands over everything that became known since the last time.
    pub fn take(&mut self, now: Moment) -> Vec<Arrival> {
        let patience = self.patience;
        let is_over = |since: Instant| now.at.duration_since(since) >= patience;
        let before = self.under_way.len();
        self.under_way.retain(|(_, since)| !is_over(*since));
        let mut lost = vec![(before - self.under_way.len(), Arc::clone(&self.me.region))];
        for (writer, track) in &mut self.others {
            let before = track.missing.len();
            track.missing.retain(|(_, since)| !is_over(*since));
            lost.push((before - track.missing.len(), Arc::clone(&writer.region)));
        }
        for (count, region) in lost {
            self.lose(count, &region);
        }
        std::mem::take(&mut self.known)
    }

    /// How much has arrived that was nothing of ours, or more than could be kept.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn lose(&mut self, count: usize, region: &Arc<str>) {
        for _ in 0..count {
            self.note(Arrival { writer_region: Arc::clone(region), came: Came::Lost, seconds: None });
        }
    }

    fn note(&mut self, arrival: Arrival) {
        if self.known.len() < KNOWN {
            self.known.push(arrival);
        } else {
            self.ignored += 1;
        }
    }
}

/// The name under which a vantage point writes, for keys and topics that several share: `eu-west~n1`. It holds nothing but
/// letters, digits, `-`, `_` and `~`.
#[must_use]
pub fn own_key(vantage: &Vantage) -> String {
    let plain = |name: &str| -> String {
        let known = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        short(name).chars().map(known).collect()
    };
    format!("{}~{}", plain(&vantage.region), plain(&vantage.node))
}

fn read(bytes: &[u8]) -> Option<Message<'_>> {
    let bytes = Some(bytes).filter(|bytes| bytes.len() <= MESSAGE_AT_MOST)?;
    let message: Message<'_> = serde_json::from_slice(bytes).ok()?;
    let is_name = |name: &str| !name.is_empty() && name.len() <= NAME_AT_MOST && !name.chars().any(char::is_control);
    (message.usoryou == FORM && message.n > 0 && is_name(&message.region) && is_name(&message.node)).then_some(message)
}

fn short(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_AT_MOST)).unwrap_or_default()
}

/// From the writer's clock to ours; nothing when the two cannot be of the same time.
fn seconds_since(micros: i64, now: Timestamp) -> Option<f64> {
    let took = now.timestamp_micros().checked_sub(micros)?;
    let ahead = i64::try_from(AHEAD_AT_MOST.as_micros()).ok()?;
    let age = i64::try_from(AGE_AT_MOST.as_micros()).ok()?;
    let took = Some(took).filter(|took| (-ahead..=age).contains(took))?;
    Some(Duration::from_micros(u64::try_from(took).unwrap_or(0)).as_secs_f64())
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
