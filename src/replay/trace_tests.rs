//! Traces in every order and with every kind of rubbish in them.

use super::*;

#[derive(Default)]
struct Taken(Vec<(String, i64)>);

impl Taker for Taken {
    fn take(&mut self, seen: &Sighting<'_>, known_at: Timestamp) -> Option<Absorbed> {
        if seen.probe == "unknown" {
            return None;
        }
        self.0.push((seen.probe.to_owned(), known_at.timestamp() - BEGINNING));
        Some(Absorbed::Taken)
    }
}

const BEGINNING: i64 = 1_795_000_000;

fn time(second: i64) -> String {
    Timestamp::from_timestamp(BEGINNING + second, 0).unwrap().to_rfc3339()
}

fn line(probe: &str, due: i64, received: Option<i64>) -> String {
    let received = received.map_or(String::new(), |at| format!(r#","received_at":"{}""#, time(at)));
    let due = time(due);
    format!(r#"{{"probe":"{probe}","party":"f","region":"r","outcome":"up","scheduled_at":"{due}"{received}}}"#)
}

fn play(lines: &[String]) -> (Vec<(String, i64)>, Tally) {
    let text = lines.join("\n");
    let on = |cores| {
        let mut taken = Taken::default();
        let tally = read_on(cores, text.as_bytes(), &mut taken).unwrap();
        (taken.0, tally)
    };
    let (here, ahead) = (on(1), on(2));
    assert_eq!(here, ahead);
    here
}

fn seconds(taken: &[(String, i64)]) -> Vec<i64> {
    taken.iter().map(|(_, second)| *second).collect()
}

#[test]
fn rubbish_is_counted_with_its_first_line_and_costs_nothing_else() {
    let mut lines: Vec<String> = (0..20).map(|second| line("p", second * 10, None)).collect();
    lines.insert(3, "not json".to_owned());
    lines.insert(5, String::new());
    lines.insert(7, "x".repeat(3 << 20));
    lines.insert(9, r#"{"probe":"p"}"#.to_owned());
    lines.insert(11, "also not".to_owned());
    lines.insert(13, line("unknown", 100, None));
    lines.insert(15, line("p", 100, None).replace("\"up\"", "\"dreaming\""));
    let (taken, tally) = play(&lines);
    assert_eq!((taken.len(), tally.observations), (21, 22));
    let odd: Vec<_> = tally.odd.into_iter().collect();
    let expected = [
        (Odd::TooLong, (1, 8)),
        (Odd::NotJson, (2, 4)),
        (Odd::Lacking("outcome"), (1, 10)),
        (Odd::ForeignOutcome, (1, 16)),
        (Odd::UnknownProbe, (1, 14)),
    ];
    assert_eq!(odd, expected);
}

#[test]
fn a_clock_gone_mad_moves_nothing_wherever_it_stands() {
    for place in [0, 5, 15, 20] {
        for mad in [-1_795_000_000, -500_000_000, 300_000_000, 30_000_000_000, 86_400 * 3] {
            let mut lines: Vec<String> = (0..20).map(|second| line("p", second * 10, None)).collect();
            lines.insert(place, line("mad", mad, None));
            let (taken, tally) = play(&lines);
            let good: Vec<i64> = taken.iter().filter(|(probe, _)| probe == "p").map(|(_, second)| *second).collect();
            assert_eq!(good, (0..20).map(|second| second * 10).collect::<Vec<_>>(), "{mad} at {place}");
            assert_eq!(tally.observations, 21);
            if mad > 0 {
                assert_eq!(taken.len(), 20, "{mad} at {place}: {taken:?}");
                assert!(tally.odd.contains_key(&Odd::Absurd));
            }
        }
    }
}

#[test]
fn a_gap_of_days_is_a_gap() {
    let day = 86_400 * 10;
    let lines: Vec<String> = (0..15).chain(day..day + 15).map(|second| line("p", second, None)).collect();
    let (taken, tally) = play(&lines);
    assert_eq!(seconds(&taken), (0..15).chain(day..day + 15).collect::<Vec<_>>());
    assert!(tally.odd.is_empty());
    // A trace of a few lines, far apart.
    let lines: Vec<String> = (0..4).map(|second| line("p", second * 10_000, None)).collect();
    assert_eq!(seconds(&play(&lines).0), [0, 10_000, 20_000, 30_000]);
}

#[test]
fn what_was_delivered_late_is_known_late_in_whichever_order_the_file_is() {
    // Every ten seconds one of each; the second region's uplink stalls from 300 to 900.
    let stalled = |due: i64| if (300..900).contains(&due) { 900 } else { due + 1 };
    let mut lines: Vec<(i64, i64, String)> = vec![];
    for due in (0..1200).step_by(10) {
        lines.push((due, due + 1, line("prompt", due, Some(due + 1))));
        lines.push((due, stalled(due), line("stalled", due, Some(stalled(due)))));
    }
    let expected = |order: fn(&(i64, i64, String)) -> i64, lines: &mut Vec<(i64, i64, String)>| {
        lines.sort_by_key(order);
        let (taken, _) = play(&lines.iter().map(|(.., line)| line.clone()).collect::<Vec<_>>());
        assert_eq!(taken.len(), 240);
        let mut last = 0;
        for (_, known_at) in &taken {
            assert!(*known_at + 10 >= last, "{known_at} after {last}");
            last = last.max(*known_at);
        }
    };
    expected(|(due, ..)| *due, &mut lines);
    expected(|(_, received, _)| *received, &mut lines);
}

#[test]
fn a_time_of_receipt_that_nobody_believes_is_left_out() {
    let lines: Vec<String> =
        (0..20).map(|second| line("p", second, Some(if second == 7 { 86_400 * 400 } else { second }))).collect();
    assert_eq!(seconds(&play(&lines).0), (0..20).collect::<Vec<_>>());
}

#[test]
fn more_than_can_wait_is_taken_early_and_not_lost() {
    let mut lines: Vec<String> = (0..10).map(|second| line("p", second, Some(second))).collect();
    lines.extend((0..100_100).map(|_| line("late", 9, Some(3_000))));
    lines.push(line("p", 10, Some(10)));
    let (taken, tally) = play(&lines);
    assert_eq!((taken.len(), tally.odd.len()), (100_111, 0));
}

#[test]
fn the_corpus_is_read_to_its_end() {
    let mut known = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/trace")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for end in 0..=bytes.len() {
            let mut taken = Taken::default();
            let tally = read(&bytes[..end], &mut taken).unwrap();
            assert_eq!(tally.bytes, end as u64);
            known += taken.0.len();
        }
    }
    assert!(known > 100, "{known}");
}

/// Gives a line, and the next only when somebody has taken that.
struct Live {
    taken: std::sync::mpsc::Receiver<()>,
    lines: std::vec::IntoIter<String>,
    waits: bool,
}

impl io::Read for Live {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.waits {
            self.taken.recv_timeout(std::time::Duration::from_secs(20)).map_err(io::Error::other)?;
        }
        let Some(line) = self.lines.next() else { return Ok(0) };
        into[..line.len()].copy_from_slice(line.as_bytes());
        // The first few lines wait for each other: what is there at the beginning has no order yet.
        self.waits = self.lines.len() < 12;
        Ok(line.len())
    }
}

struct Telling(std::sync::mpsc::Sender<()>, u32);

impl Taker for Telling {
    fn take(&mut self, _: &Sighting<'_>, _: Timestamp) -> Option<Absorbed> {
        self.1 += 1;
        let _ = self.0.send(());
        Some(Absorbed::Taken)
    }
}

fn live(count: usize) -> (Live, Telling) {
    let (tell, taken) = std::sync::mpsc::channel();
    let lines: Vec<String> = (0..count)
        .map(|second| {
            let at = format!("2026-11-22T10:00:{second:02}Z");
            format!(r#"{{"probe":"p","party":"f","region":"r","outcome":"up","scheduled_at":"{at}"}}"#) + "\n"
        })
        .collect();
    (Live { taken, lines: lines.into_iter(), waits: false }, Telling(tell, 0))
}

#[test]
fn what_comes_slowly_is_taken_as_it_comes() {
    for cores in [1, 2] {
        let (source, mut telling) = live(40);
        assert_eq!(read_on(cores, source, &mut telling).unwrap().observations, 40);
        assert_eq!(telling.1, 40);
    }
}

#[test]
fn a_source_that_breaks_is_an_error_with_its_reason() {
    struct Broken(bool);
    impl io::Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let line = b"{}\n";
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("the disk is gone"));
            }
            into[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    for cores in [1, 2] {
        let (_, mut telling) = live(0);
        assert_eq!(read_on(cores, Broken(false), &mut telling).unwrap_err().to_string(), "the disk is gone");
    }
}
