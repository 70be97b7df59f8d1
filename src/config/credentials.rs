//! Users, passwords and queries of addresses: cut out of everything that is shown.

use std::ops::Range;

/// A message without credentials in the addresses that it repeats.
pub(super) fn without_credentials(text: &str) -> String {
    let mut clean = String::new();
    let mut here = 0;
    for hidden in credentials(text) {
        clean.push_str(text.get(here..hidden.start).unwrap_or_default());
        clean.push_str("***");
        here = hidden.end;
    }
    clean.push_str(text.get(here..).unwrap_or_default());
    clean
}

/// Users, passwords and queries of everything in a text that looks like an address.
pub(super) fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut start = 0;
    for token in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')) {
        let end = start + token.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).len();
        let address = text.get(start..end).unwrap_or_default();
        let scheme = address.find("://");
        let from = scheme.map_or(0, |at| at + 3);
        let rest = address.get(from..).unwrap_or_default();
        // An `@` in a path hides more than it must; a `/` in a password would otherwise show too much.
        let user =
            rest.rfind('@').filter(|&at| scheme.is_some() || rest.get(..at).is_some_and(|user| user.contains(':')));
        let host = from + user.unwrap_or(0);
        if host > from {
            hidden.push(start + from..start + host);
        }
        let query = address.get(host..).and_then(|rest| rest.split_once('?')).map(|(_, query)| query);
        if let Some(query) = query.filter(|query| !query.is_empty() && (scheme.is_some() || query.contains('='))) {
            hidden.push(end - query.len()..end);
        }
        start += token.len();
    }
    hidden
}
