//! The system's files, read again when they change. A look at their stamps is due every few seconds at most, and costs
//! two system calls.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{Conf, Hosts, Settings};

/// How long what was read is taken for current.
const FRESH: Duration = Duration::from_secs(3);

/// A file of this size is not what it should be; nobody's is a hundredth of it.
const LARGEST: u64 = 4 << 20;

/// The files and what was seen in them last.
#[derive(Debug)]
pub(super) struct System {
    hosts: PathBuf,
    conf: PathBuf,
    fresh: Duration,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    looked: Instant,
    stamps: [Option<Stamp>; 2],
    settings: Arc<Settings>,
}

/// Tells one version of a file from another.
type Stamp = (Option<SystemTime>, u64);

impl Default for System {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), conf: "/etc/resolv.conf".into(), fresh: FRESH, seen: Mutex::default() }
    }
}

impl System {
    /// What the files say now, or said a moment ago.
    pub(super) fn settings(&self) -> Arc<Settings> {
        // Whoever panicked here left a whole value behind.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_ref().filter(|seen| seen.looked.elapsed() < self.fresh) {
            return Arc::clone(&seen.settings);
        }
        // The stamps are taken before the files are read: a change in between is seen the next time.
        let stamps = [stamp(&self.hosts), stamp(&self.conf)];
        let settings = match seen.take() {
            Some(seen) if seen.stamps == stamps => seen.settings,
            _ => Arc::new(Settings { hosts: Hosts::parse(&read(&self.hosts)), conf: Conf::parse(&read(&self.conf)) }),
        };
        *seen = Some(Seen { looked: Instant::now(), stamps, settings: Arc::clone(&settings) });
        settings
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| (meta.modified().ok(), meta.len()))
}

/// The text of a file; a missing one is as good as an empty one.
fn read(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(meta) if meta.len() <= LARGEST => {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (hosts, conf) = (folder.path().join("hosts"), folder.path().join("resolv.conf"));
        fs::write(&hosts, "192.0.2.1 a.example\n").unwrap();
        let mut system = System { hosts: hosts.clone(), conf, fresh: Duration::ZERO, seen: Mutex::default() };
        let first = system.settings();
        assert_eq!((first.hosts.get("a.example").len(), first.conf.servers.len()), (1, 1));
        assert!(Arc::ptr_eq(&first, &system.settings()), "nothing has changed, nothing is read");

        fs::write(&hosts, "192.0.2.1 a.example\n192.0.2.2 a.example\n").unwrap();
        assert_eq!(system.settings().hosts.get("a.example").len(), 2);
        system.fresh = FRESH;
        fs::remove_file(&hosts).unwrap();
        assert_eq!(system.settings().hosts.get("a.example").len(), 2, "looked at a moment ago");
        system.fresh = Duration::ZERO;
        assert!(system.settings().hosts.get("a.example").is_empty());
    }
}
