//! How `usoryou check` looks on a terminal: a line that says what was looked at, a line of phase bars, an answer in one
//! word. Owns the layout; knows nothing of how the observations came about.

use std::{fmt::Write as _, time::Duration};

use crate::{
    cli::paint::{Paint, Tint},
    model::{Connection, Observation, Outcome, Phase, StepCame},
};

/// The longest bar, in characters; all bars of an observation together are about this long.
const BARS: f64 = 24.0;
/// Below this width the bars are left out and only the figures stay.
const WIDE_ENOUGH_FOR_BARS: usize = 90;

/// What is shown beside an observation.
pub(super) struct Shown<'a> {
    /// The observation.
    pub(super) observation: &'a Observation,
    /// What was looked at, without secrets.
    pub(super) target: &'a str,
    /// Name for people of the party, with its product; empty for a bare URL.
    pub(super) whose: &'a str,
}

/// Two lines (more on a narrow terminal) for one observation.
#[must_use]
pub(super) fn observation(shown: &Shown<'_>, width: usize, paint: Paint) -> String {
    let mut text = String::new();
    let seen = shown.observation;
    let mut title: Vec<&str> = Vec::new();
    if !shown.whose.is_empty() {
        title.push(shown.whose);
        title.push(&seen.probe);
    }
    title.push(shown.target);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", paint.tint(Tint::Bold, &clean(&title.join("   "))));

    let verdict = answer(seen);
    let total = format!("{}   {}", millis(seen.duration), paint.tint(tint_of(seen.outcome), &verdict.word));
    let total_width = millis(seen.duration).chars().count() + 3 + verdict.word.chars().count();
    let segments = segments(seen, width >= WIDE_ENOUGH_FOR_BARS);
    let mut line = String::from("  ");
    for segment in &segments {
        if line.chars().count() + segment.chars().count() + 3 > width && line.trim() != "" {
            let _ = writeln!(text, "{}", line.trim_end());
            line = String::from("  ");
        }
        line.push_str(segment);
        line.push_str("   ");
    }
    if line.chars().count() + total_width > width && line.trim() != "" {
        let _ = writeln!(text, "{}", line.trim_end());
        line = String::from("  ");
    }
    let _ = writeln!(text, "{line}{total}");
    if let Some(why) = verdict.why {
        let _ = writeln!(text, "  {}", clean(&why));
    }
    for step in &seen.steps {
        let tint = match step.came {
            StepCame::Up => Tint::Green,
            StepCame::Down => Tint::Red,
            StepCame::Blocked => Tint::Magenta,
        };
        let took =
            step.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map_or_else(String::new, millis);
        let _ = writeln!(
            text,
            "    {} {:>9}   {}",
            paint.tint(tint, &format!("{:8}", step.came.word())),
            took,
            clean(&step.name)
        );
    }
    text
}

/// A table of several observations of the same probe: how often it was up and how the times were spread.
#[must_use]
pub(super) fn summary(whose: &str, seen: &[&Observation], paint: Paint) -> String {
    let count = |outcome| seen.iter().filter(|o| o.outcome == outcome).count();
    let mut times: Vec<Duration> =
        seen.iter().filter(|o| o.outcome != Outcome::Inconclusive).map(|o| o.duration).collect();
    times.sort_unstable();
    let mut text = format!("{}: {} runs", paint.tint(Tint::Bold, &clean(whose)), seen.len());
    for outcome in Outcome::ALL {
        if count(outcome) > 0 {
            let _ = write!(text, ", {} {}", count(outcome), paint.tint(tint_of(outcome), outcome.word()));
        }
    }
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        // Nearest rank: with few runs an interpolated quantile would be a figure that nobody measured.
        let rank = |q: f64| times[((times.len() as f64 * q).ceil() as usize).clamp(1, times.len()) - 1];
        let _ = write!(
            text,
            "; min {}  median {}  p95 {}  max {}",
            millis(*first),
            millis(rank(0.5)),
            millis(rank(0.95)),
            millis(*last)
        );
    }
    text.push('\n');
    text
}

