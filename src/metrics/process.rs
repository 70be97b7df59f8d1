//! Our own process as the kernel sees it (proc(5)). What cannot be read is left out, never shown as zero.

use std::fs;

/// Ticks a second in what `/proc` tells to programs (`USER_HZ`): 100 on every architecture that we build for.
const TICKS: f64 = 100.0;

/// What stays the same while the process lives.
#[derive(Debug)]
pub(super) struct Process {
    start: Option<f64>,
}

/// One look at the process.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) virtual_bytes: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
    pub(super) start: Option<f64>,
}

impl Process {
    /// Reads the start time once: the kernel derives it from the wall clock, which may be set later.
    pub(super) fn find() -> Self {
        let since_boot = stat_field(22).map(|ticks| ticks / TICKS);
        let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| line_value(&text, "btime"));
        Self { start: boot.zip(since_boot).map(|(boot, since)| boot + since) }
    }

    /// Reads everything else now.
    #[expect(clippy::cast_precision_loss, reason = "a process has fewer than 2^52 open files")]
    pub(super) fn look(&self) -> Look {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Look {
            cpu_seconds: stat_field(14).zip(stat_field(15)).map(|(user, system)| (user + system) / TICKS),
            resident_bytes: line_value(&status, "VmRSS:").map(|kib| kib * 1024.0),
            virtual_bytes: line_value(&status, "VmSize:").map(|kib| kib * 1024.0),
            // The directory that is being read is open too.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64),
            max_fds: line_value(&limits, "Max open files"),
            start: self.start,
        }
    }
}

/// A field of `/proc/self/stat` by its number in proc(5).
fn stat_field(number: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, which may hold anything: count from behind it.
    let (_, after_name) = text.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// The first number behind a word that begins a line.
fn line_value(text: &str, word: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(word))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_something_sensible_about_ourselves() {
        let look = Process::find().look();
        let now = chrono::Utc::now().timestamp() as f64;
        assert!(look.start.is_some_and(|start| start > now - 86_400.0 && start <= now + 2.0), "{look:?}");
        assert!(look.resident_bytes.unwrap() > 1e5 && look.virtual_bytes >= look.resident_bytes, "{look:?}");
        assert!(look.open_fds.unwrap() >= 3.0 && look.max_fds > look.open_fds, "{look:?}");
        assert!(look.cpu_seconds.is_some_and(|cpu| (0.0..3600.0).contains(&cpu)), "{look:?}");
    }

    #[test]
    fn a_limit_without_a_number_is_left_out() {
        assert_eq!(
            line_value("Max open files            unlimited            unlimited  files", "Max open files"),
            None
        );
    }
}
