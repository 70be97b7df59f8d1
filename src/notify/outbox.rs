//! The outbox: one task per channel that sends its letters one after the other, as often as it takes and no more often.
//! What makes it exactly once, also over kill -9, is told in ADR 0004.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Attempt, Channel, ChannelFile, Delivered, HandingOver, Letter, Repeat, words};
use crate::{
    metrics::Metrics,
    store::{Claimed, Next, Standing, Store, StoreError},
};

/// Channels by name, as the configuration in force has them.
pub type Roster = Arc<BTreeMap<Arc<str>, ChannelFile>>;

/// How patient the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A channel that has not answered for so long did not take the letter.
    pub answer_within: Duration,
    /// A channel that has not answered for so long is not well.
    pub overdue_after: Duration,
    /// The first pause between two attempts; it doubles from attempt to attempt.
    pub first_pause: Duration,
    /// The longest pause that we choose ourselves.
    pub longest_pause: Duration,
    /// A letter that is sent so much later than what it tells of says so.
    pub late_after: Duration,
    /// A channel that has taken nothing for so long is told around: the next one of the route gets the letter.
    pub fail_over_after: Duration,
    /// How long a letter may be on its way to where a channel that is asked for it finds it.
    pub look_again_after: Duration,
    /// What an attempt under way gets when the process ends.
    pub last_chance: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(10),
            overdue_after: Duration::from_millis(250),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            late_after: Duration::from_mins(1),
            fail_over_after: Duration::from_mins(2),
            look_again_after: Duration::from_secs(2),
            last_chance: Duration::from_secs(2),
        }
    }
}

/// Longer than this nobody is allowed to make us wait.
const LONGEST_WISH: Duration = Duration::from_hours(1);
/// How often to look for letters when nothing wakes us, and how often the figures are read.
const GLANCE: Duration = Duration::from_secs(2);

/// What the outbox works with; clones share it.
#[derive(Clone)]
pub struct Outbox {
    /// Where the letters are.
    pub store: Store,
    /// How they travel.
    pub http: reqwest::Client,
    /// Where they go.
    pub roster: watch::Receiver<Roster>,
    /// Changes when letters have been posted.
    pub posted: watch::Receiver<u64>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// How long to wait for what.
    pub patience: Patience,
}

impl Outbox {
    /// Sends letters until `stop` turns true; then an attempt under way may still end.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        if !self.resume(stop.clone()).await {
            return;
        }
        let mut tasks = JoinSet::new();
        let mut running: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut stopping = stop.clone();
        loop {
            let roster = self.roster.borrow_and_update().clone();
            for name in roster.keys().filter(|name| !running.contains(*name)) {
                let post = Post { outbox: self.clone(), name: name.clone(), well: true, refreshed: None };
                let stop = stop.clone();
                tasks.spawn(async move {
                    let name = post.name.clone();
                    post.run(stop).await;
                    name
                });
            }
            running = roster.keys().cloned().chain(running).collect();
            self.glance().await;
            tokio::select! {
                () = stopped(&mut stopping) => break,
                _ = self.roster.changed() => {}
                Some(Ok(ended)) = tasks.join_next(), if !tasks.is_empty() => { running.remove(&ended); }
                () = sleep(GLANCE) => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Settles what an earlier process has left under way. Says whether to go on.
    async fn resume(&self, mut stop: watch::Receiver<bool>) -> bool {
        let resumed = loop {
            let roster = self.roster.borrow().clone();
            let repeat = |name: &str| {
                let channel = roster.get(name).and_then(|file| file.build(&self.http).ok());
                channel.map_or(Repeat::Shown, |channel| channel.repeat())
            };
            match self.store.resume_letters(chrono::Utc::now(), &repeat).await {
                Ok(resumed) => break resumed,
                Err(error) => tracing::error!("{error}: no messages are sent until it can be"),
            }
            tokio::select! {
                () = stopped(&mut stop) => return false,
                () = sleep(GLANCE) => {}
            }
        };
        for letter in resumed.again {
            tracing::info!(
                channel = &*letter.channel,
                incident = &*letter.incident,
                "a message was under way when the last process ended: sending it again"
            );
        }
        for letter in resumed.sought {
            tracing::info!(
                channel = &*letter.channel,
                incident = &*letter.incident,
                "a message had been handed over when the last process ended: asking whether it has arrived"
            );
        }
        for letter in resumed.taken {
            tracing::warn!(
                channel = &*letter.channel,
                incident = &*letter.incident,
                "a message had just been handed over when the last process ended: taken as delivered"
            );
        }
        true
    }

    async fn glance(&self) {
        if let Ok(unsent) = self.store.unsent().await {
            let oldest = unsent.oldest.and_then(|at| (chrono::Utc::now() - at).to_std().ok());
            self.metrics.outbox(unsent.depth, oldest);
        }
    }
}

/// What a channel's task does before its next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Nothing: there may be more.
    Busy,
    /// Waits for a letter to be posted.
    Idle,
    /// Waits for the time at which its oldest letter may be tried again.
    Waiting(Duration),
}

