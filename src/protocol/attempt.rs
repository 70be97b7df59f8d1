//! One attempt under way: which phase it is in, how long the others took, and what it has learned. It outlives a check
//! that was cut off at its deadline, so that nothing learned until then is lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::facts::{Facts, Gauge};
use crate::{
    model::{Failure, Kind, Phase, PhaseTimes, Vantage},
    net::{Net, Socket},
};

/// One attempt under way.
pub struct Attempt {
    /// Resolver, trust and sockets.
    pub net: Arc<Net>,
    /// Where we look from: what is written to a place that several vantage points share is kept apart by it.
    pub vantage: Vantage,
    /// Which of the check's turns this is, from 0.
    pub turn: u32,
    /// Stands by itself: uses nothing that an earlier attempt has kept (an open connection), and keeps nothing for a
    /// later one. Such an attempt may run beside one of the probe's own rounds.
    pub alone: bool,
    /// When the caller will cut the attempt off.
    pub deadline: Instant,
    /// What was learned.
    pub facts: Facts,
    /// Figures for `GET /probe`; filled only where [`Attempt::wants_gauges`] holds.
    pub gauges: Vec<Gauge>,
    /// Whether anybody will read [`Attempt::gauges`].
    pub wants_gauges: bool,
    started: Instant,
    timeout: Duration,
    phases: PhaseTimes,
    current: Option<Present>,
    socket: Option<Socket>,
    condemned: Option<Failure>,
    about: String,
    whole: Option<(Phase, Instant)>,
    progress: Option<Arc<Mutex<Progress>>>,
}

/// How far an attempt was when it entered its present phase: for whoever stops waiting for one that goes on.
#[derive(Default)]
pub(in crate::protocol) struct Progress {
    facts: Facts,
    phases: PhaseTimes,
    current: Option<Present>,
}

