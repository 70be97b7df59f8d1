//! What every store must do: the contract, as functions over a store, so that a second database runs the same.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use usoryou::{
    model::{
        Cause, Delivered, Doubt, Handover, Heard, Incident, IncidentState, Letter, LetterKind, Observation, Repeat,
        Severity, Silence, Subject, ToldAlone, Verdict,
    },
    store::{Claimed, Leader, Mark, Next, Place, Position, Store, StoreError, Wanted},
};

use crate::support::{hub::observation, postgres};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

/// One observation a second of two probes from two regions.
fn facts(seconds: i64) -> Vec<Observation> {
    let places = [("a", "eu-west"), ("a", "us-east"), ("b", "eu-west")];
    (0..seconds)
        .flat_map(|s| places.map(|(probe, region)| observation(probe, "party", region, at(s), s % 2 == 1)))
        .collect()
}

fn letter(channel: &str, incident: &str, change: &str) -> Letter {
    Letter {
        key: format!("{channel}/{incident}/{change}"),
        channel: channel.into(),
        incident: incident.into(),
        headline: format!("{incident} {change}"),
        lines: vec!["line".to_owned()],
        good_news: change == "closed",
        about: Vec::new(),
        at: at(0),
        ..Letter::default()
    }
}

fn incident(id: &str, state: IncidentState, onset: i64) -> Incident {
    let subject = Subject { party: "party".into(), product: None };
    let verdict = Verdict {
        subject: subject.clone(),
        at: at(onset),
        cause: Cause::Them,
        reason: None,
        degraded: false,
        in_part: true,
        regions: vec!["eu-west".into()],
        regions_seen: 1,
        failure: None,
        onset: Some(at(onset)),
        confidence: 0.9,
        alternatives: vec![],
        because_of: None,
        evidence: vec![],
        page_says: None,
        people_notice: None,
        weight: Some(3.0),
        round: 1,
    };
    Incident {
        id: id.into(),
        subject,
        state,
        cause: Cause::Them,
        onset: at(onset),
        sinces: vec![],
        since: None,
        opened_at: None,
        recovered_at: None,
        closed_at: (state == IncidentState::Closed).then(|| at(onset + 60)),
        bad_rounds: 1,
        good_rounds: 0,
        round: 1,
        verdict,
        told: vec![],
        muted: false,
        note: None,
        admitted_at: None,
        admission: None,
        severity: Severity::Critical,
        flaps: 0,
        turning: None,
        history: vec![],
        told_at: None,
        owed: None,
        digest: None,
    }
}

async fn silences_are_kept_and_ended(store: &Store) {
    let wish = |party: &str, until| Silence {
        id: "".into(),
        party: party.into(),
        product: None,
        cause: Some(Cause::Them),
        region: None,
        by: "anna".into(),
        why: "they know".into(),
        from: at(0),
        until: at(until),
    };
    let first = store.add_silence(wish("a", 100)).await.unwrap();
    let second = store.add_silence(wish("b", 200)).await.unwrap();
    assert_eq!((&*first.id, &*second.id), ("s-1", "s-2"));
    assert_eq!(*store.silences(), [first.clone(), second]);
    let ended = store.end_silence("s-1", at(50)).await.unwrap().unwrap();
    assert_eq!((ended.until, store.silences()[0].until), (at(50), at(50)));
    assert_eq!(store.end_silence("s-1", at(50)).await.unwrap(), None, "it is over");
    assert_eq!(store.end_silence("s-9", at(50)).await.unwrap(), None);
    assert_eq!(store.end_silence("'; drop", at(50)).await.unwrap(), None);
}

async fn claimed(store: &Store, channel: &str, second: i64) -> Claimed {
    match store.claim(channel, at(second)).await.unwrap() {
        Next::Letter(claimed) => *claimed,
        other => panic!("no letter but {other:?}"),
    }
}

fn later(why: &str) -> Delivered {
    Delivered::Later { why: why.to_owned(), wait: None }
}

