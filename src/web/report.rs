//! Reports: made from what a store holds, and as a page that prints well. The page stands alone: no script, no file from
//! elsewhere.

mod html;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::Plan,
    model::{PartyKind, Timestamp},
    replay::Parser,
    report::{Account, Report, Terms, Who},
    store::{Store, StoreError},
};

pub use html::html;

/// What a report is wanted of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// From this instant on …
    pub from: Timestamp,
    /// … until just before this one.
    pub to: Timestamp,
    /// Only of this party; of every provider when none is named.
    pub party: Option<Arc<str>>,
}

/// Planned windows are the same for a whole minute.
type Minutes = BTreeMap<Arc<str>, (i64, bool)>;

/// Makes a report. Without a plan every party is taken for a provider, and no window for a planned one.
///
/// # Errors
/// When the store cannot be read.
pub async fn report(store: &Store, plan: Option<&Plan>, period: &Period) -> Result<Report, StoreError> {
    let incidents = store.incidents(period.from).await?;
    let data_from = store.oldest().await?;
    let who = |party: &str| match plan.and_then(|plan| plan.parties.get(party)) {
        Some(known) => Who { name: known.name.clone(), kind: known.kind, status_page: !known.feeds.is_empty() },
        None => Who { name: party.into(), kind: PartyKind::Provider, status_page: false },
    };
    let minutes = std::sync::Mutex::new(Minutes::new());
    let planned = |party: &str, at: Timestamp| {
        let Some(plan) = plan.filter(|plan| !plan.maintenance.is_empty()) else { return false };
        let minute = at.timestamp().div_euclid(60);
        let mut minutes = minutes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, covered)) = minutes.get(party).filter(|(known, _)| *known == minute) {
            return *covered;
        }
        let covered = plan.maintenance.iter().any(|window| &*window.party == party && window.covers(at));
        minutes.insert(party.into(), (minute, covered));
        covered
    };
    let only = period.party.as_ref().map(|said| plan.and_then(|plan| plan.party_called(said)).unwrap_or(said));
    let wanted = |party: &str| match only {
        Some(only) => **only == *party,
        None => who(party).kind == PartyKind::Provider,
    };
    let terms = Terms { from: period.from, to: period.to, who: &who, planned: &planned, wanted: &wanted };
    let mut account = Account::new(terms, &incidents);
    let mut parser = Parser::default();
    // A line that cannot be read was written by somebody else; it is no reason to refuse the rest.
    let mut take = |line: &str| {
        if let Ok(parsed) = parser.parse(line.as_bytes()) {
            account.take(&parsed.sighting);
        }
    };
    store.each_line(period.from, period.to, &mut take).await?;
    Ok(account.close(chrono::Utc::now(), data_from))
}
