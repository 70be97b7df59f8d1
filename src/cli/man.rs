//! `usoryou man`: the manual page in roff, on stdout.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::{Cli, Exit, Stopped};

/// Prints the page: the command itself, then each of its subcommands.
pub(super) fn run() -> Result<Exit, Stopped> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        let section = clap_mangen::Man::new(subcommand.clone());
        section.render_synopsis_section(&mut page)?;
        section.render_description_section(&mut page)?;
        section.render_options_section(&mut page)?;
    }
    std::io::stdout().lock().write_all(&page)?;
    Ok(Exit::Good)
}
