//! Colour for people: only on a terminal, never the only carrier of a meaning, off with `NO_COLOR` (no-color.org).

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

/// A colour or weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    /// Works.
    Green,
    /// Poorly.
    Yellow,
    /// Does not work.
    Red,
    /// Our own fault.
    Magenta,
    /// Titles.
    Bold,
}

impl Paint {
    /// Colour or none.
    #[must_use]
    pub(crate) const fn choose(on: bool) -> Self {
        Self { on }
    }

    /// A text in a colour.
    #[must_use]
    pub(crate) fn tint(self, tint: Tint, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let code = match tint {
            Tint::Green => "32",
            Tint::Yellow => "33",
            Tint::Red => "31",
            Tint::Magenta => "35",
            Tint::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
