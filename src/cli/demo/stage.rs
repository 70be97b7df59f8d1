//! A whole world on this machine: a Firebase-like provider, an API of ours that stands on it, controls, three regions and
//! a Slack, all on loopback with real sockets and the real engine, hub and outbox. Faults are switched by key and over
//! HTTP; shown live is what the verdict and the Slack message would be.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    faults::{Fault, REGIONS, Service, Switches},
    screen, servers,
};
use crate::{
    cli::paint::Paint,
    config::{self, Plan},
    engine::{Engine, Observer},
    hub,
    metrics::Metrics,
    model::{Observation, Verdict},
    net::Net,
    notify,
    store::Store,
};

/// How the demo runs.
pub(super) struct Options {
    /// Where faults are switched over HTTP.
    pub(super) switchboard: SocketAddr,
    /// Redraw a screen and read keys, instead of printing a line for every change.
    pub(super) screen: Option<Screen>,
}

/// A terminal to draw on.
pub(super) struct Screen {
    /// Columns.
    pub(super) width: usize,
    /// Colours or none.
    pub(super) paint: Paint,
    /// Keys as they are pressed.
    pub(super) keys: mpsc::Receiver<char>,
}

/// Runs the world until `stop` or the key `q`.
///
/// # Errors
/// A sentence on why the world could not be made.
pub(super) async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), String> {
    let switches = Arc::new(Switches::default());
    let (said, messages) = mpsc::channel(64);
    let addresses = servers::start(&switches, options.switchboard, said)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.switchboard))?;
    let net = Net::system(Vec::new())?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let (sink, inbox) = mpsc::channel(1024);
    let (seen, latest) = mpsc::channel(1024);
    let (ending, end) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    let mut first = None;
    for region in REGIONS {
        let plan = plan(&addresses, region, &net)?;
        first.get_or_insert_with(|| Arc::clone(&plan));
        let engine = Engine {
            observer: Observer::new(Arc::clone(&net), plan.vantage.clone(), Arc::clone(&plan.hash)),
            // Each region has its own figures, as each agent of a fleet has.
            metrics: Metrics::new(env!("CARGO_PKG_VERSION")),
            plan: watch::channel(plan).1,
            placement: crate::engine::unplaced(),
            sink: seen.clone(),
        };
        tasks.spawn(engine.run(ended(end.clone())));
    }
    drop(seen);
    let plan = first.ok_or("the world has no region")?;
    let store = Store::open("sqlite::memory:").await.map_err(|error| error.to_string())?;
    let (view, views) = watch::channel(hub::View::default());
    let hub = hub::Hub {
        name: "demo".into(),
        plan: watch::channel(Arc::clone(&plan)).1,
        store,
        inbox,
        arrived: None,
        fleet: None,
        alone: None,
        view,
        metrics,
        http: notify::http_client(&net.trust)?,
        pace: hub::Pace::default(),
    };
    tasks.spawn(hub::run(hub, end));

    let stage = Stage {
        switches,
        plan,
        latest: BTreeMap::new(),
        slack: Vec::new(),
        verdicts: Vec::new(),
        links: format!(
            "switch faults with the keys below, or: curl -X PUT http://{}/faults/{}",
            addresses.switchboard,
            Fault::DatabaseErrors.key().1
        ),
        screen: options.screen,
    };
    let shown = stage.play(latest, sink, messages, views, stop).await;
    // Nobody listens any more when the tasks have ended already.
    let _ = ending.send(true);
    tasks.shutdown().await;
    shown.map_err(|error| format!("cannot write the output: {error}"))
}

async fn ended(mut end: watch::Receiver<bool>) {
    // An error means that the demo itself is gone: the same thing.
    let _ = end.wait_for(|ended| *ended).await;
}

/// The configuration of one region; the same parties and probes as the others, its own way to the servers.
fn plan(addresses: &servers::Addresses, region: &str, net: &Arc<Net>) -> Result<Arc<Plan>, String> {
    let url = |service, path: &str| format!("http://{}{path}", addresses.of(service, region));
    let text = include_str!("world.yaml")
        .replace("REGION", region)
        .replace("DATABASE_URL", &url(Service::Database, "/.json?shallow=true"))
        .replace("LIVE_URL", &url(Service::Database, "/?ns=firelike"))
        .replace("AUTH_URL", &url(Service::Auth, "/v1/accounts:signInWithPassword"))
        .replace("PARTNER_TOKEN_URL", &url(Service::PartnerToken, "/token"))
        .replace("PARTNER_URL", &url(Service::PartnerDevices, ""))
        .replace("API_SHALLOW_URL", &url(Service::Api, "/health/shallow"))
        .replace("API_DEEP_URL", &url(Service::Api, "/health/deep"))
        .replace("CONTROL_ONE_URL", &url(Service::ControlOne, "/"))
        .replace("CONTROL_TWO_URL", &url(Service::ControlTwo, "/"))
        .replace("SLACK_URL", &format!("http://{}/services/demo", addresses.slack));
    let loaded =
        config::read_text(&text, Path::new("world.yaml"), &|_| None, net, &config::VantageOverrides::default());
    Ok(loaded.map_err(|mistakes| mistakes.to_string())?.plan)
}

