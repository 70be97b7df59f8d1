//! What a notice is about, from their names to ours.

use super::*;
use crate::feed::{Kind, Told};
use crate::model::{AdmissionKind, Subject};

fn now() -> Timestamp {
    "2026-11-22T11:00:00Z".parse().unwrap()
}

fn names(products: &[(&str, &[&str])], regions: &[(&str, &[&str])], probed: &[&str]) -> Names {
    let of = |pairs: &[(&str, &[&str])]| {
        let theirs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(ours, names)| (Arc::from(*ours), theirs(names))).collect()
    };
    Names { products: of(products), regions: of(regions), probed: probed.iter().map(|one| Arc::from(*one)).collect() }
}

fn notice(products: &[&str], regions: &[&str]) -> Notice {
    Notice {
        products: products.iter().map(|one| (*one).to_owned()).collect(),
        regions: regions.iter().map(|one| (*one).to_owned()).collect(),
        begin: Some(now()),
        end: Some(now() + chrono::TimeDelta::hours(1)),
        url: Some("incidents/1".to_owned()),
        ..Notice::new("1", "Elevated errors in europe-west1", AdmissionKind::Outage)
    }
}

fn state(names: &Names, notices: Vec<Notice>) -> FeedState {
    let told = Told { notices: notices.into_iter().map(|one| (one, now())).collect(), silence_counts: true };
    read(names, Ok(told), now())
}

fn read(names: &Names, told: Result<Told, String>, at: Timestamp) -> FeedState {
    let url = "https://status.example.com/incidents.json".parse().unwrap();
    let source = Source { kind: Kind::google_cloud, url };
    admissions(&"firebase".into(), names, &source, Some(&Reading { fetched_at: at, told }), now())
}

/// The products and regions of ours that a notice is held to be about; nothing when it is none of ours.
fn about(names: &Names, one: Notice) -> Option<(String, String)> {
    let state = state(names, vec![one]);
    let admission = state.admissions.first()?;
    Some((admission.products.join(","), admission.regions.join(",")))
}

fn is(products: &str, regions: &str) -> Option<(String, String)> {
    Some((products.to_owned(), regions.to_owned()))
}

#[test]
fn products_are_found_by_what_is_given_and_else_by_their_words() {
    let guessing = names(&[], &[], &["realtime-database", "auth", "rtdb"]);
    assert_eq!(about(&guessing, notice(&["Realtime Database", "k-1"], &[])), is("realtime-database", ""));
    assert_eq!(about(&guessing, notice(&["Firebase Authentication"], &[])), is("auth", ""));
    assert_eq!(about(&guessing, notice(&["Cloud Messaging"], &[])), None);
    assert_eq!(about(&guessing, notice(&[], &[])), is("", ""), "what names nothing is about everything");
    let given =
        names(&[("rtdb", &["k-rtdb", "Realtime Database"]), ("auth", &["Identity Platform"])], &[], &["rtdb", "auth"]);
    assert_eq!(about(&given, notice(&["realtime database"], &[])), is("rtdb", ""));
    assert_eq!(about(&given, notice(&["Firebase Authentication"], &[])), None, "what is given is not guessed");
    let whole = names(&[("firebase", &["Networking"])], &[], &["rtdb"]);
    assert_eq!(about(&whole, notice(&["Networking", "Realtime Database"], &[])), is("", ""));
    assert_eq!(about(&whole, notice(&["Something else"], &[])), None);
    assert_eq!(about(&names(&[], &[], &[]), notice(&["Anything"], &[])), is("", ""), "a party without products");
}

#[test]
fn silence_about_a_product_is_claimed_only_when_its_name_is_known() {
    let subject = |product: &str| Subject { party: "firebase".into(), product: Some(product.into()) };
    // `rtdb` is nowhere in `Realtime Database`: it may well be what they speak of.
    let guessing =
        state(&names(&[("auth", &["Auth"])], &[], &["rtdb", "auth"]), vec![notice(&["Realtime Database"], &[])]);
    assert!(!guessing.is_silent_about(&subject("rtdb")));
    assert!(guessing.is_silent_about(&subject("auth")));
    let all_given = names(&[("rtdb", &["RTDB"]), ("auth", &["Auth"])], &[], &["rtdb", "auth"]);
    assert!(state(&all_given, vec![notice(&["Messaging"], &[])]).is_silent_about(&subject("rtdb")));
    assert!(state(&names(&[], &[], &["rtdb"]), vec![]).is_silent_about(&subject("rtdb")));
}

