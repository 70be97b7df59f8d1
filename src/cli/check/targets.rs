//! What `usoryou check` is asked to look at: names of the configuration, URLs without one, and the flags that change
//! both. Every mistake becomes a sentence.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use super::Looking;
use crate::{
    cli::Stopped,
    config::{self, Probe},
    model::{PartyKind, Subject, Vantage},
    net::{Net, Pin},
    protocol::{CheckFile, Ip, Overrides, Span},
    store,
};

/// Flags that change how a target is looked at.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Flags {
    /// HTTP status to expect: a number or a class such as 2xx; may be given several times
    #[arg(long, value_name = "STATUS")]
    expect_status: Vec<String>,
    /// Use this address instead of resolving
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    resolve: Vec<String>,
    /// Request header, `NAME: VALUE`; may be given several times
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// Do not verify certificates
    #[arg(long, short = 'k')]
    insecure: bool,
    /// IPv4 alone
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// IPv6 alone
    #[arg(short = '6')]
    v6: bool,
    /// HTTP/1.1 alone
    #[arg(long = "http1.1", conflicts_with = "http2")]
    http1: bool,
    /// HTTP/2 alone
    #[arg(long)]
    http2: bool,
    /// HTTP/3 alone
    #[arg(long, conflicts_with_all = ["http1", "http2"])]
    http3: bool,
    /// Store of the agent that looks from here: nothing is read from it, but tokens that outlive a process lie beside it
    #[arg(long, value_name = "URL", env = "USORYOU_STORE", default_value = "sqlite:usoryou.db")]
    store: String,
    /// Region of this vantage point; replaces `vantage.region` of the configuration
    #[arg(long, value_name = "NAME", env = "USORYOU_REGION")]
    region: Option<String>,
    /// Node of this vantage point; replaces `vantage.node` of the configuration
    #[arg(long, value_name = "NAME", env = "USORYOU_NODE")]
    node: Option<String>,
}

/// Finds what is to be looked at.
///
/// # Errors
/// The user's mistake, ready to print.
pub(super) fn choose(
    targets: &[String],
    flags: &Flags,
    timeout: Option<Span>,
    config_path: &Path,
) -> Result<Looking, Stopped> {
    let overrides = flags.overrides().map_err(Stopped::Usage)?;
    let pins = flags.resolve.iter().map(|text| pin(text)).collect::<Result<Vec<_>, _>>().map_err(Stopped::Usage)?;
    let net = Net::system(pins).map_err(Stopped::Unknown)?;
    net.kept.stay_in(store::folder_of(&flags.store).map_err(|error| Stopped::Usage(error.to_string()))?);
    let mut probes = Vec::new();
    // A configuration is read only when something in it is asked for: a bare URL needs none.
    let plan = if targets.is_empty() || targets.iter().any(|target| !target.contains(':')) {
        let env = |name: &str| std::env::var(name).ok();
        let read = config::read(config_path, &env, &net, &flags.vantage());
        Some(read.map_err(|mistakes| Stopped::Configuration(mistakes.to_string()))?.plan)
    } else {
        None
    };
    for target in targets {
        if target.contains(':') {
            probes.push(Arc::new(of_url(target, &overrides, timeout, &net).map_err(Stopped::Usage)?));
            continue;
        }
        let plan = plan.as_ref().ok_or_else(|| Stopped::Usage(format!("`{target}` is not a URL")))?;
        let Some(probe) = plan.probes.iter().find(|probe| *probe.name == **target) else {
            let names: Vec<&str> = plan.probes.iter().map(|probe| &*probe.name).collect();
            return Err(Stopped::Usage(format!(
                "no probe is called `{target}` in {}: it has {}",
                config_path.display(),
                names.join(", ")
            )));
        };
        probes.push(changed(probe, &overrides, timeout, &net).map_err(Stopped::Usage)?);
    }
    if let (true, Some(plan)) = (targets.is_empty(), &plan) {
        for probe in &plan.probes {
            probes.push(changed(probe, &overrides, timeout, &net).map_err(Stopped::Usage)?);
        }
    }
    let vantage = plan
        .as_ref()
        .map_or_else(|| Vantage { region: "local".into(), node: "local".into() }, |plan| plan.vantage.clone());
    let hash = plan.as_ref().map_or_else(|| "".into(), |plan| Arc::clone(&plan.hash));
    Ok(Looking { probes, plan, net, vantage, hash })
}

