//! What pages, terminals and the API show of the hub: a picture that is replaced as a whole.

use std::collections::VecDeque;

use crate::model::{FeedState, Incident, IncidentState, Subject, Timestamp, Verdict};

/// Closed incidents that stay in sight.
const RECENT: usize = 50;

/// The hub at one moment.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct View {
    /// When it was taken; nothing before the first judgement.
    pub at: Option<Timestamp>,
    /// Whose fault it is, for every subject and every vantage point.
    pub verdicts: Vec<Verdict>,
    /// The same as sentences, in the same order.
    pub sentences: Vec<String>,
    /// Incidents that are not over, suspicions among them.
    pub incidents: Vec<Incident>,
    /// Incidents that are over, the newest first.
    pub recent: VecDeque<Incident>,
    /// What the parties' status pages say, of those that have any.
    pub feeds: Vec<FeedState>,
    /// How the store is.
    pub store: StoreHealth,
    /// Who leads; nothing where there is only this hub.
    pub lead: Option<Lead>,
}

/// Who leads, of several hubs over one store.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lead {
    /// Whether it is this hub.
    pub ours: bool,
    /// Which other one; nothing while none has said lately that it is there.
    pub leader: Option<String>,
}

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoreHealth {
    /// Why it cannot be written to, when it cannot.
    pub failing: Option<String>,
    /// Observations that wait in memory.
    pub waiting: usize,
    /// Observations given up since the start because it could not take them.
    pub lost: u64,
}

impl View {
    pub(super) fn remember(&mut self, stored: &[Incident]) {
        let mut closed: Vec<&Incident> = stored.iter().filter(|one| one.state == IncidentState::Closed).collect();
        closed.sort_by_key(|incident| incident.closed_at);
        self.recent.clear();
        for incident in closed {
            self.close(incident.clone());
        }
    }

    /// What people know of, or need not know: an incident that nobody was told of is news when it becomes worse.
    pub(super) fn told(&self) -> Vec<Subject> {
        let known = |incident: &&Incident| {
            incident.state != IncidentState::Suspected && (!incident.told.is_empty() || incident.muted)
        };
        self.incidents.iter().filter(known).map(|incident| incident.subject.clone()).collect()
    }

    pub(super) fn close(&mut self, incident: Incident) {
        // What was open again is over once more: how it was then is history.
        self.recent.retain(|one| one.id != incident.id);
        self.recent.push_front(incident);
        self.recent.truncate(RECENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(product: &str, state: &str, told: &[&str], muted: bool) -> Incident {
        let subject = Subject { party: "a".into(), product: Some(product.into()) };
        let verdict = Verdict::ok(subject, Timestamp::from_timestamp_nanos(0));
        serde_json::from_value(serde_json::json!({
            "id": product, "subject": verdict.subject, "state": state, "cause": "them", "onset": verdict.at,
            "opened_at": verdict.at, "recovered_at": null, "closed_at": null, "bad_rounds": 3, "good_rounds": 0, "round": 1,
            "verdict": verdict, "told": told, "muted": muted,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_over_a_second_time_is_shown_as_it_is_now() {
        let mut view = View::default();
        view.close(incident("again", "closed", &[], false));
        view.close(incident("other", "closed", &[], false));
        view.close(Incident { flaps: 1, ..incident("again", "closed", &[], false) });
        let shown: Vec<(&str, u32)> = view.recent.iter().map(|one| (&*one.id, one.flaps)).collect();
        assert_eq!(shown, [("again", 1), ("other", 0)]);
    }

    #[test]
    fn what_nobody_was_told_of_is_still_to_be_told() {
        let incidents = vec![
            incident("told", "open", &["team"], false),
            incident("recovers", "recovering", &["team"], false),
            incident("slow and not told", "open", &[], false),
            incident("planned", "open", &[], true),
            incident("suspected", "suspected", &[], false),
        ];
        let told = View { incidents, ..View::default() }.told();
        let told: Vec<&str> = told.iter().filter_map(|subject| subject.product.as_deref()).collect();
        assert_eq!(told, ["told", "recovers", "planned"]);
    }
}