impl Pause {
    const fn length(self) -> Duration {
        match self {
            Self::Busy => Duration::ZERO,
            Self::Idle => GLANCE,
            Self::Waiting(wait) => wait,
        }
    }
}

/// One channel's task.
struct Post {
    outbox: Outbox,
    name: Arc<str>,
    /// Whether the channel took what was sent last: said once when it changes.
    well: bool,
    /// When it was last told what is still there, and whether it took that.
    refreshed: Option<(Instant, bool)>,
}

impl Post {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut roster = self.outbox.roster.clone();
        loop {
            let Some(file) = roster.borrow_and_update().get(&self.name).cloned() else { return };
            let channel = match file.build(&self.outbox.http) {
                Ok(channel) => channel,
                Err(why) => {
                    tracing::error!(channel = &*self.name, "cannot use the channel: {why}");
                    tokio::select! {
                        () = stopped(&mut stop) => return,
                        changed = roster.changed() => if changed.is_err() { return } else { continue },
                    }
                }
            };
            // Until the configuration changes, or for good.
            loop {
                self.outbox.posted.mark_unchanged();

                let pause = self.one(&*channel, &mut stop).await;
                tokio::select! {
                    biased;
                    () = stopped(&mut stop) => return,
                    changed = roster.changed() => if changed.is_err() { return } else { break },
                    Ok(()) = self.outbox.posted.changed(), if pause == Pause::Idle => {}
                    () = sleep(pause.length()) => {}
                }
            }
        }
    }

    /// Sends the next letter, if there is one, and says how long to wait before the next look.
    async fn one(&mut self, channel: &dyn Channel, stop: &mut watch::Receiver<bool>) -> Pause {
        let now = chrono::Utc::now();
        match self.outbox.store.claim(&self.name, now).await {
            // The store says for itself that it fails; here it only means to wait.
            Err(_) => Pause::Idle,
            Ok(Next::Nothing) => {
                self.refresh(channel, stop).await;
                Pause::Idle
            }
            Ok(Next::Wait(until)) => {
                self.divert(channel).await;
                // A glance now and then, to see when it has lasted for too long.
                Pause::Waiting((until - now).to_std().unwrap_or_default().min(GLANCE))
            }
            Ok(Next::Letter(claimed)) => {
                if claimed.letter.edits && !channel.edits() {
                    // What it has said stands, and there is nothing new to say.
                    let passed = self.outbox.store.pass_over(&claimed, now).await;
                    return if passed.is_ok() { Pause::Busy } else { Pause::Idle };
                }
                let Ok(standing) = self.outbox.store.standing(&self.name, &claimed.letter.incident).await else {
                    return Pause::Idle;
                };
                self.attempt(channel, &claimed, standing, stop).await;
                if !self.well {
                    self.divert(channel).await;
                }
                Pause::Busy
            }
        }
    }

    /// Tells the channel what is still there, where it wants to hear that.
    async fn refresh(&mut self, channel: &dyn Channel, stop: &mut watch::Receiver<bool>) {
        let Some(every) = channel.refresh_every() else { return };
        let was_well = self.refreshed.is_none_or(|(_, well)| well);
        // One that has not taken it is asked again sooner: what it does not hear of is over for it.
        let pause = if was_well { every } else { every.min(self.outbox.patience.longest_pause) / 4 };
        if self.refreshed.is_some_and(|(at, _)| at.elapsed() < pause) {
            return;
        }
        let Ok(standing) = self.outbox.store.standing_letters(&self.name).await else { return };
        let refreshing = timeout(self.outbox.patience.answer_within, channel.refresh(&standing));
        let said = tokio::select! {
            biased;
            () = stopped(stop) => return,
            said = refreshing => said.unwrap_or_else(|_| no_answer(&self.outbox.patience)),
        };
        if let (true, Delivered::Later { why, .. } | Delivered::Never { why }) = (was_well, &said) {
            tracing::warn!(
                channel = &*self.name,
                "{} does not hear what is still open and may take it for over, trying on: {why}",
                channel.called()
            );
        }
        self.refreshed = Some((Instant::now(), said == Delivered::Taken));
    }

    /// Tells around a channel that has taken nothing for too long, or that has given up a letter.
    async fn divert(&self, channel: &dyn Channel) {
        let now = chrono::Utc::now();
        let Ok(since) = self.outbox.store.failing_since(&self.name).await else { return };
        let lasted = since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default();
        let unreachable = lasted >= self.outbox.patience.fail_over_after;
        let roster = self.outbox.roster.borrow().clone();
        let called = channel.called();
        let instead = |letter: &Letter, given_up: bool| {
            let at = letter.fallbacks.iter().position(|next| *next != self.name && roster.contains_key(next))?;
            if letter.edits || !(unreachable || given_up) {
                return None;
            }
            let mut copy = letter.to(&letter.fallbacks[at]);
            copy.headline = format!("{} {}", letter.headline, words::instead(called, &self.name, given_up));
            Some(copy)
        };
        match self.outbox.store.divert(&self.name, now, &instead).await {
            Ok(diverted) => {
                for letter in diverted {
                    self.outbox.metrics.notification(&self.name, "failed_over");
                    tracing::warn!(
                        channel = &*self.name,
                        incident = &*letter.incident,
                        "{called} could not be told, `{}` is told instead",
                        letter.channel
                    );
                }
            }
            Err(error) => tracing::debug!(channel = &*self.name, "{error}"),
        }
    }

    async fn attempt(
        &mut self,
        channel: &dyn Channel,
        claimed: &Claimed,
        standing: Standing,
        stop: &mut watch::Receiver<bool>,
    ) {
        let Some(delivered) = self.deliver(channel, claimed, standing, stop).await else { return };
        let now = chrono::Utc::now();
        let patience = &self.outbox.patience;
        let not_before = match &delivered {
            Delivered::Later { wait, .. } => {
                now + wait.map_or_else(|| pause(patience, claimed.attempts), |wait| wait.min(LONGEST_WISH))
            }
            _ => now,
        };
        self.say(channel, claimed, &delivered);
        // A letter that was taken and not recorded would be sent again: nothing else happens until it is.
        while let Err(error) = self.outbox.store.delivered(claimed, &delivered, now, not_before).await {
            tracing::debug!(channel = &*self.name, "{error}");
            tokio::select! {
                () = stopped(stop) => return,
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// One attempt; nothing when the process ends first.
    async fn deliver(
        &self,
        channel: &dyn Channel,
        claimed: &Claimed,
        standing: Standing,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Delivered> {
        let patience = self.outbox.patience;
        let mut letter = claimed.letter.clone();
        let late = (chrono::Utc::now() - letter.at).to_std().unwrap_or_default();
        if late >= patience.late_after {
            let to_blame = (claimed.attempts > 0).then(|| channel.called());
            letter.headline = format!("{} {}", letter.headline, words::lateness(late, to_blame));
            letter.lines.extend(claimed.elsewhere.as_deref().map(words::told_elsewhere));
        }
        let (handed, mut was_handed) = oneshot::channel();
        let (store, store_of_attempt, id) = (self.outbox.store.clone(), self.outbox.store.clone(), claimed.id);
        let handing_over: HandingOver = Box::pin(async move {
            store.handing_over(id).await.map_err(|error: StoreError| error.to_string())?;
            // Nobody listening is fine: the attempt is over then.
            let _ = handed.send(());
            Ok(())
        });
        let mut attempt = Attempt::of(store_of_attempt, standing, claimed.doubt, handing_over);
        attempt.look_again_after = patience.look_again_after;
        let mut attempt = std::pin::pin!(timeout(patience.answer_within, channel.deliver(&letter, &mut attempt)));
        let mut overdue = std::pin::pin!(async {
            if (&mut was_handed).await.is_ok() {
                sleep(patience.overdue_after).await;
                // If it cannot be written the letter counts as delivered after a crash in this very moment.
                let _ = self.outbox.store.overdue(id).await;
            }
            std::future::pending::<()>().await;
        });
        let mut over = std::pin::pin!(async {
            stopped(stop).await;
            sleep(patience.last_chance).await;
        });
        tokio::select! {
            biased;
            result = &mut attempt => Some(result.unwrap_or_else(|_| no_answer(&patience))),
            () = &mut over => None,
            () = &mut overdue => None,
        }
    }

    fn say(&mut self, channel: &dyn Channel, claimed: &Claimed, delivered: &Delivered) {
        let (incident, called) = (&*claimed.letter.incident, channel.called());
        match delivered {
            // How a message looks is no message; where there is none to look otherwise nothing was asked.
            Delivered::Taken if claimed.letter.edits => {
                tracing::debug!(channel = &*self.name, incident, "{called} shows it as it is now");
                self.well = true;
            }
            Delivered::Taken => {
                self.outbox.metrics.notification(&self.name, "sent");
                tracing::info!(channel = &*self.name, incident, "told {called}");
                self.well = true;
            }
            Delivered::Later { why, .. } => {
                self.outbox.metrics.notification(&self.name, "retry");
                if self.well {
                    tracing::warn!(
                        channel = &*self.name,
                        incident,
                        "{called} did not take the message, trying on: {why}"
                    );
                } else {
                    tracing::debug!(channel = &*self.name, incident, "{called} did not take the message: {why}");
                }
                self.well = false;
            }
            Delivered::Never { why } => {
                self.outbox.metrics.notification(&self.name, "refused");
                tracing::error!(
                    channel = &*self.name,
                    incident,
                    headline = claimed.letter.headline,
                    "{called} will never take this message, it is given up: {why}"
                );
                self.well = false;
            }
        }
    }
}

fn no_answer(patience: &Patience) -> Delivered {
    Delivered::Later { why: format!("no answer within {} s", patience.answer_within.as_secs()), wait: None }
}

/// Doubles from attempt to attempt, spread by a fifth so that channels that failed together do not return together.
fn pause(patience: &Patience, attempts: u32) -> Duration {
    let doubled = patience.first_pause.saturating_mul(1_u32.checked_shl(attempts.min(16)).unwrap_or(u32::MAX));
    let spread = 0.8 + 0.4 * f64::from(chrono::Utc::now().timestamp_subsec_nanos() % 1_000) / 1_000.0;
    doubled.min(patience.longest_pause).mul_f64(spread).min(patience.longest_pause)
}

/// Completes when the process is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
