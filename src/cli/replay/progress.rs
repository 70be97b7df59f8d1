//! How far it is, on a terminal only: percent, observations a second, how long still.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use super::grouped;
use crate::replay::Tally;

/// Between two pictures.
const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    on: bool,
    size: Option<u64>,
    began: Instant,
    shown: Option<Instant>,
}

impl Progress {
    pub(super) fn new(size: Option<u64>, wanted: bool) -> Self {
        Self { on: wanted && io::stderr().is_terminal(), size, began: Instant::now(), shown: None }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a picture for people"
    )]
    pub(super) fn show(&mut self, tally: &Tally) {
        if !self.on || self.shown.map_or(self.began, |shown| shown).elapsed() < EVERY {
            return;
        }
        self.shown = Some(Instant::now());
        let passed = self.began.elapsed().as_secs_f64();
        let speed = grouped((tally.observations as f64 / passed) as u64);
        let far = match self.size.filter(|size| *size > 0) {
            Some(size) => {
                let part = (tally.bytes as f64 / size as f64).min(1.0);
                let left = (passed / part.max(1e-6) * (1.0 - part)) as u64;
                format!("{:3.0} %  {speed} observations/s  {}:{:02} left", part * 100.0, left / 60, left % 60)
            }
            None => format!("{} observations  {speed}/s", grouped(tally.observations)),
        };
        // Progress is decoration: a stderr that cannot be written must not end the command.
        let _ = write!(io::stderr(), "\r\u{1b}[K{far}");
    }

    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
