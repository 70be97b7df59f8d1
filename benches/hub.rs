//! One `usoryou hub` on one core over a real Postgres, fed as agents feed it: what it takes, stores and judges, how long that
//! takes, and what memory. Postgres and the agents have the other cores.
//!
//! `hub [--seconds 60] [--rate 20000] [--regions 20] [--probes 500]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool that stops when anything is wrong")]
#![expect(unreachable_pub, dead_code, reason = "parts of the tests, of which not all is used here")]

#[path = "../tests/it/support/peers.rs"]
mod peers;
#[path = "../tests/it/support/postgres.rs"]
mod postgres;

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub use peers::peer;
use usoryou::model::{Vantage, observation_id};

struct Asked {
    seconds: u64,
    rate: usize,
    regions: usize,
    probes: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(otherwise, |at| arguments[at + 1].parse().unwrap())
    };
    // `cargo bench` without arguments runs every bench target: nothing to do for this one.
    if !arguments.iter().any(|argument| argument.starts_with("--") && argument != "--bench") {
        return;
    }
    let asked = Asked {
        seconds: number("--seconds", 60) as u64,
        rate: number("--rate", 20_000),
        regions: number("--regions", 20),
        probes: number("--probes", 500),
    };
    let server = postgres::Postgres::start(&["synchronous_commit=off", "max_wal_size=4GB"]).unwrap();
    let url = server.database();
    let folder = tempfile::tempdir().unwrap();
    let interval = asked.regions * asked.probes * 1000 / asked.rate;
    std::fs::write(folder.path().join("probes.yaml"), config(&asked, interval)).unwrap();
    let hub = Hub::start(folder.path(), &url);
    while !hub.get("/readyz").contains("this hub leads") {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{} regions x {} probes every {interval} ms, one hub on one core", asked.regions, asked.probes);
    let (sent, busy) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let until = Instant::now() + Duration::from_secs(asked.seconds + 5);
    let agents: Vec<_> = (0..asked.regions)
        .map(|region| {
            let (sent, busy, address, probes) = (Arc::clone(&sent), Arc::clone(&busy), hub.address, asked.probes);
            std::thread::spawn(move || report(address, region, probes, interval as u64, until, &sent, &busy))
        })
        .collect();
    // What begins cold is not counted.
    std::thread::sleep(Duration::from_secs(5));
    let (began, cpu, first) = (Instant::now(), hub.cpu(), hub.figure("usoryou_hub_observations_total"));
    let mut most = 0;
    while began.elapsed() < Duration::from_secs(asked.seconds) {
        std::thread::sleep(Duration::from_secs(1));
        most = most.max(hub.memory());
    }
    let (took, judged) = (began.elapsed().as_secs_f64(), hub.figure("usoryou_hub_observations_total") - first);
    println!("taken, stored and judged: {:.0} a second", judged / took);
    println!("processor: {:.0} % of one core", (hub.cpu() - cpu) / took * 100.0);
    println!("memory: {} MiB at most (RSS), {} batches turned away", most >> 10, busy.load(Relaxed));
    println!("ingest to verdict: p50 <= {} s, p99 <= {} s", hub.quantile(0.5), hub.quantile(0.99));
    agents.into_iter().for_each(|agent| agent.join().unwrap());
    std::thread::sleep(Duration::from_secs(3));
    let stored: u64 = postgres::ask(&url, "select count(*) from observation").parse().unwrap();
    let bytes = postgres::ask(&url, "select sum(pg_total_relation_size(relid)) from pg_partition_tree('observation')");
    println!("in the store: {} bytes an observation, with its indexes", bytes.parse::<u64>().unwrap() / stored.max(1));
    println!(
        "sent {}, stored {stored}, judged {:.0}",
        sent.load(Relaxed),
        hub.figure("usoryou_hub_observations_total")
    );
    assert_eq!(stored, sent.load(Relaxed), "each once");
}

fn config(asked: &Asked, interval: usize) -> String {
    let mut text = format!(
        "defaults: {{ interval: {interval}ms, timeout: {interval}ms }}\nparties:\n  us: {{ kind: us, depends_on: [them] }}\n  them: {{ kind: provider }}\n  net: {{ kind: control }}\nprobes:\n"
    );
    for probe in 0..asked.probes {
        let party = ["them", "them", "us", "net"][probe % 4];
        writeln!(
            text,
            "  - {{ name: p{probe}, party: {party}, product: x{}, check: {{ icmp: {{ host: 127.0.0.1 }} }} }}",
            probe % 40
        )
        .unwrap();
    }
    text.push_str("hub:\n  agents:\n");
    for region in 0..asked.regions {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("token-{region}").as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "    - {{ name: a{region}, region: r{region}, token_sha256: \"{hash}\" }}").unwrap();
    }
    text
}

