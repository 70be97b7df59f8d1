//! The account: observations one after the other, each standing for the time since the one before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Figures, IncidentReport, PartyReport, ProductReport, Report,
    cell::Cell,
    percentile::Durations,
    span::{Span, seconds, together},
    stretch::{Stretch, stretches},
};
use crate::model::{Cause, Connection, Incident, IncidentState, Outcome, PartyKind, Sighting, Subject, Timestamp};

/// What the account goes by.
pub struct Terms<'a> {
    /// Beginning of the period.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Who a party is.
    pub who: &'a (dyn Fn(&str) -> Who + Sync),
    /// Whether a planned window covers a party at an instant.
    pub planned: &'a (dyn Fn(&str, Timestamp) -> bool + Sync),
    /// Whether a party is part of the report.
    pub wanted: &'a (dyn Fn(&str) -> bool + Sync),
}

/// Who a party is.
pub struct Who {
    /// Name for people.
    pub name: Arc<str>,
    /// Ourselves, a third party or a control.
    pub kind: PartyKind,
    /// Whether a status page of it is read.
    pub status_page: bool,
}

/// Adds up a period.
pub struct Account<'a> {
    terms: Terms<'a>,
    /// Incidents by subject, each with the span in which it failed.
    faults: BTreeMap<Subject, Vec<Fault>>,
    incidents: Vec<IncidentReport>,
    books: BTreeMap<Subject, Book>,
    cells: BTreeMap<Box<str>, Cell>,
    regions: BTreeSet<Arc<str>>,
    observations: u64,
}

/// What was added up of one subject.
#[derive(Default)]
struct Book {
    figures: Figures,
    durations: Durations,
}

/// A product and what was added up of it.
type BookOf = (Option<Arc<str>>, Book);
/// When something was wrong, and whose fault it was.
type Fault = (Span, Cause);

/// Between the parts of what a cell is called.
const APART: char = '\u{1f}';

impl<'a> Account<'a> {
    /// An account under terms, with every incident that touches the period.
    #[must_use]
    pub fn new(terms: Terms<'a>, incidents: &[Incident]) -> Self {
        let mut faults: BTreeMap<Subject, Vec<Fault>> = BTreeMap::new();
        let mut rows = Vec::new();
        let known = || incidents.iter().filter(|incident| incident.state != IncidentState::Suspected);
        // What went on as another incident is told of there; here it only says whose fault was what that one does not cover.
        let in_order = known().filter(|one| !one.went_on()).chain(known().filter(|one| one.went_on()));
        for incident in in_order {
            let stretches = stretches(incident);
            // What the party said is about the stretch in which it said so, or that came before.
            let said_in = incident.admitted_at.map(|at| stretches.iter().rposition(|one| one.begin <= at).unwrap_or(0));
            let last = stretches.len() - 1;
            for (place, Stretch { begin, end, cause }) in stretches.into_iter().enumerate() {
                let span = (begin, end.unwrap_or(terms.to));
                if span.0 >= terms.to || span.1 < terms.from {
                    continue;
                }
                faults.entry(incident.subject.clone()).or_default().push((span, cause));
                let told_of = (terms.wanted)(&incident.subject.party) && !incident.went_on();
                if !told_of || incident.subject.as_vantage().is_some() {
                    continue;
                }
                let admitted = incident.admitted_at.filter(|_| said_in == Some(place));
                rows.push(IncidentReport {
                    id: incident.id.clone(),
                    party: incident.subject.party.clone(),
                    product: incident.subject.product.clone(),
                    cause,
                    onset: begin,
                    ended: end,
                    lasted: seconds(span.0.max(terms.from), span.1.min(terms.to)),
                    // How it looked at last says nothing of what was over before.
                    regions: if place == last { incident.verdict.regions.clone() } else { vec![] },
                    planned: (terms.planned)(&incident.subject.party, begin),
                    admission_lag: admitted.map(|admitted| signed_seconds(begin, admitted)),
                });
            }
        }
        rows.sort_by_key(|row| row.onset);
        let (books, cells, regions) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { terms, faults, incidents: rows, books, cells, regions, observations: 0 }
    }

    /// Takes the next observation, in the order in which they were due.
    pub fn take(&mut self, seen: &Sighting<'_>) {
        let at = seen.scheduled_at;
        // What explains a round is no round of its own.
        let outside = at < self.terms.from || at >= self.terms.to;
        if seen.varied.is_some() || outside || !(self.terms.wanted)(seen.party) {
            return;
        }
        self.observations += 1;
        let stands_for = self.stands_for(seen);
        let subject = Subject { party: seen.party.into(), product: seen.product.map(Into::into) };
        let blame = self.blame(&subject, seen.region, at);
        let planned = (self.terms.planned)(seen.party, at);
        let book = self.books.entry(subject).or_default();
        let figures = &mut book.figures;
        if planned {
            figures.in_maintenance += stands_for;
            return;
        }
        if seen.outcome == Outcome::Inconclusive || blame == Some(Cause::Probe) {
            figures.not_judged += stands_for;
            return;
        }
        figures.rounds += 1;
        figures.watched += stands_for;
        if seen.outcome != Outcome::Down {
            book.durations.add(seen.duration);
            if seen.outcome == Outcome::Degraded {
                figures.degraded += stands_for;
            }
            return;
        }
        let kind = (self.terms.who)(seen.party).kind;
        *match blame {
            Some(cause) if is_own(cause, kind) => &mut figures.down_own,
            Some(Cause::Path) => &mut figures.down_path,
            _ => &mut figures.down_other,
        } += stands_for;
    }

