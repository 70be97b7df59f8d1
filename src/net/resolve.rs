//! Names to addresses, by our own questions to the servers that the system is configured with. Knows no probe.
//!
//! There is no cache: a probe measures what a client without one would wait. Of nsswitch.conf(5) only `files dns` is
//! done, which is what containers have.

mod conf;
mod hosts;
mod system;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{Either, select};
use hickory_proto::rr::RecordType;
use tokio::time::{Instant, timeout};

use self::{conf::Conf, hosts::Hosts, system::System};
use super::dns::{Exchanged, Extension, Question, Reply, ask, rcode_word};
use crate::model::{Failure, Kind, Phase};

/// Addresses that are taken from an answer, at most.
const ADDRESSES: usize = 64;

/// How long the answer for one family may lag behind a good one for the other (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long a server may be silent before the next one is asked; doubles each round.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// A stub resolver.
#[derive(Debug, Clone)]
pub struct Resolver(Source);

#[derive(Debug, Clone)]
enum Source {
    System(Arc<System>),
    Fixed(Arc<Settings>),
}

/// What the files say.
#[derive(Debug, Default)]
struct Settings {
    hosts: Hosts,
    conf: Conf,
}

/// What a name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Addresses in the order in which they came, those of IPv6 first; never empty.
    pub addresses: Vec<IpAddr>,
    /// Who said so: `127.0.0.53:53`, or `hosts`; absent when the host was an address already.
    pub resolver: Option<String>,
    /// Questions that had to be sent again.
    pub retransmits: u32,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::system()
    }
}

impl Resolver {
    /// The system's: `/etc/hosts` and `/etc/resolv.conf`, read again when they change.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Arc::default()))
    }

    /// One that asks these servers and reads no file.
    #[must_use]
    pub fn with_servers(servers: Vec<SocketAddr>) -> Self {
        Self(Source::Fixed(Arc::new(Settings { hosts: Hosts::default(), conf: Conf { servers, ..Conf::default() } })))
    }

    /// One that goes by these texts instead of `/etc/hosts` and `/etc/resolv.conf`.
    #[must_use]
    pub fn with_files(hosts: &str, conf: &str) -> Self {
        Self(Source::Fixed(Arc::new(Settings { hosts: Hosts::parse(hosts), conf: Conf::parse(conf) })))
    }

    /// The same, but for the server that is asked: files and search list stay.
    #[must_use]
    pub fn asking(&self, server: SocketAddr) -> Self {
        let Settings { hosts, conf } = &*self.settings();
        let conf = Conf { servers: vec![server], ..conf.clone() };
        Self(Source::Fixed(Arc::new(Settings { hosts: hosts.clone(), conf })))
    }

    /// The servers that are asked, in order.
    #[must_use]
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.settings().conf.servers.clone()
    }

    /// The addresses of a host. A host that is an address already is answered at once, and so is `localhost`.
    ///
    /// # Errors
    /// `name_not_found` when there is no such name or it has no address of a wanted family, `resolver_failed` when the
    /// servers do not say; both in [`Phase::Resolve`].
    pub async fn addresses(&self, host: &str, want_v4: bool, want_v6: bool) -> Result<Answer, Failure> {
        let wanted = Wanted { v4: want_v4, v6: want_v6 };
        if let Some(answer) = without_asking(host, wanted) {
            return answer;
        }
        let settings = self.settings();
        let pinned: Vec<IpAddr> = settings.hosts.get(host).iter().copied().filter(|ip| wanted.has(*ip)).collect();
        if !pinned.is_empty() {
            return Ok(Answer { addresses: pinned, resolver: Some("hosts".to_owned()), retransmits: 0 });
        }
        let mut failed: Option<Failure> = None;
        for name in settings.conf.candidates(host) {
            match settings.conf.look_up(&name, wanted).await {
                Err(failure) if failure.kind == Kind::NameNotFound => {
                    // The name as written is the one to speak of, not the ones that the search list makes of it.
                    let as_written = name.len() <= host.len();
                    if failed.as_ref().is_none_or(|known| as_written && known.kind == Kind::NameNotFound) {
                        failed = Some(failure);
                    }
                }
                // One search domain whose servers are broken does not hide the others, but a name that is then not
                // found has not been shown not to exist.
                Err(failure) if name.len() > host.len() => failed = Some(failure),
                other => return other,
            }
        }
        Err(failed.unwrap_or_else(|| not_found(format!("`{host}` is no name"))))
    }

    fn settings(&self) -> Arc<Settings> {
        match &self.0 {
            Source::System(system) => system.settings(),
            Source::Fixed(settings) => Arc::clone(settings),
        }
    }
}

/// Which families are wanted.
#[derive(Clone, Copy)]
struct Wanted {
    v4: bool,
    v6: bool,
}

impl Wanted {
    const fn has(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }

    const fn word(self) -> &'static str {
        match (self.v4, self.v6) {
            (true, false) => "IPv4 address",
            (false, true) => "IPv6 address",
            _ => "address",
        }
    }
}

/// Addresses, and `localhost`, which never leaves this machine (RFC 6761 §6.3).
fn without_asking(host: &str, wanted: Wanted) -> Option<Result<Answer, Failure>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(if wanted.has(address) {
            Ok(Answer { addresses: vec![address], resolver: None, retransmits: 0 })
        } else {
            Err(not_found(format!("{bare} is not an {}", wanted.word())))
        });
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if name != "localhost" && !name.ends_with(".localhost") {
        return None;
    }
    let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let addresses = both.into_iter().filter(|address| wanted.has(*address)).collect();
    Some(Ok(Answer { addresses, resolver: Some("hosts".to_owned()), retransmits: 0 }))
}

