//! Which key comes next. Whoever writes a trace writes the fields of a line in the same order again and again, so the
//! keys that came after the present one before are compared first, and only where another comes is it read and looked up.

use super::{
    prefix::Prefix,
    scan::{NotJson, Scan, Value},
};

/// Keys that are remembered at most, and bytes of each.
const ROOM: (usize, usize) = (96, 64);
/// Before the first key of an object.
pub(super) const BEGINNING: usize = 0;
/// After a key that there is no room for.
const ELSEWHERE: usize = 1;

/// The keys of one sort of object, in the order in which they came.
#[derive(Debug)]
pub(super) struct Keys<F: 'static> {
    names: &'static [(&'static str, F)],
    other: F,
    known: Vec<Known<F>>,
}

#[derive(Debug)]
struct Known<F> {
    /// As it is written, from behind what was before it: `,"probe":`. Nothing for the beginning of an object.
    text: Prefix,
    field: F,
    /// What came after it the last two times; the beginning is nothing.
    next: [usize; 2],
    /// The beginning of the object that is its value, where there was one.
    inside: usize,
    passed: Passed,
}

/// Objects that were passed over, as they are written from behind their brace: one that comes again need not be read.
#[derive(Debug)]
struct Passed {
    by_likeness: Vec<Box<str>>,
    /// Less than nothing where another came most of the time.
    worth: i8,
}

impl Passed {
    /// Texts that are kept, and bytes of each at most.
    const ROOM: (usize, usize) = (64, 1024);

    fn takes(&mut self, scan: &mut Scan<'_>, like: u8) -> bool {
        let Some(before) = self.by_likeness.get(usize::from(like) % Self::ROOM.0).filter(|text| !text.is_empty())
        else {
            return false;
        };
        let same = self.worth >= 0 && scan.takes_text(before);
        self.worth = if same { (self.worth + 1).min(16) } else { (self.worth - 1).max(-1) };
        same
    }

    fn remember(&mut self, text: &str, like: u8) {
        if self.worth < 0 || text.len() > Self::ROOM.1 {
            return;
        }
        self.by_likeness.resize(Self::ROOM.0, "".into());
        self.by_likeness[usize::from(like) % Self::ROOM.0] = text.into();
    }
}

impl<F> Known<F> {
    fn new(text: &str, field: F) -> Self {
        Self {
            text: Prefix::new(text),
            field,
            next: [BEGINNING; 2],
            inside: ELSEWHERE,
            passed: Passed { by_likeness: vec![], worth: 8 },
        }
    }
}

