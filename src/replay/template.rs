//! How lines are written. Whoever writes a trace writes the lines of one probe from one region alike, but for a few values,
//! again and again: what stays the same is compared with a line from before, as a whole, and only what changes is read.
//! Whatever differs otherwise is read key by key, and learned from.

use memchr::memmem::Finder;

use super::{
    fields::{Field, Fields, Text},
    scan::{Scan, Value},
    values::Values,
};

/// Places for templates; how many are kept at each: a probe that answers and one that does not are written in two ways, cold
/// and warm connections too.
const ROOM: (usize, usize) = (512, 4);
/// Longer lines are not kept.
const LONGEST: usize = 4096;
/// What learning costs at a place, where each line gives one and more than the most are not kept: where all lines are
/// written otherwise, one in so many is learned from.
const PRICE: u8 = 8;
const MOST: u8 = 64;

/// A value of a line that was read key by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaf {
    begin: usize,
    end: usize,
    field: Field,
    /// Whether it changes from line to line.
    changes: bool,
}

/// The values of a line, in the order in which they are written: those of the line itself, and of objects in it.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    all: Vec<Leaf>,
    /// A bit for each field that came.
    fields: u32,
    /// One of them came twice: the last counts, which a template cannot tell.
    twice: bool,
}

impl Leaves {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        (self.fields, self.twice) = (0, false);
    }

    /// An object of ours begins.
    pub(super) fn enter(&mut self, field: Field) {
        if field != Field::Other {
            let bit = 1 << field as u32;
            self.twice |= self.fields & bit != 0;
            self.fields |= bit;
        }
    }

    /// A value as it is written from a place to another.
    pub(super) fn add(&mut self, field: Field, begin: usize, end: usize, value: Value<'_>) {
        self.enter(field);
        let changes = match value {
            Value::Number(_) => true,
            // What is meant by it is not what stands in the line.
            Value::Text(raw) => raw.plain().is_none(),
            Value::Object | Value::Other => false,
        };
        self.all.push(Leaf { begin, end, field, changes });
    }
}

/// A line from before, cut where values change.
#[derive(Debug)]
struct Template {
    line: Box<str>,
    leaves: Box<[Leaf]>,
    pieces: Box<[Piece]>,
    /// What the values say that stay the same, but for texts.
    fixed: Fields,
}

/// A part of the line that stays the same, and what changes behind it; nothing at the end of the line.
#[derive(Debug)]
struct Piece {
    begin: usize,
    end: usize,
    /// Texts in it, by their places behind its beginning.
    texts: Box<[(Field, usize, usize)]>,
    then: Option<Field>,
}

impl Template {
    fn new(line: &str, leaves: Box<[Leaf]>, values: &mut Values) -> Self {
        let (mut pieces, mut texts, mut fixed, mut begin) = (vec![], vec![], Fields::default(), 0);
        for leaf in &leaves {
            if leaf.changes {
                let (end, texts) = (leaf.begin, std::mem::take(&mut texts).into());
                pieces.push(Piece { begin, end, texts, then: Some(leaf.field) });
                begin = leaf.end;
                continue;
            }
            let written = line.get(leaf.begin..leaf.end).unwrap_or_default();
            match Scan::new(written).value() {
                // Behind its quote.
                Ok(Value::Text(raw)) if leaf.field.is_text() => {
                    let from = leaf.begin + 1 - begin;
                    texts.push((leaf.field, from, from + raw.text.len()));
                }
                Ok(Value::Object) | Err(_) => {}
                // It was taken before.
                Ok(value) => _ = values.take(&mut fixed, leaf.field, value),
            }
        }
        pieces.push(Piece { begin, end: line.len(), texts: texts.into(), then: None });
        Self { line: line.into(), leaves, pieces: pieces.into(), fixed }
    }

    /// A line that is written so; whether it is.
    fn read(&self, line: &str, values: &mut Values, fields: &mut Fields) -> Option<()> {
        let mut scan = Scan::new(line);
        fields.clone_from(&self.fixed);
        for piece in &self.pieces {
            let begin = scan.at();
            if !scan.takes(self.line.get(piece.begin..piece.end)?) {
                return None;
            }
            for (field, from, to) in &piece.texts {
                fields.put(*field, Text::plain(begin + from, begin + to));
            }
            let Some(field) = piece.then else { break };
            if field == Field::Other {
                scan.pass().ok()?;
                continue;
            }
            match (field, scan.value().ok()?) {
                // There are values of ours in it.
                (Field::Failure | Field::Phases, Value::Object) => return None,
                (_, Value::Object) => scan.leave().ok()?,
                (_, value) => values.take(fields, field, value).ok()?,
            }
        }
        scan.end().ok()
    }

