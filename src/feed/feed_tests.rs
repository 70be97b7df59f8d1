//! Every kind of feed in every state that it may be found in; the pages are made up.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::AdmissionKind;

macro_rules! page {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/feeds/", $name)).as_slice()
    };
}

fn now() -> Timestamp {
    "2026-11-22T11:00:00Z".parse().unwrap()
}

/// What a page comes to: a line for each notice.
fn told(kind: Kind, body: &[u8]) -> Vec<String> {
    let status = kind.parse(body, now()).unwrap_or_else(|error| panic!("{}: {error}", kind.key()));
    let line = |one: &Notice| {
        let begin = one.begin.map_or_else(|| "-".to_owned(), |at| at.format("%d %H:%M").to_string());
        let end = one.end.map_or_else(String::new, |at| format!(" to {}", at.format("%H:%M")));
        let (products, regions) = (one.products.join(","), one.regions.join(","));
        format!("{:?} {} | {begin}{end} | {products} | {regions}", one.kind, one.title)
    };
    status.notices.iter().map(line).collect()
}

/// Pages on which something is wrong.
const OPEN: [(Kind, &[u8]); 10] = [
    (Kind::statuspage, page!("statuspage-open.json")),
    (Kind::google_cloud, page!("google_cloud-open.json")),
    (Kind::aws, page!("aws-open.json")),
    (Kind::azure, page!("azure-open.xml")),
    (Kind::slack, page!("slack-open.json")),
    (Kind::instatus, page!("instatus-open.json")),
    (Kind::cstate, page!("cstate-open.json")),
    (Kind::better_stack, page!("better_stack-open.json")),
    (Kind::rss, page!("rss-open.xml")),
    (Kind::atom, page!("atom-open.xml")),
];

/// Pages on which nothing is wrong, of the kinds whose silence counts.
const HEALTHY: [(Kind, &[u8]); 7] = [
    (Kind::statuspage, page!("statuspage-healthy.json")),
    (Kind::google_cloud, page!("google_cloud-healthy.json")),
    (Kind::aws, page!("aws-healthy.json")),
    (Kind::slack, page!("slack-healthy.json")),
    (Kind::instatus, page!("instatus-healthy.json")),
    (Kind::cstate, page!("cstate-healthy.json")),
    (Kind::better_stack, page!("better_stack-healthy.json")),
];

