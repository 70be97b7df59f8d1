//! The `icmp` check: echo requests. The exchange's time is that of the first answer; up when all are answered, degraded
//! when some are lost, down when none is.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Attempt, Check, Endpoint, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::{Net, icmp::Echoer},
};

/// From one request to the next, where the deadline leaves room.
const SPACING: Duration = Duration::from_millis(20);

/// So many requests are a measurement; more are a load.
const MOST: u16 = 100;

/// How long the last answers may lag behind the last request once there are some; twice the first one's time if that is
/// longer. Waiting on to the deadline would only tell the same later.
const LINGER: Duration = Duration::from_secs(1);

/// What is kept of the deadline to say how many were answered.
const LAST_WORDS: Duration = Duration::from_millis(10);

const HOP_LIMIT: (&str, &str) = ("probe_icmp_reply_hop_limit", "Replied packet hop limit (TTL for ipv4)");

/// Echo requests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpFile {
    /// Host name or address.
    pub host: String,
    /// Echo requests per run, 100 at most; up when all are answered, degraded when some are lost.
    #[serde(default = "one")]
    pub count: u16,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
}

const fn one() -> u16 {
    1
}

/// The check.
#[derive(Debug)]
pub struct Icmp {
    file: IcmpFile,
}

impl Check for Icmp {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.file.host.clone()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let addresses =
                attempt.resolve(&Endpoint { host: self.file.host.clone(), port: 0, ip: self.file.ip }).await?;
            attempt.enter(Phase::Connect, "socket");
            let mut opened = Err(Failure::new(Phase::Exchange, Kind::Internal, "there is no address to ask"));
            // A machine without IPv6 says so at once; then IPv4 is what any client would use.
            for address in addresses {
                attempt.facts.peer = Some(address);
                opened = Echoer::open(address.ip());
                if opened.as_ref().err().is_none_or(|failure| failure.kind != Kind::Unreachable) {
                    break;
                }
            }
            self.ask(&opened?, attempt).await
        })
    }

    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[("resolve", &[Phase::Resolve]), ("setup", &[Phase::Connect]), ("rtt", &[Phase::Exchange])]
    }
}

impl Icmp {
    async fn ask(&self, echoer: &Echoer, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut until = attempt.deadline.checked_sub(LAST_WORDS).unwrap_or(attempt.deadline);
        let room = until.saturating_duration_since(Instant::now()) / (2 * u32::from(self.file.count));
        let mut tally = Tally::of(self.file.count);
        let mut next = 0;
        attempt.enter(Phase::Exchange, "echo reply");
        let began = Instant::now();
        let (mut send_at, mut linger) = (began, None);
        while !tally.complete() {
            if let (true, Some(linger)) = (next == self.file.count, linger) {
                until = until.min(send_at + linger);
            }
            let step = async {
                tokio::select! {
                    // What has arrived goes first: its time is what we measure.
                    biased;
                    heard = echoer.receive() => Some(heard),
                    () = sleep_until(send_at), if next < self.file.count => None,
                }
            };
            match timeout_at(until, step).await {
                Ok(Some(Ok(echo))) => {
                    if tally.answered == 0 {
                        attempt.leave();
                        linger = Some(LINGER.max(2 * began.elapsed()));
                        if let Some(hops) = echo.hop_limit {
                            attempt.gauge(HOP_LIMIT.0, HOP_LIMIT.1, hops.into());
                        }
                    }
                    tally.answer(echo.sequence);
                }
                Ok(Some(Err(failure))) => tally.fail(failure)?,
                Ok(None) => {
                    if let Err(failure) = echoer.send(next).await {
                        tally.fail(failure)?;
                    }
                    next += 1;
                    send_at += SPACING.min(room);
                }
                Err(_) => break,
            }
        }
        attempt.leave();
        attempt.facts.degraded = tally.verdict(&self.file.host)?;
        Ok(())
    }
}

/// Which requests were answered.
struct Tally {
    open: Vec<bool>,
    answered: u16,
    failed: u16,
    failure: Option<Failure>,
}

impl Tally {
    fn of(count: u16) -> Self {
        Self { open: vec![true; count.into()], answered: 0, failed: 0, failure: None }
    }

    /// A duplicate, or an answer to what was never asked, counts nothing.
    fn answer(&mut self, sequence: u16) {
        if let Some(open) = self.open.get_mut(usize::from(sequence)) {
            self.answered += u16::from(*open);
            *open = false;
        }
    }