async fn facts_are_kept_once_and_found(store: &Store) {
    let facts = facts(100);
    assert_eq!(store.append(&facts[..200]).await.unwrap(), 200);
    assert_eq!(store.append(&facts).await.unwrap(), 100, "what is sent again is free");
    assert_eq!(store.append(&[]).await.unwrap(), 0);
    assert_eq!(store.since(at(99)).await.unwrap(), &facts[297..]);
    let all = store.since(at(0)).await.unwrap();
    assert_eq!(all.len(), 300);
    assert!(all.is_sorted_by_key(|seen| seen.scheduled_at));
    let wanted = Wanted {
        probe: Some("a".into()),
        region: Some("eu-west".into()),
        from: Some(at(10)),
        until: Some(at(20)),
        limit: 4,
        ..Wanted::default()
    };
    let found = store.observations(&wanted).await.unwrap();
    assert_eq!(found.iter().map(|seen| seen.scheduled_at).collect::<Vec<_>>(), [at(19), at(18), at(17), at(16)]);
    let whole = pages(store, &Wanted { limit: 7, ..Wanted::default() }).await;
    assert_eq!(whole, all.iter().map(|seen| seen.id).collect::<Vec<_>>(), "three are due at once, seven are a page");
    let some = pages(store, &Wanted { limit: 2, ..wanted }).await;
    let expected = all.iter().filter(|seen| &*seen.region == "eu-west" && &*seen.probe == "a");
    let expected = expected.filter(|seen| (at(10)..at(20)).contains(&seen.scheduled_at)).map(|seen| seen.id);
    assert_eq!(some, expected.collect::<Vec<_>>());
    let mut foreign = facts[0].clone();
    foreign.id = uuid::Uuid::nil();
    foreign.probe = "foreign".into();
    assert_eq!(store.append(&[foreign.clone(), foreign]).await.unwrap(), 1, "a fact without an id gets one");
}

/// Whose lines there are, page by page.
async fn pages(store: &Store, wanted: &Wanted) -> Vec<uuid::Uuid> {
    let (mut ids, mut next) = (Vec::new(), Some(Place::START));
    while let Some(place) = next {
        let (lines, after) = store.lines(wanted, place).await.unwrap();
        let lines = lines.split_inclusive(|&byte| byte == b'\n');
        ids.extend(lines.map(|line| serde_json::from_slice::<Observation>(line).unwrap().id));
        next = after;
    }
    ids
}

