//! `usoryou run`: the agent, with a hub of its own or reporting to one elsewhere, until a signal ends it.

use std::time::Duration;

use super::{Common, Exit, Stopped};
use crate::{
    app::{self, Options, Role},
    config::{Mistake, Mistakes, VantageOverrides},
};

/// What still runs after everything has stopped (a system call that hangs) is left behind after this.
const LEAVE_BEHIND: Duration = Duration::from_millis(100);

/// Arguments of `usoryou run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the internal listener serves /metrics, /probe, /healthz and the API; `:PORT` is every address
    #[arg(long, value_name = "ADDR", env = "USORYOU_LISTEN", default_value = "127.0.0.1:9797")]
    listen: String,
    /// Where facts, incidents and unsent notifications are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE; with
    /// `hub.urls` in the configuration only refresh tokens lie beside it [default: `hub.store` there, or sqlite:usoryou.db]
    #[arg(long, value_name = "URL", env = "USORYOU_STORE", hide_env_values = true)]
    store: Option<String>,
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
    // An empty variable of the environment is how a template leaves something out.
    let given = |name: Option<String>| name.filter(|name| !name.is_empty());
    let vantage = VantageOverrides { region: given(region), node: given(node) };
    let options = Options { config: common.config.clone(), listen, store: given(store), vantage, role: Role::Agent };
    start(common, options)
}

/// Runs what the options say until a signal ends it.
pub(super) fn start(common: &Common, options: Options) -> Result<Exit, Stopped> {
    let runtime = super::runtime()?;
    let ended = runtime.block_on(app::run(options));
    runtime.shutdown_timeout(LEAVE_BEHIND);
    match ended {
        Ok(()) => Ok(Exit::Good),
        Err(app::Stopped::Configuration(mistakes)) => Err(refused(common, &mistakes)),
        Err(fault @ app::Stopped::Ended(_)) => Err(Stopped::Unknown(fault.to_string())),
        Err(cannot) => Err(Stopped::Usage(cannot.to_string())),
    }
}

/// A configuration that cannot be used, as what a command ends with.
pub(super) fn refused(common: &Common, mistakes: &Mistakes) -> Stopped {
    Stopped::Configuration(shown(common, mistakes))
}

/// Mistakes with their lines and carets; a file that cannot be read at all has none, and is one sentence.
fn shown(common: &Common, mistakes: &Mistakes) -> String {
    match &*mistakes.list {
        [Mistake { message, help: None, place: None, .. }] => format!("usoryou: {message}"),
        _ if common.color.on(&std::io::stderr()) => mistakes.in_colour(),
        _ => mistakes.to_string(),
    }
}
