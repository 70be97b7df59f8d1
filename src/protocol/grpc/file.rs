//! The shape of a `grpc` check in `probes.yaml`, and its address in the forms that people write.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    model::Secret,
    protocol::{Endpoint, Ip, TlsFile},
};

/// A question about the health of a gRPC server, or of one service of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcFile {
    /// `host:port`, or `grpcs://host:port` for TLS.
    pub address: String,
    /// Full name of the service; the server as a whole when left out.
    #[serde(default)]
    pub service: String,
    /// Metadata of the call; values may be secrets.
    #[serde(default)]
    pub metadata: BTreeMap<String, Secret>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options, for `grpcs://`.
    #[serde(default)]
    pub tls: TlsFile,
}

impl GrpcFile {
    /// What a URL of the command line says: `grpcs://host:port/service`.
    pub(super) fn from_url(url: &url::Url) -> Result<Self, String> {
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("write grpcs://host:port/service")?;
        let port = match (url.port(), url.scheme()) {
            (Some(port), _) => port,
            (None, "grpcs") => 443,
            (None, _) => {
                return Err("write grpc://host:port/service: gRPC without TLS has no port of its own".to_owned());
            }
        };
        Ok(Self {
            address: format!("{}://{host}:{port}", url.scheme()),
            service: url.path().trim_start_matches('/').to_owned(),
            metadata: BTreeMap::new(),
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    /// The same of another server.
    pub(super) fn at(&self, target: &str) -> Result<Self, String> {
        let secured = split(&self.address).0;
        let address = if secured && !target.contains("://") { format!("grpcs://{target}") } else { target.to_owned() };
        let (secured, rest) = split(&address);
        Endpoint::parse(rest, secured.then_some(443), self.ip)?;
        Ok(Self { address, ..self.clone() })
    }
}

/// Whether an address asks for TLS, and what follows its scheme.
pub(super) fn split(address: &str) -> (bool, &str) {
    match (address.strip_prefix("grpcs://"), address.strip_prefix("grpc://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => (false, address),
    }
}
