//! Where a product is: its public address, or another (an emulator, a proxy), and paths below it. Pure.

use url::Url;

use crate::{
    net::Net,
    protocol::{Ip, Problem, TlsFile, http::Caller},
};

/// An address under which a product answers.
pub(in crate::protocol) struct Place {
    base: Url,
    pub(in crate::protocol) caller: Caller,
}

impl Place {
    /// The place at `base`, which the configuration gives in `field`.
    pub(in crate::protocol) fn new(net: &Net, base: &Url, field: &str, ip: Ip, tls: &TlsFile) -> Result<Self, Problem> {
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Problem::at(field, "a URL is shown in many places and must not hold a credential"));
        }
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
            return Err(Problem::at(field, "write an address that begins with https:// or http://"));
        }
        Ok(Self { base: base.clone(), caller: Caller::new(net, base, ip, tls, 0)? })
    }

    /// A URL below it: segments of the path, as they are meant, and parameters.
    pub(in crate::protocol) fn url<'a>(&self, path: impl IntoIterator<Item = &'a str>, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_fragment(None);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// How a URL is shown: without parameters, which hold keys and tokens.
    pub(in crate::protocol) fn shown(url: &Url) -> String {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.into()
    }
}

/// The segments of a path, without empty ones.
pub(in crate::protocol) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// An address that is written in this program.
pub(in crate::protocol) fn fixed(address: &str) -> Result<Url, String> {
    address.parse().map_err(|error| format!("`{address}` is not a URL: {error}"))
}

/// The same as a field that was left out.
pub(in crate::protocol) fn or_public(given: Option<&Url>, field: &str, public: &str) -> Result<Url, Problem> {
    given.map_or_else(|| fixed(public).map_err(|why| Problem::at(field, why)), |url| Ok(url.clone()))
}

/// The emulator that a URL of the command line names: `…?host=127.0.0.1:9099`.
pub(in crate::protocol) fn emulator(url: &Url) -> Result<Option<Url>, String> {
    let host = url.query_pairs().find(|(name, _)| name == "host").map(|(_, host)| host.into_owned());
    host.map(|host| fixed(&format!("http://{host}"))).transpose()
}

/// Another address for the same: a URL, or `host` and `host:port` over TLS.
pub(in crate::protocol) fn at(target: &str) -> Result<Url, String> {
    if target.contains("://") { fixed(target) } else { fixed(&format!("https://{target}")) }
}

/// The project or bucket that a URL of the command line names, as it is written there, and the path below it.
pub(in crate::protocol) fn named(url: &Url, example: &str) -> Result<(String, Option<String>), String> {
    let name = url.host_str().filter(|name| !name.is_empty()).ok_or_else(|| format!("write {example}"))?;
    let path = url.path().trim_matches('/');
    Ok((name.to_owned(), (!path.is_empty()).then(|| path.to_owned())))
}
