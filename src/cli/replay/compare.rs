//! Two policies over the same trace: the pages that only one of them would have sent, and those of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use chrono::TimeDelta;
use serde::Serialize;

use crate::{
    cli::paint::{Paint, Tint},
    model::{Cause, Timestamp, Transition},
    replay::Line,
};

/// Pages of one subject whose troubles began so close together are about the same one.
const SAME: TimeDelta = TimeDelta::minutes(10);

#[derive(Default)]
pub(super) struct Compared {
    here: Vec<Page>,
    there: Vec<Page>,
}

#[derive(Clone)]
struct Page {
    at: Timestamp,
    onset: Timestamp,
    /// What it is about: of many it is one message.
    subjects: Vec<String>,
    cause: Cause,
    transition: Transition,
    headline: String,
}

/// One row of the comparison.
#[derive(Serialize)]
struct Row<'a> {
    /// `here`, `there` or `both`.
    policy: &'static str,
    here: Option<Timestamp>,
    there: Option<Timestamp>,
    /// What it is about; of many the first.
    subject: &'a str,
    onset: Timestamp,
    headline: &'a str,
}

impl Compared {
    pub(super) fn here(&mut self, line: &Line) {
        add(&mut self.here, line);
    }

    pub(super) fn there(&mut self, line: &Line) {
        add(&mut self.there, line);
    }

    /// Every page of either, in the order of time.
    fn rows(&self) -> Vec<Row<'_>> {
        let twins = self.twins();
        let of_here = self.here.iter().enumerate().map(|(place, page)| {
            let there = twins.get(&place).and_then(|twin| self.there.get(*twin)).map(|twin| twin.at);
            page.row(if there.is_some() { "both" } else { "here" }, Some(page.at), there)
        });
        let taken: BTreeSet<usize> = twins.values().copied().collect();
        let alone = self.there.iter().enumerate().filter(|(place, _)| !taken.contains(place));
        let mut rows: Vec<Row<'_>> =
            of_here.chain(alone.map(|(_, page)| page.row("there", None, Some(page.at)))).collect();
        rows.sort_by_key(|row| row.here.into_iter().chain(row.there).min());
        rows
    }

    /// Which page here is which one there: of those that say the same of the same trouble, the likest and then the nearest
    /// in time first.
    fn twins(&self) -> BTreeMap<usize, usize> {
        let mut pairs: Vec<_> = Vec::new();
        for (here, page) in self.here.iter().enumerate() {
            let same = self.there.iter().enumerate().filter(|(_, other)| page.says_the_same(other));
            pairs.extend(
                same.map(|(there, other)| {
                    (page.transition != other.transition, (other.at - page.at).abs(), here, there)
                }),
            );
        }
        pairs.sort_unstable();
        let (mut twins, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for (_, _, here, there) in pairs {
            if !twins.contains_key(&here) && taken.insert(there) {
                twins.insert(here, there);
            }
        }
        twins
    }

    pub(super) fn jsonl(&self) -> String {
        self.rows().iter().filter_map(|row| serde_json::to_string(row).ok()).fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{row}");
            text
        })
    }

    pub(super) fn table(&self, paint: Paint) -> String {
        let rows = self.rows();
        let mut text = format!("{}\n", paint.tint(Tint::Bold, "page          here                 there"));
        let clock =
            |at: Option<Timestamp>| at.map_or("–".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string());
        for row in &rows {
            let name = match row.policy {
                "here" => paint.tint(Tint::Yellow, "only here   "),
                "there" => paint.tint(Tint::Magenta, "only there  "),
                _ => "both        ".to_owned(),
            };
            let _ = writeln!(text, "{name}  {:<19}  {:<19}  {}", clock(row.here), clock(row.there), row.headline);
        }
        let count = |policy| rows.iter().filter(|row| row.policy == policy).count();
        let (both, here, there) = (count("both"), count("here"), count("there"));
        let _ = writeln!(
            text,
            "{}Pages here: {}, there: {}; {both} in both, {here} only here, {there} only there. Times are UTC.",
            if rows.is_empty() { "" } else { "\n" },
            self.here.len(),
            self.there.len(),
        );
        text
    }
}

/// Takes a line that is a page. What was read at the same instant because of another incident is read once.
fn add(pages: &mut Vec<Page>, line: &Line) {
    let Some(page) = page(line) else { return };
    let mut now = pages.iter_mut().rev().take_while(|before| before.at == page.at);
    match now.find(|before| before.headline == page.headline) {
        Some(before) => before.subjects.extend(page.subjects),
        None => pages.push(page),
    }
}

fn page(line: &Line) -> Option<Page> {
    let product = line.product.as_ref().map(|product| format!(" {product}")).unwrap_or_default();
    line.page.then(|| Page {
        at: line.at,
        onset: line.onset.unwrap_or(line.at),
        subjects: vec![format!("{}{product}", line.party)],
        cause: line.cause,
        transition: line.transition,
        headline: line.headline.clone().unwrap_or_default(),
    })
}

impl Page {
    /// Whether it is about the same trouble and holds the same for its cause.
    fn says_the_same(&self, other: &Self) -> bool {
        let shares = self.subjects.iter().any(|subject| other.subjects.contains(subject));
        shares && self.cause == other.cause && (other.onset - self.onset).abs() <= SAME
    }

    fn row(&self, policy: &'static str, here: Option<Timestamp>, there: Option<Timestamp>) -> Row<'_> {
        let subject = self.subjects.first().map_or("", String::as_str);
        Row { policy, here, there, subject, onset: self.onset, headline: &self.headline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(second: i64, onset: i64, cause: Cause, transition: Transition) -> Page {
        let at = |second| Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap();
        Page {
            at: at(second),
            onset: at(onset),
            subjects: vec!["firebase".to_owned()],
            cause,
            transition,
            headline: cause.word().to_owned(),
        }
    }

    #[test]
    fn pages_that_say_the_same_are_twins_the_nearest_first() {
        use Transition::{Opened, Updated};
        let compared = Compared {
            here: vec![
                page(20, 0, Cause::Probe, Opened),
                page(100, 0, Cause::Them, Updated),
                page(300, 0, Cause::Them, Updated),
            ],
            there: vec![
                page(60, 0, Cause::Them, Opened),
                page(90, 0, Cause::Them, Updated),
                page(290, 0, Cause::Them, Updated),
            ],
        };
        // The opened page of a credential is no twin of that it is them, though it is the first one that is free.
        assert_eq!(compared.twins(), BTreeMap::from([(1, 1), (2, 2)]));
        let policies: Vec<_> = compared.rows().iter().map(|row| row.policy).collect();
        assert_eq!(policies, ["here", "there", "both", "both"]);
        // What one policy opens with is what another one turns to.
        let turned =
            Compared { here: vec![page(20, 0, Cause::Them, Opened)], there: vec![page(80, 0, Cause::Them, Updated)] };
        assert_eq!(turned.twins(), BTreeMap::from([(0, 0)]));
        // Another trouble is another one.
        let later =
            Compared { here: vec![page(20, 0, Cause::Them, Opened)], there: vec![page(920, 900, Cause::Them, Opened)] };
        assert!(later.twins().is_empty());
    }
}
