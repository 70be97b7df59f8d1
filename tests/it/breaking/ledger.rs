//! What agents made, and what they said they had to give up. A second name for every segment of a spool keeps what was ever
//! written there, whatever the agent does with the first.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// What is known of all agents.
pub struct Ledger {
    spools: Vec<PathBuf>,
    /// By agent and start of its process: observations given up that had been written down, and those that never were.
    given_up: Mutex<BTreeMap<(String, u32), (f64, f64)>>,
    over: Arc<AtomicBool>,
}

impl Ledger {
    /// Watches spools, each in a folder that has room for the second names.
    pub fn watch(spools: Vec<PathBuf>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (watched, ended) = (spools.clone(), Arc::clone(&over));
        for spool in &spools {
            std::fs::create_dir_all(kept(spool)).unwrap();
        }
        std::thread::spawn(move || {
            while !ended.load(SeqCst) {
                watched.iter().for_each(|spool| keep(spool));
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { spools, given_up: Mutex::default(), over }
    }

    /// Asks an agent what it has given up so far.
    pub fn ask(&self, agent: &str, start: u32, address: SocketAddr) {
        let Some(page) = get(address, "/metrics") else { return };
        let sum = |reasons: &[&str]| -> f64 {
            let line = |line: &&str| {
                line.starts_with("usoryou_uplink_observations_dropped_total")
                    && reasons.iter().any(|reason| line.contains(&format!("reason=\"{reason}\"")))
            };
            page.lines().filter(line).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        let now = (sum(&["size", "age", "refused"]), sum(&["disk", "torn", "too_large"]));
        let mut given_up = self.given_up.lock().unwrap();
        let known = given_up.entry((agent.to_owned(), start)).or_default();
        *known = (known.0.max(now.0), known.1.max(now.1));
    }

    /// Ids of everything that was ever written to a spool.
    pub fn made(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for spool in &self.spools {
            for file in std::fs::read_dir(kept(spool)).unwrap().flatten() {
                ids.extend(ids_in(&std::fs::read(file.path()).unwrap()));
            }
        }
        ids
    }

    /// Observations that were given up: after they had been written down, and before.
    pub fn given_up(&self) -> (f64, f64) {
        self.given_up.lock().unwrap().values().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Observations that still wait.
    pub fn waiting(&self) -> usize {
        let segments = |spool: &PathBuf| std::fs::read_dir(spool).into_iter().flatten().flatten();
        let of = |entry: std::fs::DirEntry| {
            let is_segment = entry.path().extension().is_some_and(|ending| ending == "spool");
            is_segment.then(|| std::fs::read(entry.path()).map_or(0, |bytes| ids_in(&bytes).len()))
        };
        self.spools.iter().flat_map(segments).filter_map(of).sum()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

fn kept(spool: &Path) -> PathBuf {
    spool.parent().unwrap().join("kept")
}

fn keep(spool: &Path) {
    for entry in std::fs::read_dir(spool).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "spool") {
            // Numbers are given again when a process begins with an empty spool.
            let Ok(file) = std::fs::metadata(&path) else { continue };
            let inode = std::os::unix::fs::MetadataExt::ino(&file);
            let _ = std::fs::hard_link(&path, kept(spool).join(format!("{inode}-{}", entry.file_name().display())));
        }
    }
}

/// The ids of the whole records of a segment: length, checksum, line.
fn ids_in(bytes: &[u8]) -> Vec<String> {
    let (mut ids, mut rest) = (Vec::new(), bytes);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((_, after)) = after.split_first_chunk::<4>() else { break };
        let Some(line) = after.get(..u32::from_le_bytes(*length) as usize) else { break };
        let Ok(one) = serde_json::from_slice::<serde_json::Value>(line) else { break };
        ids.extend(one["id"].as_str().map(str::to_owned));
        rest = &after[line.len()..];
    }
    ids
}

/// A page, if it comes soon.
pub fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