#[test]
fn every_kind_has_a_page_here() {
    let kinds: Vec<Kind> = OPEN.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn open_incidents_are_read() {
    let expected: [&[&str]; 10] = [
        &[
            "Outage Sign-in fails for many | 22 10:40 | Sign-in,c-auth | ",
            "Degraded Webhooks: degraded performance | 22 10:50 | Webhooks,c-hooks | ",
        ],
        &[
            "Degraded Elevated errors on made up databases | 22 10:40 | Cloud Messaging,Realtime Database,k-fcm,k-multi,k-rtdb \
           | Belgium (europe-west1),europe-west1",
        ],
        &[
            "Outage Increased error rates – ünïcode | 22 10:40 | Amazon Made Up Machines,Amazon Made Up Storage,ec2,s3 | \
           N. Virginia,us-east-1",
        ],
        &["Degraded Made Up Storage - West Europe - Investigating | 22 10:29 | Made Up Storage | West Europe"],
        &["Outage Messages do not arrive | 22 10:40 | Connections,Messaging | "],
        &["Outage Site is slow | 22 10:40 |  | ", "Maintenance Disk change | 22 10:00 |  | "],
        &["Outage API is gone | 22 10:40 | API,CDN | ", "Degraded Docs: disrupted | - | Docs,Other | "],
        &[
            "Outage API down | 22 10:40 | 11,API | ",
            "Maintenance Move | 22 10:00 to 12:00 |  | ",
            "Degraded Mail: degraded | - | 12,Mail | ",
        ],
        &["Info API errors in <eu> – looking | 22 10:40 | API | "],
        &["Info Uploads fail | 22 10:40 | Uploads | "],
    ];
    for ((kind, body), expected) in OPEN.into_iter().zip(expected) {
        assert_eq!(told(kind, body), expected, "{}", kind.key());
    }
}

#[test]
fn silence_counts_only_where_the_whole_page_was_understood() {
    for (kind, body) in HEALTHY {
        assert_eq!(kind.parse(body, now()), Ok(Status { notices: vec![], silence_counts: true }), "{}", kind.key());
    }
    for (kind, body) in [
        (Kind::statuspage, page!("statuspage-resolved.json")),
        (Kind::google_cloud, page!("google_cloud-resolved.json")),
    ] {
        assert_eq!(kind.parse(body, now()), Ok(Status { notices: vec![], silence_counts: true }), "{}", kind.key());
    }
    // A healthy cloud and a broken server alike.
    let azure = Kind::azure.parse(page!("azure-empty.xml"), now()).unwrap();
    assert_eq!(azure, Status { notices: vec![], silence_counts: false });
    for empty in ["[]", " [ ] "] {
        assert!(Kind::aws.parse(empty.as_bytes(), now()).is_err());
        assert!(Kind::google_cloud.parse(empty.as_bytes(), now()).is_err());
    }
}

#[test]
fn planned_work_is_read_while_it_goes_on() {
    let body = page!("statuspage-maintenance.json");
    assert_eq!(
        told(Kind::statuspage, body),
        ["Maintenance Sign-in moves house | 22 10:00 to 12:00 | Sign-in,c-auth | "]
    );
    // It takes longer than was planned: it goes on as long as the page says so, and nobody knows until when.
    let later = Kind::statuspage.parse(body, now() + chrono::TimeDelta::hours(2)).unwrap();
    let m1 = later.notices.iter().find(|notice| notice.id == "m1").unwrap();
    assert_eq!((m1.kind, m1.end), (AdmissionKind::Maintenance, None));
    let next_week = Kind::statuspage.parse(body, now() + chrono::TimeDelta::days(7)).unwrap();
    assert!(next_week.notices.iter().any(|notice| notice.id == "m2"), "{next_week:?}");
}

/// A page that is not well is never taken for one that is.
#[test]
fn what_a_page_says_of_itself_counts_where_nothing_below_says_more() {
    let cstate =
        br#"{"is":"index","summaryStatus":"down","systems":[{"name":"API","status":"ok","unresolvedIssues":[]}]}"#;
    assert_eq!(told(Kind::cstate, cstate), ["Outage The page says down | - |  | "]);
    let overrun = br#"{"page":{"name":"Made Up","url":"https://up.example.com","status":"UNDERMAINTENANCE"},
        "activeMaintenances":[{"id":"w","name":"Disk change","start":"2026-11-22T09:00:00Z","status":"INPROGRESS","duration":"60"}]}"#;
    assert_eq!(told(Kind::instatus, overrun), ["Maintenance Disk change | 22 09:00 |  | "]);
    let down_in_planned_work = br#"{"page":{"id":"p","name":"Made Up","url":"https://up.example.com"},
        "status":{"indicator":"major","description":"x"},"incidents":[],
        "components":[{"id":"c-auth","name":"Sign-in","status":"major_outage","updated_at":"2026-11-22T10:50:00Z"}],
        "scheduled_maintenances":[{"id":"m","name":"Move","status":"in_progress","impact":"maintenance",
            "scheduled_for":"2026-11-22T10:00:00Z","scheduled_until":"2026-11-22T12:00:00Z",
            "components":[{"id":"c-auth","name":"Sign-in","status":"major_outage"}]}]}"#;
    assert_eq!(
        told(Kind::statuspage, down_in_planned_work),
        [
            "Maintenance Move | 22 10:00 to 12:00 | Sign-in,c-auth | ",
            "Outage Sign-in: major outage | 22 10:50 | Sign-in,c-auth | ",
        ]
    );
    let unplanned = br#"<rss version="2.0"><channel><title>x</title><item><title>Unplanned outage: API</title>
        <guid>1</guid><pubDate>Sun, 22 Nov 2026 10:40:00 GMT</pubDate></item></channel></rss>"#;
    assert_eq!(told(Kind::rss, unplanned), ["Info Unplanned outage: API | 22 10:40 |  | "]);
}

#[test]
fn what_is_available_again_is_a_notice_until_it_ends() {
    let body = page!("google_cloud-available.json");
    assert_eq!(told(Kind::google_cloud, body), ["Info Elevated errors | 22 10:40 | Realtime Database,k-rtdb | "]);
}

#[test]
fn what_nobody_has_touched_for_days_is_demoted() {
    let later = now() + chrono::TimeDelta::days(4);
    for (kind, body) in OPEN.into_iter().filter(|(kind, _)| !matches!(kind, Kind::rss | Kind::atom)) {
        for notice in kind.parse(body, later).unwrap().notices.iter().filter(|notice| notice.begin.is_some()) {
            assert_eq!(notice.kind, AdmissionKind::Info, "{}: {notice:?}", kind.key());
        }
    }
}

#[test]
fn amazons_encodings() {
    let text = std::str::from_utf8(page!("aws-open.json")).unwrap().trim_end();
    let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(bytes);
        mark.into_iter().chain(units).collect::<Vec<u8>>()
    };
    let big = wide([0xfe, 0xff], u16::to_be_bytes);
    let little = wide([0xff, 0xfe], u16::to_le_bytes);
    let marked = ["\u{feff}".as_bytes(), text.as_bytes()].concat();
    for body in [&big, &little, &marked] {
        assert_eq!(told(Kind::aws, body), told(Kind::aws, text.as_bytes()));
        assert!(Kind::aws.parse(&body[..body.len() - 1], now()).is_err());
    }
    assert!(Kind::aws.parse(&big[2..], now()).is_err(), "without its mark it is no text");
}

