//! What an answer must be, and the figures that `GET /probe` shows of it. Pure.

use hickory_proto::rr::RecordType;

use super::Expect;
use crate::{
    model::{Failure, Kind, Phase},
    net::dns::{RCODES, Reply, rcode_word},
    protocol::{Attempt, Pattern, Problem},
};

const ANSWERS: (&str, &str) = ("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list");
const AUTHORITIES: (&str, &str) =
    ("probe_dns_authority_rrs", "Returns number of entries in the authority resource record list");
const ADDITIONALS: (&str, &str) =
    ("probe_dns_additional_rrs", "Returns number of entries in the additional resource record list");
const SUCCEEDED: (&str, &str) =
    ("probe_dns_query_succeeded", "Displays whether or not the query was executed successfully");
const SERIAL: (&str, &str) = ("probe_dns_serial", "Returns the serial number of the zone");

/// What blackbox_exporter shows also without an answer.
pub(super) const ZEROS: [(&str, &str); 4] = [ANSWERS, AUTHORITIES, ADDITIONALS, SUCCEEDED];

/// Notes the figures of an answer.
pub(super) fn note(reply: &Reply, record_type: RecordType, attempt: &mut Attempt) {
    if !attempt.wants_gauges {
        return;
    }
    let mut note = |(name, help), value| attempt.gauge(name, help, value);
    note(ANSWERS, reply.answers() as f64);
    note(AUTHORITIES, reply.authorities() as f64);
    note(ADDITIONALS, reply.additionals() as f64);
    note(SUCCEEDED, 1.0);
    if record_type == RecordType::SOA {
        note(SERIAL, reply.serial().unwrap_or(0).into());
    }
}

/// What an answer must be, ready to compare.
#[derive(Debug)]
pub(super) struct Expected {
    rcode: u16,
    /// Whether there must be a record of the type that was asked for.
    record_type: Option<RecordType>,
    answers: Vec<Pattern>,
    min_ttl: Option<u64>,
    pub(super) dnssec: bool,
}

impl Expected {
    /// Reads the shape.
    pub(super) fn new(file: &Expect, record_type: RecordType) -> Result<Self, Problem> {
        let rcode = file.rcode.as_deref().map(rcode).transpose()?;
        Ok(Self {
            rcode: rcode.unwrap_or(0),
            record_type: rcode.is_none().then_some(record_type),
            answers: file.answers.clone(),
            min_ttl: file.min_ttl.map(|span| span.0.as_secs()),
            dnssec: file.dnssec.unwrap_or(false),
        })
    }

    /// Compares. `server` is the one that answered, for the words.
    pub(super) fn judge(&self, reply: &Reply, server: &str) -> Result<(), Failure> {
        let unexpected = |kind, detail| Err(Failure::new(Phase::Exchange, kind, detail));
        let rcode = reply.rcode();
        if rcode != self.rcode {
            // That a name does not exist is a failure of its own, as when a client looks it up.
            let kind = if rcode == 3 && self.rcode == 0 { Kind::NameNotFound } else { Kind::StatusUnexpected };
            let mut detail = format!("{server} answered {}", rcode_word(rcode));
            if let Some(words) = reply.explanation() {
                detail += &format!(" ({words})");
            }
            if self.rcode != 0 {
                detail += &format!(" instead of {}", rcode_word(self.rcode));
            }
            return unexpected(kind, detail);
        }
        if let Some(record_type) = self.record_type.filter(|wanted| !reply.answers_type(*wanted)) {
            let detail = match reply.answers() {
                0 => format!("{server} knows no {record_type} record of that name"),
                _ => format!("{server} answered with other records than {record_type}"),
            };
            return unexpected(Kind::NameNotFound, detail);
        }
        if self.dnssec && !reply.authentic() {
            return unexpected(
                Kind::BodyUnexpected,
                format!("{server} does not say that the answer is authentic (AD)"),
            );
        }
        let unmatched = self.answers.iter().find(|pattern| !reply.texts().any(|text| pattern.0.is_match(&text)));
        if let Some(pattern) = unmatched {
            return unexpected(Kind::BodyUnexpected, format!("no answer matches `{}`: {}", pattern.0, some_of(reply)));
        }
        match (self.min_ttl, reply.min_ttl()) {
            (Some(least), Some(ttl)) if u64::from(ttl) < least => {
                unexpected(Kind::BodyUnexpected, format!("a time to live of {ttl}s is less than {least}s"))
            }
            _ => Ok(()),
        }
    }
}

