//! A batch that is in the store is judged, whoever hangs up meanwhile.

use std::{pin::pin, task::Poll, time::Duration};

use super::*;

const PLAN: &str = "
parties: { firebase: { kind: provider } }
probes: [ { name: rtdb, party: firebase, check: { tcp: { address: \"127.0.0.1:1\" } } } ]
";

fn plan() -> watch::Receiver<Arc<Plan>> {
    let net = crate::net::Net::system(vec![]).unwrap();
    let read = crate::config::read_text(PLAN, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    watch::channel(read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan).1
}

fn batch(now: Timestamp) -> Vec<u8> {
    let vantage = crate::model::Vantage { region: "eu".into(), node: "n".into() };
    let round = crate::model::round_of(now, Duration::from_secs(30));
    let id = crate::model::observation_id("rtdb", &vantage, round, 0);
    let line = serde_json::json!({
        "id": id, "probe": "rtdb", "party": "firebase", "region": "eu", "node": "n", "protocol": "tcp", "round": round,
        "scheduled_at": now, "outcome": "up",
    });
    format!("{line}\n").into_bytes()
}

/// Gives a future up after it was asked so many times; says whether it has ended.
async fn asked(times: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), times);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_judged_though_the_agent_hangs_up() {
    let agent = Agent { name: "eu-1".into(), region: "eu".into(), tokens: vec![] };
    for times in 0..200 {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", directory.path().join("usoryou.db").display())).await.unwrap();
        let (plan, metrics) = (plan(), Metrics::new("0.1.0"));
        let now = chrono::Utc::now();
        let (_show, view) = watch::channel(View { at: Some(now), ..View::default() });
        let fleet = Fleet::new(store.clone(), plan.clone(), metrics.clone());
        let (intake, mut arrived) = Intake::new(store.clone(), plan, view, metrics, fleet);
        let contact = Contact::default();
        let ended = asked(times, intake.take(&agent, &contact, batch(now), false)).await;
        // What was begun goes on for a moment.
        tokio::time::sleep(Duration::from_millis(if ended { 0 } else { 50 })).await;
        let stored = store.observations(&crate::store::Wanted { limit: 10, ..Default::default() }).await.unwrap().len();
        let judged = arrived.try_recv().map_or(0, |batch| batch.len());
        assert_eq!(stored, judged, "given up after {times}");
        if ended {
            assert_eq!(stored, 1);
            return;
        }
    }
    panic!("a batch is never taken");
}
