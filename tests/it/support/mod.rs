//! Fake servers and small things that tests share.

pub mod api;
pub mod broker;
pub mod certs;
pub mod fake;
pub mod frames;
pub mod hub;
pub mod looking;
pub mod nameserver;
pub mod nginx;
pub mod opened;
pub mod pages;
pub mod peers;
pub mod plain;
pub mod postgres;
pub mod program;
pub mod realtime;
pub mod receiver;
pub mod site;
pub mod slack;
pub mod slack_api;
pub mod switched;
pub mod targets;
pub mod way;

pub use peers::peer;

/// Prints a line that `--nocapture` shows.
#[expect(clippy::print_stdout, reason = "what a case came to, for whoever asks to see it")]
pub fn say(line: &str) {
    println!("{line}");
}
