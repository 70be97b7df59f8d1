//! Messages that are dropped, swapped, doubled, late, and of nobody that we know.

use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn vantage(region: &str, node: &str) -> Vantage {
    Vantage { region: region.into(), node: node.into() }
}

/// A clock that only the test moves.
struct Hands(Moment);

impl Hands {
    fn new() -> Self {
        Self(Moment { at: Instant::now(), wall: Timestamp::from_timestamp(1_800_000_000, 0).unwrap() })
    }

    fn on(&mut self, millis: u64) -> Moment {
        self.0.at += Duration::from_millis(millis);
        self.0.wall += Duration::from_millis(millis);
        self.0
    }
}

fn two() -> (Hands, Ledger, Ledger) {
    let mut hands = Hands::new();
    let writer = Ledger::new(&vantage("eu-west", "n1"), PATIENCE, hands.on(0));
    let listener = Ledger::new(&vantage("us-east", "n2"), PATIENCE, hands.on(1));
    (hands, writer, listener)
}

fn words(arrivals: &[Arrival]) -> Vec<String> {
    let word = |one: &Arrival| match one.seconds {
        Some(seconds) => format!("{} {} {:.0}", one.writer_region, one.came.word(), seconds * 1000.0),
        None => format!("{} {}", one.writer_region, one.came.word()),
    };
    arrivals.iter().map(word).collect()
}

#[test]
fn a_message_of_ours_is_timed_by_the_monotonic_clock() {
    let (mut hands, mut own, _) = two();
    let letter = own.write(hands.on(0));
    assert!(letter.text.len() < 200 && letter.number == 1, "{letter:?}");
    let mut back = hands.on(42);
    // Somebody sets the wall clock meanwhile.
    back.wall += Duration::from_secs(1000);
    assert_eq!(own.hear(letter.text.as_bytes(), back), Heard::Own(1));
    assert_eq!(words(&own.take(back)), ["eu-west in_order 42"]);
    assert_eq!(own.hear(letter.text.as_bytes(), back), Heard::Own(1));
    assert_eq!(words(&own.take(back)), ["eu-west doubled"]);
}

#[test]
fn a_message_of_ours_that_does_not_come_is_lost_when_its_time_is_over() {
    let (mut hands, mut own, _) = two();
    let first = own.write(hands.on(0));
    let second = own.write(hands.on(1000));
    own.hear(second.text.as_bytes(), hands.on(5));
    assert_eq!(words(&own.take(hands.on(0))), ["eu-west in_order 5"], "the first still has time");
    assert_eq!(words(&own.take(hands.on(9000))), ["eu-west lost"]);
    assert_eq!(words(&own.take(hands.on(9000))), [""; 0], "once");
    // What comes afterwards is news again, and its time is not known any more.
    own.hear(first.text.as_bytes(), hands.on(1));
    assert_eq!(words(&own.take(hands.on(0))), ["eu-west out_of_order"]);
    let third = own.write(hands.on(0));
    own.unsent(third.number);
    assert_eq!(words(&own.take(hands.on(60_000))), [""; 0], "what was not sent cannot be lost");
}

#[test]
fn messages_of_others_are_timed_by_the_wall_clock_and_gaps_get_the_same_patience() {
    let (mut hands, mut writer, mut listener) = two();
    let letters: Vec<Letter> = (0..6).map(|_| writer.write(hands.on(1000))).collect();
    // Numbers 1 and 2 were before our time.
    for (index, after) in [(2, 30), (5, 10), (3, 10), (3, 10)] {
        assert_eq!(listener.hear(letters[index].text.as_bytes(), hands.on(after)), Heard::Other);
    }
    assert_eq!(
        words(&listener.take(hands.on(0))),
        ["eu-west in_order 3030", "eu-west in_order 40", "eu-west out_of_order 2050", "eu-west doubled 2060"]
    );
    assert_eq!(words(&listener.take(hands.on(9900))), [""; 0], "number 5 still has time");
    assert_eq!(words(&listener.take(hands.on(200))), ["eu-west lost"]);
}

#[test]
fn a_writer_that_begins_anew_has_lost_nothing() {
    let (mut hands, mut writer, mut listener) = two();
    for _ in 0..5 {
        listener.hear(writer.write(hands.on(1000)).text.as_bytes(), hands.on(1));
    }
    let mut again = Ledger::new(&vantage("eu-west", "n1"), PATIENCE, hands.on(5000));
    listener.hear(again.write(hands.on(0)).text.as_bytes(), hands.on(1));
    // A message of its former life, as a broker that keeps some would send it, is not one of its own.
    assert_eq!(again.hear(writer.write(hands.on(0)).text.as_bytes(), hands.on(1)), Heard::Ignored);
    let came: Vec<Came> = listener.take(hands.on(60_000)).iter().map(|one| one.came).collect();
    assert_eq!(came, [Came::InOrder; 6]);
}

