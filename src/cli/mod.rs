//! The command line: flags that all commands share, one file per command, exit codes, and what goes to which stream.
//! Results go to stdout, everything else to stderr. Must not know how anything is measured or judged.

mod ask;
mod asking;
mod check;
mod completions;
mod demo;
mod hub;
mod logging;
mod man;
mod moment;
mod notify;
mod paint;
mod replay;
mod report;
mod run;
mod schema;
mod silence;
mod validate;

use std::{
    io::{self, IsTerminal, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// Is it us, is it them, or is it you? Probes the services that a product stands on and says whose fault a failure is.
#[derive(Debug, Parser)]
#[command(name = "usoryou", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe on schedule, judge, tell people, and serve /metrics and the API; with `hub.urls` only probe and report there
    Run(run::Args),
    /// Judge what agents elsewhere report, tell people, and serve /metrics and the API; probe nothing
    Hub(hub::Args),
    /// Say everything that is wrong with a configuration, with line, column and what was meant
    Validate(validate::Args),
    /// Print the JSON Schema of probes.yaml, for editors
    Schema,
    /// Look once: probes of the configuration, or any URL
    Check(check::Args),
    /// Ask the hub whose fault it is, now or at an instant
    Ask(ask::Args),
    /// Send stored observations through a verdict and alert policy: who would have been told what, and when
    Replay(replay::Args),
    /// Availability of each provider over a period: text, JSON, CSV, or a page that prints well
    Report(report::Args),
    /// A whole simulated world on this machine, with faults to switch on
    Demo(demo::Args),
    /// List the channels, or send a test message through one of them
    Notify(notify::Args),
    /// Tell nobody of something for a while: who, why, until when
    Silence(silence::Args),
    /// Print the shell's completion script
    Completions(completions::Args),
    /// Print the manual page (roff)
    Man,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Configuration file
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "FILE",
        env = "USORYOU_CONFIG",
        default_value = "probes.yaml"
    )]
    pub config: PathBuf,
    /// How the log (on stderr) is written
    #[arg(long, global = true, help_heading = "Common options", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Say more; twice for everything
    #[arg(short, long, global = true, help_heading = "Common options", action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say less: only warnings; twice for only errors
    #[arg(short, long, global = true, help_heading = "Common options", action = ArgAction::Count)]
    pub quiet: u8,
    /// When to use colours; `auto` looks at the terminal and at NO_COLOR
    #[arg(long, global = true, help_heading = "Common options", value_enum, default_value_t)]
    pub color: Color,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to colour what goes to a stream.
    #[must_use]
    pub fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// What the exit code says; the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All good.
    Good = 0,
    /// Something measured is down, or the verdict is bad.
    Bad = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Could not tell.
    Unknown = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work, as one sentence for stderr.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// A mistake of whoever called us: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A mistake that is shown as it is, without our name before it: the rendered mistakes of a configuration. Exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// Could not tell: exit code 3.
    #[error("{0}")]
    Unknown(String),
    /// Results could not be written; a reader that went away is no mistake.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Stopped {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Configuration(_) => Exit::Usage,
            Self::Unknown(_) => Exit::Unknown,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
            Self::Output(_) => Exit::Unknown,
        }
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // Clap itself exits: 0 after help and version, 2 after a usage error.
    let Cli { common, command } = Cli::parse();
    // The demo shows by itself what the log would say.
    let quieter = if matches!(command, Command::Demo(_)) { 2 } else { 0 };
    logging::init(&Common { quiet: common.quiet.max(quieter), ..common.clone() });
    let done = match command {
        Command::Run(args) => run::run(&common, args),
        Command::Hub(args) => hub::run(&common, args),
        Command::Validate(args) => validate::run(&common, &args),
        Command::Schema => schema::run(),
        Command::Check(args) => check::run(&common, &args),
        Command::Ask(args) => ask::run(&common, &args),
        Command::Replay(args) => replay::run(&common, &args),
        Command::Report(args) => report::run(&common, &args),
        Command::Demo(args) => demo::run(&common, &args),
        Command::Notify(args) => notify::run(&common, &args),
        Command::Silence(args) => silence::run(&common, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man => man::run(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(stopped) => {
            let exit = stopped.exit();
            // Nothing can be done when stderr itself is gone.
            let _ = match &stopped {
                _ if exit == Exit::Good => Ok(()),
                Stopped::Configuration(mistakes) => writeln!(io::stderr(), "{}", mistakes.trim_end()),
                other => writeln!(io::stderr(), "usoryou: {other}"),
            };
            exit.into()
        }
    }
}

/// The runtime of every command that waits for something: at most four threads, more would only be memory.
///
/// # Errors
/// When the system gives no threads or no event queue.
pub fn runtime() -> Result<tokio::runtime::Runtime, Stopped> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Stopped::Unknown(format!("cannot start: {error}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
