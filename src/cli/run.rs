//! `usoryou run`: the agent with its embedded hub, until a signal ends it.

use std::time::Duration;

use super::{Common, Exit, Stopped};
use crate::{
    app::{self, CannotStart, Options},
    config::VantageOverrides,
};

/// What still runs after everything has stopped (a system call that hangs) is left behind after this.
const LEAVE_BEHIND: Duration = Duration::from_millis(100);

/// Arguments of `usoryou run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the internal listener serves /metrics, /probe, /healthz and the API; `:PORT` is every address
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
    let Args { listen, store, region, node } = args;
    let options = Options { config: common.config.clone(), listen, store, vantage: VantageOverrides { region, node } };
    let runtime = super::runtime()?;
    let ended = runtime.block_on(app::run(options));
    runtime.shutdown_timeout(LEAVE_BEHIND);
    match ended {
        Ok(()) => Ok(Exit::Good),
        Err(CannotStart::Configuration(mistakes)) => Err(Stopped::Configuration(mistakes.to_string())),
        Err(cannot) => Err(Stopped::Usage(cannot.to_string())),
    }
}
