//! The proof by breaking it: real processes in namespaces of their own over a real Postgres, faults at random, and afterwards a count:
//! nothing that was seen is lost or doubled, and each real outage was told once and no other. `make break TIME=10m SEED=7`.

mod cast;
mod ledger;
mod net;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::cast::{Cast, HUBS, REGIONS, is_up};
use crate::support::{receiver::Answer, say};

/// How long the provider is down, each time.
const OUTAGE: Duration = Duration::from_secs(24);
/// Everything is over so long after the last fault.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillAgent(usize),
    KillHub(usize),
    KillPostgres,
    PausePostgres,
    CutRegion(usize),
    IsolateRegion(usize),
    CutHub(usize),
    FillDisk(usize),
    StepClock(usize, i64),
    SlackDown,
}

/// A small generator, so that a seed gives the same faults everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % most
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_secs(from + self.below(to - from + 1))
    }

    /// While the provider is down nothing happens that would keep a region from telling so.
    fn light(&mut self) -> Fault {
        match self.below(3) {
            0 => Fault::KillAgent(self.place(6)),
            1 => Fault::KillHub(self.place(2)),
            _ => Fault::SlackDown,
        }
    }

    fn any(&mut self) -> Fault {
        match self.below(11) {
            0 => Fault::KillAgent(self.place(6)),
            1 => Fault::KillHub(self.place(2)),
            2 => Fault::KillPostgres,
            3 => Fault::PausePostgres,
            4 | 5 => Fault::CutRegion(self.place(3)),
            6 => Fault::IsolateRegion(self.place(3)),
            7 => Fault::CutHub(self.place(2)),
            8 => Fault::FillDisk(self.place(6)),
            9 => Fault::StepClock(self.place(3), if self.below(2) == 0 { 30 } else { -30 }),
            _ => Fault::SlackDown,
        }
    }
}

/// An outage that there was.
struct Outage {
    product: &'static str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl Cast {
    /// Breaks something for a while.
    fn suffer(&mut self, fault: Fault, dice: &mut Dice) {
        let agent = |number: usize| HUBS.len() + number;
        let lasting = dice.seconds(6, 20);
        let back_after = dice.seconds(1, 5);
        match fault {
            Fault::KillAgent(number) => self.actors[agent(number)].kill(back_after),
            Fault::KillHub(number) => self.actors[number].kill(back_after),
            Fault::KillPostgres => self.postgres.stop(),
            Fault::PausePostgres => self.postgres.pause(),
            Fault::CutRegion(region) => self.network.cut(REGIONS[region], &self.hubs),
            Fault::IsolateRegion(region) => {
                self.network.cut(REGIONS[region], &self.hubs);
                self.network.cut(REGIONS[region], &self.world);
            }
            Fault::CutHub(hub) => self.network.cut(HUBS[hub], &[self.server]),
            Fault::FillDisk(number) if self.has_disks => self.actors[agent(number)].fill_disk(),
            Fault::StepClock(region, seconds) if self.has_clocks => {
                self.actors[agent(region * 2)..][..2].iter().for_each(|actor| actor.set_clock(seconds));
            }
            Fault::SlackDown => self.slack.always(Some(Answer::status(503))),
            Fault::FillDisk(_) | Fault::StepClock(..) => return,
        }
        say(&format!("{} {fault:?} for {lasting:?}", Utc::now().format("%H:%M:%S")));
        self.pass(lasting);
        match fault {
            Fault::KillPostgres => self.postgres.go_on(),
            Fault::PausePostgres => self.postgres.wake(),
            Fault::CutRegion(region) => self.network.heal(REGIONS[region], &self.hubs),
            Fault::IsolateRegion(region) => {
                self.network.heal(REGIONS[region], &self.hubs);
                self.network.heal(REGIONS[region], &self.world);
            }
            Fault::CutHub(hub) => self.network.heal(HUBS[hub], &[self.server]),
            Fault::FillDisk(number) => self.actors[agent(number)].clear_disk(),
            Fault::StepClock(region, _) => {
                self.actors[agent(region * 2)..][..2].iter().for_each(|actor| actor.set_clock(0));
            }
            Fault::SlackDown => self.slack.always(None),
            Fault::KillAgent(_) | Fault::KillHub(_) => {}
        }
    }

