//! `usoryou demo`: the simulated world on a terminal (keys, a screen that redraws) or, in a pipe, a line for every change.

mod faults;
mod firelike;
mod partner;
mod screen;
mod servers;
mod stage;

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    net::SocketAddr,
};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::sync::mpsc;

use super::{Common, Exit, Stopped, paint::Paint};
/// How the demo runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where faults are switched over HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9796")]
    switchboard: SocketAddr,
}

/// Runs the command.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    let stdout = io::stdout();
    let on_a_terminal = stdout.is_terminal() && io::stdin().is_terminal();
    let terminal = on_a_terminal.then(Raw::enter).transpose()?;
    let screen = terminal.is_some().then(|| {
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        stage::Screen { width, paint: Paint::choose(common.color.on(&stdout)), keys: keys() }
    });
    let options = stage::Options { switchboard: args.switchboard, screen };
    let done = super::runtime()?.block_on(async {
        // Without a handler for the signal there is still the key.
        stage::run(options, async { drop(tokio::signal::ctrl_c().await) }).await
    });
    drop(terminal);
    done.map(|()| Exit::Good).map_err(Stopped::Usage)
}

/// Reads keys on a thread of its own: reading a terminal cannot be cancelled, and the thread ends with the process.
fn keys() -> mpsc::Receiver<char> {
    let (press, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        for byte in io::stdin().lock().bytes() {
            let Ok(byte) = byte else { return };
            if press.blocking_send(char::from(byte)).is_err() {
                return;
            }
        }
    });
    keys
}

/// The terminal without echo and line editing, on its other screen; as it was when this is dropped.
struct Raw {
    before: Termios,
}

impl Raw {
    fn enter() -> Result<Self, Stopped> {
        let refused = |error: rustix::io::Errno| Stopped::Unknown(format!("cannot use the terminal: {error}"));
        let before = termios::tcgetattr(io::stdin()).map_err(refused)?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &raw).map_err(refused)?;
        write!(io::stdout(), "\u{1b}[?1049h\u{1b}[?25l")?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = write!(io::stdout(), "\u{1b}[?25h\u{1b}[?1049l");
        let _ = io::stdout().flush();
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