    /// One request was refused on the way; a fault of our own ends it all.
    fn fail(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.kind.is_ours() {
            return Err(failure);
        }
        self.failed += 1;
        self.failure = Some(failure);
        Ok(())
    }

    fn complete(&self) -> bool {
        usize::from(self.answered) + usize::from(self.failed) >= self.open.len()
    }

    /// `Ok` with what is to say of losses.
    fn verdict(self, host: &str) -> Result<Option<Failure>, Failure> {
        let count = self.open.len();
        let (kind, why) = self.failure.map_or((Kind::TimedOut, None), |failure| (failure.kind, Some(failure.detail)));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        match usize::from(self.answered) {
            0 if count == 1 => Err(Failure::new(Phase::Exchange, kind, format!("no echo reply from {host}{why}"))),
            0 => Err(Failure::new(Phase::Exchange, kind, format!("none of {count} echo requests answered{why}"))),
            all if all == count => Ok(None),
            some => Ok(Some(Failure::new(Phase::Exchange, kind, format!("{some} of {count} answered{why}")))),
        }
    }
}

impl Protocol for Icmp {
    const KEY: &'static str = "icmp";
    const SCHEMES: &'static [&'static str] = &["icmp"];
    type File = IcmpFile;

    fn build(file: &Self::File, _net: &Arc<Net>) -> Result<Self, Problem> {
        if file.host.is_empty() || file.host.contains(['/', ' ']) {
            let problem = Problem::at("host", format!("`{}` is neither a host name nor an address", file.host));
            return Err(problem.help("write the host alone, without a scheme, port or path"));
        }
        if !(1..=MOST).contains(&file.count) {
            return Err(Problem::at("count", format!("count must be between 1 and {MOST}, not {}", file.count)));
        }
        Ok(Self { file: file.clone() })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL names no host: write icmp://HOST")?;
        if url.port().is_some() {
            return Err("ICMP has no ports: write icmp://HOST".to_owned());
        }
        if !matches!(url.path(), "" | "/") {
            return Err("ICMP knows no paths: write icmp://HOST".to_owned());
        }
        let mut count = one();
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.parse()) {
                ("count", Ok(number)) => count = number,
                _ => return Err(format!("`{name}={value}` is not understood: icmp://HOST takes `?count=5`")),
            }
        }
        Ok(IcmpFile { host: host.trim_matches(['[', ']']).to_owned(), count, ip: Ip::Any })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let host = target.strip_prefix("icmp://").unwrap_or(target).trim_end_matches('/');
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("the target must be a host name or an address".to_owned());
        }
        Ok(IcmpFile { host, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_once_and_named() {
        let mut tally = Tally::of(5);
        for sequence in [0, 3, 3, 99] {
            tally.answer(sequence);
        }
        assert!(!tally.complete());
        let lost = tally.verdict("x").unwrap().unwrap();
        assert_eq!(lost.to_string(), "exchange: timed_out (2 of 5 answered)");
        assert_eq!(Tally::of(1).verdict("x").unwrap_err().detail, "no echo reply from x");
    }

    #[test]
    fn an_error_from_the_way_is_the_reason_and_one_of_our_own_ends_it() {
        let mut tally = Tally::of(2);
        tally.answer(0);
        tally.fail(Failure::new(Phase::Exchange, Kind::Unreachable, "host unreachable")).unwrap();
        assert!(tally.complete());
        assert_eq!(
            tally.verdict("x").unwrap().unwrap().to_string(),
            "exchange: unreachable (1 of 2 answered: host unreachable)"
        );
        assert!(Tally::of(2).fail(Failure::new(Phase::Exchange, Kind::NotPermitted, "")).is_err());
    }

    #[test]
    fn urls_and_targets_name_a_host() {
        let file = Icmp::from_url(&"icmp://[::1]?count=3".parse().unwrap()).unwrap();
        assert_eq!((file.host.as_str(), file.count), ("::1", 3));
        assert!(Icmp::from_url(&"icmp://host:80".parse().unwrap()).is_err());
        assert!(Icmp::from_url(&"icmp://host/?cuont=3".parse().unwrap()).is_err());
        assert_eq!(Icmp::retarget(&file, "192.0.2.1").unwrap().host, "192.0.2.1");
        assert!(Icmp::build(&IcmpFile { count: 0, ..file.clone() }, &Arc::default()).is_err());
        assert!(Icmp::build(&IcmpFile { host: "http://x".into(), ..file }, &Arc::default()).is_err());
    }
}