async fn incidents_and_letters_are_written_together(store: &Store) {
    let open = incident("2026-11-01-party-1", IncidentState::Open, 100);
    let suspected = incident("2026-11-01-party-2", IncidentState::Suspected, 200);
    let opened = letter("one", &open.id, "opened");
    store.apply(&[open.clone(), suspected.clone()], &[], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(
        store.incidents(at(150)).await.unwrap(),
        [open.clone(), suspected.clone()],
        "what is not over is never too old"
    );
    store.apply(&[], &[suspected.id.clone(), open.id.clone()], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(store.incidents(at(0)).await.unwrap(), std::slice::from_ref(&open), "only suspicions are dropped");
    assert_eq!(store.letters(&open.id).await.unwrap().len(), 1, "a letter is posted once");
    let closed = incident(&open.id, IncidentState::Closed, 100);
    store.apply(std::slice::from_ref(&closed), &[], &[]).await.unwrap();
    assert_eq!(store.incidents(at(161)).await.unwrap(), [], "what began and ended before");
    assert_eq!(store.incidents(at(160)).await.unwrap(), std::slice::from_ref(&closed), "what ended only then");
    assert_eq!(store.incidents(at(100)).await.unwrap(), [closed]);
    let first = claimed(store, "one", 0).await;
    store.delivered(&first, &Delivered::Taken, at(0), at(0)).await.unwrap();
}

async fn letters_keep_their_order_and_their_pauses(store: &Store) {
    let letters = [letter("two", "i", "opened"), letter("two", "i", "closed"), letter("three", "i", "opened")];
    store.apply(&[], &[], &letters).await.unwrap();
    assert_eq!(store.unsent().await.unwrap().depth, 3);
    let first = claimed(store, "two", 0).await;
    assert_eq!((&first.letter, first.attempts), (&letters[0], 0));
    store.delivered(&first, &later("busy"), at(0), at(30)).await.unwrap();
    assert_eq!(store.claim("two", at(29)).await.unwrap(), Next::Wait(at(30)), "nobody overtakes");
    assert_eq!(claimed(store, "three", 29).await.letter, letters[2], "channels do not wait for each other");
    let again = claimed(store, "two", 30).await;
    assert_eq!((again.id, again.attempts), (first.id, 1));
    store.delivered(&again, &Delivered::Taken, at(30), at(30)).await.unwrap();
    let second = claimed(store, "two", 30).await;
    assert_eq!(second.letter, letters[1]);
    store.delivered(&second, &Delivered::Never { why: "gone".to_owned() }, at(30), at(30)).await.unwrap();
    assert_eq!(store.claim("two", at(30)).await.unwrap(), Next::Nothing);
    let states: Vec<String> = store.letters("i").await.unwrap().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["sent", "dead", "claimed"]);
    let third = claimed(store, "three", 30).await;
    // A clock that was set back by a day: the pause is not believed.
    store.delivered(&third, &later("busy"), at(86_400), at(86_430)).await.unwrap();
    let third = claimed(store, "three", 30).await;
    store.delivered(&third, &Delivered::Taken, at(30), at(30)).await.unwrap();
}

/// Whoever was out of reach for long is reminded once, of how it is then.
async fn old_reminders_are_not_sent(store: &Store) {
    let reminder = |incident: &str, number: u64| Letter {
        kind: LetterKind::Reminder,
        ..letter("slow", "i", &format!("reminder-{incident}-{number}"))
    };
    let take = async || {
        let claimed = claimed(store, "slow", 0).await;
        store.delivered(&claimed, &Delivered::Taken, at(0), at(0)).await.unwrap();
        claimed.letter.key
    };
    let opened = letter("slow", "i", "opened");
    store.apply(&[], &[], &[opened, reminder("i", 1), reminder("other", 1), reminder("i", 2)]).await.unwrap();
    store.apply(&[], &[], &[reminder("i", 2)]).await.unwrap();
    assert_eq!([take().await, take().await], ["slow/i/opened", "slow/i/reminder-other-1"]);
    // One that is on its way is not called back.
    let under_way = claimed(store, "slow", 0).await;
    assert_eq!(under_way.letter.key, "slow/i/reminder-i-2");
    store.apply(&[], &[], &[reminder("i", 3)]).await.unwrap();
    store.delivered(&under_way, &Delivered::Taken, at(0), at(0)).await.unwrap();
    let closed = Letter { kind: LetterKind::Closed, ..letter("slow", "i", "closed") };
    store.apply(&[], &[], &[reminder("other", 2), closed]).await.unwrap();
    assert_eq!(take().await, "slow/i/closed");
    assert_eq!(store.claim("slow", at(0)).await.unwrap(), Next::Nothing);
}

/// What a process leaves behind when it dies at each point, and what the next one makes of it.
async fn letters_survive_a_death_at_any_point(store: &Store) {
    async fn post(store: &Store, channel: &str) -> Claimed {
        store.apply(&[], &[], &[letter(channel, channel, "opened")]).await.unwrap();
        claimed(store, channel, 0).await
    }
    let before_handing_over = post(store, "before").await;
    let healthy = post(store, "healthy").await;
    store.handing_over(healthy.id).await.unwrap();
    let overdue = post(store, "overdue").await;
    store.handing_over(overdue.id).await.unwrap();
    store.overdue(overdue.id).await.unwrap();
    let failing = post(store, "failing").await;
    store.handing_over(failing.id).await.unwrap();
    store.delivered(&failing, &later("status 500"), at(0), at(0)).await.unwrap();
    let failing = claimed(store, "failing", 0).await;
    store.handing_over(failing.id).await.unwrap();

    let resumed = store.resume_letters(at(60), &|_| Repeat::Shown).await.unwrap();
    assert_eq!(resumed.taken, std::slice::from_ref(&healthy.letter));
    assert_eq!(resumed.again, [before_handing_over.letter, overdue.letter, failing.letter]);
    assert_eq!(store.claim("healthy", at(60)).await.unwrap(), Next::Nothing);
    for channel in ["before", "overdue", "failing"] {
        let again = claimed(store, channel, 60).await;
        store.delivered(&again, &Delivered::Taken, at(60), at(60)).await.unwrap();
    }
    assert_eq!(store.unsent().await.unwrap().depth, 0);
}

/// A channel that can be asked is asked; one that knows letters by their key gets them again.
async fn what_a_channel_can_do_decides_what_becomes_of_doubt(store: &Store) {
    let taken = letter("asked", "doubt", "opened");
    let letters = [&taken, &letter("asked-failing", "doubt", "opened"), &letter("knows", "doubt", "opened")];
    for letter in letters {
        store.apply(&[], &[], std::slice::from_ref(letter)).await.unwrap();
        let claimed = claimed(store, &letter.channel, 0).await;
        assert_eq!(claimed.doubt, None);
        store.handing_over(claimed.id).await.unwrap();
        if &*letter.channel == "asked-failing" {
            store.overdue(claimed.id).await.unwrap();
        }
    }
    let repeat = |channel: &str| if channel == "knows" { Repeat::Harmless } else { Repeat::Sought };
    let resumed = store.resume_letters(at(60), &repeat).await.unwrap();
    assert_eq!(resumed.sought, [letters[0].clone(), letters[1].clone()]);
    assert_eq!(resumed.again, [letters[2].clone()]);
    for (channel, doubt) in [("asked", Some(Doubt::Likely)), ("asked-failing", Some(Doubt::Unlikely)), ("knows", None)]
    {
        let again = claimed(store, channel, 60).await;
        assert_eq!(again.doubt, doubt, "{channel}");
        // Nothing was handed over this time: the doubt stays what it was.
        store.delivered(&again, &later("busy"), at(60), at(60)).await.unwrap();
        let again = claimed(store, channel, 60).await;
        assert_eq!(again.doubt, doubt, "{channel}");
        store.delivered(&again, &Delivered::Taken, at(60), at(60)).await.unwrap();
    }
    // An answer that was lost leaves a doubt, one that asks to wait leaves none.
    for (wait, doubt) in [(None, Some(Doubt::Unlikely)), (Some(Duration::from_secs(1)), None)] {
        store.apply(&[], &[], &[letter("asked", &format!("lost-{wait:?}"), "opened")]).await.unwrap();
        let first = claimed(store, "asked", 60).await;
        store.handing_over(first.id).await.unwrap();
        store.delivered(&first, &Delivered::Later { why: String::new(), wait }, at(60), at(60)).await.unwrap();
        let again = claimed(store, "asked", 60).await;
        assert_eq!(again.doubt, doubt);
        store.delivered(&again, &Delivered::Taken, at(60), at(60)).await.unwrap();
    }
}

async fn a_channel_knows_what_it_was_told_and_where_it_said_so(store: &Store) {
    let mut open = incident("2026-11-02-party-1", IncidentState::Open, 100);
    let other = incident("2026-11-02-party-2", IncidentState::Open, 100);
    let mut opened = letter("keeps", &open.id, "opened");
    opened.about = vec![open.clone(), other.clone()];
    store.apply(&[open.clone(), other.clone()], &[], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(store.standing("keeps", &open.id).await.unwrap(), usoryou::store::Standing::default());
    let mark = Mark { by: opened.key.clone(), place: "C1/1.5".to_owned() };
    store.mark("keeps", &open.id, &mark).await.unwrap();
    assert_eq!(store.standing("keeps", &open.id).await.unwrap().letter, None, "nothing is taken yet");
    store.delivered(&claimed(store, "keeps", 0).await, &Delivered::Taken, at(0), at(0)).await.unwrap();
    let standing = store.standing("keeps", &open.id).await.unwrap();
    assert_eq!((standing.letter.as_ref(), standing.mark.as_ref()), (Some(&opened), Some(&mark)));
    assert_eq!(store.newest_mark("keeps").await.unwrap().as_deref(), Some("C1/1.5"));
    assert_eq!(store.standing_letters("keeps").await.unwrap(), [opened]);
    // One of two is over: the other still stands, also after a word about the first alone.
    open.state = IncidentState::Closed;
    open.closed_at = Some(at(160));
    let mut closed = letter("keeps", &open.id, "closed");
    closed.about = vec![open.clone()];
    store.apply(&[open.clone()], &[], &[closed]).await.unwrap();
    store.delivered(&claimed(store, "keeps", 0).await, &Delivered::Taken, at(160), at(160)).await.unwrap();
    let standing = store.standing_letters("keeps").await.unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].about, std::slice::from_ref(&other));
    let closed = incident(&other.id, IncidentState::Closed, 100);
    store.apply(&[closed], &[], &[]).await.unwrap();
    assert_eq!(store.standing_letters("keeps").await.unwrap(), []);
}

