//! The shape of `session:` and which times make sense in it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    fault::Fault,
    plan::Session,
    rules::{self, Facts},
};
use crate::protocol::Span;

/// How long a connection is held, where nothing is said.
const HOLD: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// A connection that is held.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SessionFile {
    /// After this the connection is ended in order and opened anew, so that opening it is measured too (1h).
    hold: Option<Span>,
}

impl SessionFile {
    pub(super) fn hold(&self) -> Session {
        Session { hold: self.hold.map_or(HOLD, |hold| hold.0) }
    }
}

/// A connection is held for more than one round.
pub(super) fn holds_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    for probe in facts.probes() {
        let Some(session) = &probe.value.session else { continue };
        let at = facts.tree.place(facts.tree.descend(session.id, ["hold"]));
        let (interval, _) = rules::times(facts.file, &probe.value);
        let hold = session.value.hold().hold;
        if hold < interval {
            let fault = Fault::error(at, "a connection is held for at least one interval: on each it is asked once");
            faults.push(fault.help("a longer `hold`, or a shorter interval"));
        } else if hold > LONGEST {
            faults.push(Fault::error(at, "a connection is held for at most 30d"));
        }
    }
}
