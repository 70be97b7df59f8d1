//! The system's files, read again when they change. A look at their stamps is due every few seconds at most, and costs
//! two system calls.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{Conf, Hosts, Settings};

const HOSTS: &str = "/etc/hosts";
const CONF: &str = "/etc/resolv.conf";

/// How long what was read is taken for current.
const FRESH: Duration = Duration::from_secs(3);

/// A file of this size is not what it should be; nobody's is a hundredth of it.
const LARGEST: u64 = 4 << 20;

/// The files and when they were looked at.
#[derive(Debug, Default)]
pub(super) struct System(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    looked: Instant,
    stamps: [Option<Stamp>; 2],
    settings: Arc<Settings>,
}

/// Tells one version of a file from another.
type Stamp = (Option<SystemTime>, u64);

impl System {
    /// What the files say now, or said a moment ago.
    pub(super) fn settings(&self) -> Arc<Settings> {
        // Whoever panicked here left a whole value behind.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_mut() {
            if seen.looked.elapsed() < FRESH {
                return Arc::clone(&seen.settings);
            }
            seen.looked = Instant::now();
            if seen.stamps == [stamp(HOSTS), stamp(CONF)] {
                return Arc::clone(&seen.settings);
            }
        }
        // The stamps are taken first: a change while we read is seen the next time.
        let stamps = [stamp(HOSTS), stamp(CONF)];
        let settings = Arc::new(Settings { hosts: Hosts::parse(&read(HOSTS)), conf: Conf::parse(&read(CONF)) });
        *seen = Some(Seen { looked: Instant::now(), stamps, settings: Arc::clone(&settings) });
        settings
    }
}

fn stamp(path: &str) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| (meta.modified().ok(), meta.len()))
}

/// The text of a file; a missing one is as good as an empty one.
fn read(path: &str) -> String {
    match fs::metadata(path) {
        Ok(meta) if meta.len() <= LARGEST => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        _ => return String::new(),
    }
    .unwrap_or_default()
}
