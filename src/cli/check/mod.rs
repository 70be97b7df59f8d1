//! `usoryou check`: looks once (or `--count` times, or until stopped), all probes side by side, through the same path as
//! the agent, and says what it saw. Owns what is looked at and when it ends; how it looks is in `human` and `machine`.

mod human;
mod machine;
mod targets;

use std::{
    io::{self, IsTerminal as _, Write},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};

use super::{Common, Exit, Stopped, paint::Paint};
use crate::{
    attribution::Judge,
    config::{Plan, Probe},
    engine::{Due, Observer},
    hub,
    metrics::{Format, Metrics, ProbeLabels},
    model::{Cause, Observation, Outcome, Sighting, Verdict},
    net::Net,
    notify::words,
    protocol::{CheckFile, Span},
};

/// What to look at and how to say it.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("URLs begin with one of: {}", CheckFile::schemes().join(", ")))]
pub(super) struct Args {
    /// Probes of the configuration, or URLs; all probes when none is given
    #[arg(value_name = "PROBE or URL")]
    pub(super) targets: Vec<String>,
    /// Look this many times
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// From one look to the next
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub(super) interval: Span,
    /// Look until stopped
    #[arg(long, conflicts_with = "count")]
    pub(super) watch: bool,
    /// Deadline of one look [default: the probe's, 5s for a URL]
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<Span>,
    /// Looks under way at once, at most
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) concurrency: u32,
    /// How to say it
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
    #[command(flatten)]
    flags: targets::Flags,
}

/// How to say what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people: phase bars and words
    Human,
    /// One JSON document
    Json,
    /// One observation a line, as on the wire
    Jsonl,
    /// JUnit XML, for CI
    Junit,
    /// Prometheus text, for the textfile collector
    Prometheus,
}

/// Nobody needs to be told of a wait that is shorter.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs the command.
///
/// # Errors
/// A mistake of the user, or results that cannot be written.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let looking = targets::choose(&args.targets, &args.flags, args.timeout, &common.config)?;
    super::runtime()?.block_on(async {
        let looked = look_and_say(&looking, args, &Screen::of(common)).await;
        settle(&looking.net).await;
        looked
    })
}

/// Waits for what comes only once (the refresh token that replaces one that was sent), however the looks ended.
async fn settle(net: &Net) {
    if tokio::time::timeout(PATIENCE, net.kept.settled()).await.is_err() {
        tracing::warn!("waiting up to a minute for a token that comes only once; Ctrl-C gives it up");
        tokio::select! {
            () = net.kept.settled() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}

async fn look_and_say(looking: &Looking, args: &Args, screen: &Screen) -> Result<Exit, Stopped> {
    let observer = Observer::new(Arc::clone(&looking.net), looking.vantage.clone(), Arc::clone(&looking.hash));
    let mut seen: Vec<Observation> = Vec::new();
    let mut last: Vec<Observation> = Vec::new();
    let mut pace = tokio::time::interval(args.interval.0.max(Duration::from_millis(10)));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut round = 0_u32;
    while args.watch || round < args.count {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => break,
            _ = pace.tick() => {}
        }
        round += 1;
        let looks = look(looking, &observer, args, screen);
        last = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => break,
            looked = looks => looked,
        };
        say_round(looking, &last, args, screen)?;
        if args.watch {
            // What is watched for hours must not grow: only the present round counts at the end.
            seen.clone_from(&last);
        } else {
            seen.append(&mut last.clone());
        }
    }
    let verdicts = looking.plan.as_ref().map(|plan| judge(plan, &last)).unwrap_or_default();
    say_end(looking, &seen, &verdicts, args, screen)?;
    Ok(exit(&seen, &verdicts))
}

/// Everything that is looked at, and what it takes.
struct Looking {
    probes: Vec<Arc<Probe>>,
    plan: Option<Arc<Plan>>,
    net: Arc<Net>,
    vantage: crate::model::Vantage,
    hash: Arc<str>,
}

struct Screen {
    paint: Paint,
    width: usize,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
}

impl Screen {
    fn of(common: &Common) -> Self {
        let stdout_is_terminal = io::stdout().is_terminal();
        Self {
            paint: Paint::choose(common.color.on(&io::stdout())),
            // A pipe has no width: lines are as long as they are.
            width: terminal_size::terminal_size()
                .filter(|_| stdout_is_terminal)
                .map_or(usize::MAX, |(width, _)| usize::from(width.0).max(20)),
            stdout_is_terminal,
            stderr_is_terminal: io::stderr().is_terminal(),
        }
    }
}