#[test]
fn what_is_something_else_is_not_understood() {
    let huge = vec![b'['; fetch::LARGEST];
    let deep_xml = format!("<rss>{}", "<a>".repeat(100_000));
    let long_xml = format!("<rss><channel><title>{}", "Azure Status ".repeat(300_000));
    let bodies: [&[u8]; 14] = [
        b"",
        b" \r\n",
        b"null",
        b"{}",
        b"true",
        b"\"ok\"",
        b"[1,2]",
        b"{\"page\":[]}",
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08\x00",
        page!("page.html"),
        &huge,
        deep_xml.as_bytes(),
        long_xml.as_bytes(),
    ];
    for kind in Kind::ALL {
        for body in bodies {
            let start = String::from_utf8_lossy(&body[..body.len().min(30)]);
            let read = kind.parse(body, now());
            assert!(read.is_err(), "{} takes {start:?} for {read:?}", kind.key());
        }
        for (other, body) in OPEN.iter().filter(|(other, _)| other != kind) {
            // A page of another kind says nothing as this one, unless both are lists of news.
            if let Ok(read) = kind.parse(body, now()) {
                let news = matches!((kind, other), (Kind::rss, Kind::azure));
                assert!(news, "{} takes a page of {} for {read:?}", kind.key(), other.key());
            }
        }
    }
}

#[test]
fn a_page_that_is_cut_off_is_not_understood() {
    for (kind, body) in OPEN.into_iter().chain(HEALTHY) {
        let body = body.trim_ascii_end();
        for end in 0..body.len() {
            assert!(kind.parse(&body[..end], now()).is_err(), "{} cut at {end}", kind.key());
        }
    }
}

/// Every page that is the given one but for a single value, which is put in the place of another.
fn with_one_wrong(page: &Value, wrong: &Value) -> Vec<Value> {
    let mut pages = vec![wrong.clone()];
    match page {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for inner in with_one_wrong(item, wrong) {
                    let mut items = items.clone();
                    items[at] = inner;
                    pages.push(items.into());
                }
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                for inner in with_one_wrong(value, wrong) {
                    let mut fields = fields.clone();
                    fields.insert(key.clone(), inner);
                    pages.push(fields.into());
                }
            }
        }
        _ => {}
    }
    pages
}

#[test]
fn no_single_wrong_value_turns_trouble_into_silence() {
    let mut tried = 0;
    for (kind, body) in OPEN {
        let Ok(page) = serde_json::from_slice::<Value>(body) else { continue };
        for wrong in [serde_json::json!("gone"), 77.into(), Value::Null, true.into(), serde_json::json!([{}])] {
            for page in with_one_wrong(&page, &wrong) {
                tried += 1;
                let body = serde_json::to_vec(&page).unwrap();
                if let Ok(status) = kind.parse(&body, now()) {
                    assert!(!(status.silence_counts && status.notices.is_empty()), "{}: {page}", kind.key());
                }
            }
        }
    }
    assert!(tried > 1000);
}

#[test]
fn entities_are_not_expanded_and_files_are_not_read() {
    let begun = std::time::Instant::now();
    for kind in [Kind::azure, Kind::rss] {
        let status = kind.parse(page!("laughs.xml"), now()).unwrap();
        assert_eq!(status.notices[0].title, "Laughs end");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
}

#[test]
fn a_page_with_too_much_on_it_is_cut() {
    let item = "<item><title>Bad</title><guid>1</guid><pubDate>Sun, 22 Nov 2026 10:40:00 GMT</pubDate></item>";
    let body = format!("<rss><channel><title>Azure Status</title>{}</channel></rss>", item.repeat(20_000));
    assert!(body.len() < fetch::LARGEST);
    assert!(Kind::azure.parse(body.as_bytes(), now()).unwrap().notices.len() <= 500);
    let incident = format!(
        r#"{{"id":"1","begin":"2026-11-22T10:40:00Z","external_desc":"{}","affected_products":[]}}"#,
        "x".repeat(900)
    );
    let body = format!("[{}]", vec![incident; 5000].join(","));
    let read = Kind::google_cloud.parse(body.as_bytes(), now()).unwrap();
    assert!(read.notices.len() <= 500 && read.notices.iter().all(|notice| notice.title.len() < 300));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        for kind in Kind::ALL {
            let _ = kind.parse(&body, now());
        }
    }

    #[test]
    fn nor_do_pages_with_other_bytes_in_them(
        which in 0..OPEN.len(),
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..9),
        remove in 0..40_usize,
    ) {
        let (kind, page) = OPEN[which];
        let mut body = page.to_vec();
        let at = at.index(body.len());
        let end = (at + remove).min(body.len());
        body.splice(at..end, bytes);
        let _ = kind.parse(&body, now());
    }
}
