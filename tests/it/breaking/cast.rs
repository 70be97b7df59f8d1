//! Who plays: three regions of two agents each, two hubs over one Postgres, a provider with two products, a service of ours, two
//! controls, and Slack.

use std::{
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{ledger::Ledger, net::Network};
use crate::support::{
    peers::free_port, postgres::Postgres, program::write, say, slack_api::SlackApi, switched::Switched,
};

pub const REGIONS: [&str; 3] = ["eu", "us", "ap"];
pub const HUBS: [&str; 2] = ["hub1", "hub2"];
/// What the spool of an agent, and what is kept of it, may take.
const DISK: &str = "size=64m";

/// How long everybody takes to answer.
const PACE: Duration = Duration::from_millis(100);

/// A process that is started again when it has died.
pub struct Actor {
    pub name: String,
    pub place: &'static str,
    pub address: SocketAddr,
    pub folder: PathBuf,
    pub starts: u32,
    child: Option<Child>,
    due: Instant,
}

/// Everybody.
pub struct Cast {
    pub actors: Vec<Actor>,
    pub network: Network,
    pub postgres: Postgres,
    pub database: String,
    pub provider: [Switched; 2],
    pub slack: SlackApi,
    pub ledger: Ledger,
    pub hubs: Vec<SocketAddr>,
    /// What regions look at, and Slack.
    pub world: Vec<SocketAddr>,
    pub server: SocketAddr,
    pub has_disks: bool,
    pub has_clocks: bool,
    mounts: Vec<PathBuf>,
    _others: [Switched; 3],
    _folder: tempfile::TempDir,
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A library that gives processes another time.
fn faketime() -> Option<PathBuf> {
    let found =
        std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    let found = found.into_iter().find(|library| library.is_file());
    assert!(
        found.is_some() || std::env::var("USORYOU_PEERS").as_deref() != Ok("required"),
        "libfaketime is not installed"
    );
    found
}

impl Cast {
    /// Starts everybody; nothing where there is no Postgres.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(&[])?;
        let database = postgres.database();
        let places = [&REGIONS[..], &HUBS[..]].concat();
        let network = Network::build(&places);
        let (provider, others) = ([(); 2].map(|()| Switched::after(PACE)), [(); 3].map(|()| Switched::after(PACE)));
        let slack = SlackApi::start();
        let server = SocketAddr::from(([127, 0, 0, 1], postgres.port()));
        let hubs: Vec<SocketAddr> = HUBS.iter().map(|hub| (network.address(hub), free_port()).into()).collect();
        let slack_at: SocketAddr = slack.url.split('/').nth(2).unwrap().parse().unwrap();
        let mut world: Vec<SocketAddr> = provider.iter().chain(&others).map(|one| one.address).collect();
        world.push(slack_at);

        let mut actors = Vec::new();
        let mut mounts = Vec::new();
        let mut spools = Vec::new();
        let mut has_disks = true;
        for (place, address) in HUBS.into_iter().zip(&hubs) {
            let home = folder.path().join(place);
            std::fs::create_dir_all(&home).unwrap();
            let tokens = REGIONS.map(|region| {
                format!("    - {{ name: {region}, region: {region}, token_sha256: \"{}\" }}\n", sha256(&token(region)))
            });
            let hub = format!("hub:\n  agents:\n{}", tokens.concat());
            write(&home, "probes.yaml", &config(&network, place, &world, &slack, &hub));
            actors.push(Actor::new(place.to_owned(), place, *address, home));
        }
        for region in REGIONS {
            for node in ["n1", "n2"] {
                let name = format!("{region}-{node}");
                let disk = folder.path().join(&name).join("disk");
                std::fs::create_dir_all(&disk).unwrap();
                let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "none"]).arg(&disk).output();
                if mounted.is_ok_and(|mounted| mounted.status.success()) {
                    mounts.push(disk.clone());
                } else {
                    has_disks = false;
                }
                let urls: Vec<String> =
                    hubs.iter().map(|hub| format!("\"http://{}\"", network.way(region, *hub))).collect();
                let hub = format!(
                    "hub:\n  urls: [{}]\n  token: {}\n  solo_after: 15s\n  spool: {{ path: disk/spool }}\n",
                    urls.join(", "),
                    token(region)
                );
                let home = folder.path().join(&name);
                write(&home, "probes.yaml", &config(&network, region, &world, &slack, &hub));
                std::fs::write(home.join("clock"), "+0").unwrap();
                spools.push(disk.join("spool"));
                let address = (network.address(region), free_port()).into();
                actors.push(Actor::new(name, region, address, home));
            }
        }
        let has_clocks = faketime().is_some();
        let ledger = Ledger::watch(spools);
        let mut cast = Self {
            actors,
            network,
            postgres,
            database,
            provider,
            slack,
            ledger,
            hubs,
            world,
            server,
            has_disks,
            has_clocks,
            mounts,
            _others: others,
            _folder: folder,
        };
        cast.raise();
        Some(cast)
    }

    /// Starts whoever is dead and due.
    pub fn raise(&mut self) {
        let database = {
            let (user, name) = self.database.split_once('@').unwrap();
            let name = name.split_once('/').unwrap().1;
            HUBS.map(|hub| format!("{user}@{}/{name}?sslmode=disable", self.network.way(hub, self.server)))
        };
        for actor in &mut self.actors {
            let store = HUBS.iter().position(|hub| *hub == actor.place).map(|at| database[at].clone());
            actor.raise(&self.network, store);
        }
    }

    /// Lets time pass: the dead are raised, and agents are asked what they have given up.
    pub fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.raise();
            for actor in self.actors.iter().filter(|actor| actor.is_agent() && actor.child.is_some()) {
                self.ledger.ask(&actor.name, actor.starts, actor.address);
            }
            std::thread::sleep(Duration::from_millis(500).min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Ends everybody in order, agents first.
    pub fn end(&mut self) {
        for agents in [true, false] {
            let ending: Vec<&mut Actor> = self.actors.iter_mut().filter(|actor| actor.is_agent() == agents).collect();
            for actor in &ending {
                self.ledger.ask(&actor.name, actor.starts, actor.address);
                actor.signal("TERM");
            }
            for actor in ending {
                if let Some(mut child) = actor.child.take() {
                    let _ = child.wait();
                }
            }
        }
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        for actor in &mut self.actors {
            if let Some(mut child) = actor.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("usoryou-break-{}", std::process::id()));
            let _ = std::fs::create_dir_all(&kept);
            for actor in &self.actors {
                let _ = std::fs::copy(actor.folder.join("log"), kept.join(format!("{}.log", actor.name)));
            }
            say(&format!("the logs are in {}", kept.display()));
        }
        for mount in &self.mounts {
            let _ = Command::new("umount").arg("-l").arg(mount).output();
        }
    }
}