/// One round: every probe once, side by side, in the order in which they were named.
async fn look(looking: &Looking, observer: &Observer, args: &Args, screen: &Screen) -> Vec<Observation> {
    let total = looking.probes.len();
    let progress = screen.stderr_is_terminal && !args.watch && total > 1;
    let runs = looking.probes.iter().enumerate().map(|(place, probe)| {
        let (observer, probe) = (observer.clone(), Arc::clone(probe));
        async move {
            let due = Due::at(observer.clock.wall(), probe.interval);
            // A task of its own: what one target costs in processor time must not wait for another.
            let seen = tokio::spawn(async move { observer.observe(&probe, due).await }).await.unwrap_or_default();
            (place, seen)
        }
    });
    let mut running = stream::iter(runs).buffer_unordered(args.concurrency as usize);
    let mut by_place: Vec<Vec<Observation>> = vec![Vec::new(); total];
    let mut done = 0;
    while let Some((place, seen)) = running.next().await {
        by_place[place] = seen.into_iter().map(|one| one.observation).collect();
        done += 1;
        if progress {
            // Progress is decoration: a stderr that cannot be written must not end the command.
            let _ = write!(io::stderr(), "\r\u{1b}[K{done} of {total} looked at");
        }
    }
    if progress {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
    by_place.into_iter().flatten().collect()
}

fn say_round(looking: &Looking, seen: &[Observation], args: &Args, screen: &Screen) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match args.output {
        Output::Human => {
            if args.watch && screen.stdout_is_terminal {
                write!(out, "\u{1b}[H\u{1b}[2J")?;
            }
            for observation in seen {
                let target = looking.target_of(observation);
                let whose = looking.whose(observation);
                let shown = human::Shown { observation, target: &target, whose: &whose };
                write!(out, "{}", human::observation(&shown, screen.width, screen.paint))?;
            }
        }
        Output::Jsonl => {
            for observation in seen {
                write!(out, "{}", machine::jsonl(observation))?;
            }
        }
        Output::Json | Output::Junit | Output::Prometheus => {}
    }
    out.flush()
}

fn say_end(
    looking: &Looking,
    seen: &[Observation],
    verdicts: &[Verdict],
    args: &Args,
    screen: &Screen,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let all: Vec<&Observation> = seen.iter().collect();
    match args.output {
        Output::Human => {
            if args.count > 1 {
                for probe in &looking.probes {
                    let of_probe: Vec<&Observation> = seen.iter().filter(|o| o.probe == probe.name).collect();
                    write!(out, "{}", human::summary(&probe.name, &of_probe, screen.paint))?;
                }
            }
            if let Some(plan) = &looking.plan {
                let world = hub::world(plan);
                let bad = verdicts.iter().filter(|v| v.is_bad() && v.has_evidence() && v.because_of.is_none());
                let mut sentences: Vec<String> = bad.map(|verdict| words::in_full(&world, verdict)).collect();
                if sentences.is_empty() {
                    sentences.push(all_well(seen));
                }
                for sentence in sentences {
                    writeln!(out, "verdict: {sentence}")?;
                }
            }
        }
        Output::Json => write!(out, "{}", machine::json(&all, verdicts))?,
        Output::Jsonl => {}
        Output::Junit => write!(out, "{}", machine::junit(&all))?,
        Output::Prometheus => write!(out, "{}", prometheus(seen).map_err(io::Error::other)?)?,
    }
    out.flush()
}

/// What a verdict without an accused comes to.
fn all_well(seen: &[Observation]) -> String {
    if seen.iter().all(|o| o.outcome == Outcome::Inconclusive) {
        return "unknown. Nothing could be measured from here.".to_owned();
    }
    if seen.iter().any(|o| o.outcome == Outcome::Down) {
        "nobody's fault that matters: only controls are down.".to_owned()
    } else {
        "ok. All is well.".to_owned()
    }
}

/// The families of probes alone: what this process itself uses is of no interest to whoever reads the file.
fn prometheus(seen: &[Observation]) -> Result<String, String> {
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    for observation in seen {
        metrics.probe(&ProbeLabels::of(observation)).record(observation);
    }
    let page = metrics.encode(Format::Text).map_err(|error| error.to_string())?;
    let page = String::from_utf8_lossy(&page);
    let of_probes = |line: &&str| {
        let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        // There is no schedule here to be late for.
        let of_schedule = ["usoryou_probe_missed_runs", "usoryou_probe_start_lateness"];
        name.starts_with("usoryou_probe_") && !of_schedule.iter().any(|family| name.starts_with(family))
    };
    Ok(page.split_inclusive('\n').filter(of_probes).collect())
}

/// The verdicts that one look from here allows.
fn judge(plan: &Plan, seen: &[Observation]) -> Vec<Verdict> {
    let now = chrono::Utc::now();
    let mut judge = Judge::new(hub::world(plan));
    let mut noticing = hub::Noticing::new(plan);
    for observation in seen {
        judge.absorb(&Sighting::from(observation), now);
        noticing.absorb(&Sighting::from(observation));
    }
    let mut verdicts = judge.judge(now);
    noticing.speak(judge.world(), &mut verdicts, now);
    verdicts
}

fn exit(seen: &[Observation], verdicts: &[Verdict]) -> Exit {
    let any = |outcome| seen.iter().any(|o| o.outcome == outcome);
    let accused = verdicts.iter().any(|v| !matches!(v.cause, Cause::Ok | Cause::Unknown | Cause::Probe) && !v.degraded);
    if any(Outcome::Down) || accused {
        Exit::Bad
    } else if any(Outcome::Up) || any(Outcome::Degraded) {
        Exit::Good
    } else {
        Exit::Unknown
    }
}

impl Looking {
    fn target_of(&self, observation: &Observation) -> String {
        self.probes.iter().find(|probe| probe.name == observation.probe).map_or_else(String::new, |p| p.check.target())
    }

    /// `Firebase / realtime-database`; nothing for a bare URL.
    fn whose(&self, observation: &Observation) -> String {
        let Some(party) = self.plan.as_ref().and_then(|plan| plan.parties.get(&observation.party)) else {
            return String::new();
        };
        match &observation.product {
            Some(product) => format!("{} / {product}", party.name),
            None => party.name.to_string(),
        }
    }
}
