//! The event stream format against its specification, a corpus and arbitrary bytes.

use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> (Vec<Item>, Parser) {
    let (mut parser, mut items) = (Parser::default(), Vec::new());
    for piece in pieces {
        parser.feed(piece, |item| items.push(item)).unwrap();
    }
    (items, parser)
}

fn event(name: &str, data: &str) -> Item {
    Item::Event { name: name.to_owned(), data: data.to_owned() }
}

#[test]
fn the_examples_of_the_specification() {
    let (items, _) = read(&[b"data: YHOO\ndata: +2\ndata: 10\n\n"]);
    assert_eq!(items, [event("message", "YHOO\n+2\n10")]);
    let (items, parser) =
        read(&[b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"]);
    // The third is not complete: the stream would have to end with an empty line.
    assert_eq!(items, [Item::Comment, event("message", "first event"), event("message", "second event")]);
    assert_eq!(parser.last_id(), None, "an empty id takes it back");
    let (items, _) = read(&[b"data\n\ndata\ndata\n\ndata:"]);
    assert_eq!(items, [event("message", ""), event("message", "\n")]);
    let (items, _) = read(&[b"data:test\n\ndata: test\n\n"]);
    assert_eq!(items, [event("message", "test"), event("message", "test")]);
}

#[test]
fn every_line_end_and_the_mark_at_the_beginning() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("\u{feff}event: put{end}data: 1{end}data: 2{end}{end}:{end}");
        assert_eq!(read(&[stream.as_bytes()]).0, [event("put", "1\n2"), Item::Comment], "{end:?}");
        // In pieces of one byte it is the same.
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes).0, [event("put", "1\n2"), Item::Comment], "{end:?}");
    }
    // Only the first is a mark.
    assert_eq!(read(&["data: 1\n\n\u{feff}data: 2\n\n".as_bytes()]).0, [event("message", "1")]);
}

#[test]
fn fields_that_say_how_to_come_back() {
    let (_, parser) = read(&[b"retry: 1500\nid: 7\ndata\n\nretry: soon\nretry:\nid: 8\0\ndata\n\n"]);
    assert_eq!((parser.retry(), parser.last_id()), (Some(Duration::from_millis(1500)), Some("7")));
    let (_, parser) = read(&[b"id: 7\ndata\n\nid: 8\n"]);
    assert_eq!(parser.last_id(), Some("7"), "an id counts with the end of its event");
}

#[test]
fn what_is_too_long_is_refused_while_it_comes() {
    let mut parser = Parser::default();
    assert_eq!(parser.feed(&vec![b'x'; AT_MOST + 1], |_| {}), Err(TooLong));
    let mut parser = Parser::default();
    let lines = b"data: 0123456789\n".repeat(AT_MOST / 10 + 1);
    assert_eq!(parser.feed(&lines, |_| {}), Err(TooLong));
    assert!(parser.data.capacity() <= 2 * AT_MOST);
}

#[test]
fn bytes_that_are_no_text_are_replaced_as_browsers_do() {
    assert_eq!(read(&[b"data: \xff\xfe\n\n"]).0, [event("message", "\u{fffd}\u{fffd}")]);
}

#[test]
fn the_corpus_is_read_to_its_end() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/sse");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let _ = Parser::default().feed(&bytes, |_| {});
        read += 1;
    }
    assert!(read >= 6, "{read}");
}

proptest! {
    #[test]
    fn it_never_panics_and_pieces_make_no_difference(
        bytes in proptest::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(0xef), Just(0xbb), Just(0xbf), Just(b'd'), any::<u8>()
        ], 0..200),
        cut in 0_usize..200,
    ) {
        let cut = cut.min(bytes.len());
        let (whole, _) = read(&[&bytes]);
        let (pieces, _) = read(&[&bytes[..cut], &bytes[cut..]]);
        prop_assert_eq!(whole, pieces);
    }
}
