//! Figures of a report as people read them, the same in a terminal and on a page.

use crate::model::Timestamp;

/// A share in percent. Enough digits to tell three nines from four; never rounded up to all.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| {
        let shown = if share < 1.0 { (share * 1e5).floor().min(99_999.0) / 1e3 } else { 100.0 };
        format!("{shown:.3} %")
    })
}

/// An instant to the minute.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

/// A number with something between its thousands.
#[must_use]
pub fn grouped(count: u64, between: char) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(between);
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_only_said_of_all() {
        assert_eq!(percent(Some(0.999_999_9)), "99.999 %");
        assert_eq!(percent(Some(1.0)), "100.000 %");
        assert_eq!(percent(None), "–");
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(grouped(1_234_567, ','), "1,234,567");
        assert_eq!(
            (grouped(0, ','), grouped(999, ','), grouped(1_000, ' ')),
            ("0".into(), "999".into(), "1 000".into())
        );
    }
}
