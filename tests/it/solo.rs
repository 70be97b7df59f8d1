//! A region that no hub takes anything of, with real processes: one of its agents judges alone and tells people, and the hub that
//! comes back goes on in the same messages.

use std::{net::SocketAddr, path::Path};

use serde_json::Value;

use crate::support::{
    program::{Program, eventually, usoryou, write},
    slack_api::SlackApi,
    switched::Switched,
};

const TOKEN: &str = "eu-token";

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(provider: SocketAddr, slack: &SlackApi, hub: &str) -> String {
    format!(
        r##"
vantage: {{ region: eu }}
defaults: {{ interval: 1s, timeout: 900ms, confirm: off }}
parties:
  firebase: {{ kind: provider, name: Firebase }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, check: {{ http: {{ url: "http://{provider}/" }} }} }}
  - {{ name: net, party: internet, check: {{ icmp: {{ host: 127.0.0.1 }} }} }}
alerts:
  channels:
    support: {{ slack: {{ bot_token: {}, channel: "#support", api_url: "{}" }} }}
  routes: [ {{ to: support }} ]
hub: {{ {hub} }}
"##,
        SlackApi::TOKEN,
        slack.url,
    )
}

fn hub(directory: &Path, listen: &str) -> Program {
    let mut command = usoryou(directory);
    command.args(["hub", "--listen", listen]);
    Program::start_by(command)
}

fn agent(directory: &Path, node: &str) -> Program {
    Program::start_with(directory, &["--node", node])
}

fn message(slack: &SlackApi, text: &str) -> Option<String> {
    slack.messages().into_iter().map(|message| message.text).find(|message| message.contains(text))
}

#[test]
fn a_region_without_a_hub_tells_people_and_the_hub_goes_on_in_the_same_messages() {
    let (slack, provider) = (SlackApi::start(), Switched::start());
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let agents = format!("agents: [ {{ name: eu, region: eu, token_sha256: \"{}\" }} ]", sha256(TOKEN));
    write(folders[2].path(), "probes.yaml", &config(provider.address, &slack, &agents));
    let mut first = hub(folders[2].path(), "127.0.0.1:0");
    let address = first.address;
    for folder in &folders[..2] {
        let hub = format!("urls: [\"http://{address}\"], token: {TOKEN}, solo_after: 6s");
        write(folder.path(), "probes.yaml", &config(provider.address, &slack, &hub));
    }
    let nodes = [agent(folders[0].path(), "n1"), agent(folders[1].path(), "n2")];
    eventually("two nodes", || {
        let told: Vec<_> = nodes.iter().map(|node| node.figure(&["usoryou_placement_nodes"])).collect();
        if told == [Some(2.0); 2] { Ok(()) } else { Err(format!("{told:?}\n{}", first.log())) }
    });
    first.signal("KILL");
    first.ended();
    provider.switch(false);

    slack.shows("word of the region by itself", |slack| {
        message(slack, "It's our own hub: none has taken anything of region eu").is_some()
            && message(slack, "seen from one region only (eu)").is_some_and(|said| said.starts_with("It's them"))
    });
    assert_eq!(nodes.iter().filter_map(|node| node.figure(&["usoryou_uplink_solo"])).sum::<f64>(), 2.0);
    let (_, status) = nodes.iter().find(|node| node.log().contains("this node judges")).unwrap().get("/api/v1/status");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(status["bad"].to_string().contains("Firebase"), "{status}");

    let second = hub(folders[2].path(), &address.to_string());
    eventually("incidents taken over", || {
        let (_, body) = second.get("/api/v1/incidents");
        let incidents: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
        let taken = incidents.iter().filter(|one| one["id"].as_str().unwrap().contains("-from-eu-")).count();
        if taken == 2 {
            Ok(())
        } else {
            Err(format!("{body}\n{}\n{}\n{}", second.log(), nodes[0].log(), nodes[1].log()))
        }
    });
    provider.switch(true);
    slack.shows("the end of both, by the hub", |slack| {
        slack.messages().iter().all(|message| message.text.contains("Over: ")) && !slack.messages().is_empty()
    });
    let said = slack.messages();
    assert_eq!(said.len(), 2, "one message each, whoever says it: {said:#?}\n{}", second.log());
    assert!(
        said.iter().any(|message| message.text.contains("Over: a hub takes again what region eu sees")),
        "{said:#?}"
    );
    assert_eq!(nodes.iter().filter_map(|node| node.figure(&["usoryou_uplink_solo"])).sum::<f64>(), 0.0);
    for (node, folder) in nodes.iter().zip(&folders) {
        assert!(!folder.path().join("usoryou-spool/solo.db").exists(), "{}", node.log());
    }
}