/// What is shown, and what it is made of.
struct Stage {
    switches: Arc<Switches>,
    plan: Arc<Plan>,
    latest: BTreeMap<(Arc<str>, Arc<str>), Observation>,
    slack: Vec<String>,
    verdicts: Vec<String>,
    links: String,
    screen: Option<Screen>,
}

impl Stage {
    async fn play(
        mut self,
        mut latest: mpsc::Receiver<Observation>,
        sink: mpsc::Sender<Observation>,
        mut messages: mpsc::Receiver<String>,
        mut views: watch::Receiver<hub::View>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut redraw = tokio::time::interval(Duration::from_millis(250));
        redraw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        self.say(&self.links.clone())?;
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some(observation) = latest.recv() => {
                    let key = (Arc::clone(&observation.probe), Arc::clone(&observation.region));
                    if observation.varied.is_none() {
                        self.latest.insert(key, observation.clone());
                    }
                    // The hub is gone only when the demo ends.
                    let _ = sink.send(observation).await;
                }
                Some(message) = messages.recv() => {
                    let stamp = chrono::Utc::now().format("%H:%M:%S");
                    self.say(&format!("slack: {}", message.replace('\n', "\n       ")))?;
                    self.slack.push(format!("{stamp}  {message}"));
                    let surplus = self.slack.len().saturating_sub(20);
                    self.slack.drain(..surplus);
                }
                Ok(()) = views.changed() => {
                    let verdicts = bad_first(&views.borrow_and_update());
                    if verdicts != self.verdicts {
                        for verdict in &verdicts {
                            self.say(&format!("verdict: {verdict}"))?;
                        }
                        self.verdicts = verdicts;
                    }
                }
                key = next_key(&mut self.screen) => {
                    if !self.press(key) {
                        return Ok(());
                    }
                }
                _ = redraw.tick() => self.draw()?,
            }
        }
    }

    /// Says whether to go on.
    fn press(&mut self, key: char) -> bool {
        match key {
            'q' | '\u{3}' | '\u{4}' => return false,
            '0' => self.switches.clear(),
            _ => {
                if let Some(fault) = Fault::ALL.into_iter().find(|fault| fault.key().0 == key) {
                    self.switches.toggle(fault);
                }
            }
        }
        true
    }

    /// A line for every change, where there is no screen to redraw.
    fn say(&self, line: &str) -> io::Result<()> {
        if self.screen.is_some() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{} {line}", chrono::Utc::now().format("%H:%M:%S"))?;
        out.flush()
    }

    fn draw(&self) -> io::Result<()> {
        let Some(screen) = &self.screen else { return Ok(()) };
        let rows: Vec<(Arc<str>, String)> =
            self.plan.probes.iter().map(|probe| (Arc::clone(&probe.name), probe.name.to_string())).collect();
        let scene = screen::Scene {
            latest: &self.latest,
            rows: &rows,
            verdicts: &self.verdicts,
            slack: &self.slack,
            switches: &self.switches,
            links: &self.links,
        };
        let text = screen::draw(&scene, screen.width, screen.paint);
        let mut out = io::stdout().lock();
        // Home, each line cleared to its end, then everything below: no flicker. Raw mode wants carriage returns.
        write!(out, "\u{1b}[H{}\u{1b}[J", text.replace('\n', "\u{1b}[K\r\n"))?;
        out.flush()
    }
}

async fn next_key(screen: &mut Option<Screen>) -> char {
    let pressed = match screen {
        Some(screen) => screen.keys.recv().await,
        None => None,
    };
    match pressed {
        Some(key) => key,
        None => std::future::pending().await,
    }
}

/// The sentences of what is wrong; when nothing is, one that says so.
fn bad_first(view: &hub::View) -> Vec<String> {
    let bad = |verdict: &Verdict| verdict.is_bad() && verdict.has_evidence();
    let sentences =
        view.verdicts.iter().zip(&view.sentences).filter(|(verdict, _)| bad(verdict)).map(|(_, s)| s.clone());
    let sentences: Vec<String> = sentences.collect();
    if sentences.is_empty() && view.verdicts.iter().any(Verdict::has_evidence) {
        return vec!["All is well.".to_owned()];
    }
    sentences
}
