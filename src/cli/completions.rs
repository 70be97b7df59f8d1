//! `usoryou completions SHELL`: the completion script of a shell, on stdout.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::{Cli, Exit, Stopped};

/// Arguments of `usoryou completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell to write for
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(super) fn run(args: &Args) -> Result<Exit, Stopped> {
    // The generator panics when it cannot write; memory always takes what it writes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "usoryou", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Good)
}
