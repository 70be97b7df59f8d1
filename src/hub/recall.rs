//! What the store knows of the time before this process, gone through as it was gone through then. Judging leaves traces
//! of its own (which alarm is on, what is over), and whoever does not have them takes the good rounds of a recovery for a
//! suspicion. So it is judged on the way, without a consequence.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{Course, Hub, rounds::Rounds};
use crate::{
    attribution::Judge,
    config::Plan,
    model::{Observation, Sighting, Timestamp},
    store::Position,
};

/// Between two judgements on the way at least …
const SHORTEST: Duration = Duration::from_millis(500);
/// … and at most: with usual intervals there are several in each round.
const LONGEST: Duration = Duration::from_secs(5);

/// Absorbs what the store knows of the time before; up to where that is.
pub(super) async fn recall(
    hub: &Hub,
    rounds: &mut Rounds,
    stop: &mut watch::Receiver<bool>,
) -> Option<Option<Position>> {
    let mut said = false;
    loop {
        let from = Judge::reaches_back_to(chrono::Utc::now());
        let (tell, mut told) = mpsc::channel(2);
        let mut way = Way::through(&hub.plan.borrow());
        let absorbing = async {
            while let Some(seen) = told.recv().await {
                let seen: Vec<Observation> = seen;
                seen.iter().for_each(|seen| rounds.recall(&mut way, seen));
            }
        };
        let reading = async {
            let position = hub.store.window(from, &tell).await;
            drop(tell);
            position
        };
        match tokio::join!(reading, absorbing).0 {
            Ok(position) => {
                rounds.listen();
                return Some(position);
            }
            // Judging without knowing what was seen would take everything for new.
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!("{error}: nothing is judged until it can be");
                }
                hub.view.send_modify(|view| view.store.failing = Some(error.to_string()));
                // What was read of it comes again.
                rounds.forget(&hub.plan.borrow());
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return None,
            () = sleep(hub.pace.retry_every) => {}
        }
    }
}

/// How far what was known before has been gone through.
pub(super) struct Way {
    /// When what was absorbed last was known.
    clock: Timestamp,
    judged: Timestamp,
    pulse: TimeDelta,
}

impl Way {
    fn through(plan: &Plan) -> Self {
        let shortest = plan.probes.iter().map(|probe| probe.interval).min().unwrap_or(LONGEST);
        let pulse = TimeDelta::from_std((shortest / 4).clamp(SHORTEST, LONGEST)).unwrap_or_default();
        Self { clock: Timestamp::UNIX_EPOCH, judged: Timestamp::UNIX_EPOCH, pulse }
    }

    /// Takes the next, in the order in which they were due. It was known when it had ended: when it came here does not
    /// matter, as what was held up somewhere is no news of a later time.
    pub(super) fn take(&mut self, seen: &Sighting<'_>, course: &mut Course, now: Timestamp) {
        let took = Duration::try_from_secs_f64(seen.duration).ok().and_then(|took| TimeDelta::from_std(took).ok());
        let ended = took.and_then(|took| seen.scheduled_at.checked_add_signed(took));
        let known = ended.unwrap_or(now).min(now).max(self.clock);
        if known > self.clock && self.clock.signed_duration_since(self.judged) >= self.pulse {
            course.look_back(self.clock);
            self.judged = self.clock;
        }
        self.clock = known;
        course.recall(seen, known, now);
    }
}

#[cfg(test)]
#[path = "recall_tests.rs"]
mod tests;
