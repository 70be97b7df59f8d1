//! Who may ask from Slack, by Slack's own example, and what is answered.

use super::*;
use crate::model::{Cause, Subject, Verdict};

/// The example of "Verifying requests from Slack".
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const AT: i64 = 1_531_420_618;
const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

fn headers(at: &str, signature: &str) -> HeaderMap {
    let given = [("x-slack-request-timestamp", at), ("x-slack-signature", signature)];
    given.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn is_believed(headers: &HeaderMap, now: i64, secret: &str, body: &str) -> bool {
    Signed::of(headers, now).is_some_and(|signed| signed.by(&Secret::new(secret), body.as_bytes()))
}

#[test]
fn the_example_of_slack_is_believed_and_nothing_like_it() {
    let example = headers(&AT.to_string(), SIGNATURE);
    assert!(is_believed(&example, AT, SECRET, BODY));
    assert!(!is_believed(&example, AT, "8f742231b10e8888abcd99yyyzzz85a6", BODY));
    assert!(!is_believed(&example, AT, SECRET, &BODY.replace("roadrunner", "coyote")));
    assert!(!is_believed(&headers(&(AT + 1).to_string(), SIGNATURE), AT, SECRET, BODY));
    let cut = &SIGNATURE[..SIGNATURE.len() - 1];
    for wrong in ["", "v0=", cut, &SIGNATURE.replace("v0", "v1"), &SIGNATURE.replace("503", "504"), &SIGNATURE[3..]] {
        assert!(!is_believed(&headers(&AT.to_string(), wrong), AT, SECRET, BODY), "{wrong}");
    }
}

#[test]
fn a_signature_is_good_for_five_minutes() {
    let example = headers(&AT.to_string(), SIGNATURE);
    for (now, good) in [(AT - 301, false), (AT - 300, true), (AT + 300, true), (AT + 301, false)] {
        assert_eq!(is_believed(&example, now, SECRET, BODY), good, "{now}");
    }
    for wrong in ["", "yesterday", "99999999999999999999", "-9223372036854775808", "1531420618.0"] {
        assert!(!is_believed(&headers(wrong, SIGNATURE), AT, SECRET, BODY), "{wrong}");
    }
    assert!(!is_believed(&HeaderMap::new(), AT, SECRET, BODY));
    let mut doubled = headers(&AT.to_string(), SIGNATURE);
    doubled.append("x-slack-signature", "v0=00".parse().unwrap());
    assert!(!is_believed(&doubled, AT, SECRET, BODY));
}

fn known_of() -> Vec<Told> {
    let told = |party: &str, name: &str, product: &str, cause, sentence: &str| {
        let subject = Subject { party: party.into(), product: Some(product.into()) };
        let evidence = vec!["in the sentence".to_owned(), "Controls 6/6 up.".to_owned()];
        let verdict = Verdict { cause, evidence, confidence: 0.97, ..Verdict::ok(subject, Timestamp::default()) };
        Told { party_name: name.to_owned(), sentence: sentence.to_owned(), began: None, verdict }
    };
    vec![
        told("firebase", "Fire & Base", "auth", Cause::Ok, "Fire & Base auth is up."),
        told("firebase", "Fire & Base", "rtdb", Cause::Them, "It's them: Fire & Base rtdb is down."),
        told("storm", "Storm", "rain", Cause::Ok, "Storm rain is up."),
    ]
}

fn asked(told: &[Told], text: &str) -> String {
    let now = Timestamp::default();
    said(told, &[], text, Some(now), now)
}

#[test]
fn a_party_is_answered_with_its_sentences_and_what_lies_behind_them() {
    let told = known_of();
    let all =
        "It's them: Fire & Base rtdb is down.\n• evidence: Controls 6/6 up.\n• sure: 97 %\nFire & Base auth is up.";
    assert_eq!(asked(&told, "firebase"), all);
    assert_eq!(asked(&told, "fire &"), all);
    assert_eq!(asked(&told, "storm/rain"), "Storm rain is up.");
    assert_eq!(
        asked(&told, ""),
        "It's them: Fire & Base rtdb is down.\nAsk about one of: firebase/auth, firebase/rtdb, storm/rain."
    );
    assert_eq!(asked(&told[2..], "help"), "Nothing is known to be wrong.\nAsk about one of: storm/rain.");
}

#[test]
fn whoever_is_unknown_is_answered_with_those_who_are_known() {
    let told = known_of();
    assert_eq!(asked(&told, "nobody"), "The hub knows no party `nobody`: firebase/auth, firebase/rtdb, storm/rain.");
    assert_eq!(asked(&told, "firebase/x"), "Firebase has no product `x`: there is firebase/auth, firebase/rtdb.");
}

#[test]
fn an_old_judgement_says_so_and_none_is_no_good_news() {
    let (told, then) = (known_of(), Timestamp::default());
    let later = then + TimeDelta::minutes(3);
    assert!(
        said(&told, &[], "storm", Some(then), later).ends_with("judged at 1970-01-01 00:00:00 UTC, and nothing since.")
    );
    for (told, at) in [(&told[..0], Some(then)), (&told[..], None)] {
        assert_eq!(said(told, &[], "", at, then), "Nothing has been judged here yet. Ask again in a minute.");
    }
}

#[test]
fn an_answer_is_no_longer_than_slack_takes() {
    let long = shortened("ä".repeat(LONGEST));
    assert!(long.len() < LONGEST + 20 && long.ends_with("ä … (cut)"));
}