    /// The provider is really down for a while, and small things go wrong at the same time.
    fn outage(&mut self, number: usize, dice: &mut Dice) -> Outage {
        let product = ["realtime-database", "auth"][number];
        // What was broken before is well again, and known to be.
        self.pass(Duration::from_secs(20));
        let from = Utc::now();
        say(&format!("{} {product} is down for {OUTAGE:?}", from.format("%H:%M:%S")));
        self.provider[number].switch(false);
        let until = Instant::now() + OUTAGE;
        self.pass(Duration::from_secs(2));
        let fault = dice.light();
        self.suffer(fault, dice);
        self.pass(until.saturating_duration_since(Instant::now()));
        self.provider[number].switch(true);
        let to = Utc::now();
        say(&format!("{} {product} is back", to.format("%H:%M:%S")));
        self.pass(Duration::from_secs(25));
        Outage { product, from, to }
    }

    fn incidents(&self) -> Vec<Value> {
        let rows =
            self.postgres.ask(&self.database, "select body from incident where state <> 'suspected' order by onset");
        rows.lines().filter_map(|row| serde_json::from_str(row).ok()).collect()
    }
}

/// What is slow and not down is a note that pages nobody: on a machine with other work to do it is even true.
fn is_told(incident: &Value) -> bool {
    incident["severity"] != "degraded"
}

fn is_theirs(incident: &Value) -> bool {
    incident["subject"]["party"] != "usoryou" && is_told(incident)
}

fn when(incident: &Value, field: &str) -> Option<DateTime<Utc>> {
    incident[field].as_str()?.parse().ok()
}

/// Breaks things for a while, and counts.
fn run(time: Duration, seed: u64) {
    let Some(mut cast) = Cast::start() else { return };
    let mut dice = Dice(seed);
    say(&format!(
        "{time:?} with seed {seed}: {} disks to fill, {} clocks to set",
        if cast.network.is_real() { "namespaces," } else { "relays on loopback for want of namespaces," },
        if cast.has_clocks { "with" } else { "without" },
    ));
    let began = Instant::now();
    while !cast.actors.iter().all(is_up) {
        assert!(began.elapsed() < Duration::from_secs(60), "not everybody is up");
        cast.pass(Duration::from_millis(500));
    }
    cast.pass(Duration::from_secs(10));
    let began = Instant::now();
    let mut outages: Vec<Outage> = Vec::new();
    let mut faults: BTreeMap<String, u32> = BTreeMap::new();
    while began.elapsed() < time || outages.len() < 2 {
        // In the first and in the second half.
        if began.elapsed() > time * (1 + 2 * u32::try_from(outages.len()).unwrap()) / 5 && outages.len() < 2 {
            let outage = cast.outage(outages.len(), &mut dice);
            outages.push(outage);
            continue;
        }
        let fault = dice.any();
        *faults.entry(format!("{fault:?}").split('(').next().unwrap().to_owned()).or_default() += 1;
        cast.suffer(fault, &mut dice);
        let rest = dice.seconds(3, 8);
        cast.pass(rest);
    }

    let healed = Instant::now();
    let open = |cast: &Cast| cast.incidents().iter().filter(|one| one["state"] != "closed" && is_told(one)).count();
    while open(&cast) > 0 && healed.elapsed() < SETTLED_WITHIN {
        cast.pass(Duration::from_secs(2));
    }
    cast.pass(Duration::from_secs(15));
    cast.end();
    settle(&cast, &outages, &faults);
}

