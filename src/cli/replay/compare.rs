//! Two policies over the same trace: the pages that only one of them would have sent, and those of both.

use std::fmt::Write as _;

use chrono::TimeDelta;
use serde::Serialize;

use crate::{
    cli::paint::{Paint, Tint},
    model::Timestamp,
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
    subject: String,
    headline: String,
}

/// One row of the comparison.
#[derive(Serialize)]
struct Row<'a> {
    /// `here`, `there` or `both`.
    policy: &'static str,
    here: Option<Timestamp>,
    there: Option<Timestamp>,
    subject: &'a str,
    onset: Timestamp,
    headline: &'a str,
}

impl Compared {
    pub(super) fn here(&mut self, line: &Line) {
        self.here.extend(page(line));
    }

    pub(super) fn there(&mut self, line: &Line) {
        self.there.extend(page(line));
    }

    /// Every page of either, in the order of time.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut taken = vec![false; self.there.len()];
        let mut rows: Vec<Row<'_>> = Vec::new();
        for page in &self.here {
            let same = |(place, other): &(usize, &Page)| {
                !taken[*place] && other.subject == page.subject && (other.onset - page.onset).abs() <= SAME
            };
            let twin = self.there.iter().enumerate().find(same);
            let there = twin.map(|(place, other)| {
                taken[place] = true;
                other.at
            });
            let policy = if there.is_some() { "both" } else { "here" };
            rows.push(page.row(policy, Some(page.at), there));
        }
        let alone = self.there.iter().zip(&taken).filter(|(_, taken)| !**taken);
        rows.extend(alone.map(|(page, _)| page.row("there", None, Some(page.at))));
        rows.sort_by_key(|row| row.here.into_iter().chain(row.there).min());
        rows
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

fn page(line: &Line) -> Option<Page> {
    let product = line.product.as_ref().map(|product| format!(" {product}")).unwrap_or_default();
    line.page.then(|| Page {
        at: line.at,
        onset: line.onset.unwrap_or(line.at),
        subject: format!("{}{product}", line.party),
        headline: line.headline.clone().unwrap_or_default(),
    })
}

impl Page {
    fn row(&self, policy: &'static str, here: Option<Timestamp>, there: Option<Timestamp>) -> Row<'_> {
        Row { policy, here, there, subject: &self.subject, onset: self.onset, headline: &self.headline }
    }
}
