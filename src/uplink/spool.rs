//! The spool: what was seen and not yet taken by a hub, on the local disk. A folder of segments, each of them a batch to
//! be sent; the last one grows. Bounded in bytes and age: what is too much is given up, the oldest first, and counted.
//! Blocks; must not know where anything is sent.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::record;

/// A segment that is larger is closed: a batch of some hundred observations. Smaller ones in a small spool, of which the
/// oldest goes as a whole.
const SEGMENT: u64 = 256 << 10;
/// What segments are called, after their number.
const ENDING: &str = "spool";

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the spool `{folder}`: {why}")]
pub struct CannotSpool {
    folder: String,
    why: String,
}

impl CannotSpool {
    pub(super) fn new(folder: &Path, why: impl ToString) -> Self {
        Self { folder: folder.display().to_string(), why: why.to_string() }
    }
}

/// Observations that were given up, by reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) size: u64,
    pub(super) age: u64,
    /// Records that were half written or spoilt; each place counts once, for what it held can no longer be told.
    pub(super) torn: u64,
    pub(super) too_large: u64,
}

/// What the spool holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) bytes: u64,
    pub(super) observations: u64,
    /// For how long the oldest segment has waited.
    pub(super) oldest: Duration,
}

/// Which batch is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// What was seen last.
    Newest,
    /// What has waited longest.
    Oldest,
}

/// Lines to be sent together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// JSONL.
    pub(super) lines: Vec<u8>,
    pub(super) observations: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    observations: u64,
    began: SystemTime,
    /// When the last was added.
    ended: SystemTime,
}

#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    max_bytes: u64,
    max_age: Duration,
    /// Oldest first; the last one may be growing.
    segments: VecDeque<Segment>,
    growing: Option<File>,
    next: u64,
    /// Keeps another process out; released when this one ends, however it ends.
    _lock: File,
}

