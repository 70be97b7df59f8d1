//! What regions that judged by themselves hand over, on its way from the store to whoever judges: where their messages are comes
//! first, so that nothing is told anew; a handover is done with when its incidents are in the store.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::Pace;
use crate::{
    model::Incident,
    store::{HandedOver, Store, StoreError},
};

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// An incident that ended longer ago is not looked for: it may be forgotten, and nothing comes of it any more.
const REACH: chrono::Days = chrono::Days::new(3);

/// Follows until `stop` turns true.
pub(super) async fn follow(
    store: Store,
    adopt: mpsc::Sender<Vec<Incident>>,
    pace: Pace,
    wanted: bool,
    mut stop: watch::Receiver<bool>,
) {
    if !wanted {
        return;
    }
    loop {
        if let Err(error) = look(&store, &adopt).await {
            tracing::debug!("{error}: what regions hand over waits");
        }
        if timeout(LOOK.min(pace.judge_every), stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

async fn look(store: &Store, adopt: &mpsc::Sender<Vec<Incident>>) -> Result<(), StoreError> {
    let now = chrono::Utc::now();
    let waiting: Vec<HandedOver> = store.handovers(now).await?.into_iter().filter(|one| !one.taken).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let kept: Vec<Arc<str>> = store.incidents(now - REACH).await?.into_iter().map(|incident| incident.id).collect();
    for HandedOver { id, region, handover, .. } in waiting {
        let is_past = |incident: &Incident| incident.closed_at.is_some_and(|closed| closed < now - REACH);
        if handover.incidents.iter().all(|incident| kept.contains(&incident.id) || is_past(incident)) {
            store.handover_taken(id, now).await?;
            tracing::info!(incidents = handover.incidents.len(), "region {region} no longer judges by itself");
            continue;
        }
        for told in &handover.told {
            store.told_by_another(told, now).await?;
        }
        let _ = adopt.send(handover.incidents).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Handover, Timestamp};

    fn incident(id: &str, onset: Timestamp, closed_at: Option<Timestamp>) -> Incident {
        let subject = serde_json::json!({"party": "firebase"});
        serde_json::from_value(serde_json::json!({
            "id": id, "subject": subject, "state": if closed_at.is_some() { "closed" } else { "open" }, "cause": "them",
            "severity": "critical", "onset": onset, "opened_at": onset, "closed_at": closed_at, "bad_rounds": 3,
            "good_rounds": 0, "round": 7, "verdict": {
                "subject": subject, "at": onset, "cause": "them", "regions": [], "regions_seen": 1, "confidence": 0.9,
                "round": 7,
            },
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn what_began_long_ago_and_goes_on_is_taken_over_and_what_ended_long_ago_is_not() {
        let now = chrono::Utc::now();
        let store = Store::open("sqlite::memory:").await.unwrap();
        let days = |days: u64| now - chrono::Days::new(days);
        for incidents in [vec![incident("over", days(9), Some(days(4)))], vec![incident("open", days(9), None)]] {
            let handover = Handover { incidents, ..Handover::default() };
            store.hand_over("eu", &handover, now).await.unwrap();
        }
        let (adopt, mut adopted) = mpsc::channel(4);
        look(&store, &adopt).await.unwrap();
        let ids = adopted.try_recv().map(|all| all.iter().map(|one| one.id.to_string()).collect::<Vec<_>>());
        assert_eq!(ids, Ok(vec!["open".to_owned()]));
        let taken: Vec<bool> = store.handovers(days(1)).await.unwrap().iter().map(|one| one.taken).collect();
        assert_eq!(taken, [true, false]);
    }
}
