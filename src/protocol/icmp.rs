//! The `icmp` check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

/// Echo requests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpFile {
    /// Host name or address.
    pub host: String,
    /// Echo requests per run; up when one is answered, degraded when some are lost.
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
        format!("{:?}", self.file)
    }

    fn look<'a>(&'a self, _attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async { Err(Failure::new(Phase::Exchange, Kind::Internal, "")) })
    }
}

impl Protocol for Icmp {
    const KEY: &'static str = "icmp";
    const SCHEMES: &'static [&'static str] = &["icmp"];
    type File = IcmpFile;

    fn build(file: &Self::File, _net: &Arc<Net>) -> Result<Self, Problem> {
        Ok(Self { file: file.clone() })
    }

    fn from_url(_url: &url::Url) -> Result<Self::File, String> {
        Err(String::new())
    }

    fn retarget(_file: &Self::File, _target: &str) -> Result<Self::File, String> {
        Err(String::new())
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
    }
}
