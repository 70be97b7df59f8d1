//! The file in which a refresh token outlives the process: whoever refreshes holds its lock, reads it before and writes
//! it after, whole or not at all. Must not know how tokens are got.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::file::hash;
use crate::model::{Secret, Timestamp};

/// A file of ours is not larger.
const LARGEST: u64 = 256 * 1024;
/// Another process that refreshes is through by then.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(25);

/// The tokens as they lie in the file.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// Hash of the refresh token in the configuration that these descend from: another one there ends the line.
    seed: String,
    refresh_token: String,
    access_token: String,
    ends: Timestamp,
}

impl State {
    pub(super) fn of(seed: &Secret, refresh: &Secret, access: &Secret, ends: Timestamp) -> Self {
        let plain = |secret: &Secret| secret.reveal().to_owned();
        Self { seed: hash(seed.reveal()), refresh_token: plain(refresh), access_token: plain(access), ends }
    }

    pub(super) fn refresh(&self) -> Secret {
        Secret::new(self.refresh_token.as_str())
    }

    pub(super) fn access(&self) -> (Secret, Timestamp) {
        (Secret::new(self.access_token.as_str()), self.ends)
    }
}

/// The file, taken by this process.
pub(super) struct Taken {
    path: PathBuf,
    // Its lock ends with it.
    _lock: File,
}

impl Taken {
    /// Takes the file at a path, which need not be there yet; waits while another process has it. Blocks.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push("-lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name)?;
        let since = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(fs::TryLockError::WouldBlock) if since.elapsed() < PATIENCE => std::thread::sleep(STEP),
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process has it"));
                }
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// What the file holds, where it descends from this refresh token. A file that is none of ours holds nothing.
    pub(super) fn read(&self, seed: &Secret) -> io::Result<Option<State>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(LARGEST).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let state: Option<State> = serde_json::from_slice(&bytes).ok();
        Ok(state.filter(|state| state.seed == hash(seed.reveal())))
    }

    /// Replaces what the file holds; after a crash it holds the one or the other.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        name.push("-new");
        let beside = PathBuf::from(name);
        // One that a crash has left may belong to anybody.
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The name is on disk when its folder is.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_those_who_descend_from_the_same_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let (seed, ends) = (Secret::new("first"), chrono::Utc::now());
        let taken = Taken::take(&path).unwrap();
        assert!(taken.read(&seed).unwrap().is_none());
        for round in ["second", "third"] {
            taken.write(&State::of(&seed, &Secret::new(round), &Secret::new("access"), ends)).unwrap();
            assert_eq!(taken.read(&seed).unwrap().unwrap().refresh().reveal(), round);
        }
        assert!(taken.read(&Secret::new("new in the configuration")).unwrap().is_none());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!folder.path().join("state.json-new").exists());
    }

    #[test]
    fn whoever_comes_second_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let taken = Taken::take(&path).unwrap();
        let also = path.clone();
        let waiting = std::thread::spawn(move || {
            let since = Instant::now();
            Taken::take(&also).unwrap();
            since.elapsed()
        });
        std::thread::sleep(Duration::from_millis(120));
        drop(taken);
        assert!(waiting.join().unwrap() > Duration::from_millis(60));
    }

    #[test]
    fn half_a_file_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        fs::write(&path, "{\"seed\":").unwrap();
        assert!(Taken::take(&path).unwrap().read(&Secret::new("x")).unwrap().is_none());
    }
}
