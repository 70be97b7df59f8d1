//! What people are told while the store takes nothing: what opens, from memory and in time, rather than after the disk was
//! cleared. Only that: what changes and what ends waits for the store. Everything else goes on as ADR 0004 has it, and
//! only a process that is killed in just this time tells what opened once more.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{keeper::Keeper, stopped};
use crate::{
    model::{Letter, ToldAlone},
    notify::Outbox,
    store::{Store, StoreError},
};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// Follows until `stop` turns true. `outbox` is as that which sends from the store.
pub(super) async fn follow(outbox: Outbox, keeper: Arc<Keeper>, after: Duration, mut stop: watch::Receiver<bool>) {
    let mut refuge: Option<Refuge> = None;
    loop {
        let ended = timeout(LOOK, stopped(&mut stop)).await.is_ok();
        let fails = keeper.failing_for().is_some_and(|lasted| lasted >= after);
        let letters = if fails && !ended { keeper.lend() } else { vec![] };
        if !letters.is_empty() {
            match refuge_for(refuge.take(), &outbox).await {
                Ok(open) => refuge = Some(open.take(letters).await),
                Err(why) => {
                    tracing::error!("cannot tell anybody from memory: {why}");
                    keeper.record(std::iter::empty(), vec![], letters);
                }
            }
        }
        if (ended || keeper.failing_for().is_none())
            && let Some(open) = refuge.take()
        {
            open.close(&outbox.store, &keeper).await;
        }
        if ended {
            return;
        }
    }
}

/// Letters on their way from memory.
struct Refuge {
    memory: Store,
    lent: Vec<Letter>,
    posted: watch::Sender<u64>,
    over: watch::Sender<bool>,
    sending: JoinHandle<()>,
}

async fn refuge_for(refuge: Option<Refuge>, outbox: &Outbox) -> Result<Refuge, String> {
    if let Some(open) = refuge {
        return Ok(open);
    }
    let memory = Store::open_apart("sqlite::memory:".to_owned()).await?;
    tracing::warn!("the store has taken nothing for long: what opens is told all the same, from memory");
    let ((posted, seen), (over, stop)) = (watch::channel(0), watch::channel(false));
    let sending = Outbox { store: memory.clone(), posted: seen, ..outbox.clone() }.run(stop);
    Ok(Refuge { memory, lent: vec![], posted, over, sending: tokio::spawn(sending) })
}

impl Refuge {
    async fn take(mut self, letters: Vec<Letter>) -> Self {
        if let Err(error) = self.memory.apply(&[], &[], &letters).await {
            tracing::error!("{error}");
        }
        self.lent.extend(letters);
        self.posted.send_modify(|posted| *posted += 1);
        self
    }

    /// Ends it: what was told is noted in the store, and what was not is told from there.
    async fn close(self, store: &Store, keeper: &Keeper) {
        let _ = self.over.send(true);
        if let Err(error) = self.sending.await {
            tracing::error!("sending from memory ended badly: {error}");
        }
        let mut untold = vec![];
        for letter in self.lent {
            match told(&self.memory, &letter).await {
                Ok(Some(told)) => {
                    if let Err(error) = store.told_by_another(&told, chrono::Utc::now()).await {
                        tracing::warn!("{error}: where a message is that was told meanwhile is forgotten");
                    }
                }
                Ok(None) | Err(_) => untold.push(letter),
            }
        }
        keeper.record(std::iter::empty(), vec![], untold);
    }
}

/// Whether a letter has arrived, and where.
async fn told(memory: &Store, letter: &Letter) -> Result<Option<ToldAlone>, StoreError> {
    let all = memory.letters(&letter.incident).await?;
    let is_sent = |(one, state): &(Letter, String)| one.key == letter.key && state == "sent";
    if !all.iter().any(is_sent) {
        return Ok(None);
    }
    let standing = memory.standing(&letter.channel, &letter.incident).await?;
    Ok(Some(ToldAlone {
        channel: Arc::clone(&letter.channel),
        incident: Arc::clone(&letter.incident),
        letter: standing.letter,
        mark: standing.mark.map(|mark| (mark.by, mark.place)),
    }))
}