/// The first answers of what may be a thousand, each of them short.
fn some_of(reply: &Reply) -> String {
    let short = |text: String| text.chars().filter(|c| !c.is_control()).take(60).collect();
    let mut shown: Vec<String> = reply.texts().take(3).map(short).collect();
    if reply.answers() > shown.len() {
        shown.push(format!("{} more", reply.answers() - shown.len()));
    }
    if shown.is_empty() { "there is none".to_owned() } else { shown.join(", ") }
}

fn rcode(word: &str) -> Result<u16, Problem> {
    let word = word.to_ascii_uppercase();
    let known = RCODES.iter().find(|(_, name)| *name == word).map(|(code, _)| *code);
    let numbered = || word.strip_prefix("RCODE").and_then(|number| number.parse().ok()).filter(|code| *code < 4096);
    known.or_else(numbered).ok_or_else(|| {
        let names = RCODES.map(|(_, name)| name);
        unknown("expect.rcode", "response code", &word, &names)
    })
}

/// Reads `A`, `aaaa`, `TYPE65280`.
pub(super) fn record_type(word: &str) -> Result<RecordType, Problem> {
    // Those that a question may ask for; zone transfers are conversations of their own.
    const NAMES: [&str; 33] = [
        "A",
        "AAAA",
        "ANAME",
        "ANY",
        "CAA",
        "CDNSKEY",
        "CDS",
        "CERT",
        "CNAME",
        "CSYNC",
        "DNAME",
        "DNSKEY",
        "DS",
        "HINFO",
        "HTTPS",
        "KEY",
        "MX",
        "NAPTR",
        "NS",
        "NSEC",
        "NSEC3",
        "NSEC3PARAM",
        "NULL",
        "OPENPGPKEY",
        "PTR",
        "RRSIG",
        "SMIMEA",
        "SOA",
        "SRV",
        "SSHFP",
        "SVCB",
        "TLSA",
        "TXT",
    ];
    let word = word.trim().to_ascii_uppercase();
    let known = || if NAMES.contains(&word.as_str()) { word.parse().ok() } else { None };
    let numbered = || word.strip_prefix("TYPE")?.parse::<u16>().ok().map(RecordType::from);
    known().or_else(numbered).ok_or_else(|| unknown("type", "record type", &word, &NAMES))
}

fn unknown(path: &str, what: &str, word: &str, names: &[&str]) -> Problem {
    let nearest = names.iter().map(|name| (distance(word, name), *name)).min().filter(|(distance, _)| *distance <= 2);
    let problem = Problem::at(path, format!("unknown {what} `{word}`"));
    match nearest {
        Some((_, name)) => problem.help(format!("did you mean `{name}`?")),
        None => problem.help(format!("known are {}", names.join(", "))),
    }
}

/// Letters to insert, delete or replace (Levenshtein); both words are short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_answered_with_what_was_meant() {
        let problem = record_type("AAA").unwrap_err();
        assert_eq!(
            (problem.message.as_str(), problem.help.as_deref()),
            ("unknown record type `AAA`", Some("did you mean `AAAA`?"))
        );
        assert_eq!(rcode("NXDOMIAN").unwrap_err().help.as_deref(), Some("did you mean `NXDOMAIN`?"));
        assert!(record_type("ZONE-TRANSFER").unwrap_err().help.unwrap().contains("known are A, AAAA"));
        assert!(record_type("AXFR").is_err());
    }

    #[test]
    fn every_name_that_we_offer_is_understood() {
        for word in ["a", "Https", "DNSKEY", "any", "SOA", "ns"] {
            assert_eq!(record_type(word).unwrap().to_string(), word.to_ascii_uppercase());
        }
        assert_eq!(record_type("TYPE65280").unwrap(), RecordType::Unknown(65280));
        assert_eq!((rcode("noerror").unwrap(), rcode("RCODE24").unwrap()), (0, 24));
    }
}
