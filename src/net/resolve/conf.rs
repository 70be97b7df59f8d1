//! `/etc/resolv.conf`: whom to ask, how patiently, and what to append to short names.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

/// glibc takes no more servers than this (`MAXNS`).
const SERVERS: usize = 3;

/// What resolv.conf(5) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
}

impl Default for Conf {
    fn default() -> Self {
        Self { servers: Vec::new(), search: Vec::new(), ndots: 1, timeout: Duration::from_secs(5), attempts: 2 }
    }
}

impl Conf {
    /// Reads resolv.conf(5) with the limits of glibc; without a server it is the one on this machine.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split([';', '#']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => {
                    conf.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect()
                }
                Some("options") => words.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        conf
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(value))) = option.split_once(':').map(|(name, value)| (name, value.parse::<u32>())) else {
            return;
        };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The fully qualified names that a host stands for, in the order in which they are asked for.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        let as_is = host.trim_end_matches('.').to_owned();
        if host.ends_with('.') {
            return vec![as_is];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{as_is}.{domain}")).collect();
        let dots = as_is.matches('.').count();
        let place = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(place, as_is);
        names
    }
}

/// An address, where it is link-local with its interface: `fe80::1%eth0`; with a port as OpenBSD has it: `[::1]:5353`.
fn server(text: &str) -> Option<SocketAddr> {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?));
    }
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    };
    let index = zone.parse().ok().or_else(|| {
        let plain = zone.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c)) && !zone.starts_with('.');
        let path = format!("/sys/class/net/{zone}/ifindex");
        plain.then(|| std::fs::read_to_string(path).ok()?.trim().parse().ok()).flatten()
    })?;
    Some(SocketAddrV6::new(address.parse::<Ipv6Addr>().ok()?, 53, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_search_and_options_are_read_within_the_limits_of_the_c_library() {
        let conf = Conf::parse(
            "# by hand\nnameserver 10.0.0.1\nnameserver fe80::1%1\nnameserver nonsense\nnameserver [::1]:5353 ; x\nnameserver 10.0.0.4\n\
             domain old.example\nsearch a.example b.example.\noptions ndots:99 timeout:0 attempts:9 edns0 rotate ndots:x",
        );
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[fe80::1%1]:53", "[::1]:5353"]);
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (15, Duration::from_secs(1), 5));
        assert_eq!(Conf::parse("").servers, [SocketAddr::from(([127, 0, 0, 1], 53))]);
    }

    #[test]
    fn short_names_go_through_the_search_list_first_and_long_ones_last() {
        let conf = Conf { search: vec!["svc".into(), "cluster".into()], ndots: 2, ..Conf::default() };
        assert_eq!(conf.candidates("api.ns"), ["api.ns.svc", "api.ns.cluster", "api.ns"]);
        assert_eq!(
            conf.candidates("api.example.com"),
            ["api.example.com", "api.example.com.svc", "api.example.com.cluster"]
        );
        assert_eq!(conf.candidates("api."), ["api"]);
    }
}