async fn letters_go_another_way_once(store: &Store) {
    let instead = |letter: &Letter, _| letter.fallbacks.first().map(|next| letter.to(next));
    let post = async |incident: &Incident, change: &str| {
        let letter = Letter { fallbacks: vec!["second".into()], ..letter("first", &incident.id, change) };
        store.apply(std::slice::from_ref(incident), &[], std::slice::from_ref(&letter)).await.unwrap();
    };
    let take = async |channel: &str| {
        let claimed = claimed(store, channel, 300).await;
        store.delivered(&claimed, &Delivered::Taken, at(300), at(300)).await.unwrap();
        claimed
    };
    // Told to the second, which hears of the end without being asked; the first returns too late to be told anything.
    let mut incident = incident("2026-11-03-party-1", IncidentState::Open, 100);
    post(&incident, "opened").await;
    assert_eq!(store.failing_since("first").await.unwrap(), None);
    for second in [0, 60] {
        let failing = claimed(store, "first", second).await;
        store.delivered(&failing, &later("gone"), at(second), at(second)).await.unwrap();
    }
    assert_eq!(store.failing_since("first").await.unwrap(), Some(at(0)));
    let diverted = store.divert("first", at(60), &instead).await.unwrap();
    assert_eq!(diverted.iter().map(|letter| &*letter.key).collect::<Vec<_>>(), ["second/2026-11-03-party-1/opened"]);
    assert_eq!(store.divert("first", at(60), &instead).await.unwrap(), [], "once for each letter");
    take("second").await;
    incident.state = IncidentState::Closed;
    incident.closed_at = Some(at(200));
    post(&incident, "closed").await;
    assert_eq!(take("second").await.letter.key, "second/2026-11-03-party-1/closed");
    assert_eq!(store.divert("first", at(260), &instead).await.unwrap().len(), 1, "it goes there once, by its key");
    assert_eq!(store.claim("second", at(300)).await.unwrap(), Next::Nothing);
    assert_eq!(store.claim("first", at(300)).await.unwrap(), Next::Nothing, "it is over, and was told elsewhere");
    // The same, but the first is back while it is still open: it hears of it, and of the end.
    let open = self::incident("2026-11-03-party-2", IncidentState::Open, 100);
    post(&open, "opened").await;
    store.divert("first", at(300), &instead).await.unwrap();
    take("second").await;
    let late = take("first").await;
    assert_eq!((&*late.letter.key, late.elsewhere.as_deref()), ("first/2026-11-03-party-2/opened", Some("second")));
    post(&self::incident(&open.id, IncidentState::Closed, 100), "closed").await;
    take("first").await;
    take("second").await;
    assert_eq!(store.unsent().await.unwrap().depth, 0);
    // Given up at once: that is diverted as well.
    post(&self::incident("2026-11-03-party-3", IncidentState::Open, 100), "opened").await;
    let refused = claimed(store, "first", 300).await;
    store.delivered(&refused, &Delivered::Never { why: "gone".to_owned() }, at(300), at(300)).await.unwrap();
    assert_eq!(store.divert("first", at(300), &instead).await.unwrap().len(), 1);
    take("second").await;
}

