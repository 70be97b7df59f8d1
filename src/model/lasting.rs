//! How long something lasted, as people say it: in days, hours, minutes and seconds.

/// Whole days, and the hours, minutes and seconds that are left over.
#[must_use]
pub const fn days_hours_minutes_seconds(seconds: u64) -> (u64, u64, u64, u64) {
    (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_what_the_larger_ones_leave() {
        assert_eq!(days_hours_minutes_seconds(0), (0, 0, 0, 0));
        assert_eq!(days_hours_minutes_seconds(2 * 86_400 + 3 * 3_600 + 4 * 60 + 5), (2, 3, 4, 5));
        assert_eq!(days_hours_minutes_seconds(86_399), (0, 23, 59, 59));
    }
}