/// Counts, prints, and finds fault.
fn settle(cast: &Cast, outages: &[Outage], faults: &BTreeMap<String, u32>) {
    let mut wrong: Vec<String> = Vec::new();
    let made = cast.ledger.made();
    let stored = cast.postgres.ask(&cast.database, "select id from observation");
    let stored: Vec<&str> = stored.lines().collect();
    let once: BTreeSet<&str> = stored.iter().copied().collect();
    let missing: Vec<&String> = made.iter().filter(|id| !once.contains(id.as_str())).collect();
    let (given_up, never_written) = cast.ledger.given_up();
    let waiting = cast.ledger.waiting();
    say(&format!(
        "observations: {} written to spools, {} in Postgres, {} of them twice, {} missing, {given_up} reported as dropped, \
         {waiting} still waiting; {never_written} more reported as never written",
        made.len(),
        stored.len(),
        stored.len() - once.len(),
        missing.len(),
    ));
    if stored.len() != once.len() {
        wrong.push(format!("{} observations are stored twice", stored.len() - once.len()));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    if missing.len() as f64 > given_up + waiting as f64 {
        wrong.push(format!("{} observations are lost, such as {:?}", missing.len(), missing.first()));
    }
    if made.len() < 100 {
        wrong.push(format!("only {} observations were made: this proves nothing", made.len()));
    }

    let messages = cast.slack.messages();
    let incident_of = |message: &crate::support::slack_api::Posted| {
        message.metadata["event_payload"]["incident"].as_str().unwrap_or_default().to_owned()
    };
    let incidents = cast.incidents();
    for incident in &incidents {
        let id = incident["id"].as_str().unwrap();
        let told: Vec<_> = messages.iter().filter(|message| incident_of(message) == id).collect();
        let span = |field| when(incident, field).map_or_else(|| "-".to_owned(), |at| at.format("%H:%M:%S").to_string());
        let last = told.first().map(|message| message.text.lines().next().unwrap_or_default().to_owned());
        say(&format!(
            "incident {id} {} {} to {}: {} messages: {}",
            incident["cause"].as_str().unwrap(),
            span("onset"),
            span("closed_at"),
            told.len(),
            last.clone().unwrap_or_default()
        ));
        if !is_told(incident) {
            continue;
        }
        if incident["state"] != "closed" {
            wrong.push(format!("{id} is still {}", incident["state"]));
        }
        if told.len() != usize::from(!incident["told"].as_array().is_none_or(Vec::is_empty)) {
            wrong.push(format!("{id} was told in {} messages", told.len()));
        }
        let ends = |text: &String| text.contains("Over: ") || text.contains("this goes on as incident");
        if told.iter().any(|message| !ends(&message.text)) {
            wrong.push(format!("{id} was never told to be over"));
        }
    }
    for message in
        messages.iter().filter(|message| !incidents.iter().any(|one| one["id"] == incident_of(message).as_str()))
    {
        wrong.push(format!("a message about no incident: {}", message.text));
    }
    for Outage { product, from, to } in outages {
        let of_it = |one: &&Value| {
            is_told(one)
                && one["subject"]["product"] == *product
                && when(one, "onset").is_some_and(|at| at >= *from - chrono::TimeDelta::seconds(4) && at <= *to)
        };
        let found: Vec<&Value> = incidents.iter().filter(of_it).collect();
        match found[..] {
            [one] if one["cause"] == "them" => {}
            [one] => wrong.push(format!("the outage of {product} is held to be the fault of {}", one["cause"])),
            _ => wrong.push(format!("the outage of {product} made {} incidents", found.len())),
        }
    }
    let real = incidents.iter().filter(|one| is_theirs(one)).count();
    if real > outages.len() {
        wrong.push(format!("{} incidents of others for {} outages", real, outages.len()));
    }
    let slow = incidents.iter().filter(|one| !is_told(one)).count();
    let ours = incidents.len() - real - slow;
    let starts: u32 = cast.actors.iter().map(|actor| actor.starts).sum();
    say(&format!("faults: {faults:?}, {starts} starts of {} processes", cast.actors.len()));
    say(&format!(
        "outages: {} real, {} incidents of others, {ours} of our own, {slow} notes that something is slow, {} messages",
        outages.len(),
        real,
        messages.len()
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
    say("nothing lost, nothing doubled, nothing invented");
}

fn wish<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name} makes no sense: {value}")))
}

#[test]
fn a_short_time_of_faults_loses_and_invents_nothing() {
    run(Duration::from_secs(60), 5);
}

#[test]
#[ignore = "as long as one likes: make break"]
fn a_long_time_of_faults_loses_and_invents_nothing() {
    let time = wish::<usoryou::protocol::Span>("TIME").map_or(Duration::from_secs(600), |span| span.0);
    let seed = wish("SEED").unwrap_or_else(|| u64::try_from(Utc::now().timestamp()).unwrap());
    run(time, seed);
}