/// Days from the first one; Postgres cuts whole days.
const DAY: i64 = 86_400;

async fn history_is_cut_by_age_and_by_size(store: &Store) {
    let old = incident("2026-10-01-party-1", IncidentState::Open, -900);
    let unsent = letter("four", &old.id, "opened");
    store.apply(&[old], &[], std::slice::from_ref(&unsent)).await.unwrap();
    let begin = DateTime::from_timestamp(at(0).timestamp().div_euclid(DAY) * DAY, 0).unwrap();
    let day = |days: i64| begin + chrono::TimeDelta::days(days);
    let later = |days: i64| {
        let shift = day(days) - at(0);
        facts(1_000).into_iter().map(move |mut one| {
            one.scheduled_at += shift;
            one.id = uuid::Uuid::nil();
            one
        })
    };
    for days in 1..=6 {
        // What keeps the history sees to it that there is a place for the next days.
        store.trim(Duration::from_secs(90 * 86_400), u64::MAX, day(days)).await.unwrap();
        store.append(&later(days).collect::<Vec<_>>()).await.unwrap();
    }
    let age = Duration::from_secs(5 * 86_400);
    store.trim(age, u64::MAX, day(7)).await.unwrap();
    assert_eq!(store.oldest().await.unwrap(), Some(day(2)));
    let size = store.size().await.unwrap();
    let deleted = store.trim(age, size / 2, day(7)).await.unwrap();
    assert!(deleted > 0);
    assert!(store.size().await.unwrap() <= size / 2);
    let left = store.since(at(-9_999)).await.unwrap();
    assert_eq!(left.last().unwrap().scheduled_at, day(6) + chrono::TimeDelta::seconds(999), "the newest stay");
    store.trim(Duration::ZERO, 0, day(8)).await.unwrap();
    assert_eq!(store.since(at(-9_999)).await.unwrap(), []);
    assert!(store.incidents(at(-9_999)).await.unwrap().iter().any(|one| &*one.id == "2026-10-01-party-1"));
    assert_eq!(claimed(store, "four", 9_999).await.letter, unsent, "an unsent letter is never cut");
}

