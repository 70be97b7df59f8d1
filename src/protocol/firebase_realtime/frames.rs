//! Messages in frames: one of more than 16384 characters comes in several, announced by a frame that holds their number.
//! Servers may announce every message, also one of a single frame. Pure; memory is bounded whatever is announced.

use super::words::breach;
use crate::model::{Failure, Kind, Phase};

/// What a frame holds at most.
const FRAME_AT_MOST: usize = 16_384;

/// A frame that is longer is no number of frames, whatever it holds.
const NUMBER_AT_MOST: usize = 6;

/// What a message holds at most, in bytes: nothing that a probe listens to is larger.
const MESSAGE_AT_MOST: usize = 1 << 20;

/// Puts frames together.
#[derive(Debug, Default)]
pub(super) struct Frames {
    missing: usize,
    text: String,
}

impl Frames {
    /// Takes a frame; gives the message that it completes.
    pub(super) fn push(&mut self, frame: &str) -> Result<Option<String>, Failure> {
        if self.missing == 0 {
            let Some(number) = number(frame) else { return Ok(Some(frame.to_owned())) };
            // A keep-alive, which announces nothing.
            if number == 0 {
                return Ok(None);
            }
            if number > MESSAGE_AT_MOST / 64 {
                return Err(breach(format!("a message of {number} frames")));
            }
            self.missing = number;
            self.text = String::new();
            return Ok(None);
        }
        if self.text.len() + frame.len() > MESSAGE_AT_MOST {
            let detail = format!("a message of more than {MESSAGE_AT_MOST} bytes");
            return Err(Failure::new(Phase::Exchange, Kind::BodyTooLarge, detail));
        }
        self.text.push_str(frame);
        self.missing -= 1;
        Ok((self.missing == 0).then(|| std::mem::take(&mut self.text)))
    }
}

fn number(frame: &str) -> Option<usize> {
    let is_number = !frame.is_empty() && frame.len() <= NUMBER_AT_MOST && frame.bytes().all(|c| c.is_ascii_digit());
    frame.parse().ok().filter(|_| is_number)
}

/// A message as the frames that carry it.
pub(super) fn split(message: &str) -> Vec<String> {
    // Characters beyond the first plane count twice there: half as many of any always fit.
    if message.encode_utf16().count() <= FRAME_AT_MOST {
        return vec![message.to_owned()];
    }
    let units: Vec<char> = message.chars().collect();
    let pieces: Vec<String> = units.chunks(FRAME_AT_MOST / 2).map(|piece| piece.iter().collect()).collect();
    std::iter::once(pieces.len().to_string()).chain(pieces).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn announced_and_not() {
        let mut frames = Frames::default();
        assert_eq!(frames.push("{}"), Ok(Some("{}".to_owned())));
        assert_eq!(frames.push("1"), Ok(None));
        assert_eq!(frames.push("{\"a\":1}"), Ok(Some("{\"a\":1}".to_owned())));
        assert_eq!(frames.push("2"), Ok(None));
        assert_eq!(frames.push("{\"a\":"), Ok(None));
        // Also what looks like a number is a piece then.
        assert_eq!(frames.push("7"), Ok(Some("{\"a\":7".to_owned())));
        assert_eq!(frames.push("0"), Ok(None));
        assert_eq!(frames.push("{}"), Ok(Some("{}".to_owned())));
    }

    #[test]
    fn numbers_that_lie() {
        assert_eq!(Frames::default().push("999999").map_err(|failure| failure.kind), Err(Kind::ProtocolError));
        // Too long for a number: a message, which is then none.
        assert_eq!(Frames::default().push("1000000000"), Ok(Some("1000000000".to_owned())));
        let mut frames = Frames::default();
        frames.push("16000").unwrap();
        let piece = "x".repeat(100_000);
        let end = (0..20).find_map(|_| frames.push(&piece).err()).unwrap();
        assert_eq!(end.kind, Kind::BodyTooLarge);
        assert!(frames.text.capacity() <= 2 * MESSAGE_AT_MOST);
    }

    proptest! {
        #[test]
        fn what_is_split_comes_together_again(text in "\\PC{1,20}", times in 1usize..3000) {
            let text = text.repeat(times);
            prop_assume!(number(&text).is_none());
            let mut frames = Frames::default();
            let pieces = split(&text);
            prop_assert!(pieces.iter().all(|piece| piece.encode_utf16().count() <= FRAME_AT_MOST));
            let (last, before) = pieces.split_last().unwrap();
            for piece in before {
                prop_assert_eq!(frames.push(piece), Ok(None));
            }
            prop_assert_eq!(frames.push(last), Ok(Some(text)));
        }

        #[test]
        fn no_frames_take_more_than_the_limit(all in prop::collection::vec("[0-9]{0,7}|\\PC{0,40}", 0..200)) {
            let mut frames = Frames::default();
            for frame in all {
                let _ = frames.push(&frame);
                prop_assert!(frames.text.len() <= MESSAGE_AT_MOST);
            }
        }
    }
}
