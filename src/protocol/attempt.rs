//! One attempt under way: which phase it is in, how long the others took, and what it has learned. It outlives a check
//! that was cut off at its deadline, so that nothing learned until then is lost.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    model::{Arrival, Connection, Failure, Kind, Phase, PhaseTimes, Step, TcpFacts, TlsFacts, Vantage},
    net::{Net, Socket},
};

/// What an attempt learned besides times.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Address that answered, or that was tried last.
    pub peer: Option<SocketAddr>,
    /// The resolver that gave the address.
    pub resolver: Option<String>,
    /// TLS session and certificate; set before a failed verification is reported.
    pub tls: Option<TlsFacts>,
    /// TCP connection, read just before it is let go.
    pub tcp: Option<TcpFacts>,
    /// HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// What the other side asked us to wait.
    pub retry_after: Option<Duration>,
    /// Whether the connection was fresh.
    pub connection: Connection,
    /// Works, but poorer than expected.
    pub degraded: Option<Failure>,
    /// What became of the messages that were waited for (`round_trip`), in the order in which that became known.
    pub arrivals: Vec<Arrival>,
    /// How each step fared, of a check with several.
    pub steps: Vec<Step>,
}

/// A figure that only `GET /probe` shows, under the name that blackbox_exporter gives it.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// Metric name.
    pub name: &'static str,
    /// What it means, for `# HELP`.
    pub help: &'static str,
    /// Label pairs.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: f64,
}

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
    current: Option<(Phase, Instant, &'static str)>,
    socket: Option<Socket>,
    condemned: Option<Failure>,
    about: String,
    whole: Option<(Phase, Instant)>,
}

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
        }
    }

    /// Enters a phase; the one before it ends here. `awaited` completes the sentence "no … within 5s".
    pub fn enter(&mut self, phase: Phase, awaited: &'static str) {
        self.enter_at(phase, awaited, Instant::now());
    }

    /// The same for a phase whose beginning was noted before this call.
    pub fn enter_at(&mut self, phase: Phase, awaited: &'static str, since: Instant) {
        self.leave_at(since);
        self.current = Some((phase, since, awaited));
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
