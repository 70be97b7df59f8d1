//! Every command that the README shows is run: against loopback where it names a host, in a folder of its own. A command
//! that this file does not know how to run is a failure, so that the README cannot show one that nobody tries.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use crate::support::{
    peers::{self, Started, free_port},
    plain::Plain,
};

const USORYOU: &str = env!("CARGO_BIN_EXE_usoryou");

/// What the site of this test does not speak: that it is asked in these words, and not refused as a mistake, is what is
/// seen here.
const SPOKEN_BY_NOBODY: [&str; 6] = ["wss://", "sse+https://", "mqtts://", "grpcs://", "firebase://", "--http3"];

/// The commands of all `console` blocks, without prompt and comment.
fn commands() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let mut commands = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let command = line.strip_prefix("$ ").unwrap_or_else(|| panic!("not a command: {line}"));
            commands.push(command.split("  #").next().unwrap().trim().to_owned());
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_runs() {
    let folder = tempfile::tempdir().unwrap();
    let site = Plain::start();
    let config = format!(
        "parties: {{ api: {{ kind: us, name: Our API }}, internet: {{ kind: control }} }}\nprobes:\n  \
         - {{ name: api, party: api, check: {{ http: {{ url: \"http://{0}/\" }} }} }}\n  \
         - {{ name: control, party: internet, check: {{ http: {{ url: \"http://{0}/\" }} }} }}\n",
        site.address
    );
    std::fs::write(folder.path().join("probes.yaml"), config).unwrap();
    let port = free_port();
    let mut running = Started::new(
        Command::new(USORYOU).current_dir(folder.path()).env("USORYOU_LISTEN", format!("127.0.0.1:{port}")).args([
            "run",
            "--config",
            "probes.yaml",
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]),
        folder.path(),
    );
    let ours = SocketAddr::from(([127, 0, 0, 1], port));
    running.wait_for("listener", || peers::get(ours, "/healthz").filter(|answer| answer.status == 200));

    running.wait_for("observations", || {
        let text = peers::get(ours, "/api/v1/observations?format=jsonl")?.text();
        Some(()).filter(|()| text.contains("\"probe\":\"api\"") && text.contains("\"control\""))
    });

    for command in commands() {
        let words: Vec<&str> = command.split(' ').collect();
        match words.as_slice() {
            // The command of the service is the one that runs already, with a port that is free.
            ["usoryou", "run", "--config", "probes.yaml"] => {}
            ["usoryou", rest @ ..] => {
                let out = run_ours(folder.path(), rest, site.address, ours);
                let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
                // A host that is asked for echo may not be asked from here: that is an answer too.
                let fine = match out.status.code() {
                    Some(0) => true,
                    Some(1) => SPOKEN_BY_NOBODY.iter().any(|word| command.contains(word)) && text.contains("DOWN"),
                    Some(3) => command.contains("icmp://"),
                    _ => false,
                };
                assert!(fine, "`{command}` ended with {:?}:\n{text}", out.status);
                assert!(!out.stdout.is_empty(), "`{command}` printed nothing");
            }
            ["curl", rest @ ..] => ask(&command, rest, ours, site.address, folder.path()),
            ["make", target] => {
                let planned =
                    Command::new("make").args(["-n", target]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
                let planned = planned.expect("make is needed");
                assert!(planned.status.success(), "`{command}`: {}", String::from_utf8_lossy(&planned.stderr));
                assert!(!planned.stdout.is_empty(), "`{command}` does nothing");
            }
            _ => panic!("this test does not know how to run `{command}`: teach it, or take the command out"),
        }
    }
}

/// Runs our binary with the hosts of the README replaced by ones on loopback.
fn run_ours(folder: &Path, words: &[&str], site: SocketAddr, ours: SocketAddr) -> Output {
    let foreign = words.contains(&"--http3");
    let words = words.iter().map(|word| match *word {
        "https://example.com" if foreign => format!("https://{site}/"),
        "firebase://NAMESPACE" => format!("firebase://NAMESPACE?host={site}"),
        word if SPOKEN_BY_NOBODY.iter().any(|scheme| word.starts_with(scheme)) => {
            word.replace("example.com", &site.to_string())
        }
        // Certificates, resolvers and echo are not on this site: the connection alone is, under the same scheme.
        "tls://example.com:443" | "dns://1.1.1.1/example.com" => format!("tcp://{site}"),
        "icmp://example.com" => "icmp://127.0.0.1".to_owned(),
        "https://example.com" => format!("http://{site}/"),
        other => other.to_owned(),
    });
    let hub = format!("http://{ours}");
    Command::new(USORYOU).current_dir(folder).env("USORYOU_HUB", hub).args(words).output().unwrap()
}

/// Does what a `curl` command of the README does, without curl.
fn ask(command: &str, words: &[&str], ours: SocketAddr, site: SocketAddr, folder: &Path) {
    let url = words.last().unwrap().trim_matches('\'');
    let path = url.strip_prefix("localhost:9797").unwrap_or_else(|| panic!("`{command}` asks somebody else"));
    let path = path.replace("https://example.com", &format!("http://{site}/"));
    let method = if words.contains(&"POST") { "POST" } else { "GET" };
    let answer = peers::request(ours, method, &path, &[]).unwrap_or_else(|| panic!("`{command}` got no answer"));
    assert_eq!(answer.status, 200, "`{command}`: {}", answer.text());
    if let ["-so", file, ..] = words {
        assert!(!answer.body.is_empty(), "`{command}` got nothing");
        std::fs::write(folder.join(file), &answer.body).unwrap();
    }
}