/// An agent: each second what its region saw, as one batch, over one connection.
fn report(
    address: SocketAddr,
    region: usize,
    probes: usize,
    interval: u64,
    until: Instant,
    sent: &AtomicU64,
    busy: &AtomicU64,
) {
    let vantage = Vantage { region: format!("r{region}").into(), node: "n".into() };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut round = chrono::Utc::now().timestamp_millis() / interval as i64;
    // Regions do not report in step.
    std::thread::sleep(Duration::from_millis(1000 * region as u64 / 20));
    while Instant::now() < until {
        let now = chrono::Utc::now().timestamp_millis() / interval as i64;
        let mut lines = String::new();
        let mut count = 0;
        while round < now {
            for probe in 0..probes {
                let at = chrono::DateTime::from_timestamp_millis(
                    round * interval as i64 + (probe as i64 * interval as i64) / probes as i64,
                );
                let id = observation_id(&format!("p{probe}"), &vantage, round, 0);
                let (party, at) = (["them", "them", "us", "net"][probe % 4], at.unwrap().to_rfc3339());
                writeln!(
                    lines,
                    r#"{{"id":"{id}","probe":"p{probe}","party":"{party}","product":"x{}","protocol":"http","region":"r{region}","node":"n","round":{round},"scheduled_at":"{at}","started_at":"{at}","outcome":"up","phases":{{"resolve":0.0012,"connect":0.0104,"tls":0.0{}84,"request":0.0001,"first_byte":0.0311}},"duration":0.06{},"connection":"cold","peer":"203.0.113.7:443","tls":{{"version":"1.3","issuer":"CN=Test","spki_sha256":"5f3c"}},"tcp":{{"rtt":0.0101,"retransmits":0}},"http_status":200,"build":"0.1.0","config":"sha256:0f0f"}}"#,
                    probe % 40, probe % 10, probe % 7,
                )
                .unwrap();
                count += 1;
            }
            round += 1;
        }
        if count == 0 {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(lines.as_bytes()).unwrap();
        let body = packer.finish().unwrap();
        while !hand_in(&mut stream, address, region, &body) {
            busy.fetch_add(1, Relaxed);
            std::thread::sleep(Duration::from_millis(200));
        }
        sent.fetch_add(count, Relaxed);
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn hand_in(stream: &mut TcpStream, address: SocketAddr, region: usize, body: &[u8]) -> bool {
    let head = format!(
        "POST /api/v1/observations HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer token-{region}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut status, mut length, mut line) = (String::new(), 0, String::new());
    reader.read_line(&mut status).unwrap();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer).unwrap();
    let status = status.split(' ').nth(1).unwrap_or_default();
    assert!(matches!(status, "200" | "503"), "{status} {}", String::from_utf8_lossy(&answer));
    status == "200"
}

struct Hub {
    child: Child,
    address: SocketAddr,
}

impl Hub {
    fn start(folder: &std::path::Path, store: &str) -> Self {
        let port = peers::free_port();
        let mut command = Command::new("taskset");
        command.args(["-c", "0", env!("CARGO_BIN_EXE_usoryou"), "hub", "--listen", &format!("127.0.0.1:{port}")]);
        command.env("USORYOU_STORE", store).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = command.stderr(log).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "{}", std::fs::read_to_string(folder.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        peers::get(self.address, path).map(|answer| answer.text()).unwrap_or_default()
    }

    fn figure(&self, name: &str) -> f64 {
        let page = self.get("/metrics");
        let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
    }

    /// The bound of the bucket in which a quantile of all delays so far is.
    fn quantile(&self, share: f64) -> String {
        let page = self.get("/metrics");
        let buckets: Vec<(String, f64)> = page
            .lines()
            .filter_map(|line| {
                let (bound, count) =
                    line.strip_prefix("usoryou_hub_verdict_delay_seconds_bucket{le=\"")?.split_once("\"} ")?;
                Some((bound.to_owned(), count.parse().ok()?))
            })
            .collect();
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        buckets.into_iter().find(|(_, count)| *count >= all * share).map_or_else(String::new, |(bound, _)| bound)
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Kilobytes.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
