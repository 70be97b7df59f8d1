//! `usoryou validate`: reads a configuration as `run` would and says everything that is wrong with it.
//! Mistakes go to stderr as with every command; `--output json` puts them into the result on stdout.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::ValueEnum;
use serde_json::json;

use super::{Common, Exit, Stopped};
use crate::{
    config::{self, Loaded, Mistakes, VantageOverrides},
    net::Net,
};

/// Arguments of `usoryou validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File to check; the one of --config when left out
    file: Option<PathBuf>,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Human,
    /// One JSON object.
    Json,
}

/// Checks a configuration.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let path = args.file.as_ref().unwrap_or(&common.config);
    let net = Net::system(Vec::new()).map_err(Stopped::Unknown)?;
    let env = |name: &str| std::env::var(name).ok();
    let read = config::read(path, &env, &net, &VantageOverrides::default());
    match args.output {
        Output::Human => human(common, read),
        Output::Json => as_json(read),
    }
}

fn human(common: &Common, read: Result<Loaded, Mistakes>) -> Result<Exit, Stopped> {
    let text = |mistakes: &Mistakes| match common.color.on(&io::stderr()) {
        true => mistakes.in_colour(),
        false => mistakes.to_string(),
    };
    match read {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                writeln!(io::stderr(), "{}", text(&loaded.warnings))?;
            }
            writeln!(io::stdout(), "{}: ok, {}", loaded.warnings.file, size(&loaded))?;
            Ok(Exit::Good)
        }
        Err(mistakes) => Err(Stopped::Configuration(text(&mistakes))),
    }
}

/// `12 probes of 5 parties`.
fn size(loaded: &Loaded) -> String {
    let (probes, parties) = counts(loaded);
    let probes = if probes == 1 { "1 probe".to_owned() } else { format!("{probes} probes") };
    let parties = if parties == 1 { "1 party".to_owned() } else { format!("{parties} parties") };
    format!("{probes} of {parties}")
}

fn counts(loaded: &Loaded) -> (usize, usize) {
    let parties: BTreeSet<_> = loaded.plan.probes.iter().map(|probe| &probe.subject.party).collect();
    (loaded.plan.probes.len(), parties.len())
}

fn as_json(read: Result<Loaded, Mistakes>) -> Result<Exit, Stopped> {
    let (answer, exit) = match &read {
        Ok(loaded) => {
            let (probes, parties) = counts(loaded);
            let Mistakes { file, list } = &loaded.warnings;
            (json!({"file": file, "ok": true, "probes": probes, "parties": parties, "mistakes": list}), Exit::Good)
        }
        Err(mistakes) => (json!({"file": mistakes.file, "ok": false, "mistakes": mistakes.list}), Exit::Usage),
    };
    writeln!(io::stdout(), "{answer:#}")?;
    Ok(exit)
}
