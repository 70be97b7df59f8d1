//! Status feeds on their way to the hub: a task for each, and the newest readings where judging finds them without
//! waiting. What they say is used in [`super::said`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    config::Plan,
    feed::{self, Hurry, Reading, Source},
    incident::Incidents,
    model::{FeedState, Timestamp},
};

/// What each feed said when it was read last.
pub(super) type Readings = BTreeMap<Arc<Source>, Reading>;

/// Follows the feeds of the plan in force until `stop` turns true.
pub(super) async fn follow(
    mut plan: watch::Receiver<Arc<Plan>>,
    http: reqwest::Client,
    pace: feed::Pace,
    readings: watch::Sender<Readings>,
    hurry: watch::Receiver<Hurry>,
    mut stop: watch::Receiver<bool>,
) {
    let readings = Arc::new(readings);
    let mut following: BTreeMap<Arc<Source>, JoinHandle<()>> = BTreeMap::new();
    loop {
        let wanted = sources(&plan.borrow_and_update());
        following.retain(|source, task| {
            let keep = wanted.contains(source);
            if !keep {
                task.abort();
            }
            keep
        });
        readings.send_modify(|readings| readings.retain(|source, _| wanted.contains(source)));
        for source in wanted {
            following.entry(source.clone()).or_insert_with(|| {
                let readings = Arc::clone(&readings);
                let tell = {
                    let source = Arc::clone(&source);
                    move |reading| {
                        readings.send_modify(|readings| {
                            readings.insert(Arc::clone(&source), reading);
                        });
                    }
                };
                tokio::spawn(feed::follow(source, http.clone(), pace, hurry.clone(), tell))
            });
        }
        let planless = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            changed = plan.changed() => changed.is_err(),
        };
        if planless {
            let _ = stop.wait_for(|stop| *stop).await;
            break;
        }
    }
    following.values().for_each(JoinHandle::abort);
}

fn sources(plan: &Plan) -> BTreeSet<Arc<Source>> {
    plan.parties.values().flat_map(|party| &party.feeds).map(|feed| Arc::clone(&feed.source)).collect()
}

/// What has been read of the parties' status pages.
pub(super) struct Pages {
    readings: watch::Receiver<Readings>,
    hurry: watch::Sender<Hurry>,
}

impl Pages {
    pub(super) const fn new(readings: watch::Receiver<Readings>, hurry: watch::Sender<Hurry>) -> Self {
        Self { readings, hurry }
    }

    /// What the pages say now, party by party.
    pub(super) fn read(&self, plan: &Plan, now: Timestamp) -> Vec<FeedState> {
        let readings = self.readings.borrow();
        let of_party = plan.parties.iter().filter_map(|(key, party)| {
            let one =
                |feed: &feed::Feed| feed::admissions(key, &feed.names, &feed.source, readings.get(&feed.source), now);
            feed::together(party.feeds.iter().map(one))
        });
        of_party.collect()
    }

    /// Has the feeds of those with whom something is wrong read more often.
    pub(super) fn attend(&self, plan: &Plan, incidents: &Incidents) {
        let troubled: BTreeSet<&Arc<str>> = incidents.current().map(|incident| &incident.subject.party).collect();
        let feeds = plan.parties.iter().filter(|(key, _)| troubled.contains(key)).flat_map(|(_, party)| &party.feeds);
        let wanted: Hurry = feeds.map(|feed| Arc::clone(&feed.source)).collect();
        self.hurry.send_if_modified(|hurry| std::mem::replace(hurry, wanted.clone()) != wanted);
    }
}