#[test]
fn a_listener_that_was_away_for_long_does_not_count_what_it_never_waited_for() {
    let (mut hands, mut writer, mut listener) = two();
    listener.hear(writer.write(hands.on(0)).text.as_bytes(), hands.on(1));
    let much_later = (0..1000).map(|_| writer.write(hands.on(1000))).last().unwrap();
    listener.hear(much_later.text.as_bytes(), hands.on(1));
    let came: Vec<Came> = listener.take(hands.on(60_000)).iter().map(|one| one.came).collect();
    assert_eq!(came, [Came::InOrder; 2]);
}

#[test]
fn what_others_write_into_our_place_is_ignored_and_counted() {
    let (mut hands, mut own, _) = two();
    let letter = own.write(hands.on(0));
    let long = format!("{}{}", letter.text, " ".repeat(MESSAGE_AT_MOST));
    let ahead = letter.text.replace("\"n\":1", "\"n\":7");
    assert_ne!(ahead, letter.text);
    let zero = letter.text.replace("eu-west", "us").replace("\"n\":1", "\"n\":0");
    let strange = letter.text.replace("eu-west", "a\\nb");
    let other_form = letter.text.replace("\"usoryou\":1", "\"usoryou\":2");
    let bad: [&[u8]; 9] = [
        b"",
        b"hello",
        b"{\"usoryou\":1}",
        b"\xff\xfe",
        long.as_bytes(),
        ahead.as_bytes(),
        zero.as_bytes(),
        strange.as_bytes(),
        other_form.as_bytes(),
    ];
    for (index, bytes) in bad.into_iter().enumerate() {
        assert_eq!(own.hear(bytes, hands.on(1)), Heard::Ignored, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(own.ignored(), index as u64 + 1);
    }
    // A clock that cannot be right says nothing about time, but the message did come.
    let wrong_clock = letter.text.replace("eu-west", "us").replace("\"at\":", "\"at\":9");
    assert_eq!(own.hear(wrong_clock.as_bytes(), hands.on(1)), Heard::Other);
    assert_eq!(words(&own.take(hands.on(0))), ["us in_order"]);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let (mut hands, mut own, _) = two();
    let sample = own.write(hands.on(0)).text;
    for index in 0..5000 {
        let other = sample.replace("eu-west", &format!("r{index}"));
        own.hear(other.as_bytes(), hands.on(0));
        let jump = sample.replace("eu-west", "jumps").replace("\"n\":1", &format!("\"n\":{}", index * 120));
        own.hear(jump.as_bytes(), hands.on(0));
        own.write(hands.on(0));
    }
    assert!(own.others.len() <= WRITERS && own.under_way.len() <= REMEMBERED as usize);
    assert!(own.others.iter().all(|(_, track)| track.missing.len() <= REMEMBERED as usize));
    assert_eq!(own.take(hands.on(0)).len(), KNOWN);
    assert!(own.ignored() > 1000);
}

#[test]
fn keys_of_vantage_points_differ_and_fit_everywhere() {
    assert_eq!(own_key(&vantage("eu-west", "n1")), "eu-west~n1");
    assert_ne!(own_key(&vantage("eu", "west-n1")), own_key(&vantage("eu-west", "n1")));
    assert_eq!(own_key(&vantage("a/b#+$[.]", "ip-10.x")), "a_b______~ip-10_x");
    assert!(own_key(&vantage(&"ü".repeat(500), &"x".repeat(500))).len() < 300);
}

proptest! {
    #[test]
    fn nothing_that_comes_breaks_it(
        parts in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>(), "[a-c]{0,2}"), 0..60),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut hands, mut own, _) = two();
        own.hear(&noise, hands.on(1));
        for (n, run, at, region) in parts {
            let text = format!(r#"{{"usoryou":1,"region":"{region}","node":"x","run":{run},"n":{n},"at":{at}}}"#);
            own.hear(text.as_bytes(), hands.on(1));
        }
        let known = own.take(hands.on(100_000));
        prop_assert!(known.len() <= KNOWN);
        prop_assert!(known.iter().filter_map(|one| one.seconds).all(|seconds| (0.0..=3600.0).contains(&seconds)));
    }

    /// Every message of ours is told exactly once, however the way there drops, delays and swaps them.
    #[test]
    fn each_message_comes_to_one_end(fates in proptest::collection::vec(0_u64..4, 1..60)) {
        let (mut hands, mut own, _) = two();
        let letters: Vec<Letter> = fates.iter().map(|_| own.write(hands.on(10))).collect();
        let mut order: Vec<usize> = (0..letters.len()).filter(|index| fates[*index] != 3).collect();
        order.sort_by_key(|index| (fates[*index], *index));
        for index in &order {
            prop_assert_eq!(own.hear(letters[*index].text.as_bytes(), hands.on(1)), Heard::Own(letters[*index].number));
        }
        let known = own.take(hands.on(60_000));
        let lost = known.iter().filter(|one| one.came == Came::Lost).count();
        prop_assert_eq!((known.len(), lost), (letters.len(), letters.len() - order.len()));
    }
}
