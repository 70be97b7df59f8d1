//! What stands in a batch: unpacked within bounds, line by line, each taken or refused for itself. An agent is believed of its own
//! region alone. Pure; must not know what becomes of it.

use std::{
    collections::HashSet,
    io::{self, Read as _},
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use uuid::Uuid;

use super::NotTaken;
use crate::{
    model::{Observation, Timestamp, Vantage, first_try, observation_id},
    uplink::{Refusal, Taken},
};

/// No batch is larger once it is unpacked.
pub(super) const UNPACKED: usize = 8 << 20;
/// No honest line is longer.
const LINE: usize = 64 << 10;
/// No batch has more lines.
pub(super) const LINES: usize = 20_000;
/// Lines that are refused one by one in an answer; the rest is only counted.
const TOLD: usize = 100;
/// What is due later than this was made by a clock that is wrong.
const AHEAD: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// What is due earlier than this was as well: 2020.
const EARLIEST: Timestamp = Timestamp::from_timestamp_nanos(1_577_836_800_000_000_000);
/// An id is looked for among so many tries of its round …
const TRIES: u32 = 16;
/// … and turns of a check …
const TURNS: u32 = 12;
/// … and among the confirmations of so many runs.
const RUNS: u32 = 8;

/// Who speaks.
pub(super) struct Speaker<'a> {
    pub(super) region: &'a str,
    /// The intervals of probes, as far as they are known here.
    pub(super) intervals: &'a dyn Fn(&str) -> Option<Duration>,
}

pub(super) fn unpack(body: &[u8], packed: bool) -> Result<Vec<u8>, NotTaken> {
    if !packed {
        return if body.len() > UNPACKED { Err(NotTaken::TooLarge) } else { Ok(body.to_vec()) };
    }
    let mut lines = Vec::new();
    let unpacked = MultiGzDecoder::new(body).take(UNPACKED as u64 + 1).read_to_end(&mut lines);
    unpacked.map_err(|error: io::Error| NotTaken::Spoilt(error.to_string()))?;
    if lines.len() > UNPACKED { Err(NotTaken::TooLarge) } else { Ok(lines) }
}

/// The observations of a batch, each once, and what is to be said of its other lines.
pub(super) fn read(lines: &[u8], speaker: &Speaker<'_>, now: Timestamp) -> Result<(Vec<Observation>, Taken), NotTaken> {
    let (mut seen, mut taken, mut ids) = (Vec::new(), Taken::default(), HashSet::new());
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if index >= LINES {
            return Err(NotTaken::TooLarge);
        }
        match observation(line, speaker, now) {
            Ok(one) if ids.insert(one.id) => seen.push(one),
            Ok(_) => taken.duplicate += 1,
            Err(why) => {
                taken.refused_total += 1;
                if taken.refused.len() < TOLD {
                    taken.refused.push(Refusal { line: index + 1, why });
                }
            }
        }
    }
    Ok((seen, taken))
}

fn observation(line: &[u8], speaker: &Speaker<'_>, now: Timestamp) -> Result<Observation, String> {
    let region = speaker.region;
    if line.len() > LINE {
        return Err(format!("it is longer than {} KiB", LINE >> 10));
    }
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("it is no observation: not a JSON object".to_owned());
    }
    let mut seen: Observation =
        serde_json::from_slice(line).map_err(|error| format!("it is no observation: {error}"))?;
    if *seen.region != *region {
        return Err(format!("this agent may speak for the region `{region}` alone"));
    }
    let names = [&seen.probe, &seen.party, &seen.node].into_iter().chain(&seen.product);
    if names.into_iter().any(|name| name.len() > 64) {
        return Err("a name in it is longer than 64 characters".to_owned());
    }
    let names = [&seen.probe, &seen.party, &seen.node].into_iter().chain(&seen.product);
    if names.into_iter().any(|name| name.contains(char::is_control)) {
        return Err("a name in it has a control character".to_owned());
    }
    if seen.scheduled_at < EARLIEST {
        return Err("it was due before there were agents: the agent's clock is wrong".to_owned());
    }
    if seen.scheduled_at > now + AHEAD {
        return Err("it was due in the future: the agent's clock is wrong".to_owned());
    }
    let vantage = Vantage { region: seen.region.clone(), node: seen.node.clone() };
    if seen.id.is_nil() {
        seen.id = observation_id(&seen.probe, &vantage, seen.scheduled_at.timestamp_micros(), 0);
    } else if !is_its_own(&seen, &vantage, speaker) {
        // It might be that of another region's, which would then be taken for sent twice.
        seen.id = Uuid::new_v5(&seen.id, region.as_bytes());
    }
    seen.received_at = Some(now);
    Ok(seen)
}

