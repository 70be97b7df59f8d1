//! Numbers quickly: short decimals are read by hand, every other form by the standard library.

/// Nothing where it is no number, less than nothing, or longer than anybody has waited.
pub(super) fn seconds(number: &str) -> Option<f64> {
    few_digits(number).or_else(|| number.parse().ok()).filter(|seconds| (0.0..1e9).contains(seconds))
}

/// A decimal of at most 15 digits: both it without its point and the power of ten are exact then, and so is what one
/// division makes of them (Clinger, PLDI 1990).
fn few_digits(number: &str) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if !(1..=16).contains(&number.len()) {
        return None;
    }
    let (mut whole, mut behind) = (0_u64, None);
    for (place, byte) in number.bytes().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => whole = whole * 10 + u64::from(digit),
            _ if byte == b'.' && behind.is_none() => behind = Some(number.len() - 1 - place),
            _ => return None,
        }
    }
    let behind = behind.unwrap_or(0);
    // Sixteen digits without a point may be too many.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53")]
    (whole < 1 << 53).then_some(whole as f64 / POWERS.get(behind)?)
}
