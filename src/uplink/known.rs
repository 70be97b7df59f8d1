//! What an agent was last told of its region: which nodes live, what people have been told of, how often to be heard. Beside the
//! spool, so that an agent that is started anew without a hub goes on where it left off. Owns the placement.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::answer::Region;
use crate::{
    model::{Subject, Vantage},
    placement::Placement,
};

/// What the file is called.
const NAME: &str = "region.json";
/// A file that is larger was not written by us.
const LARGEST: u64 = 4 << 20;
/// How often to be heard while no hub has said.
const PULSE: Duration = Duration::from_secs(1);
/// No hub makes us speak more often than this …
const SHORTEST: Duration = Duration::from_millis(200);
/// … or less often.
const LONGEST: Duration = Duration::from_secs(30);

/// What is known.
pub(super) struct Known {
    file: PathBuf,
    vantage: Vantage,
    told: Told,
    /// This node alone speaks for its region, and so looks at everything.
    alone: bool,
    placement: watch::Sender<Placement>,
    pulse: Duration,
}

/// What stands in the file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    region: Arc<str>,
    version: String,
    nodes: Vec<Arc<str>>,
    open: Vec<Subject>,
}

impl Known {
    /// Takes up what the process before was told, unless it stood elsewhere.
    pub(super) fn recall(spool: &Path, vantage: &Vantage) -> Self {
        let file = spool.join(NAME);
        let small = fs::metadata(&file).is_ok_and(|file| file.len() <= LARGEST);
        let text = if small { fs::read(&file).unwrap_or_default() } else { Vec::new() };
        let told = serde_json::from_slice::<Told>(&text).ok().filter(|told| *told.region == *vantage.region);
        let known = Self {
            file,
            vantage: vantage.clone(),
            told: told.unwrap_or_default(),
            alone: false,
            placement: watch::Sender::default(),
            pulse: PULSE,
        };
        known.place();
        known
    }

    /// What runs here, now and later.
    pub(super) fn placement(&self) -> watch::Receiver<Placement> {
        self.placement.subscribe()
    }

    /// Which word of a hub is known.
    pub(super) fn version(&self) -> &str {
        &self.told.version
    }

    /// How often to be heard.
    pub(super) const fn pulse(&self) -> Duration {
        self.pulse
    }

    /// What people had been told of by the hub.
    pub(super) fn open(&self) -> Vec<Subject> {
        self.told.open.clone()
    }

    /// Whether this node speaks for its region when no hub does.
    pub(super) fn speaks(&self) -> bool {
        self.as_told().speaks(&self.vantage.region)
    }

    /// Looks at everything from now on, or only at its part again.
    pub(super) fn stand_alone(&mut self, alone: bool) {
        self.alone = alone;
        self.place();
    }

    /// Takes the word of a hub.
    pub(super) fn learn(&mut self, word: Region) {
        self.pulse = Duration::from_millis(word.pulse_ms).clamp(SHORTEST, LONGEST);
        let (Some(nodes), Some(open)) = (word.nodes, word.open) else { return };
        let region = Arc::clone(&self.vantage.region);
        let told = Told { region, version: word.version, nodes, open };
        if told == self.told {
            return;
        }
        if told.nodes != self.told.nodes {
            tracing::info!(nodes = ?told.nodes, "the nodes of this region that live, as a hub tells");
        }
        self.told = told;
        self.keep();
        self.place();
    }

    /// A disk that takes nothing costs a start without a hub its memory, and nothing now.
    fn keep(&self) {
        let draft = self.file.with_extension("new");
        let text = serde_json::to_vec(&self.told).unwrap_or_default();
        if let Err(error) = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &self.file)) {
            tracing::debug!("cannot keep what is known of this region: {error}");
        }
    }

    fn as_told(&self) -> Placement {
        if self.told.nodes.is_empty() {
            return Placement::Everything;
        }
        Placement::among(&self.vantage.node, self.told.nodes.iter().cloned())
    }

    fn place(&self) {
        let placement = if self.alone { Placement::Everything } else { self.as_told() };
        self.placement.send_if_modified(|now| {
            let changed = *now != placement;
            *now = placement;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(nodes: &[&str]) -> Region {
        let nodes = Some(nodes.iter().map(|node| Arc::from(*node)).collect());
        Region { version: "1".to_owned(), pulse_ms: 2500, nodes, open: Some(vec![]) }
    }

    #[test]
    fn the_last_word_outlives_the_process_and_is_not_taken_elsewhere() {
        let spool = tempfile::tempdir().unwrap();
        let here = Vantage { region: "eu".into(), node: "n1".into() };
        let mut known = Known::recall(spool.path(), &here);
        assert_eq!(*known.placement().borrow(), Placement::Everything);
        known.learn(word(&["n1", "n2", "n3"]));
        assert_eq!((known.pulse(), known.placement().borrow().nodes()), (Duration::from_millis(2500), 3));
        let again = Known::recall(spool.path(), &here);
        assert_eq!((again.version(), again.placement().borrow().nodes()), ("1", 3));
        let elsewhere = Vantage { region: "us".into(), node: "n1".into() };
        assert_eq!(*Known::recall(spool.path(), &elsewhere).placement().borrow(), Placement::Everything);
    }

    #[test]
    fn who_stands_alone_looks_at_everything_for_as_long_as_that_lasts() {
        let spool = tempfile::tempdir().unwrap();
        let mut known = Known::recall(spool.path(), &Vantage { region: "eu".into(), node: "n1".into() });
        known.learn(word(&["n1", "n2", "n3"]));
        known.stand_alone(true);
        assert_eq!(*known.placement().borrow(), Placement::Everything);
        known.learn(Region { version: "2".to_owned(), ..word(&["n1", "n2"]) });
        assert_eq!(*known.placement().borrow(), Placement::Everything);
        known.stand_alone(false);
        assert_eq!(known.placement().borrow().nodes(), 2);
    }
}