impl<F: Copy> Keys<F> {
    /// Keys by their names; all that have another one mean `other`.
    pub(super) fn new(names: &'static [(&'static str, F)], other: F) -> Self {
        Self { names, other, known: vec![Known::new("", other), Known::new("", other)] }
    }

    /// Passes over the rest of an object that was just entered, the value of the key at a place, as far as it is none of
    /// ours. `like` says which lines have the same there, if any have: a certificate is for long that of its probe.
    pub(super) fn pass_over(&mut self, scan: &mut Scan<'_>, place: usize, like: u8) -> Result<(), NotJson> {
        let begin = scan.at();
        if self.known[place].passed.takes(scan, like) {
            return Ok(());
        }
        let mut inside = self.inside(place);
        if inside == ELSEWHERE {
            return scan.leave();
        }
        while self.next(scan, &mut inside)?.is_some() {
            if scan.value()? == Value::Object {
                scan.leave()?;
            }
        }
        self.known[place].passed.remember(scan.since(begin), like);
        Ok(())
    }

    /// Before the first key of the object that is the value of the key at a place.
    fn inside(&mut self, place: usize) -> usize {
        if self.known[place].inside == ELSEWHERE && place != ELSEWHERE && self.known.len() < ROOM.0 {
            self.known[place].inside = self.known.len();
            self.known.push(Known::new("", self.other));
        }
        self.known[place].inside
    }

    /// The next key of the present object, after the one at `place`; nothing at its end.
    #[inline]
    pub(super) fn next(&mut self, scan: &mut Scan<'_>, place: &mut usize) -> Result<Option<F>, NotJson> {
        for guess in self.known[*place].next {
            let known = &self.known[guess];
            if guess != BEGINNING && scan.takes(&known.text) {
                *place = guess;
                return Ok(Some(known.field));
            }
        }
        self.look_up(scan, place)
    }

    #[cold]
    fn look_up(&mut self, scan: &mut Scan<'_>, place: &mut usize) -> Result<Option<F>, NotJson> {
        let begin = scan.at();
        let first = *place != ELSEWHERE && self.known[*place].text.as_str().is_empty();
        let Some(key) = scan.key(first)? else { return Ok(None) };
        let text = scan.since(begin);
        // A key that is written with an escape is none of ours.
        let name = key.plain().unwrap_or_default();
        let field = self.names.iter().find(|(one, _)| *one == name).map_or(self.other, |(_, field)| *field);
        let found = self.known.iter().position(|known| known.text.as_str() == text);
        let found = found.unwrap_or_else(|| {
            if self.known.len() >= ROOM.0 || text.len() > ROOM.1 {
                return ELSEWHERE;
            }
            self.known.push(Known::new(text, field));
            self.known.len() - 1
        });
        if *place != ELSEWHERE && found != ELSEWHERE {
            let [latest, _] = self.known[*place].next;
            self.known[*place].next = [found, latest];
        }
        *place = found;
        Ok(Some(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[(&str, u8)] = &[("a", 1), ("b", 2), ("c", 3)];

    fn read(keys: &mut Keys<u8>, text: &str) -> Result<Vec<u8>, NotJson> {
        let (mut scan, mut place, mut found) = (Scan::new(text), BEGINNING, vec![]);
        scan.open()?;
        while let Some(field) = keys.next(&mut scan, &mut place)? {
            scan.value()?;
            found.push(field);
        }
        scan.end()?;
        Ok(found)
    }

    #[test]
    fn whatever_came_before_the_same_keys_are_found() {
        let lines = [
            (r#"{"a":1,"b":2,"c":3}"#, vec![1, 2, 3]),
            (r#"{"a":1,"c":3}"#, vec![1, 3]),
            (r#"{ "a" : 1 , "b" : 2 }"#, vec![1, 2]),
            (r#"{"b":1,"a":2,"b":3,"d":4,"":5,"\u0061":6}"#, vec![2, 1, 2, 9, 9, 9]),
            ("{}", vec![]),
        ];
        let mut keys = Keys::new(NAMES, 9);
        for (first, _) in &lines {
            for (line, expected) in &lines {
                read(&mut keys, first).unwrap();
                assert_eq!(read(&mut keys, line).unwrap(), *expected, "{line} after {first}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_none_with_known_keys_either() {
        let mut keys = Keys::new(NAMES, 9);
        for _ in 0..2 {
            read(&mut keys, r#"{"a":1,"b":2}"#).unwrap();
            for wrong in
                [r#"{"a":1"b":2}"#, r#"{,"a":1}"#, r#"{"a":1,}"#, r#"{"a":1,"b":}"#, r#"{"a":1,"b""#, r#"{"a""#]
            {
                assert_eq!(read(&mut keys, wrong), Err(NotJson), "{wrong}");
            }
        }
    }

    #[test]
    fn however_many_keys_there_are_room_is_bounded() {
        let mut keys = Keys::new(NAMES, 9);
        let many: Vec<String> = (0..1000).map(|number| format!("\"k{number}\":0")).collect();
        let line = format!("{{{},\"{}\":1,\"c\":1}}", many.join(","), "x".repeat(1000));
        for _ in 0..2 {
            let found = read(&mut keys, &line).unwrap();
            assert_eq!((found.len(), found.last()), (1002, Some(&3)));
            assert!(keys.known.len() <= ROOM.0);
        }
    }
}
