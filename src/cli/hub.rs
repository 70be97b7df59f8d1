//! `usoryou hub`: the hub alone, until a signal ends it.

use super::{Common, Exit, Stopped, run};
use crate::{
    app::{Options, Role},
    config::VantageOverrides,
};

/// Arguments of `usoryou hub`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the internal listener serves /metrics, /healthz and the API, and takes what agents report; `:PORT` is every
    /// address
    #[arg(long, value_name = "ADDR", env = "USORYOU_LISTEN", default_value = "127.0.0.1:9797")]
    listen: String,
    /// Where facts, incidents and unsent notifications are kept: sqlite:PATH, or postgres://USER:PASSWORD@HOST/DATABASE for
    /// any number of hubs [default: `hub.store` of the configuration, or sqlite:usoryou.db]
    #[arg(long, value_name = "URL", env = "USORYOU_STORE", hide_env_values = true)]
    store: Option<String>,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(common: &Common, args: Args) -> Result<Exit, Stopped> {
    let Args { listen, store } = args;
    let vantage = VantageOverrides::default();
    let store = store.filter(|store| !store.is_empty());
    run::start(common, Options { config: common.config.clone(), listen, store, vantage, role: Role::Hub })
}