/// A phase under way: since when, and what is awaited in it.
type Present = (Phase, Instant, &'static str);

impl Attempt {
    /// An attempt that begins now.
    #[must_use]
    pub fn begin(net: Arc<Net>, vantage: Vantage, turn: u32, timeout: Duration) -> Self {
        let started = Instant::now();
        Self {
            net,
            vantage,
            turn,
            alone: false,
            deadline: started + timeout,
            facts: Facts::default(),
            gauges: Vec::new(),
            wants_gauges: false,
            started,
            timeout,
            phases: PhaseTimes::default(),
            current: None,
            socket: None,
            condemned: None,
            about: String::new(),
            whole: None,
            progress: None,
        }
    }

    /// Lets somebody else see from now on how far the attempt is.
    pub(in crate::protocol) fn show_progress(&mut self) -> Arc<Mutex<Progress>> {
        Arc::clone(self.progress.get_or_insert_default())
    }

    /// Takes another attempt's progress as its own. Says whether that one has begun at all.
    pub(in crate::protocol) fn take_over(&mut self, progress: &Mutex<Progress>) -> bool {
        let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        self.facts = progress.facts.clone();
        self.phases = progress.phases;
        self.current = progress.current;
        self.current.is_some()
    }

    /// Enters a phase; the one before it ends here. `awaited` completes the sentence "no … within 5s".
    pub fn enter(&mut self, phase: Phase, awaited: &'static str) {
        self.enter_at(phase, awaited, Instant::now());
    }

    /// The same for a phase whose beginning was noted before this call.
    pub fn enter_at(&mut self, phase: Phase, awaited: &'static str, since: Instant) {
        self.leave_at(since);
        self.current = Some((phase, since, awaited));
        if let Some(progress) = &self.progress {
            let (facts, phases, current) = (self.facts.clone(), self.phases, self.current);
            *progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress { facts, phases, current };
        }
    }

    /// Ends the present phase, if there is one.
    pub fn leave(&mut self) {
        self.leave_at(Instant::now());
    }

    fn leave_at(&mut self, now: Instant) {
        if let Some((phase, since, _)) = self.current.take() {
            // Inside of a whole its parts are not times of their own.
            if self.whole.is_none() {
                self.phases.add(phase, now.duration_since(since));
            }
        }
    }

    /// Runs a future as a phase. Reads like the protocol's specification:
    /// `attempt.phase(Phase::Connect, "TCP handshake", dial(address)).await?`.
    ///
    /// # Errors
    /// Those of the future.
    pub async fn phase<T>(
        &mut self,
        phase: Phase,
        awaited: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.enter(phase, awaited);
        let done = work.await;
        self.leave();
        done
    }

    /// The phase that the attempt is in, or was in last.
    #[must_use]
    pub fn present_phase(&self) -> Phase {
        self.current
            .map_or_else(|| self.phases.iter().last().map_or(Phase::Exchange, |(phase, _)| phase), |(phase, ..)| phase)
    }

    /// The failure to report when the deadline passes now; ends the present phase.
    pub fn timed_out(&mut self) -> Failure {
        let phase = self.present_phase();
        let awaited = self.current.map_or("answer", |(_, _, awaited)| awaited);
        self.leave();
        self.let_go();
        if let Some(failure) = self.condemned.take() {
            return failure;
        }
        let Self { about, timeout, .. } = self;
        Failure::new(phase, Kind::TimedOut, format!("{about}no {awaited} within {}", Seconds(*timeout)))
    }

    /// What the attempt is busy with from now on, in front of the words of a failure by deadline.
    pub fn about(&mut self, what: String) {
        self.about = what;
    }

    /// Takes what follows, whatever phases it goes through, as one phase that began at an instant.
    pub fn begin_whole(&mut self, phase: Phase, since: Instant) {
        self.leave();
        self.whole = Some((phase, since));
    }

    /// Ends what was taken as one and says how long it took.
    pub fn end_whole(&mut self) -> Option<Duration> {
        self.leave();
        let (phase, since) = self.whole.take()?;
        let took = since.elapsed();
        self.phases.add(phase, took);
        Some(took)
    }

    /// Notes that the attempt has failed already, though it goes on to learn more: this is what is reported should the
    /// deadline pass before it ends.
    pub fn condemn(&mut self, failure: Failure) {
        self.condemned.get_or_insert(failure);
    }

    /// Takes back what [`Attempt::condemn`] noted.
    pub fn acquit(&mut self) {
        self.condemned = None;
    }

    /// Begins anew within the same deadline, with the phases as they were before something that came to nothing.
    pub fn back_to(&mut self, phases: PhaseTimes) {
        self.current = None;
        self.phases = phases;
    }

    /// Remembers the connection in use, so that the kernel can be asked about it when the attempt ends.
    pub fn watch(&mut self, socket: Socket) {
        self.socket = Some(socket);
    }

    /// Asks the kernel about the connection in use and lets go of it.
    pub fn let_go(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.facts.tcp = socket.facts();
        }
    }

    /// How long it may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When it began.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// Times of the phases that have ended.
    #[must_use]
    pub const fn phases(&self) -> &PhaseTimes {
        &self.phases
    }

    /// Notes a figure for `GET /probe`; costs nothing when nobody asked.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.gauge_with(name, help, Vec::new, value);
    }

    /// The same with labels.
    pub fn gauge_with(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: impl FnOnce() -> Vec<(&'static str, String)>,
        value: f64,
    ) {
        if self.wants_gauges {
            let labels = labels();
            // An attempt that follows a redirect notes some figures twice: the last one holds.
            self.gauges.retain(|known| known.name != name);
            self.gauges.push(Gauge { name, help, labels, value });
        }
    }
}

/// Shows `5s`, `500ms`, `1.5s`: the way the configuration writes durations.
pub(crate) struct Seconds(pub(crate) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        if millis < 1000 {
            write!(f, "{millis}ms")
        } else if millis.is_multiple_of(60_000) {
            write!(f, "{}m", millis / 60_000)
        } else if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{:.1}s", self.0.as_secs_f64())
        }
    }
}
