//! `usoryou notify`: which channels there are, and whether one of them works: a sample through the very code that tells
//! people of incidents, and what the other side says to it.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use super::{Common, Exit, Stopped};
use crate::{
    config::{self, Plan, VantageOverrides},
    net::Net,
    notify::{self, Attempt, Channel, Delivered, sample},
};

/// Nobody at a shell waits for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `usoryou notify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Sends a message that says it is a test; lists the channels when left out
    #[arg(long, value_name = "CHANNEL")]
    test: Option<String>,
}

/// Lists channels or tries one.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let net = Net::system(Vec::new()).map_err(Stopped::Unknown)?;
    let env = |name: &str| std::env::var(name).ok();
    let read = config::read(&common.config, &env, &net, &VantageOverrides::default());
    let plan = read.map_err(|mistakes| super::run::refused(common, &mistakes))?.plan;
    let Some(name) = &args.test else { return list(&plan) };
    let Some(file) = plan.alerts.channels.get(&**name) else {
        let known: Vec<&str> = plan.alerts.channels.keys().map(|name| &**name).collect();
        let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
        return Err(Stopped::Usage(format!("there is no channel `{name}` (channels: {known})")));
    };
    let http =
        notify::http_client(&net.trust).map_err(|why| Stopped::Unknown(format!("cannot send messages: {why}")))?;
    let channel = file.build(&http).map_err(|why| Stopped::Usage(format!("cannot use the channel `{name}`: {why}")))?;
    super::runtime()?.block_on(test(name, &*channel))
}

fn list(plan: &Plan) -> Result<Exit, Stopped> {
    let mut out = io::stdout();
    let longest = plan.alerts.channels.keys().map(|name| name.len()).max().unwrap_or_default();
    for (name, file) in &plan.alerts.channels {
        writeln!(out, "{name:longest$}  {}", file.key())?;
    }
    if plan.alerts.channels.is_empty() {
        writeln!(io::stderr(), "usoryou: no channels: nobody is told of anything")?;
    }
    Ok(Exit::Good)
}

async fn test(name: &str, channel: &dyn Channel) -> Result<Exit, Stopped> {
    let mut out = io::stdout();
    if channel.called() == "the log" {
        writeln!(out, "{name}: nothing is given to reach it, its messages go to the log alone")?;
        return Ok(Exit::Unknown);
    }
    let now = chrono::Utc::now();
    for over in [false, true] {
        if over && !channel.keeps_open() {
            break;
        }
        let mut attempt = Attempt::alone();
        let delivered = tokio::time::timeout(PATIENCE, channel.deliver(&sample(name, now, over), &mut attempt)).await;
        for answer in &attempt.answers {
            writeln!(out, "{name}: {} answered: {answer}", channel.called())?;
        }
        let taken = delivered == Ok(Delivered::Taken);
        let verdict = match delivered {
            Ok(Delivered::Taken) if over => format!("{} took the end of the test", channel.called()),
            Ok(Delivered::Taken) => format!("{} took the test message", channel.called()),
            Ok(Delivered::Later { why, .. }) => format!("{} did not take the test message: {why}", channel.called()),
            Ok(Delivered::Never { why }) => format!("{} will never take a message: {why}", channel.called()),
            Err(_) => format!("{} did not answer within {} s", channel.called(), PATIENCE.as_secs()),
        };
        writeln!(out, "{name}: {verdict}")?;
        if !taken {
            return Ok(Exit::Bad);
        }
    }
    Ok(Exit::Good)
}
