//! What the window believes and what it does not.

use super::*;
use crate::model::Observation;

fn now() -> Timestamp {
    "2026-11-22T10:30:00Z".parse().unwrap()
}

/// A line of a file with nothing but what is required.
fn seen(probe: &str, seconds: i64) -> Observation {
    let at = now() + chrono::Duration::seconds(seconds);
    serde_json::from_value(serde_json::json!({
        "probe": probe, "party": "p", "region": "r", "outcome": "up", "scheduled_at": at,
    }))
    .unwrap()
}

#[test]
fn what_cannot_be_believed_is_counted_and_ignored() {
    let mut window = Window::default();
    let mut absorb = |seconds| window.absorb(&Sighting::from(&seen("a", seconds)), now());
    assert_eq!(absorb(-20), Absorbed::Taken);
    assert_eq!(absorb(-20), Absorbed::Duplicate);
    assert_eq!(absorb(-30), Absorbed::OutOfOrder);
    assert_eq!(absorb(-10), Absorbed::Taken);
    assert_eq!(absorb(100), Absorbed::Taken, "clocks differ a little");
    assert_eq!(absorb(121), Absorbed::Absurd);
    assert_eq!(absorb(-1_201), Absorbed::Stale);
    assert_eq!(absorb(i64::from(i32::MAX) * 1_000), Absorbed::Absurd);
    assert_eq!(absorb(-i64::from(i32::MAX) * 1_000), Absorbed::Stale);
    assert_eq!(window.ignored(), 6);
}

#[test]
fn a_confirmation_is_no_round() {
    let mut window = Window::default();
    let confirmation = Observation { varied: Some(crate::model::Varied::Address), ..seen("a", 0) };
    assert_eq!(window.absorb(&Sighting::from(&confirmation), now()), Absorbed::Confirmation);
    assert_eq!(window.absorb(&Sighting::from(&seen("a", 0)), now()), Absorbed::Taken);
    assert_eq!(window.ignored(), 0);
}

#[test]
fn connections_and_vantage_points_are_cells_of_their_own() {
    let mut window = Window::default();
    let mut warm = seen("a", 0);
    warm.connection = Connection::Warm;
    let mut elsewhere = seen("a", 0);
    elsewhere.node = "n2".into();
    for one in [seen("a", 0), warm, elsewhere] {
        assert_eq!(window.absorb(&Sighting::from(&one), now()), Absorbed::Taken);
    }
    assert_eq!(window.cells.len(), 3);
}

#[test]
fn a_cell_is_bounded_and_goes_with_its_probe() {
    let mut window = Window::default();
    for second in -500..0 {
        window.absorb(&Sighting::from(&seen("a", second)), now());
        window.absorb(&Sighting::from(&seen("b", second)), now());
    }
    assert!(window.cells.values().all(|cell| cell.samples.len() == SAMPLES));
    let subject = crate::model::Subject { party: "p".into(), product: None };
    let probe = super::super::WorldProbe { subject, interval: Duration::from_secs(1), timeout: Duration::from_secs(1) };
    let world = super::super::World { probes: [(Arc::from("a"), probe)].into(), ..Default::default() };
    window.prune(&world, now());
    assert_eq!(window.cells.len(), 1);
    window.prune(&world, now() + Duration::from_mins(21));
    assert!(window.cells.is_empty());
}