/// Whether an id is that of a round of this vantage point.
fn is_its_own(seen: &Observation, vantage: &Vantage, speaker: &Speaker<'_>) -> bool {
    let own = |attempt: u32| observation_id(&seen.probe, vantage, seen.round, attempt) == seen.id;
    let first = || {
        let interval = (speaker.intervals)(&seen.probe).and_then(|one| i64::try_from(one.as_micros()).ok());
        interval.map(|interval| first_try(seen.scheduled_at.timestamp_micros(), seen.round, interval))
    };
    let first_of = |of: &dyn Fn(u32) -> bool| first().is_some_and(of);
    match seen.varied {
        None => {
            let of_turns = |first: u32| (1..=TURNS).any(|turns| (0..turns).any(|turn| own(first * turns + turn)));
            (0..TRIES).any(own) || first_of(&of_turns) || (TRIES..TRIES * 10).any(own)
        }
        Some(varied) => {
            let of_run = |run: u32| own(((run + 1) << 16).wrapping_add(varied as u32));
            (0..RUNS).any(of_run) || first_of(&of_run)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:32:00Z".parse().unwrap()
    }

    const EU: Speaker<'static> = Speaker { region: "eu", intervals: &|_| Some(Duration::from_secs(10)) };

    #[test]
    fn an_id_is_its_own_or_made_its_own() {
        let of = |region: &str, round: i64, attempt: u32, due: &str, varied: &str| {
            let vantage = Vantage { region: region.into(), node: "n1".into() };
            let id = observation_id("a", &vantage, round, attempt);
            let line = format!(
                r#"{{"id":"{id}","probe":"a","party":"p","region":"eu","node":"n1","round":{round},"outcome":"up","scheduled_at":"{due}"{varied}}}"#
            );
            let seen = observation(line.as_bytes(), &EU, now()).unwrap();
            (id, seen.id)
        };
        let due = "2026-11-22T10:31:03.210Z";
        let at = due.parse::<Timestamp>().unwrap().timestamp_micros() + 999;
        let round = at / 10_000_000;
        let first = first_try(at, round, 10_000_000);
        for (attempt, varied) in [
            (0, ""),
            (31, ""),
            (first, ""),
            (first * 3 + 2, ""),
            (1 << 16, r#","varied":"again""#),
            (((first + 1) << 16) + 1, r#","varied":"address""#),
        ] {
            let (sent, taken) = of("eu", round, attempt, due, varied);
            assert_eq!(sent, taken, "{attempt} {varied}");
        }
        let (sent, taken) = of("us", round, 0, due, "");
        assert_ne!(sent, taken, "no agent can take the place of another region's observation");
        assert_eq!(taken, of("us", round, 0, due, "").1, "sent twice it is the same");
    }

    fn line(probe: &str, region: &str, due: &str) -> String {
        format!(
            r#"{{"probe":"{probe}","party":"p","region":"{region}","outcome":"up","scheduled_at":"{due}","new":1}}"#
        )
    }

    #[test]
    fn what_is_wrong_with_one_line_is_said_of_that_line_alone() {
        let good = line("a", "eu", "2026-11-22T10:31:00Z");
        let batch = [
            good.clone(),
            "{not json".to_owned(),
            line("a", "us", "2026-11-22T10:31:00Z"),
            line("a", "eu", "2026-11-22T11:00:00Z"),
            line(&"long".repeat(20), "eu", "2026-11-22T10:31:00Z"),
            good,
            format!("{{\"x\":\"{}\"}}", "y".repeat(LINE)),
        ];
        let (seen, taken) = read(batch.join("\n").as_bytes(), &EU, now()).unwrap();
        assert_eq!((seen.len(), taken.duplicate, taken.refused_total), (1, 1, 5));
        assert_eq!(seen[0].received_at, Some(now()));
        assert!(!seen[0].id.is_nil());
        let lines: Vec<usize> = taken.refused.iter().map(|refusal| refusal.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7]);
        assert_eq!(taken.refused[1].why, "this agent may speak for the region `eu` alone");
    }

    #[test]
    fn nothing_is_unpacked_beyond_its_bound() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&vec![b'\n'; UNPACKED + 1]).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(bomb.len() < 64 << 10);
        assert_eq!(unpack(&bomb, true), Err(NotTaken::TooLarge));
        assert!(matches!(unpack(b"no gzip", true), Err(NotTaken::Spoilt(_))));
        assert!(unpack(&bomb[..bomb.len() / 2], true).is_err());
        assert_eq!(read(&b"{}\n".repeat(LINES + 1), &EU, now()).unwrap_err(), NotTaken::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), packed: bool) {
            if let Ok(lines) = unpack(&bytes, packed) {
                let _ = read(&lines, &EU, now());
            }
        }
    }
}
