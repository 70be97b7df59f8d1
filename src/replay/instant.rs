//! RFC 3339 quickly: the form that we write ourselves is read by hand, every other form by chrono, which a hub that
//! takes an observation asks too.

use chrono::{NaiveDate, NaiveTime, Timelike as _};

use crate::model::Timestamp;

/// Days of the months of a year without a leap day.
const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads instants; most of them are of the minute that the last one was of.
#[derive(Debug, Default)]
pub(super) struct Instants {
    last: Option<Minute>,
}

/// A minute as it is written, and what it means.
#[derive(Debug, Clone, Copy)]
struct Minute {
    written: [u8; 16],
    day: NaiveDate,
    /// Since midnight.
    seconds: u32,
}

impl Instants {
    /// `2026-11-22T10:32:00.004Z`; nothing when it is no instant.
    #[inline]
    pub(super) fn read(&mut self, text: &str) -> Option<Timestamp> {
        if let Some((written, rest)) = text.as_bytes().split_first_chunk::<16>()
            && let Some(minute) = self.last.filter(|minute| minute.written == *written)
            && let Some((second, nanos)) = seconds(rest)
        {
            let time = NaiveTime::from_num_seconds_from_midnight_opt(minute.seconds + second, nanos)?;
            return Some(minute.day.and_time(time).and_utc());
        }
        self.anew(text)
    }

    #[cold]
    fn anew(&mut self, text: &str) -> Option<Timestamp> {
        let Some(at) = ours(text.as_bytes()) else { return text.parse().ok() };
        let seconds = at.time().num_seconds_from_midnight() / 60 * 60;
        self.last = text.as_bytes().first_chunk::<16>().map(|written| Minute {
            written: *written,
            day: at.date_naive(),
            seconds,
        });
        Some(at)
    }
}

/// `YYYY-MM-DDTHH:MM:SS`, up to nine digits of a fraction, `Z`.
fn ours(text: &[u8]) -> Option<Timestamp> {
    let (head, time) = text.split_first_chunk::<10>()?;
    if [head[4], head[7]] != *b"--" {
        return None;
    }
    let year = i64::from(two(head, 0)? * 100 + two(head, 2)?);
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    // Leap days are chrono's to judge.
    let longest = *LENGTHS.get(month.wrapping_sub(1) as usize)?;
    if !(1..=longest).contains(&day) {
        return None;
    }
    let (second, nanos) = time_of_day(time)?;
    let seconds = days(year, i64::from(month), i64::from(day)) * 86_400 + i64::from(second);
    Timestamp::from_timestamp(seconds, nanos)
}

/// `THH:MM:SS`, up to nine digits of a fraction, `Z`: seconds since midnight, and nanoseconds. Leap seconds are chrono's
/// to judge.
fn time_of_day(text: &[u8]) -> Option<(u32, u32)> {
    let (head, tail) = text.split_first_chunk::<6>()?;
    if [head[0], head[3]] != *b"T:" {
        return None;
    }
    let (hour, minute, (second, nanos)) = (two(head, 1)?, two(head, 4)?, seconds(tail)?);
    (hour < 24 && minute < 60).then_some((hour * 3600 + minute * 60 + second, nanos))
}

/// `:SS`, up to nine digits of a fraction, `Z`: seconds and nanoseconds.
#[inline]
fn seconds(text: &[u8]) -> Option<(u32, u32)> {
    let ([b':', tens, ones], tail) = text.split_first_chunk::<3>()? else { return None };
    let second = digit(*tens)? * 10 + digit(*ones)?;
    let nanos = match tail {
        b"Z" => 0,
        [b'.', a, b, c, b'Z'] => (digit(*a)? * 100 + digit(*b)? * 10 + digit(*c)?) * 1_000_000,
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => {
            let mut nanos = 0;
            for place in 0..9 {
                nanos = nanos * 10 + digits.get(place).map_or(Some(0), |byte| digit(*byte))?;
            }
            nanos
        }
        _ => return None,
    };
    (second < 60).then_some((second, nanos))
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    digit(*text.get(at)?).zip(digit(*text.get(at + 1)?)).map(|(tens, ones)| tens * 10 + ones)
}

fn digit(byte: u8) -> Option<u32> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(u32::from(digit))
}

/// Days since 1970 of a date in the Gregorian calendar, counted in years that begin in March, so that a leap day is the
/// last of its year.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn instant(text: &str) -> Option<Timestamp> {
        Instants::default().read(text)
    }

    #[test]
    fn every_way_to_write_an_instant() {
        let meant = Timestamp::from_timestamp(1_795_343_520, 4_000_000);
        for text in [
            "2026-11-22T10:32:00.004Z",
            "2026-11-22T10:32:00.004000000Z",
            "2026-11-22T11:32:00.004+01:00",
            "2026-11-22T 10:32:00.004Z",
        ] {
            assert_eq!(instant(text), meant, "{text}");
        }
        for wrong in
            ["", "2026-11-22", "2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:32:00", "äöüäöüäöüä"]
        {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn as_chrono_reads_it(seconds in -2_208_988_800_i64..4_102_444_800, nanos in 0_u32..1_000_000_000, digits in 0..10_usize) {
            let at = Timestamp::from_timestamp(seconds, nanos).unwrap();
            let fraction = format!("{nanos:09}");
            let fraction = if digits == 0 { String::new() } else { format!(".{}", &fraction[..digits]) };
            let text = format!("{}{fraction}Z", at.format("%Y-%m-%dT%H:%M:%S"));
            let expected = text.parse().ok();
            prop_assert_eq!(instant(&text), expected);
            // Of the same day and minute as another, in whatever zone that was told.
            for zone in ["Z", "+14:00", "-12:00"] {
                let mut instants = Instants::default();
                instants.read(&format!("{}T23:59:59{zone}", at.format("%Y-%m-%d")));
                prop_assert_eq!(instants.read(&text), expected);
                instants.read(&format!("{}:59{zone}", at.format("%Y-%m-%dT%H:%M")));
                prop_assert_eq!(instants.read(&text), expected);
            }
        }

        #[test]
        fn anything_at_all_does_no_harm(text in "\\PC{0,40}") {
            prop_assert_eq!(instant(&text), text.parse().ok());
        }
    }
}
