//! What probes cannot do without is looked at for itself: by a probe of the file that does just that, or by one that is
//! added. Knows nothing of what it is that they stand on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Probe,
    build::{Workshop, hash},
};
use crate::{model::Subject, protocol::Need};

/// A look that was added ends after this, whatever those that stand on it have.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Workshop<'_> {
    /// Adds the probes that nobody wrote, and tells each need who looks at it.
    pub(super) fn see_to_needs(&mut self, probes: &mut Vec<Arc<Probe>>) {
        let mut seen_to: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for probe in probes.iter() {
            if let Some(need) = probe.check.is_needed() {
                let name = seen_to.entry(need.key).or_insert_with(|| Arc::clone(&probe.name));
                (need.watched_by)(name);
            }
        }
        for index in 0..probes.len() {
            let Some(probe) = probes.get(index).cloned() else { continue };
            let Some(need) = probe.check.needs() else { continue };
            if let Some(name) = seen_to.get(&need.key) {
                (need.watched_by)(name);
                continue;
            }
            let name = free_name(probes, &format!("{}-{}", probe.subject.party, need.product));
            (need.watched_by)(&name);
            seen_to.insert(need.key.clone(), Arc::clone(&name));
            // What can be built inside of a check can be built beside it.
            probes.extend(self.added(&probe, &name, need).map(Arc::new));
        }
    }

    fn added(&self, probe: &Probe, name: &Arc<str>, need: Need) -> Option<Probe> {
        let interval = need.interval.max(probe.interval);
        Some(Probe {
            name: Arc::clone(name),
            subject: Subject { party: Arc::clone(&probe.subject.party), product: Some(need.product.into()) },
            kind: probe.kind,
            interval,
            timeout: probe.timeout.min(TIMEOUT).min(interval),
            confirm: None,
            session: None,
            check: need.file.build(self.net).ok()?,
            vantages: probe.vantages,
            fingerprint: hash(format!("{} {interval:?} {}", need.key, probe.fingerprint).as_bytes()),
            file: need.file,
        })
    }
}

fn free_name(probes: &[Arc<Probe>], wanted: &str) -> Arc<str> {
    let taken = |name: &str| probes.iter().any(|probe| *probe.name == *name);
    // A name has at most 64 letters, and the party's may have as many.
    let wanted: String = wanted.chars().take(60).collect();
    let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
    std::iter::once(wanted.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(wanted).into()
}
