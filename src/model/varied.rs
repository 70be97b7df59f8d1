//! What a confirmation varied: the one thing that was different from the round that failed.

/// The one thing that a confirmation did otherwise than the round that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Varied {
    /// Nothing: was it a moment's failure?
    Again,
    /// Another address of the same name.
    Address,
    /// The other address family.
    Family,
    /// Another resolver.
    Resolver,
    /// A fresh connection instead of one that was open already.
    Connection,
    /// The same request without its credential: does the host answer at all?
    Credential,
    /// A word of a newer version, read from a file or an agent.
    #[serde(other)]
    Otherwise,
}

impl Varied {
    /// Everything that this version can vary.
    pub const ALL: [Self; 6] =
        [Self::Again, Self::Address, Self::Family, Self::Resolver, Self::Connection, Self::Credential];

    /// The word in metric labels, JSON and documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Address => "address",
            Self::Family => "family",
            Self::Resolver => "resolver",
            Self::Connection => "connection",
            Self::Credential => "credential",
            Self::Otherwise => "otherwise",
        }
    }
}

impl std::fmt::Display for Varied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_ones_on_the_wire_and_a_later_word_is_still_a_confirmation() {
        for varied in Varied::ALL {
            assert_eq!(serde_json::to_value(varied).unwrap(), varied.word());
        }
        assert_eq!(serde_json::from_str::<Varied>("\"moon_phase\"").unwrap(), Varied::Otherwise);
    }
}