    /// The report.
    #[must_use]
    pub fn close(self, made_at: Timestamp, data_from: Option<Timestamp>) -> Report {
        let Self { terms, incidents, books, observations, regions, .. } = self;
        let regions = regions.into_iter().collect();
        let mut parties: BTreeMap<Arc<str>, Vec<BookOf>> = BTreeMap::new();
        for (subject, book) in books {
            parties.entry(subject.party).or_default().push((subject.product, book));
        }
        // An incident of something that nothing is stored of any more.
        for row in &incidents {
            let products = parties.entry(row.party.clone()).or_default();
            if !products.iter().any(|(product, _)| *product == row.product) {
                products.push((row.product.clone(), Book::default()));
            }
        }
        let parties = parties.into_iter().map(|(party, mut books)| {
            let Who { name, kind, status_page } = (terms.who)(&party);
            books.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut whole = Book::default();
            let products = books.into_iter().map(|(product, book)| {
                whole.absorb(&book);
                let own = |row: &&IncidentReport| {
                    row.party == party && row.product == product && is_own(row.cause, kind) && !row.planned
                };
                let figures = book.close(&incidents.iter().filter(own).collect::<Vec<_>>(), &terms);
                ProductReport { product, figures }
            });
            let products = products.collect();
            let own = |row: &&IncidentReport| row.party == party && is_own(row.cause, kind) && !row.planned;
            let whole = whole.close(&incidents.iter().filter(own).collect::<Vec<_>>(), &terms);
            PartyReport { name, kind, status_page, whole, products, party }
        });
        let parties = parties.collect();
        Report { from: terms.from, to: terms.to, made_at, data_from, observations, regions, parties, incidents }
    }

    /// Seconds that an observation stands for: those since the last one of its cell, as far as they were watched.
    fn stands_for(&mut self, seen: &Sighting<'_>) -> f64 {
        let warm = seen.connection == Connection::Warm;
        let key = format!("{}{APART}{}{APART}{}{APART}{warm}", seen.probe, seen.region, seen.node);
        let Some(cell) = self.cells.get_mut(&*key) else {
            self.regions.insert(seen.region.into());
            self.cells.insert(key.into(), Cell::since(seen.scheduled_at));
            return 0.0;
        };
        cell.stands_for(seen.scheduled_at)
    }

    /// Whose fault a failure in a region was at an instant, by the incidents.
    fn blame(&self, subject: &Subject, region: &str, at: Timestamp) -> Option<Cause> {
        let during = |subject: &Subject| {
            let faults = self.faults.get(subject)?;
            faults.iter().find(|((begin, end), _)| (*begin..=*end).contains(&at)).map(|(_, cause)| *cause)
        };
        let vantage = during(&Subject::vantage(&region.into())).map(|_| Cause::Probe);
        let whole = || Subject { party: subject.party.clone(), product: None };
        vantage.or_else(|| during(subject)).or_else(|| during(&whole()))
    }
}

/// Whether a fault is what a party itself answers for.
#[must_use]
pub(super) const fn is_own(cause: Cause, kind: PartyKind) -> bool {
    match kind {
        PartyKind::Us => matches!(cause, Cause::Us),
        PartyKind::Provider | PartyKind::Control => matches!(cause, Cause::Them),
    }
}

fn signed_seconds(begin: Timestamp, end: Timestamp) -> f64 {
    if end >= begin { seconds(begin, end) } else { -seconds(end, begin) }
}

impl Book {
    fn absorb(&mut self, other: &Self) {
        let (figures, more) = (&mut self.figures, &other.figures);
        figures.watched += more.watched;
        figures.down_own += more.down_own;
        figures.down_path += more.down_path;
        figures.down_other += more.down_other;
        figures.degraded += more.degraded;
        figures.in_maintenance += more.in_maintenance;
        figures.not_judged += more.not_judged;
        figures.rounds += more.rounds;
        self.durations.absorb(&other.durations);
    }

    fn close(self, own: &[&IncidentReport], terms: &Terms<'_>) -> Figures {
        let Self { mut figures, durations } = self;
        let share = |down: f64| (figures.watched > 0.0).then(|| (1.0 - down / figures.watched).clamp(0.0, 1.0));
        figures.availability = share(figures.down_own);
        figures.raw_availability = share(figures.down_own + figures.down_path + figures.down_other);
        figures.incidents = own.len() as u64;
        figures.longest = own.iter().map(|row| row.lasted).fold(0.0, f64::max);
        let clipped = own.iter().map(|row| {
            let end = row.ended.unwrap_or(terms.to).min(terms.to);
            (row.onset.max(terms.from), end.max(row.onset))
        });
        figures.total = together(clipped.collect());
        let mut lags: Vec<f64> = own.iter().filter_map(|row| row.admission_lag).collect();
        lags.sort_by(f64::total_cmp);
        figures.admitted = lags.len() as u64;
        figures.admission_lag = lags.get(lags.len().saturating_sub(1) / 2).copied();
        (figures.p50, figures.p95, figures.p99) =
            (durations.percentile(0.5), durations.percentile(0.95), durations.percentile(0.99));
        figures
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
