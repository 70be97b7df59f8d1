//! Getting an answer: the servers one after the other, each over the wanted transport, each step a phase.

use std::{net::SocketAddr, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{Dns, Server, Transport};
use crate::{
    model::{Failure, Kind, Phase},
    net::dns::{self, Exchanged, Reply, rcode_word},
    protocol::Attempt,
};

/// What is kept of the deadline to say how often was asked.
const LAST_WORDS: Duration = Duration::from_millis(10);

/// An answer, from whom, and what to say of the way to it.
pub(super) struct Asked {
    pub(super) reply: Reply,
    pub(super) server: String,
    pub(super) degraded: Option<Failure>,
}

/// Where to send the question next.
enum Whom<'a> {
    Ours(&'a Server),
    Systems(SocketAddr),
}

impl Dns {
    /// Asks one server after the other until one answers. An error that says "ask somebody else" is an answer only when
    /// there is nobody else.
    pub(super) async fn ask(&self, attempt: &mut Attempt) -> Result<Asked, Failure> {
        let systems = if self.servers.is_empty() { attempt.net.resolver.servers() } else { Vec::new() };
        let all = self.servers.iter().map(Whom::Ours).chain(systems.into_iter().map(Whom::Systems));
        let mut waiting: std::collections::VecDeque<Whom<'_>> = all.collect();
        let end = attempt.deadline.checked_sub(LAST_WORDS).unwrap_or(attempt.deadline);
        let mut before: Option<Failure> = None;
        while let Some(whom) = waiting.pop_front() {
            let name = match &whom {
                Whom::Ours(server) => server.to_string(),
                Whom::Systems(address) => address.to_string(),
            };
            // Silence of one server leaves the others their share of the time.
            let left = end.saturating_duration_since(Instant::now());
            let until = Instant::now() + left / (1 + u32::try_from(waiting.len()).unwrap_or(u32::MAX - 1));
            let asked = if waiting.is_empty() {
                self.ask_one(&whom, until, attempt).await
            } else {
                timeout_at(until + LAST_WORDS / 2, self.ask_one(&whom, until, attempt)).await.unwrap_or_else(|_| {
                    Err(Failure::new(attempt.present_phase(), Kind::TimedOut, format!("no answer from {name}")))
                })
            };
            attempt.leave();
            match asked {
                Ok(Exchanged { reply, .. }) if !waiting.is_empty() && matches!(reply.rcode(), 2 | 5) => {
                    let words = format!("{name} answered {}", rcode_word(reply.rcode()));
                    before.get_or_insert(Failure::new(Phase::Exchange, Kind::StatusUnexpected, words));
                }
                Ok(Exchanged { reply, resent }) => {
                    return Ok(Asked { degraded: visible_loss(before, &name, resent), reply, server: name });
                }
                Err(failure) if waiting.is_empty() || failure.kind.is_ours() => return Err(failure),
                Err(failure) => {
                    before.get_or_insert(failure);
                }
            }
        }
        Err(Failure::new(Phase::Exchange, Kind::Internal, "this machine has no resolver configured"))
    }

    async fn ask_one(&self, whom: &Whom<'_>, until: Instant, attempt: &mut Attempt) -> Result<Exchanged, Failure> {
        let server = match whom {
            Whom::Ours(server) => *server,
            Whom::Systems(address) if self.transport == Transport::Udp => {
                return self.over_udp(&[*address], until, attempt).await;
            }
            Whom::Systems(address) => &Server::at(*address),
        };
        if self.transport == Transport::Udp {
            let addresses = attempt.resolve(&server.endpoint).await?;
            return self.over_udp(&addresses, until, attempt).await;
        }
        let mut stream = attempt.dial(&server.endpoint).await?;
        let reply = match (&self.secure, &server.url) {
            (None, _) => {
                attempt.enter(Phase::Exchange, "answer");
                dns::over_stream(&mut stream, &self.question).await
            }
            (Some(secure), None) => {
                let mut stream = attempt.secure(secure, &server.endpoint.host, stream).await?;
                attempt.enter(Phase::Exchange, "answer");
                dns::over_stream(&mut stream, &self.question).await
            }
            (Some(secure), Some(url)) => {
                let stream = attempt.secure(secure, &server.endpoint.host, stream).await?;
                attempt.enter(Phase::Exchange, "answer");
                let answered = dns::over_https(stream, url, &self.question).await;
                attempt.facts.http_status = answered.as_ref().map_or_else(|(status, _)| *status, |_| Some(200));
                answered.map_err(|(_, failure)| failure)
            }
        };
        attempt.leave();
        attempt.let_go();
        reply.map(|reply| Exchanged { reply, resent: 0 })
    }

    /// A first address without a route, or with nobody behind it, costs no time, so the next one is asked as a client
    /// would; silence is final.
    async fn over_udp(
        &self,
        addresses: &[SocketAddr],
        until: Instant,
        attempt: &mut Attempt,
    ) -> Result<Exchanged, Failure> {
        attempt.enter(Phase::Exchange, "answer");
        let mut asked = Err(Failure::new(Phase::Exchange, Kind::Internal, "there is no address to ask"));
        for address in addresses {
            attempt.facts.peer = Some(*address);
            asked = dns::ask(*address, &self.question, until).await;
            if asked.as_ref().err().is_none_or(|failure| !matches!(failure.kind, Kind::Unreachable | Kind::Refused)) {
                break;
            }
        }
        asked
    }
}

impl Server {
    fn at(address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self { endpoint: crate::protocol::Endpoint { host, port, ip: crate::protocol::Ip::Any }, url: None }
    }
}

/// What a client noticed of trouble on the way to an answer: it waited.
fn visible_loss(before: Option<Failure>, server: &str, resent: u32) -> Option<Failure> {
    if let Some(failure) = before {
        return Some(Failure { detail: format!("{}; {server} answered", failure.detail), ..failure });
    }
    let times = if resent == 1 { "retransmission" } else { "retransmissions" };
    (resent > 0)
        .then(|| Failure::new(Phase::Exchange, Kind::TimedOut, format!("{server} answered after {resent} {times}")))
}
