//! A few cases of `make simulate`, so that a judge that gets worse fails within seconds; and that a case that is written
//! out tells the same story through `usoryou replay` as in the simulation.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use usoryou::net::Net;

use crate::support::program::usoryou;

#[path = "../../benches/simulate/kit/mod.rs"]
#[expect(dead_code, reason = "the table of `make simulate` uses the rest")]
mod kit;

use kit::{
    case::{Case, Graded, Name, Pace},
    parameters::Parameters,
    score::Grade,
    written,
};

/// What must be told right: faults that leave no doubt.
const CASES: [&str; 5] =
    ["provider_global/3/0", "product/3/0", "edge/3/0", "control_down/3/0", "certificate_expired/1/0"];

fn parameters() -> Parameters {
    serde_saphyr::from_str(include_str!("../../benches/simulate/tune.yaml")).unwrap()
}

fn draw(name: &str, parameters: &Parameters) -> (Name, Case) {
    let name: Name = name.parse().unwrap();
    let case = Case::draw(&name, parameters, 0, 0.1).unwrap();
    (name, case)
}

fn run(case: &Case, parameters: &Parameters, pace: Pace) -> Graded {
    let net = Net::system(vec![]).unwrap();
    let mut tellers = [case.product(&net).unwrap()];
    case.run(parameters, &mut tellers, pace, &mut |_, _, _, _| {}).remove(0)
}

#[test]
fn faults_that_leave_no_doubt_are_told_right() {
    let parameters = parameters();
    for name in CASES {
        let graded = run(&draw(name, &parameters).1, &parameters, Pace::Thrifty);
        assert_eq!(graded.outcome.grade, Grade::Right, "{name}: {:#?}", graded.told);
        assert!(graded.outcome.delay.is_none_or(|delay| delay < 180.0), "{name}: {:?}", graded.outcome.delay);
    }
}

#[test]
fn the_same_seed_makes_the_same_case_and_another_seed_another() {
    let parameters = parameters();
    let lines = |seed| {
        let case = Case::draw(&"edge/2/0".parse().unwrap(), &parameters, seed, 0.1).unwrap();
        let mut stream = case.stream(&parameters);
        let mut lines = Vec::new();
        for second in 0..120 {
            let seen = stream.second(second);
            lines.extend(seen.iter().map(|one| written::line(&stream, one).to_string()));
        }
        lines
    };
    assert_eq!(lines(1), lines(1));
    assert_ne!(lines(1), lines(2));
}

/// Pages by who is blamed for what, each with its second.
type Pages = BTreeSet<(String, String, String, i64)>;

fn replayed(folder: &Path) -> Pages {
    let arguments = ["--config", "probes.yaml", "replay", "trace.jsonl", "--output", "jsonl"];
    let output = usoryou(folder).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["page"] == true)
        .map(|line| {
            let at: chrono::DateTime<chrono::Utc> = line["at"].as_str().unwrap().parse().unwrap();
            (word(&line["party"]), word(&line["product"]), word(&line["cause"]), at.timestamp())
        })
        .collect()
}

#[test]
fn a_written_case_tells_the_same_story_when_it_is_replayed() {
    let parameters = parameters();
    for name in ["provider_global/2/0", "region_network/3/0"] {
        let (name, case) = draw(name, &parameters);
        let folder = tempfile::tempdir().unwrap();
        written::write(&name, &case, &parameters, folder.path()).unwrap();
        let folder = folder.path().join(name.to_string().replace('/', "-"));
        let truth: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("truth.json")).unwrap()).unwrap();
        assert_eq!(truth["truths"].as_array().unwrap().len(), 1, "{truth}");
        let told = run(&case, &parameters, Pace::Live).told;
        let simulated: Pages = told
            .iter()
            .map(|(_, told)| {
                let product = told.subject.product.as_deref().unwrap_or_default().to_owned();
                (told.subject.party.to_string(), product, told.cause.word().to_owned(), told.at.timestamp())
            })
            .collect();
        assert!(!simulated.is_empty(), "{name}: nobody was told");
        assert_eq!(replayed(&folder), simulated, "{name}");
    }
}