/// An agent of the region `eu`.
fn heard(node: &str, second: i64) -> Heard {
    Heard {
        agent: "eu".into(),
        region: "eu".into(),
        node: node.into(),
        at: at(second),
        build: "0.1.0".into(),
        config: "sha256:0".into(),
        clock_offset: Some(0.25),
        round_trip: None,
        solo_at: None,
    }
}

async fn agents_are_known_to_every_hub(store: &Store) {
    store.heard(&[heard("n1", 10), heard("n2", 20)]).await.unwrap();
    // What another hub has heard later stands.
    store.heard(&[Heard { build: "0.0.9".into(), ..heard("n1", 30) }]).await.unwrap();
    store.heard(&[heard("n1", 25)]).await.unwrap();
    let known = store.agents(at(0)).await.unwrap();
    assert_eq!(known, [Heard { build: "0.0.9".into(), ..heard("n1", 30) }, heard("n2", 20)]);
    assert_eq!(store.agents(at(21)).await.unwrap().len(), 1);
    store.forget_agents(at(21)).await.unwrap();
    assert_eq!(store.agents(at(0)).await.unwrap().len(), 1);
}

async fn what_a_region_hands_over_is_kept_until_it_is_taken(store: &Store) {
    let told = ToldAlone {
        channel: "support".into(),
        incident: "2026-11-22-p-eu-1".into(),
        letter: Some(letter("support", "2026-11-22-p-eu-1", "opened")),
        mark: Some(("support/opened".to_owned(), "C1/1.0".to_owned())),
    };
    let incidents = vec![incident("2026-11-22-p-eu-1", IncidentState::Open, 5)];
    let handover = Handover { incidents, told: vec![told.clone()] };
    store.hand_over("eu", &handover, at(10)).await.unwrap();
    let waiting = store.handovers(at(100)).await.unwrap();
    assert_eq!((waiting.len(), &*waiting[0].region, waiting[0].taken), (1, "eu", false));
    assert_eq!(waiting[0].handover, handover);
    store.handover_taken(waiting[0].id, at(11)).await.unwrap();
    assert!(store.handovers(at(100)).await.unwrap().is_empty());
    assert!(store.handovers(at(10)).await.unwrap()[0].taken);
    store.told_by_another(&told, at(12)).await.unwrap();
    let standing = store.standing("support", "2026-11-22-p-eu-1").await.unwrap();
    assert_eq!((standing.letter, standing.mark.unwrap().place), (told.letter.clone(), "C1/1.0".to_owned()));
    // What is known here is known better.
    let mark = Mark { by: "support/closed".to_owned(), place: "C1/2.0".to_owned() };
    store.mark("support", "2026-11-22-p-eu-1", &mark).await.unwrap();
    store.told_by_another(&told, at(13)).await.unwrap();
    assert_eq!(store.standing("support", "2026-11-22-p-eu-1").await.unwrap().mark, Some(mark));
}

async fn contract(store: &Store) {
    facts_are_kept_once_and_found(store).await;
    incidents_and_letters_are_written_together(store).await;
    silences_are_kept_and_ended(store).await;
    letters_keep_their_order_and_their_pauses(store).await;
    old_reminders_are_not_sent(store).await;
    letters_survive_a_death_at_any_point(store).await;
    what_a_channel_can_do_decides_what_becomes_of_doubt(store).await;
    a_channel_knows_what_it_was_told_and_where_it_said_so(store).await;
    letters_go_another_way_once(store).await;
    agents_are_known_to_every_hub(store).await;
    what_a_region_hands_over_is_kept_until_it_is_taken(store).await;
    history_is_cut_by_age_and_by_size(store).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let Some(url) = postgres::database() else { return };
    let store = Store::open(&url).await.unwrap();
    contract(&store).await;
    assert_eq!(Store::open(&url).await.unwrap().silences().len(), 2, "another hub knows them, too");
}