impl Actor {
    fn new(name: String, place: &'static str, address: SocketAddr, folder: PathBuf) -> Self {
        Self { name, place, address, folder, starts: 0, child: None, due: Instant::now() }
    }

    pub fn is_agent(&self) -> bool {
        REGIONS.contains(&self.place)
    }

    /// Dies as if its machine had, and is started again after a while.
    pub fn kill(&mut self, back_after: Duration) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.due = Instant::now() + back_after;
    }

    /// Sets its clock off by so many seconds.
    pub fn set_clock(&self, seconds: i64) {
        std::fs::write(self.folder.join("clock"), format!("{seconds:+}")).unwrap();
    }

    /// Leaves its disk no room.
    pub fn fill_disk(&self) {
        let mut file = std::fs::File::create(self.folder.join("disk/filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while std::io::Write::write(&mut file, &vec![0; size]).is_ok_and(|written| written > 0) {}
        }
    }

    /// Gives it room again.
    pub fn clear_disk(&self) {
        let _ = std::fs::remove_file(self.folder.join("disk/filler"));
    }

    fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").args(["-s", name, &child.id().to_string()]).output();
        }
    }

    fn raise(&mut self, network: &Network, store: Option<String>) {
        if let Some(child) = &mut self.child {
            match child.try_wait().unwrap() {
                None => return,
                Some(status) => {
                    say(&format!("{} has ended by itself: {status}", self.name));
                    self.due = Instant::now() + Duration::from_secs(1);
                    self.child = None;
                }
            }
        }
        if Instant::now() < self.due {
            return;
        }
        let mut command = network.at(self.place, env!("CARGO_BIN_EXE_usoryou"));
        let listen = self.address.to_string();
        match store {
            Some(store) => command.args(["hub", "--listen", &listen, "--store", &store]),
            None => {
                let node = self.name.split_once('-').unwrap().1;
                command.args(["run", "--listen", &listen, "--region", self.place, "--node", node])
            }
        };
        if let Some(library) = faketime().filter(|_| self.is_agent()) {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", self.folder.join("clock"));
            command.envs([("FAKETIME_CACHE_DURATION", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")]);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.starts += 1;
        self.child = Some(command.spawn().unwrap());
    }
}

fn token(region: &str) -> String {
    format!("token-of-{region}")
}

fn config(network: &Network, place: &str, world: &[SocketAddr], slack: &SlackApi, hub: &str) -> String {
    let at = |number: usize| network.way(place, world[number]);
    let path = slack.url.splitn(4, '/').nth(3).unwrap();
    let probe = |name: &str, party: &str, product: &str, number: usize| {
        let product = if product.is_empty() { String::new() } else { format!("product: {product}, ") };
        format!(
            "  - {{ name: {name}, party: {party}, {product}check: {{ http: {{ url: \"http://{}/\" }} }} }}\n",
            at(number)
        )
    };
    let probes = [
        probe("rtdb-1", "firebase", "realtime-database", 0),
        probe("rtdb-2", "firebase", "realtime-database", 0),
        probe("auth-1", "firebase", "auth", 1),
        probe("auth-2", "firebase", "auth", 1),
        probe("api", "api", "", 2),
        probe("net-1", "internet", "", 3),
        probe("net-2", "internet", "", 4),
    ];
    format!(
        "defaults: {{ interval: 2s, timeout: 1900ms, confirm: off }}\n\
         parties:\n  api: {{ kind: us, name: Our API }}\n  firebase: {{ kind: provider, name: Firebase }}\n  internet: {{ kind: control }}\n\
         probes:\n{}\
         alerts:\n  channels: {{ support: {{ slack: {{ bot_token: {}, channel: \"#support\", api_url: \"http://{}/{path}\" }} }} }}\n  \
         routes: [ {{ to: support }} ]\n{hub}",
        probes.concat(),
        SlackApi::TOKEN,
        at(5),
    )
}

/// The folder of an agent's spool exists once it has started.
pub fn is_up(actor: &Actor) -> bool {
    super::ledger::get(actor.address, "/healthz").is_some() && Path::new(&actor.folder).exists()
}
