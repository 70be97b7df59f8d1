//! Reloading: read, check, build, and only then swap. A file with mistakes changes nothing. Owns when that happens:
//! SIGHUP, `POST /-/reload`, a file whose content changed (also behind a symlink that was swapped, as Kubernetes does).

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    config::{self, Loaded, Mistakes, Plan, VantageOverrides},
    metrics::Metrics,
    net::Net,
    web::{Reload, ReloadRefused},
};

/// How often the file is looked at. A change is taken when two looks in a row find the same, so that a file half
/// written is not read.
const LOOK_EVERY: Duration = Duration::from_millis(750);
/// A larger file is no configuration; reading it is left to the reader, which refuses it.
const LARGEST: u64 = 16 << 20;

/// Where plans come from.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) net: Arc<Net>,
    pub(super) vantage: VantageOverrides,
}

impl Source {
    /// Reads, checks and builds, beside the runtime: a large file takes a while.
    pub(super) async fn read(&self) -> Result<Loaded, Mistakes> {
        let source = self.clone();
        let file = self.path.to_string_lossy().into();
        let env = |name: &str| std::env::var(name).ok();
        let read =
            tokio::task::spawn_blocking(move || config::read(&source.path, &env, &source.net, &source.vantage)).await;
        read.unwrap_or_else(|error| Err(Mistakes::of_file(file, format!("cannot read the configuration: {error}"))))
    }

    /// The content of the file as it is now; nothing while it cannot be read (a swap under way, for instance), and
    /// nothing of a pipe, which could be read only once.
    pub(super) async fn content(&self) -> Option<Vec<u8>> {
        let file = tokio::fs::metadata(&self.path).await.ok().filter(std::fs::Metadata::is_file)?;
        if file.len() > LARGEST {
            return Some(file.len().to_be_bytes().to_vec());
        }
        tokio::fs::read(&self.path).await.ok()
    }
}

/// Says what is likely not meant.
pub(super) fn warn(warnings: &Mistakes) {
    if !warnings.is_empty() {
        tracing::warn!("{}", warnings.to_string().trim_end());
    }
}

/// What reloading works with.
pub(super) struct Reloads {
    /// Where plans come from.
    pub(super) source: Source,
    /// The content of the file as it was right before the plan in force was read.
    pub(super) used: Option<Vec<u8>>,
    /// Where plans go.
    pub(super) plans: watch::Sender<Arc<Plan>>,
    /// Where the result is counted.
    pub(super) metrics: Arc<Metrics>,
    /// `POST /-/reload`.
    pub(super) wishes: mpsc::Receiver<Reload>,
    /// SIGHUP.
    pub(super) hang_ups: mpsc::Receiver<()>,
}

/// Follows the file and the wishes until nobody can wish any more.
pub(super) async fn follow(reloads: Reloads) {
    let Reloads { source, mut used, plans, metrics, mut wishes, mut hang_ups } = reloads;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        let answer = tokio::select! {
            Some(()) = hang_ups.recv() => None,
            wish = wishes.recv() => match wish {
                Some(Reload { answer }) => Some(answer),
                None => return,
            },
            _ = looks.tick() => {
                let content = source.content().await;
                let changed = content.is_some() && content != used;
                let settled = content == seen;
                seen = content;
                if !(changed && settled) {
                    continue;
                }
                None
            }
        };
        // Taken before it is read: a change meanwhile is a change.
        used = source.content().await;
        let reloaded = reload(&source, &plans).await;
        metrics.config_reload(reloaded.is_ok());
        if let Some(answer) = answer {
            // Whoever asked may have gone away.
            let _ = answer.send(reloaded);
        }
    }
}

async fn reload(source: &Source, plans: &watch::Sender<Arc<Plan>>) -> Result<(), ReloadRefused> {
    match source.read().await {
        Ok(Loaded { plan, warnings }) => {
            warn(&warnings);
            let (probes, parties) = (plan.probes.len(), plan.parties.len());
            plans.send_replace(plan);
            tracing::info!("configuration reloaded: {probes} probes of {parties} parties");
            Ok(())
        }
        Err(mistakes) => {
            let shown = mistakes.to_string();
            tracing::error!("cannot use the new configuration, the one before stays in force:\n{}", shown.trim_end());
            Err(ReloadRefused::Mistakes(shown))
        }
    }
}