#[tokio::test]
async fn a_file_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    contract(&store).await;
    let grown = std::fs::metadata(&path).unwrap().len();
    assert!(grown < 2_000_000, "a file that was cut is small again: {grown}");
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&Store::open("sqlite::memory:").await.unwrap()).await;
}

#[tokio::test]
async fn many_at_once_do_not_disturb_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store.db").to_str().unwrap()).await.unwrap();
    let facts = Arc::new(facts(200));
    let work = (0..8).map(|worker| {
        let (store, facts) = (store.clone(), Arc::clone(&facts));
        tokio::spawn(async move {
            for batch in facts.chunks(50) {
                store.append(batch).await.unwrap();
                store.apply(&[], &[], &[letter(&format!("c{worker}"), "i", "opened")]).await.unwrap();
                store.observations(&Wanted { limit: 10, ..Wanted::default() }).await.unwrap();
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(store.since(at(0)).await.unwrap().len(), 600);
    assert_eq!(store.unsent().await.unwrap().depth, 8);
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let url = format!("sqlite:{}", path.display());
    let store = Store::open(&url).await.unwrap();
    store.append(&facts(10)).await.unwrap();
    drop(store);
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.since(at(0)).await.unwrap().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let _first = Store::open(path.to_str().unwrap()).await.unwrap();
    let second = Store::open(path.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(&second, StoreError::Open { why, .. } if why == "another usoryou is using it"), "{second}");
}

#[tokio::test]
async fn who_leads_no_more_changes_nothing() {
    let Some(url) = postgres::database() else { return };
    let (one, other) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    let length = Duration::from_millis(400);
    let first = one.lead("one", length).await.unwrap().unwrap();
    assert!(other.lead("other", length).await.unwrap().is_none(), "one at a time");
    assert_eq!(other.leader().await.unwrap(), Some(Leader { name: "one".to_owned(), epoch: 1, alive: true }));
    let posted = [letter("one", "i", "opened"), letter("one", "i", "closed")];
    first.apply(&[], &[], &posted).await.unwrap();
    let under_way = claimed(&first, "one", 0).await;
    tokio::time::sleep(length + Duration::from_millis(50)).await;
    // It said nothing for too long, but nobody wanted to lead.
    assert!(first.go_on_leading(length).await.unwrap());
    assert!(other.lead("other", length).await.unwrap().is_none());
    tokio::time::sleep(length + Duration::from_millis(50)).await;
    let second = other.lead("other", length).await.unwrap().unwrap();
    assert!(!first.go_on_leading(length).await.unwrap());
    let open = incident("2026-11-04-party-1", IncidentState::Open, 100);
    let deposed = [
        first.apply(std::slice::from_ref(&open), &[], &[letter("one", "j", "opened")]).await,
        first.claim("one", at(0)).await.map(|_| ()),
        first.handing_over(under_way.id).await,
        first.delivered(&under_way, &Delivered::Taken, at(0), at(0)).await,
        first.pass_over(&under_way, at(0)).await,
        first.mark("one", "i", &Mark { by: "x".to_owned(), place: "y".to_owned() }).await,
        first.resume_letters(at(0), &|_| Repeat::Shown).await.map(|_| ()),
        first.divert("one", at(0), &|letter, _| Some(letter.to(&"two".into()))).await.map(|_| ()),
        first.trim(Duration::ZERO, 0, at(0)).await.map(|_| ()),
        first.publish("{}").await,
    ];
    for (number, deposed) in deposed.into_iter().enumerate() {
        let error = deposed.unwrap_err();
        assert_eq!(
            (number, error.to_string()),
            (number, "cannot write to the store: not the leader any more".to_owned())
        );
    }
    assert_eq!(second.incidents(at(0)).await.unwrap(), []);
    let states: Vec<String> = second.letters("i").await.unwrap().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["claimed", "pending"], "as it was left");
    let resumed = second.resume_letters(at(60), &|_| Repeat::Shown).await.unwrap();
    assert_eq!(resumed.again, std::slice::from_ref(&posted[0]));
    // Facts are nobody's privilege.
    assert_eq!(first.append(&facts(1)).await.unwrap(), 3);
    // Given up in order: the next need not wait.
    second.stop_leading().await.unwrap();
    assert_eq!(one.lead("one", length).await.unwrap().map(|_| ()), Some(()));
    assert_eq!(one.leader().await.unwrap().unwrap().epoch, 3);
}

/// Everything that has come since a position.
async fn arrived(store: &Store, position: &mut Position) -> Vec<Observation> {
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    store.arrived(position, &tell).await.unwrap();
    drop(tell);
    let mut all = Vec::new();
    while let Some(piece) = told.recv().await {
        all.extend(piece);
    }
    in_order(&all)
}

/// By nothing but their ids: writers are not in any order.
fn in_order(seen: &[Observation]) -> Vec<Observation> {
    let mut seen = seen.to_vec();
    seen.sort_by_key(|one| one.id);
    seen
}

#[tokio::test]
async fn what_arrives_is_read_once_in_whatever_order_it_is_committed() {
    let Some(url) = postgres::database() else { return };
    let store = Store::open(&url).await.unwrap();
    let facts = facts(10);
    store.append(&facts[..3]).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let mut position = store.window(at(0), &tell).await.unwrap().unwrap();
    assert_eq!(told.recv().await.unwrap().len(), 3);
    assert_eq!(arrived(&store, &mut position).await, []);
    // Another hub begins to write, and takes its time.
    let slow = serde_json::to_string(&facts[3]).unwrap();
    let slow = format!(
        "begin; insert into observation (id, probe, party, region, scheduled_at, outcome, body) values
         ('{}', 'a', 'party', 'eu-west', {}, 'up', '{slow}'); select pg_sleep(1.5); commit",
        facts[3].id,
        facts[3].scheduled_at.timestamp_micros(),
    );
    let writing = std::thread::spawn(move || postgres::ask(&url, &slow));
    tokio::time::sleep(Duration::from_millis(700)).await;
    store.append(&facts[4..7]).await.unwrap();
    assert_eq!(arrived(&store, &mut position).await, in_order(&facts[4..7]), "who writes slowly keeps nobody waiting");
    assert_eq!(arrived(&store, &mut position).await, []);
    writing.join().unwrap();
    store.append(&facts[7..]).await.unwrap();
    let late: Vec<Observation> = facts[3..4].iter().chain(&facts[7..]).cloned().collect();
    assert_eq!(arrived(&store, &mut position).await, in_order(&late), "and is not passed over");
    assert_eq!(arrived(&store, &mut position).await, []);
}

#[tokio::test]
async fn what_is_due_on_a_day_without_a_place_is_kept_like_everything() {
    let Some(url) = postgres::database() else { return };
    let store = Store::open(&url).await.unwrap();
    let old = Utc::now() - chrono::TimeDelta::days(40);
    let late = observation("a", "party", "eu-west", old, false);
    assert_eq!(store.append(std::slice::from_ref(&late)).await.unwrap(), 1);
    assert_eq!(store.append(std::slice::from_ref(&late)).await.unwrap(), 0);
    let days = "select count(*) from pg_inherits where inhparent = 'observation'::regclass";
    assert!(postgres::ask(&url, days).parse::<u32>().unwrap() >= 6, "the days around this one have a place");
    assert_eq!(postgres::ask(&url, "select count(*) from observation_other"), "1");
    store.trim(Duration::from_secs(90 * 86_400), u64::MAX, Utc::now()).await.unwrap();
    assert_eq!(store.oldest().await.unwrap().map(|at| at.timestamp()), Some(old.timestamp()));
    store.trim(Duration::from_secs(30 * 86_400), u64::MAX, Utc::now()).await.unwrap();
    assert_eq!(store.oldest().await.unwrap(), None);
}

#[tokio::test]
async fn many_hubs_may_open_one_store_at_once() {
    let Some(url) = postgres::database() else { return };
    let opening: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn({
                let url = url.clone();
                async move { Store::open(&url).await }
            })
        })
        .collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap().unwrap());
    }
    let facts = Arc::new(facts(300));
    let writing = stores.into_iter().map(|store| {
        let facts = Arc::clone(&facts);
        tokio::spawn(async move { store.append(&facts).await.unwrap() })
    });
    let mut new = 0;
    for written in writing.collect::<Vec<_>>() {
        new += written.await.unwrap();
    }
    assert_eq!(new, facts.len(), "each of them once");
}
