//! One question as bytes, and one answer that was checked to belong to it. Only this file reads DNS messages.

use std::net::IpAddr;

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RData, Record, RecordType, rdata::opt::EdnsOption},
};

use crate::model::{Failure, Kind, Phase};

/// What we let a server send in one datagram: fits every path without fragments (DNS flag day 2020).
const DATAGRAM: u16 = 1232;

/// Links of a CNAME chain that are followed.
const CHAIN: usize = 16;

/// Names of the response codes, as `dig` prints them.
pub const RCODES: [(u16, &str); 13] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];

/// The name of a response code, `RCODE24` where it has none.
#[must_use]
pub fn rcode_word(rcode: u16) -> String {
    let known = RCODES.iter().find(|(code, _)| *code == rcode);
    known.map_or_else(|| format!("RCODE{rcode}"), |(_, word)| (*word).to_owned())
}

/// How a question makes use of EDNS (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// Not at all: for servers that do not know it.
    Without,
    /// A larger datagram, and errors that explain themselves (RFC 8914).
    Edns,
    /// The same, and the server is asked to validate (DO and AD bits, RFC 6840 §5.7).
    Dnssec,
}

/// A question, encoded once.
#[derive(Debug, Clone)]
pub struct Question {
    name: Name,
    record_type: RecordType,
    extension: Extension,
    wire: Vec<u8>,
}

impl Question {
    /// A question for a fully qualified name; an address as the name of a PTR question means its reverse name.
    ///
    /// # Errors
    /// Why this cannot be a name, in words.
    pub fn new(name: &str, record_type: RecordType, extension: Extension) -> Result<Self, String> {
        let mut parsed = match name.parse::<IpAddr>() {
            Ok(address) if record_type == RecordType::PTR => Name::from(address),
            _ => Name::from_str_relaxed(name).map_err(|error| format!("`{name}` cannot be a domain name: {error}"))?,
        };
        parsed.set_fqdn(true);
        Self::encode(parsed, record_type, extension)
    }

    /// The same question for a server that does not know EDNS.
    #[must_use]
    pub fn without_edns(&self) -> Option<Self> {
        if self.extension == Extension::Without {
            return None;
        }
        Self::encode(self.name.clone(), self.record_type, Extension::Without).ok()
    }

    fn encode(name: Name, record_type: RecordType, extension: Extension) -> Result<Self, String> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        if extension != Extension::Without {
            let mut edns = Edns::new();
            edns.set_max_payload(DATAGRAM);
            if extension == Extension::Dnssec {
                edns.set_dnssec_ok(true);
                message.metadata.authentic_data = true;
            }
            message.set_edns(edns);
        }
        let wire = message.to_vec().map_err(|error| format!("`{name}` cannot be asked for: {error}"))?;
        Ok(Self { name, record_type, extension, wire })
    }

    /// The bytes of the question under an id.
    #[must_use]
    pub fn wire(&self, id: u16) -> Vec<u8> {
        let mut wire = self.wire.clone();
        wire[..2].copy_from_slice(&id.to_be_bytes());
        wire
    }

    /// Reads what came back for the id. `None` is a message that answers something else: an old question's answer, or
    /// somebody's guess.
    ///
    /// # Errors
    /// `protocol_error` when the id is right and the rest cannot be read.
    pub fn read(&self, bytes: &[u8], id: u16) -> Result<Option<Reply>, Failure> {
        let is_answer = bytes.get(2).is_some_and(|flags| flags & 0x80 != 0);
        if bytes.len() < 12 || bytes[..2] != id.to_be_bytes() || !is_answer {
            return Ok(None);
        }
        let message = Message::from_vec(bytes).map_err(|error| {
            Failure::new(Phase::Exchange, Kind::ProtocolError, format!("cannot read the answer: {error}"))
        })?;
        let same = match message.queries.as_slice() {
            [query] => query.name() == &self.name && query.query_type() == self.record_type,
            // A server that could not read the question may answer without it.
            [] => u16::from(message.metadata.response_code) != 0 && message.answers.is_empty(),
            _ => false,
        };
        Ok(same.then_some(Reply(message)))
    }
}

/// An answer to our question.
#[derive(Debug, Clone)]
pub struct Reply(Message);

impl Reply {
    /// Response code, with the bits that EDNS adds.
    #[must_use]
    pub fn rcode(&self) -> u16 {
        self.0.metadata.response_code.into()
    }