    /// The same with what changes in another line as well; nothing where that is written in another way.
    fn with(&self, line: &str, leaves: &[Leaf], values: &mut Values) -> Option<Self> {
        let (mut ours, mut theirs) = (0, 0);
        let mut merged = Vec::with_capacity(leaves.len());
        for (our, their) in self.leaves.iter().zip(leaves) {
            if our.field != their.field || self.line.get(ours..our.begin) != line.get(theirs..their.begin) {
                return None;
            }
            let differs = self.line.get(our.begin..our.end) != line.get(their.begin..their.end);
            merged.push(Leaf { changes: our.changes || their.changes || differs, ..*their });
            (ours, theirs) = (our.end, their.end);
        }
        let same = self.leaves.len() == leaves.len() && self.line.get(ours..) == line.get(theirs..);
        same.then(|| Self::new(line, merged.into(), values))
    }
}

/// Templates by what lines are about.
#[derive(Debug)]
pub(super) struct Templates {
    places: Vec<Place>,
    /// The keys behind which lines say what they are about.
    keys: [Finder<'static>; 2],
    /// Where the line before had its template.
    last: usize,
}

/// Templates of lines that are likely to be written alike, the one that served last first.
#[derive(Debug, Default)]
struct Place {
    ways: Vec<Template>,
    worth: u8,
    /// Where the line behind the last one of this place had its template: lines often come in the same order.
    next: usize,
}

impl Default for Templates {
    fn default() -> Self {
        let place = || Place { ways: vec![], worth: MOST, next: 0 };
        let keys = ["\"probe\":", "\"region\":"].map(Finder::new);
        Self { places: std::iter::repeat_with(place).take(ROOM.0).collect(), keys, last: 0 }
    }
}

impl Templates {
    /// A line that is written like one from before; where lines that are written like it belong otherwise, and then the
    /// fields say nothing.
    pub(super) fn read(&mut self, line: &str, values: &mut Values, fields: &mut Fields) -> Result<(), usize> {
        let guess = self.places.get(self.last).map_or(0, |last| last.next);
        if self.read_at(guess, line, values, fields).is_some() {
            self.last = guess;
            return Ok(());
        }
        let place = self.place(line);
        if let Some(last) = self.places.get_mut(self.last) {
            last.next = place;
        }
        self.last = place;
        self.read_at(place, line, values, fields).ok_or(place)
    }

    /// Where lines of this probe from this region are likely to have their templates: a guess, made without reading.
    fn place(&self, line: &str) -> usize {
        let (mut rest, mut mixed) = (line.as_bytes(), 0_u32);
        for key in &self.keys {
            let Some(at) = key.find(rest) else { continue };
            rest = rest.get(at + key.needle().len()..).unwrap_or_default();
            let value = rest.iter().take(32).take_while(|byte| !matches!(byte, b',' | b'}'));
            mixed = value.fold(mixed, |mixed, byte| mixed.wrapping_mul(31) ^ u32::from(*byte));
        }
        (mixed ^ mixed >> 13) as usize % ROOM.0
    }

    fn read_at(&mut self, place: usize, line: &str, values: &mut Values, fields: &mut Fields) -> Option<()> {
        let place = self.places.get_mut(place)?;
        place.worth = (place.worth + 1).min(MOST);
        let before = values.unescaped.len();
        for way in 0..place.ways.len() {
            if place.ways[way].read(line, values, fields).is_some() {
                if way > 0 {
                    place.ways[..=way].rotate_right(1);
                }
                return Some(());
            }
            values.unescaped.truncate(before);
        }
        None
    }

    /// Remembers how a line is written that was read key by key.
    pub(super) fn learn(&mut self, place: usize, line: &str, leaves: &Leaves, values: &mut Values) {
        let Some(place) = self.places.get_mut(place).filter(|place| place.worth >= PRICE) else { return };
        if leaves.twice || line.len() > LONGEST {
            return;
        }
        place.worth -= PRICE;
        let alike = place
            .ways
            .iter()
            .enumerate()
            .find_map(|(way, template)| Some((way, template.with(line, &leaves.all, values)?)));
        let template = match alike {
            Some((way, template)) => {
                place.ways.remove(way);
                template
            }
            None => Template::new(line, leaves.all.as_slice().into(), values),
        };
        place.ways.truncate(ROOM.1 - 1);
        place.ways.insert(0, template);
    }
}
