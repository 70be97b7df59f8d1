//! The families of connections that are held.

use std::{fmt::Error, sync::Arc};

use super::{Page, probe_labels, whole};
use crate::metrics::{lock, probe::Series, session::Session};

pub(super) fn families(page: &mut Page<'_, '_>, probes: &[&Series]) -> Result<(), Error> {
    let held: Vec<(&Series, Arc<Session>)> =
        probes.iter().filter_map(|probe| Some((*probe, lock(&probe.session).clone()?))).collect();
    page.gauges(
        "session_up",
        "1 while the connection that a probe holds is open, 0 while it is not",
        held.iter().filter_map(|(probe, session)| Some((probe_labels(probe, []), session.up()?))),
    )?;
    page.gauges(
        "session_age_seconds",
        "For how long the connection that a probe holds has been open; absent while it is not",
        held.iter().filter_map(|(probe, session)| Some((probe_labels(probe, []), session.age()?))),
    )?;
    page.counters(
        "session_drops",
        "Times that a connection which a probe holds was ended, and not by us",
        held.iter().flat_map(|(probe, session)| {
            let drops = lock(&session.drops).clone();
            drops.into_iter().map(|(kind, count)| (probe_labels(probe, [("kind", kind.word())]), whole(count)))
        }),
    )?;
    page.histograms(
        "session_reconnect_seconds",
        "From the end of a connection that a probe holds until it was open again",
        held.iter().filter_map(|(probe, session)| {
            Some((probe_labels(probe, []), lock(&session.reconnects).as_deref()?.clone()))
        }),
    )
}