/// Milliseconds with as many digits as mean something: `0.21 ms`, `12.4 ms`, `1204 ms`.
#[must_use]
pub(super) fn millis(took: Duration) -> String {
    let millis = took.as_secs_f64() * 1e3;
    if millis < 1.0 {
        format!("{millis:.2} ms")
    } else if millis < 100.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

struct Answer {
    word: String,
    why: Option<String>,
}

fn answer(seen: &Observation) -> Answer {
    let status = seen.http_status.map(|status| format!(" {status}")).unwrap_or_default();
    let warm = if seen.connection == Connection::Warm { " (warm)" } else { "" };
    let word = seen.outcome.word().to_uppercase();
    match &seen.failure {
        None => Answer { word: format!("{word}{status}{warm}"), why: None },
        Some(failure) => Answer {
            word: format!("{word}{warm} {}: {}", failure.phase, failure.kind),
            why: (!failure.detail.is_empty()).then(|| failure.detail.clone()),
        },
    }
}

fn segments(seen: &Observation, bars: bool) -> Vec<String> {
    let total = seen.phases.total().as_secs_f64();
    seen.phases
        .iter()
        .map(|(phase, took)| {
            let share = if total > 0.0 { took.as_secs_f64() / total } else { 0.0 };
            let blocks = (share * BARS).round() as usize;
            let name = name_of(phase);
            if bars && blocks > 0 {
                format!("{name} {} {}", "▇".repeat(blocks), millis(took))
            } else {
                format!("{name} {}", millis(took))
            }
        })
        .collect()
}

fn name_of(phase: Phase) -> String {
    phase.word().replace('_', " ")
}

const fn tint_of(outcome: Outcome) -> Tint {
    match outcome {
        Outcome::Up => Tint::Green,
        Outcome::Degraded => Tint::Yellow,
        Outcome::Down => Tint::Red,
        Outcome::Inconclusive => Tint::Magenta,
    }
}

/// Servers choose some of these words: control characters must not reach the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, Kind};

    fn seen(outcome: Outcome) -> Observation {
        let line = r#"{"probe":"rtdb-rest","party":"firebase","product":"realtime-database","region":"eu",
            "outcome":"up","scheduled_at":"2026-11-22T10:32:00Z","duration":0.0741,"http_status":401,
            "phases":{"resolve":0.0012,"connect":0.0104,"tls":0.021,"first_byte":0.0413,"transfer":0.0002}}"#;
        Observation { outcome, ..serde_json::from_str(line).unwrap() }
    }

    fn shown(observation: &Observation) -> Shown<'_> {
        Shown {
            observation,
            target: "https://example-rtdb.firebaseio.com/.json",
            whose: "Firebase / realtime-database",
        }
    }

    #[test]
    fn a_wide_terminal_shows_bars_in_proportion() {
        let text = observation(&shown(&seen(Outcome::Up)), 160, Paint::choose(false));
        assert_eq!(
            text,
            "Firebase / realtime-database   rtdb-rest   https://example-rtdb.firebaseio.com/.json\n  \
             resolve 1.2 ms   connect ▇▇▇ 10.4 ms   tls ▇▇▇▇▇▇▇ 21.0 ms   first byte ▇▇▇▇▇▇▇▇▇▇▇▇▇ 41.3 ms   \
             transfer 0.20 ms   74.1 ms   UP 401\n"
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_and_has_no_bars() {
        let text = observation(&shown(&seen(Outcome::Up)), 40, Paint::choose(false));
        assert!(!text.contains('▇'));
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn a_failure_has_its_phase_kind_and_words_and_no_control_characters() {
        let mut bad = seen(Outcome::Down);
        bad.failure = Some(Failure::new(Phase::Tls, Kind::CertificateExpired, "3 days ago \u{1b}[31m"));
        let text = observation(&shown(&bad), 160, Paint::choose(false));
        assert!(text.contains("DOWN tls: certificate_expired\n  3 days ago \u{fffd}[31m\n"), "{text}");
    }

    #[test]
    fn steps_stand_below_in_their_order() {
        let mut one = seen(Outcome::Down);
        let step = |name: &str, came, seconds| crate::model::Step { name: name.into(), came, seconds };
        one.steps = vec![
            step("command", StepCame::Up, Some(0.0123)),
            step("poll", StepCame::Down, Some(3.0)),
            step("off", StepCame::Blocked, None),
        ];
        let text = observation(&shown(&one), 160, Paint::choose(false));
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            ["    up         12.3 ms   command", "    down       3000 ms   poll", "    blocked              off"]
        );
    }

    #[test]
    fn the_summary_quotes_times_that_were_measured() {
        let mut runs: Vec<Observation> = (1..=20).map(|_| seen(Outcome::Up)).collect();
        for (n, run) in runs.iter_mut().enumerate() {
            run.duration = Duration::from_millis(n as u64 + 1);
        }
        let all: Vec<&Observation> = runs.iter().collect();
        let text = summary("rtdb-rest", &all, Paint::choose(false));
        assert_eq!(text, "rtdb-rest: 20 runs, 20 up; min 1.0 ms  median 10.0 ms  p95 19.0 ms  max 20.0 ms\n");
    }
}
