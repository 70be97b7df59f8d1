//! The log: text or JSON, on stderr. Owns how a line looks and which lines are written.

use std::{fmt, io};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{Common, LogFormat};

/// Sets up the log of the process. A second call changes nothing.
pub(super) fn init(common: &Common) {
    let (ours, others) = match (common.quiet, common.verbose) {
        (0, 0) => (LevelFilter::INFO, LevelFilter::WARN),
        (0, 1) => (LevelFilter::DEBUG, LevelFilter::WARN),
        (0, _) => (LevelFilter::TRACE, LevelFilter::INFO),
        (1, _) => (LevelFilter::WARN, LevelFilter::WARN),
        _ => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    let filter = Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), ours);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let _ = match common.log_format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_timer(Millis)).try_init(),
        LogFormat::Text => registry
            .with(layer.with_ansi(common.color.on(&io::stderr())).with_target(common.verbose > 0).with_timer(Seconds))
            .try_init(),
    };
    // A panic is a line of the log like any other, whatever the format.
    std::panic::set_hook(Box::new(|panic| tracing::error!("a fault of our own: {panic}")));
}

/// `2026-11-22T10:32:05Z`: what people read.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// `2026-11-22T10:32:05.004Z`: what programs read.
struct Millis;

impl FormatTime for Millis {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}