impl Spool {
    /// Opens a folder, makes it when there is none, and mends what a crash has left half written.
    pub(super) fn open(folder: &Path, max_bytes: u64, max_age: Duration) -> Result<(Self, Loss), CannotSpool> {
        let cannot = |error: io::Error| CannotSpool::new(folder, error);
        fs::create_dir_all(folder).map_err(cannot)?;
        let lock = File::create(folder.join("lock")).map_err(cannot)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => CannotSpool::new(folder, "another process uses it"),
            fs::TryLockError::Error(error) => cannot(error),
        })?;
        let mut spool = Self {
            folder: folder.to_owned(),
            max_bytes,
            max_age,
            segments: VecDeque::new(),
            growing: None,
            next: 0,
            _lock: lock,
        };
        let mut loss = Loss::default();
        spool.recover(&mut loss).map_err(cannot)?;
        spool.trim(&mut loss);
        Ok((spool, loss))
    }

    /// Writes lines down; when this returns they survive the end of the process and of the machine.
    ///
    /// # Errors
    /// When the disk does not take them; then none of them is in the spool.
    pub(super) fn append(&mut self, lines: &[Vec<u8>]) -> io::Result<Loss> {
        let mut loss = Loss::default();
        let mut bytes = Vec::new();
        let mut observations = 0;
        for line in lines {
            if line.len() > record::LONGEST {
                loss.too_large += 1;
                continue;
            }
            record::write(line, &mut bytes);
            observations += 1;
        }
        if observations > 0 {
            let written = self.write(&bytes, observations);
            // A full disk: what is oldest makes room, once.
            let full = written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull);
            if full && self.segments.len() > 1 {
                loss.size += self.give_up_oldest();
                self.write(&bytes, observations)?;
            } else {
                written?;
            }
        }
        self.trim(&mut loss);
        Ok(loss)
    }

    /// The newest or the oldest batch; nothing when there is none. It stays in the spool until it is done with.
    pub(super) fn batch(&mut self, turn: Turn, loss: &mut Loss) -> Option<Batch> {
        loop {
            let segment = match turn {
                Turn::Newest => self.segments.back(),
                Turn::Oldest => self.segments.front(),
            }?;
            let number = segment.number;
            if self.segments.back().is_some_and(|last| last.number == number) {
                // It grows no more: what comes after it is another batch.
                self.growing = None;
            }
            let bytes = match fs::read(self.path(number)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                // What cannot be read now may be another time.
                Err(error) => {
                    tracing::warn!("cannot read the spool: {error}");
                    return None;
                }
            };
            let (records, whole) = record::read(&bytes);
            if whole < bytes.len() || records.is_empty() {
                loss.torn += 1;
            }
            if records.is_empty() {
                self.done(number);
                continue;
            }
            let observations = records.len() as u64;
            let mut lines = Vec::with_capacity(whole);
            for record in records {
                lines.extend_from_slice(record);
                lines.push(b'\n');
            }
            return Some(Batch { number, lines, observations });
        }
    }

    /// Forgets a batch.
    pub(super) fn done(&mut self, number: u64) {
        if let Some(place) = self.segments.iter().position(|segment| segment.number == number) {
            self.segments.remove(place);
        }
        // One that is not gone is sent once more after a restart, which is free.
        let _ = fs::remove_file(self.path(number));
    }

    /// Segments that wait.
    pub(super) fn batches(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn standing(&self) -> Standing {
        let oldest = self.segments.front().and_then(|segment| segment.began.elapsed().ok());
        Standing {
            bytes: self.bytes(),
            observations: self.segments.iter().map(|segment| segment.observations).sum(),
            oldest: oldest.unwrap_or_default(),
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}.{ENDING}"))
    }

    fn write(&mut self, bytes: &[u8], observations: u64) -> io::Result<()> {
        let now = SystemTime::now();
        if self.growing.is_none()
            || self.segments.back().is_none_or(|last| last.bytes >= SEGMENT.min(self.max_bytes / 16))
        {
            let number = self.next;
            // Even when this fails: a number is given once.
            self.next += 1;
            let file = OpenOptions::new().append(true).create_new(true).open(self.path(number))?;
            // Its name must survive, too.
            File::open(&self.folder)?.sync_all()?;
            self.growing = Some(file);
            self.segments.push_back(Segment { number, bytes: 0, observations: 0, began: now, ended: now });
        }
        let (Some(file), Some(segment)) = (&mut self.growing, self.segments.back_mut()) else { return Ok(()) };
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_data()) {
            // Half a record would hide what is written after it.
            if file.set_len(segment.bytes).is_err() {
                self.growing = None;
            }
            if segment.bytes == 0 {
                let number = segment.number;
                self.growing = None;
                self.done(number);
            }
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.observations += observations;
        segment.ended = now;
        Ok(())
    }

    /// Gives up what is too old or too much.
    fn trim(&mut self, loss: &mut Loss) {
        while let Some(oldest) = self.segments.front() {
            if oldest.ended.elapsed().is_ok_and(|age| age > self.max_age) {
                loss.age += self.give_up_oldest();
            } else if self.bytes() > self.max_bytes {
                loss.size += self.give_up_oldest();
            } else {
                return;
            }
        }
    }

    fn give_up_oldest(&mut self) -> u64 {
        let Some(oldest) = self.segments.front() else { return 0 };
        let (number, observations) = (oldest.number, oldest.observations);
        if self.segments.len() == 1 {
            self.growing = None;
        }
        self.done(number);
        observations
    }

    fn recover(&mut self, loss: &mut Loss) -> io::Result<()> {
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                numbers.extend(u64::from_str_radix(name, 16).ok());
            }
        }
        numbers.sort_unstable();
        for number in numbers {
            let path = self.path(number);
            self.next = self.next.max(number.saturating_add(1));
            let bytes = fs::read(&path)?;
            let (lines, whole) = record::read(&bytes);
            if whole < bytes.len() {
                loss.torn += 1;
                OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
            }
            if lines.is_empty() {
                fs::remove_file(&path)?;
                continue;
            }
            let written = fs::metadata(&path)?;
            let ended = written.modified()?;
            let began = written.created().unwrap_or(ended);
            let (bytes, observations) = (whole as u64, lines.len() as u64);
            self.segments.push_back(Segment { number, bytes, observations, began, ended });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
