//! `/etc/hosts`: names with fixed addresses.

use std::{collections::HashMap, net::IpAddr};

/// Names, in lower case, and their addresses in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads hosts(5); a line that cannot be read is skipped, as everybody does.
    pub(super) fn parse(text: &str) -> Self {
        let mut names = HashMap::<String, Vec<IpAddr>>::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                let addresses = names.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(names)
    }

    /// The addresses of a name, of all families.
    pub(super) fn get(&self, name: &str) -> &[IpAddr] {
        self.0.get(&name.trim_end_matches('.').to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_all_their_addresses_and_nonsense_is_skipped() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost # x y\n\n::1 LocalHost\nnonsense here\n192.0.2.1\tA.example b\n#192.0.2.2 c",
        );
        assert_eq!(hosts.get("localhost"), ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(hosts.get("a.EXAMPLE."), hosts.get("b"));
        assert_eq!(hosts.get("b").len(), 1);
        for absent in ["x", "here", "c"] {
            assert!(hosts.get(absent).is_empty(), "{absent}");
        }
    }
}