#[test]
fn regions_are_found_in_fields_and_headlines() {
    let named = names(&[], &[("eu", &["europe-west1", "Belgium"]), ("us", &["us-east1"])], &[]);
    assert_eq!(about(&named, notice(&[], &["europe-west1"])), is("", "eu"));
    assert_eq!(about(&named, notice(&[], &["Belgium (europe-west1)"])), is("", "eu"));
    assert_eq!(about(&named, notice(&[], &["us-east1", "europe-west1"])), is("", "eu,us"));
    assert_eq!(about(&named, notice(&[], &["asia-east1"])), None, "none of our regions");
    assert_eq!(about(&named, notice(&[], &["us-east15"])), None, "a region of another name");
    assert_eq!(about(&named, notice(&[], &["asia-east1", "global"])), is("", ""));
    assert_eq!(about(&named, notice(&[], &[])), is("", "eu"), "the headline names it");
    let elsewhere = Notice { title: "Elevated errors".to_owned(), ..notice(&[], &[]) };
    assert_eq!(about(&named, elsewhere), is("", ""));
    assert_eq!(about(&names(&[], &[], &[]), notice(&[], &["asia-east1"])), is("", ""), "nothing is known of regions");
}

#[test]
fn only_what_is_certain_has_an_end() {
    let until = |names: &Names, one| state(names, vec![one]).admissions[0].until;
    assert!(until(&names(&[("rtdb", &["RTDB"])], &[], &["rtdb"]), notice(&["RTDB"], &[])).is_some());
    assert!(until(&names(&[], &[], &["realtime-database"]), notice(&["Realtime Database"], &[])).is_some());
    assert!(until(&names(&[], &[], &["auth"]), notice(&["Firebase Authentication"], &[])).is_none());
    assert!(until(&names(&[], &[], &[]), notice(&["Anything"], &[])).is_none());
}

#[test]
fn what_cannot_be_told_is_unknown() {
    let none = names(&[], &[], &[]);
    let subject = Subject { party: "firebase".into(), product: None };
    let silent = |silence_counts| Ok(Told { notices: vec![], silence_counts });
    assert_eq!(read(&none, silent(true), now()).state, FeedWord::Ok);
    assert!(read(&none, silent(true), now()).is_silent_about(&subject));
    let unknown = [
        read(&none, silent(false), now()),
        read(&none, Err("it is a web page".to_owned()), now()),
        read(&none, silent(true), now() - chrono::TimeDelta::minutes(7)),
    ];
    for state in unknown {
        assert_eq!(state.state, FeedWord::Unknown, "{state:?}");
        assert!(!state.is_silent_about(&subject) && state.why.is_some());
    }
}

#[test]
fn pages_of_one_party_add_up() {
    let none = names(&[], &[], &[]);
    let subject = Subject { party: "firebase".into(), product: None };
    let bad = || state(&none, vec![notice(&[], &[])]);
    let (well, unknown) = (state(&none, vec![]), read(&none, Err("timed out".to_owned()), now()));
    assert_eq!(together([well.clone(), bad()]).unwrap().state, FeedWord::Outage);
    assert_eq!(together([unknown.clone(), bad()]).unwrap().about(&subject, &[]).count(), 1);
    let half = together([well, unknown]).unwrap();
    assert_eq!(half.state, FeedWord::Unknown);
    assert!(!half.is_silent_about(&subject));
    assert_eq!(together([]), None);
}

#[test]
fn links_are_made_whole() {
    let url = state(&names(&[], &[], &[]), vec![notice(&[], &[])]).admissions[0].url.clone();
    assert_eq!(url.as_deref(), Some("https://status.example.com/incidents/1"));
}
