//! What `usoryou check` prints for programs: JSON, JSON lines and JUnit XML. The forms are contracts; knows no terminal.

use std::fmt::Write as _;

use crate::model::{Observation, Outcome, Verdict};

/// One JSON document: the observations and, where parties are known, the verdicts.
#[must_use]
pub(super) fn json(seen: &[&Observation], verdicts: &[Verdict]) -> String {
    let document = serde_json::json!({ "observations": seen, "verdicts": verdicts });
    format!("{document:#}\n")
}

/// One observation a line, as on the wire.
#[must_use]
pub(super) fn jsonl(seen: &Observation) -> String {
    serde_json::to_string(seen).map(|line| line + "\n").unwrap_or_default()
}

/// A JUnit report: a suite per party, a case per observation; inconclusive ones are skipped, not failed.
#[must_use]
pub(super) fn junit(seen: &[&Observation]) -> String {
    let mut parties: Vec<&str> = seen.iter().map(|o| &*o.party).collect();
    parties.dedup();
    parties.sort_unstable();
    parties.dedup();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"usoryou\">\n");
    for party in parties {
        let of_party: Vec<_> = seen.iter().filter(|o| &*o.party == party).collect();
        let count = |outcome| of_party.iter().filter(|o| o.outcome == outcome).count();
        let time: f64 = of_party.iter().map(|o| o.duration.as_secs_f64()).sum();
        // Writing to a String cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{time:.6}\">",
            escape(party),
            of_party.len(),
            count(Outcome::Down),
            count(Outcome::Inconclusive)
        );
        for o in of_party {
            case(&mut xml, o);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(xml: &mut String, seen: &Observation) {
    let class = seen.product.as_deref().unwrap_or(&seen.party);
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
        escape(class),
        escape(&seen.probe),
        seen.duration.as_secs_f64()
    );
    let words = seen.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    let _ = match seen.outcome {
        Outcome::Up | Outcome::Degraded if words.is_empty() => writeln!(xml, "/>"),
        Outcome::Up | Outcome::Degraded => writeln!(xml, "><system-out>{}</system-out></testcase>", escape(&words)),
        Outcome::Inconclusive => writeln!(xml, "><skipped message=\"{}\"/></testcase>", escape(&words)),
        Outcome::Down => {
            let kind = seen.failure.as_ref().map_or("unclassified", |failure| failure.kind.word());
            writeln!(xml, "><failure type=\"{kind}\" message=\"{}\"/></testcase>", escape(&words))
        }
    };
}

/// XML 1.0 allows neither most control characters nor these five as they are.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_escapes_what_servers_say_and_skips_what_we_could_not_tell() {
        let bad: Observation = serde_json::from_str(
            r#"{"probe":"a","party":"p","region":"r","outcome":"down","scheduled_at":"2026-11-22T10:32:00Z","duration":0.5,
                "failure":{"phase":"tls","kind":"reset","detail":"<\"&\u001b>"}}"#,
        )
        .unwrap();
        let mut unsure = bad.clone();
        unsure.outcome = Outcome::Inconclusive;
        let xml = junit(&[&bad, &unsure]);
        assert!(xml.contains("tests=\"2\" failures=\"1\" skipped=\"1\" time=\"1.000000\""), "{xml}");
        assert!(
            xml.contains("<failure type=\"reset\" message=\"tls: reset (&lt;&quot;&amp;\u{fffd}&gt;)\"/>"),
            "{xml}"
        );
        assert!(xml.contains("<skipped message="), "{xml}");
    }
}
