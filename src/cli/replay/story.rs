//! The story of a trace for people: when which incident opened, changed and was over, and who would have been woken.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use super::grouped;
use crate::{
    attribution::World,
    cli::paint::{Paint, Tint},
    model::{Timestamp, Transition},
    notify::words,
    replay::{Line, Tally},
};

pub(super) struct Story {
    paint: Paint,
    /// Also what nobody would have been told.
    all: bool,
    incidents: BTreeSet<Arc<str>>,
    open: BTreeSet<Arc<str>>,
    pages: u64,
    /// What people read at the last instant at which they read anything: of several incidents it may be one message.
    read: (Timestamp, BTreeSet<String>),
    day: Option<chrono::NaiveDate>,
}

impl Story {
    pub(super) const fn new(paint: Paint, all: bool) -> Self {
        Self {
            paint,
            all,
            incidents: BTreeSet::new(),
            open: BTreeSet::new(),
            pages: 0,
            read: (Timestamp::MIN_UTC, BTreeSet::new()),
            day: None,
        }
    }

    /// What is said of a change, if anything.
    pub(super) fn tell(&mut self, line: &Line, world: &World) -> String {
        let is_news = line.page && self.is_news(line);
        self.pages += u64::from(is_news);
        let (Some(id), Some(incident)) = (&line.incident, &line.whole) else {
            return if self.all { self.line(line.at, "", &quiet(line)) } else { String::new() };
        };
        match line.transition {
            Transition::Opened => {
                self.incidents.insert(id.clone());
                self.open.insert(id.clone());
                let said = words::opening(world, incident).headline;
                let note = incident.note.as_ref().filter(|_| !line.page).map(|note| format!(" ({note})"));
                // One message of many does not have its words.
                let many = line.headline.as_ref().filter(|headline| **headline != said);
                let mark = match (line.page, many) {
                    (false, _) => "note",
                    (true, None) => "PAGE",
                    (true, Some(_)) => "",
                };
                let own = self.line(line.at, mark, &format!("{said}{}", note.unwrap_or_default()));
                let told = many.filter(|_| is_news).map(|headline| self.line(line.at, "PAGE", headline));
                own + &told.unwrap_or_default()
            }
            Transition::Updated => {
                // It came back, or opened before the part that is shown.
                self.incidents.insert(id.clone());
                self.open.insert(id.clone());
                let mark = if line.page { "PAGE" } else { "" };
                let unsaid = || {
                    let was = line.was.map(|was| format!(" (was: {was})")).unwrap_or_default();
                    format!("{}{was}", words::opening(world, incident).headline)
                };
                // What many were told of in one message names them all.
                let told = line.headline.clone().filter(|_| incident.digest.is_none());
                self.line(line.at, mark, &told.unwrap_or_else(unsaid))
            }
            Transition::Closed => {
                self.open.remove(id);
                self.line(line.at, "over", &words::closing(world, incident).headline)
            }
            _ if is_news => self.line(line.at, "PAGE", line.headline.as_deref().unwrap_or_default()),
            _ if line.page => String::new(),
            _ if self.all => self.line(line.at, "", &quiet(line)),
            _ => String::new(),
        }
    }

    /// Whether people have not read it at that instant because of another incident.
    fn is_news(&mut self, line: &Line) -> bool {
        if self.read.0 != line.at {
            self.read = (line.at, BTreeSet::new());
        }
        self.read.1.insert(line.headline.clone().unwrap_or_default())
    }

    fn line(&mut self, at: Timestamp, mark: &str, said: &str) -> String {
        let mut text = String::new();
        if self.day != Some(at.date_naive()) {
            let title = format!("{}{} UTC", if self.day.is_some() { "\n" } else { "" }, at.format("%A %Y-%m-%d"));
            self.day = Some(at.date_naive());
            let _ = writeln!(text, "{}", self.paint.tint(Tint::Bold, &title));
        }
        let padded = format!("{mark:4}");
        let mark = match mark {
            "PAGE" => self.paint.tint(Tint::Red, &padded),
            "over" => self.paint.tint(Tint::Green, &padded),
            "note" => self.paint.tint(Tint::Yellow, &padded),
            _ => padded,
        };
        let _ = writeln!(text, "{}  {mark}  {said}", at.format("%H:%M:%S"));
        text
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "for people"
    )]
    pub(super) fn summary(&self, tally: &Tally, took: Duration) -> String {
        let mut text = String::new();
        if self.day.is_some() {
            text.push('\n');
        }
        let minute = |at: Timestamp| at.format("%Y-%m-%d %H:%M").to_string();
        let span = tally.span.map(|(first, last)| format!(" from {} to {} UTC", minute(first), minute(last)));
        let several = |count: u64, one: &str| format!("{} {one}{}", grouped(count), if count == 1 { "" } else { "s" });
        let open = if self.open.is_empty() { String::new() } else { format!(" ({} not over)", self.open.len()) };
        let speed = tally.observations as f64 / took.as_secs_f64().max(1e-6);
        let _ = writeln!(
            text,
            "{}{}: {}{open}, {}. Took {:.1} s ({} a second).",
            several(tally.observations, "observation"),
            span.unwrap_or_default(),
            several(self.incidents.len() as u64, "incident"),
            several(self.pages, "page"),
            took.as_secs_f64(),
            grouped(speed as u64),
        );
        text
    }
}

/// A change that nobody would have been told.
fn quiet(line: &Line) -> String {
    let product = line.product.as_ref().map(|product| format!(" {product}")).unwrap_or_default();
    let regions = if line.regions.is_empty() { String::new() } else { format!(" in {}", line.regions.join(", ")) };
    let degraded = if line.degraded { " degraded" } else { "" };
    let transition = match line.transition {
        Transition::None => String::new(),
        other => format!(" [{}]", other.word()),
    };
    format!("{}{product}: {}{degraded}{regions}{transition}", line.party, line.cause)
}
