//! How the demo looks: a table of what each region sees, the verdicts, what Slack was told, and the keys. Pure.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::faults::{Fault, REGIONS, Switches};
use crate::{
    cli::paint::{Paint, Tint},
    model::{Observation, Outcome},
};

/// Everything that is shown.
pub(super) struct Scene<'a> {
    pub(super) latest: &'a BTreeMap<(Arc<str>, Arc<str>), Observation>,
    /// Probe names with what they are called, in the order of the table.
    pub(super) rows: &'a [(Arc<str>, String)],
    pub(super) verdicts: &'a [String],
    pub(super) slack: &'a [String],
    pub(super) switches: &'a Switches,
    pub(super) links: &'a str,
}

/// Draws the scene for a terminal of a width.
pub(super) fn draw(scene: &Scene<'_>, width: usize, paint: Paint) -> String {
    let mut text = String::new();
    let name_width = scene.rows.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0) + 2;
    let cell_width = (width.saturating_sub(name_width) / REGIONS.len()).clamp(10, 28);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}   three regions, real sockets on loopback", paint.tint(Tint::Bold, "usoryou demo"));
    let _ = writeln!(text, "{}\n", scene.links);
    let _ = write!(text, "{:name_width$}", "");
    for region in REGIONS {
        let _ = write!(text, "{region:cell_width$}");
    }
    text.push('\n');
    for (probe, name) in scene.rows {
        let _ = write!(text, "{name:name_width$}");
        for region in REGIONS {
            let seen = scene.latest.get(&(Arc::clone(probe), Arc::from(region)));
            text.push_str(&cell(seen, cell_width, paint));
        }
        text.push('\n');
    }
    text.push('\n');
    for verdict in scene.verdicts {
        for line in wrap(verdict, width) {
            let _ = writeln!(text, "{}", paint.tint(Tint::Bold, &line));
        }
    }
    let _ = writeln!(text, "\nSlack");
    if scene.slack.is_empty() {
        text.push_str("  nothing said yet\n");
    }
    for message in scene.slack.iter().rev().take(3).rev() {
        let lines = message.lines().flat_map(|line| wrap(line, width.saturating_sub(4)));
        for (number, line) in lines.enumerate() {
            let _ = writeln!(text, "  {}{line}", if number == 0 { "▸ " } else { "  " });
        }
    }
    text.push_str("\nFaults\n");
    for fault in Fault::ALL {
        let (key, name) = fault.key();
        let on = if scene.switches.on(fault) { paint.tint(Tint::Red, "ON ") } else { "off".to_owned() };
        let _ = writeln!(text, "  [{key}] {on}  {name:19} {}", fault.words());
    }
    text.push_str("  [0] heal everything   [q] leave\n");
    text
}

fn cell(seen: Option<&Observation>, width: usize, paint: Paint) -> String {
    let Some(seen) = seen else { return format!("{:width$}", "…") };
    let (tint, mark) = match seen.outcome {
        Outcome::Up => (Tint::Green, "●"),
        Outcome::Degraded => (Tint::Yellow, "◐"),
        Outcome::Down => (Tint::Red, "✕"),
        Outcome::Inconclusive => (Tint::Magenta, "?"),
    };
    let words = match &seen.failure {
        None => format!("{mark} {} {:.0} ms", seen.outcome, seen.duration.as_secs_f64() * 1e3),
        Some(failure) => format!("{mark} {}", failure.kind.word().replace('_', " ")),
    };
    let short: String = words.chars().take(width - 1).collect();
    let padding = " ".repeat(width.saturating_sub(short.chars().count()));
    paint.tint(tint, &short) + &padding
}

/// Breaks a text between words; a word longer than the width stands on a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(wrap("It's them: all down", 9), ["It's", "them: all", "down"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
    }

    #[test]
    fn a_scene_names_every_region_cell_and_key() {
        let down: Observation = serde_json::from_str(
            r#"{"probe":"db","party":"firelike","region":"asia","outcome":"down","scheduled_at":"2026-11-22T10:32:00Z",
                "failure":{"phase":"tls","kind":"timed_out","detail":""}}"#,
        )
        .unwrap();
        let latest = BTreeMap::from([((Arc::from("db"), Arc::from("asia")), down)]);
        let switches = Switches::default();
        switches.set(Fault::PathBroken, true);
        let scene = Scene {
            latest: &latest,
            rows: &[(Arc::from("db"), "db".to_owned())],
            verdicts: &["It's the path from asia.".to_owned()],
            slack: &[],
            switches: &switches,
            links: "",
        };
        let text = draw(&scene, 100, Paint::choose(false));
        assert!(text.contains("db  …") && text.contains("✕ timed out"), "{text}");
        assert!(text.contains("It's the path from asia.") && text.contains("nothing said yet"), "{text}");
        assert!(text.contains("[4] ON ") && text.contains("[1] off"), "{text}");
    }
}