    /// Whether the datagram was too small for the whole answer.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.0.metadata.truncation
    }

    /// Whether the server says that it validated the answer (AD bit).
    #[must_use]
    pub const fn authentic(&self) -> bool {
        self.0.metadata.authentic_data
    }

    /// Whether the server knows EDNS.
    #[must_use]
    pub const fn has_edns(&self) -> bool {
        self.0.edns.is_some()
    }

    /// Records in the answer section.
    #[must_use]
    pub const fn answers(&self) -> usize {
        self.0.answers.len()
    }

    /// Records in the authority section.
    #[must_use]
    pub const fn authorities(&self) -> usize {
        self.0.authorities.len()
    }

    /// Records in the additional section, without the one that EDNS uses.
    #[must_use]
    pub const fn additionals(&self) -> usize {
        self.0.additionals.len()
    }

    /// The data of each answer in the form of a zone file: `192.0.2.1`, `10 mail.example.`.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.0.answers.iter().map(|record| text(&record.data))
    }

    /// The shortest time to live of any answer, in seconds.
    #[must_use]
    pub fn min_ttl(&self) -> Option<u32> {
        self.0.answers.iter().map(|record| record.ttl).min()
    }

    /// Whether any answer is of the type that was asked for.
    #[must_use]
    pub fn answers_type(&self, wanted: RecordType) -> bool {
        wanted.is_any() && !self.0.answers.is_empty()
            || self.0.answers.iter().any(|record| record.record_type() == wanted)
    }

    /// Serial number of the last SOA among the answers.
    #[must_use]
    pub fn serial(&self) -> Option<u32> {
        self.0.answers.iter().rev().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
    }

    /// What the server says about an error (RFC 8914): `DNSSEC Bogus: no signature`.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        let options = &self.0.edns.as_ref()?.options().options;
        let words: Vec<String> = options
            .iter()
            .filter_map(|(_, option)| match option {
                EdnsOption::Unknown(15, bytes) => explain(bytes),
                _ => None,
            })
            .take(3)
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// The addresses at the end of the CNAME chain that begins at the question's name.
    ///
    /// # Errors
    /// When the chain bites its own tail, in words.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let Some(mut name) = self.0.queries.first().map(|query| query.name()) else { return Ok(Vec::new()) };
        let answers = &self.0.answers;
        for _ in 0..CHAIN {
            let found: Vec<IpAddr> = answers.iter().filter(|record| &record.name == name).filter_map(address).collect();
            if !found.is_empty() {
                return Ok(found);
            }
            let next = answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if &record.name == name => Some(&target.0),
                _ => None,
            });
            match next {
                Some(target) => name = target,
                None => return Ok(Vec::new()),
            }
        }
        Err("the chain of CNAMEs is a loop, or too long".to_owned())
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

/// The text form of a record's data; some types have none.
fn text(data: &RData) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // A type without a text form reports an error, which `to_string` would turn into a panic.
    let _ = write!(text, "{data}");
    text
}

/// An extended error: two bytes of code, then text for people.
fn explain(bytes: &[u8]) -> Option<String> {
    let (code, said) = bytes.split_first_chunk::<2>()?;
    let code = u16::from_be_bytes(*code);
    let word = match code {
        3 => "stale answer",
        6 => "DNSSEC bogus",
        7 => "signature expired",
        8 => "signature not yet valid",
        9 => "DNSKEY missing",
        10 => "signatures missing",
        13 => "cached error",
        14 => "not ready",
        15 => "blocked",
        16 => "censored",
        17 => "filtered",
        18 => "prohibited",
        20 => "not authoritative",
        22 => "no reachable authority",
        23 => "network error",
        _ => "",
    };
    // A stranger's text goes into our logs and messages: short, one line.
    let said: String = String::from_utf8_lossy(said).chars().filter(|c| !c.is_control()).take(120).collect();
    Some(match (word, said.as_str()) {
        ("", "") => format!("extended error {code}"),
        ("", said) => said.to_owned(),
        (word, "") => word.to_owned(),
        (word, said) => format!("{word}: {said}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A good answer: an alias, an address, a mail exchange, a text, and an extended error.
    fn good(question: &Question) -> Vec<u8> {
        use hickory_proto::rr::rdata::{CNAME, MX, TXT};
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(question.name.clone(), question.record_type));
        for data in [
            RData::CNAME(CNAME(name("b.example."))),
            RData::A("192.0.2.1".parse().unwrap()),
            RData::MX(MX::new(10, name("mail.a.example."))),
            RData::TXT(TXT::new(vec!["hello".to_owned()])),
        ] {
            message.add_answer(Record::from_rdata(question.name.clone(), 60, data));
        }
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(15, vec![0, 6, b'x', 0x1b, b'y']));
        message.set_edns(edns);
        message.to_vec().unwrap()
    }

    fn question() -> Question {
        Question::new("a.example", RecordType::A, Extension::Edns).unwrap()
    }

    /// Everything that is ever asked of an answer.
    fn use_up(reply: &Reply) -> (Vec<String>, Option<String>) {
        let _ = (reply.addresses(), reply.min_ttl(), reply.serial(), reply.answers_type(RecordType::A));
        (reply.texts().collect(), reply.explanation())
    }

    #[test]
    fn an_answer_speaks_as_a_zone_file_does_and_its_explanation_stays_on_one_line() {
        let reply = question().read(&good(&question()), 7).unwrap().unwrap();
        let (texts, explanation) = use_up(&reply);
        assert_eq!(texts, ["b.example.", "192.0.2.1", "10 mail.a.example.", "hello"]);
        assert_eq!(explanation.as_deref(), Some("DNSSEC bogus: xy"));
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        let reverse = |text| Question::new(text, RecordType::PTR, Extension::Without).unwrap().name.to_string();
        assert_eq!(reverse("192.0.2.1"), "1.2.0.192.in-addr.arpa.");
        assert_eq!(reverse("a.example"), "a.example.");
        assert!(Question::new(&"a".repeat(64), RecordType::A, Extension::Edns).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_are_read_without_panic(mut bytes: Vec<u8>, raw: bool) {
            if !raw && bytes.len() > 2 {
                bytes[..2].copy_from_slice(&7_u16.to_be_bytes());
                bytes[2] |= 0x80;
            }
            if let Ok(Some(reply)) = question().read(&bytes, 7) {
                use_up(&reply);
            }
        }

        #[test]
        fn a_good_answer_with_some_bytes_changed_is_read_without_panic(changes: Vec<(prop::sample::Index, u8)>) {
            let mut bytes = good(&question());
            for (place, byte) in changes {
                let place = 2 + place.index(bytes.len() - 2);
                bytes[place] = byte;
            }
            if let Ok(Some(reply)) = question().read(&bytes, 7) {
                use_up(&reply);
            }
        }
    }
}