/// What one family's question came to.
struct Family {
    addresses: Vec<IpAddr>,
    server: SocketAddr,
    rcode: u16,
    retransmits: u32,
}

impl Conf {
    /// The addresses of one fully qualified name: both families at once.
    async fn look_up(&self, name: &str, wanted: Wanted) -> Result<Answer, Failure> {
        let (v6, v4) = match (wanted.v6, wanted.v4) {
            (true, true) => self.both(name).await,
            (true, false) => (Some(self.family(name, RecordType::AAAA).await), None),
            _ => (None, Some(self.family(name, RecordType::A).await)),
        };
        let (mut found, mut broken) = (Vec::new(), None);
        for family in [v6, v4].into_iter().flatten() {
            match family {
                Ok(family) => found.push(family),
                Err(failure) => broken = Some(failure),
            }
        }
        let retransmits = found.iter().map(|family| family.retransmits).sum();
        let resolver = found.iter().find(|family| !family.addresses.is_empty()).map(|family| family.server.to_string());
        let nonexistent = found.iter().any(|family| family.rcode == 3);
        let asked = found.first().map(|family| family.server);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.into_iter().flat_map(|family| family.addresses) {
            if addresses.len() < ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match (addresses.is_empty(), broken, asked) {
            (false, ..) => Ok(Answer { addresses, resolver, retransmits }),
            (true, Some(failure), _) => Err(failure),
            (true, None, Some(server)) if nonexistent => {
                Err(not_found(format!("{name} does not exist, says {server}")))
            }
            (true, None, Some(server)) => Err(not_found(format!("{name} has no {}, says {server}", wanted.word()))),
            (true, None, None) => Err(not_found(format!("{name} has no address"))),
        }
    }

    /// Once one family has addresses the other may lag behind a little, and is then left out as a client would.
    async fn both(&self, name: &str) -> (Option<Result<Family, Failure>>, Option<Result<Family, Failure>>) {
        let v6 = std::pin::pin!(self.family(name, RecordType::AAAA));
        let v4 = std::pin::pin!(self.family(name, RecordType::A));
        let good = |family: &Result<Family, Failure>| family.as_ref().is_ok_and(|family| !family.addresses.is_empty());
        match select(v6, v4).await {
            Either::Left((v6, v4)) if good(&v6) => (Some(v6), timeout(RESOLUTION_DELAY, v4).await.ok()),
            Either::Left((v6, v4)) => (Some(v6), Some(v4.await)),
            Either::Right((v4, v6)) if good(&v4) => (timeout(RESOLUTION_DELAY, v6).await.ok(), Some(v4)),
            Either::Right((v4, v6)) => (Some(v6.await), Some(v4)),
        }
    }

    /// Asks for one family: the servers in order, round after round, each round more patient.
    async fn family(&self, name: &str, record_type: RecordType) -> Result<Family, Failure> {
        let question = Question::new(name, record_type, Extension::Edns).map_err(not_found)?;
        let started = Instant::now();
        let whole = self.timeout * self.attempts;
        // With a single server nothing is gained by giving up on it: the exchange itself sends again.
        let mut patience = if self.servers.len() == 1 { whole } else { FIRST_PATIENCE.min(self.timeout) };
        let mut waiting = self.servers.clone();
        let mut complaints = Vec::new();
        let mut retransmits = 0;
        loop {
            let mut silent = Vec::new();
            for server in waiting {
                match ask(server, &question, Instant::now() + patience).await {
                    Ok(Exchanged { reply, resent }) => match usable(&reply) {
                        Ok(addresses) => {
                            let retransmits = retransmits + resent;
                            return Ok(Family { addresses, server, rcode: reply.rcode(), retransmits });
                        }
                        Err(complaint) => complaints.push(format!("{server} {complaint}")),
                    },
                    Err(failure) if failure.kind == Kind::TimedOut => {
                        retransmits += 1;
                        silent.push(server);
                    }
                    // Too many open files are no fault of the resolver.
                    Err(failure) if failure.kind.is_ours() => return Err(Failure { phase: Phase::Resolve, ..failure }),
                    Err(failure) => complaints.push(format!("{server}: {}", failure.detail)),
                }
            }
            if silent.is_empty() || started.elapsed() >= whole {
                complaints.extend(silent.iter().map(|server| format!("no answer from {server}")));
                return Err(Failure::new(
                    Phase::Resolve,
                    Kind::ResolverFailed,
                    format!("{name}: {}", complaints.join("; ")),
                ));
            }
            waiting = silent;
            patience = (patience * 2).min(self.timeout);
        }
    }
}

/// The addresses of an answer, or what is wrong with it; an answer that there are none is usable.
fn usable(reply: &Reply) -> Result<Vec<IpAddr>, String> {
    match reply.rcode() {
        0 => reply.addresses(),
        3 => Ok(Vec::new()),
        rcode => {
            let words = reply.explanation().map(|words| format!(" ({words})")).unwrap_or_default();
            Err(format!("answered {}{words}", rcode_word(rcode)))
        }
    }
}

fn not_found(detail: String) -> Failure {
    Failure::new(Phase::Resolve, Kind::NameNotFound, detail)
}