fn changed(
    probe: &Arc<Probe>,
    overrides: &Overrides,
    timeout: Option<Span>,
    net: &Arc<Net>,
) -> Result<Arc<Probe>, String> {
    let mut file = probe.file.clone();
    file.apply(overrides);
    let check = file.build(net).map_err(|problem| format!("cannot check {}: {}", probe.name, problem.message))?;
    Ok(Arc::new(Probe {
        name: Arc::clone(&probe.name),
        subject: probe.subject.clone(),
        kind: probe.kind,
        interval: probe.interval,
        timeout: timeout.map_or(probe.timeout, |t| t.0),
        confirm: None,
        session: None,
        check,
        file,
        vantages: probe.vantages,
        fingerprint: Arc::clone(&probe.fingerprint),
    }))
}

fn of_url(target: &str, overrides: &Overrides, timeout: Option<Span>, net: &Arc<Net>) -> Result<Probe, String> {
    let url = url::Url::parse(target).map_err(|error| format!("`{target}` is not a URL: {error}"))?;
    if overrides.http_version.is_some() && !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{target}`: --http1.1, --http2 and --http3 are for http:// and https://"));
    }
    let mut file = CheckFile::from_url(&url)?;
    file.apply(overrides);
    let check = file.build(net).map_err(|problem| format!("cannot check {target}: {}", problem.message))?;
    let name: Arc<str> = check.target().into();
    let party: Arc<str> = url.host_str().unwrap_or(&name).into();
    Ok(Probe {
        name,
        subject: Subject { party, product: None },
        kind: PartyKind::Provider,
        interval: Duration::from_secs(10),
        timeout: timeout.map_or(Duration::from_secs(5), |t| t.0),
        confirm: None,
        session: None,
        check,
        file,
        vantages: 2,
        fingerprint: "".into(),
    })
}

impl Flags {
    fn vantage(&self) -> config::VantageOverrides {
        // An empty variable of the environment is how a template leaves something out.
        let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        config::VantageOverrides { region: given(&self.region), node: given(&self.node) }
    }

    fn overrides(&self) -> Result<Overrides, String> {
        let headers = self
            .header
            .iter()
            .map(|header| {
                let (name, value) = header.split_once(':').ok_or("--header needs `NAME: VALUE`")?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<Result<_, &str>>()?;
        Ok(Overrides {
            ip: match (self.v4, self.v6) {
                (true, _) => Some(Ip::V4),
                (_, true) => Some(Ip::V6),
                _ => None,
            },
            insecure: self.insecure,
            headers,
            expect_status: self.expect_status.clone(),
            http_version: match (self.http1, self.http2, self.http3) {
                (true, ..) => Some("1.1"),
                (_, true, _) => Some("2"),
                (.., true) => Some("3"),
                _ => None,
            },
        })
    }
}

/// `HOST:PORT:ADDR`, as curl's `--resolve`; an IPv6 address may stand in brackets.
fn pin(text: &str) -> Result<Pin, String> {
    let mistake = || format!("--resolve `{text}`: write HOST:PORT:ADDR, for instance example.com:443:192.0.2.1");
    let (host, rest) = text.split_once(':').ok_or_else(mistake)?;
    let (port, address) = rest.split_once(':').ok_or_else(mistake)?;
    let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| mistake())?;
    Ok(Pin { host: host.to_ascii_lowercase(), port: port.parse().map_err(|_| mistake())?, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_read_like_curls() {
        let v6 = pin("Example.com:443:[2001:db8::1]").unwrap();
        assert_eq!((v6.host.as_str(), v6.port, v6.address.to_string()), ("example.com", 443, "2001:db8::1".to_owned()));
        assert_eq!(pin("example.com:443:192.0.2.1").unwrap().address.to_string(), "192.0.2.1");
        for wrong in ["example.com", "example.com:443", "example.com:x:192.0.2.1", "example.com:443:nowhere"] {
            assert!(pin(wrong).unwrap_err().contains("HOST:PORT:ADDR"));
        }
    }
}
