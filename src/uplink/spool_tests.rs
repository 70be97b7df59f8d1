//! The spool: what was written down is there again, in bounds, whatever happens to the process and the disk.

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn open(folder: &Path, max_bytes: u64) -> (Spool, Loss) {
    Spool::open(folder, max_bytes, DAY).unwrap()
}

fn lines(from: usize, to: usize) -> Vec<Vec<u8>> {
    (from..to).map(|number| format!("{{\"n\":{number:05}}}").into_bytes()).collect()
}

/// Everything in it, the oldest first.
fn drained(spool: &mut Spool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(batch) = spool.batch(Turn::Oldest, &mut Loss::default()) {
        all.extend(batch.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
        spool.done(batch.number);
    }
    all
}

#[test]
fn what_was_written_is_there_after_a_restart_and_gone_when_done() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), 1 << 20);
    spool.append(&lines(0, 3)).unwrap();
    spool.append(&lines(3, 5)).unwrap();
    assert!(Spool::open(folder.path(), 1, DAY).is_err(), "two processes must not share a spool");
    drop(spool);
    let (mut spool, loss) = open(folder.path(), 1 << 20);
    assert_eq!((loss, spool.standing().observations), (Loss::default(), 5));
    assert_eq!(drained(&mut spool), lines(0, 5));
    drop(spool);
    assert_eq!(open(folder.path(), 1 << 20).0.standing().observations, 0);
}

#[test]
fn a_torn_record_costs_itself_alone_and_what_follows_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), 1 << 20);
    spool.append(&lines(0, 3)).unwrap();
    let path = spool.path(0);
    drop(spool);
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 4).unwrap();
    let (mut spool, loss) = open(folder.path(), 1 << 20);
    assert_eq!(loss, Loss { torn: 1, ..Loss::default() });
    spool.append(&lines(3, 4)).unwrap();
    assert_eq!(drained(&mut spool), [lines(0, 2), lines(3, 4)].concat());
}

#[test]
fn what_is_too_much_is_given_up_the_oldest_first_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), 100);
    let mut lost = 0;
    for number in 0..20 {
        lost += spool.append(&lines(number, number + 1)).unwrap().size;
        // Closes the segment, as sending does.
        spool.batch(Turn::Newest, &mut Loss::default());
    }
    assert!(spool.standing().bytes <= 100);
    let left = drained(&mut spool);
    assert_eq!(left.len() as u64 + lost, 20);
    assert_eq!(left, lines(20 - left.len(), 20));
    let tall = spool.append(&[vec![b'x'; record::LONGEST + 1]]).unwrap();
    assert_eq!(tall, Loss { too_large: 1, ..Loss::default() });
}

#[test]
fn what_is_too_old_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), 1 << 20);
    spool.append(&lines(0, 3)).unwrap();
    let path = spool.path(0);
    drop(spool);
    let two_days_ago = SystemTime::now() - 2 * DAY;
    OpenOptions::new().write(true).open(path).unwrap().set_modified(two_days_ago).unwrap();
    assert_eq!(open(folder.path(), 1 << 20).1, Loss { age: 3, ..Loss::default() });
}

#[test]
fn the_newest_is_at_hand_while_the_oldest_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path(), 1 << 20);
    for number in 0..3 {
        spool.append(&lines(number, number + 1)).unwrap();
        spool.batch(Turn::Newest, &mut Loss::default());
    }
    let newest = spool.batch(Turn::Newest, &mut Loss::default()).unwrap();
    let oldest = spool.batch(Turn::Oldest, &mut Loss::default()).unwrap();
    assert_eq!((newest.lines, oldest.lines), (b"{\"n\":00002}\n".to_vec(), b"{\"n\":00000}\n".to_vec()));
    assert_eq!(spool.batches(), 3);
}
