//! What a channel is: it takes a letter and says what became of it. And what it is given to do so.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use crate::model::{Delivered, Doubt, Letter, Repeat};
use crate::store::{Mark, Standing, Store};

/// What must be awaited right before the last byte of a letter leaves; when it fails, nothing may be sent.
pub type HandingOver = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'static>>;

/// What becomes of a letter, some time.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Delivered> + Send + 'a>>;

/// A way to tell people.
pub trait Channel: Send + Sync {
    /// What people call it: `Slack`.
    fn called(&self) -> &'static str;

    /// What it does when it gets a letter for a second time: what is done about one that may have arrived.
    fn repeat(&self) -> Repeat;

    /// Delivers one letter. What `attempt` hands out for it must be awaited right before the last byte of the letter
    /// leaves, so that a process that dies knows afterwards whether it can have arrived.
    fn deliver<'a>(&'a self, letter: &'a Letter, attempt: &'a mut Attempt) -> Delivering<'a>;

    /// Whether it can change what it has said. Where it cannot, a letter that only edits goes no further.
    fn edits(&self) -> bool {
        false
    }

    /// How often it must hear that an incident is still there, where silence means that it is over.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }

    /// Says that these are still there.
    fn refresh<'a>(&'a self, _standing: &'a [Letter]) -> Delivering<'a> {
        Box::pin(std::future::ready(Delivered::Taken))
    }

    /// Whether it keeps an incident open until it is told of the end: then a sample needs an end, too.
    fn keeps_open(&self) -> bool {
        false
    }
}

/// One attempt to deliver a letter.
pub struct Attempt {
    /// Behind a mutex only so that an attempt can be shared between threads; it is never locked.
    handing_over: Option<Mutex<HandingOver>>,
    /// Where notes of the channel are kept; nothing for a letter that is told in no store.
    store: Option<Store>,
    /// An earlier attempt may have arrived.
    pub doubt: Option<Doubt>,
    /// Where the channel stands with the incident.
    pub standing: Standing,
    /// How long what was handed over may still be on its way to where it can be found.
    pub look_again_after: Duration,
    /// What the other side has answered, without secrets, for people who look on.
    pub answers: Vec<String>,
}

impl Attempt {
    /// An attempt whose traces go to a store.
    #[must_use]
    pub fn of(store: Store, standing: Standing, doubt: Option<Doubt>, handing_over: HandingOver) -> Self {
        Self { store: Some(store), standing, doubt, handing_over: Some(Mutex::new(handing_over)), ..Self::alone() }
    }

    /// An attempt that leaves no trace: a sample.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            handing_over: None,
            store: None,
            doubt: None,
            standing: Standing::default(),
            look_again_after: Duration::from_secs(2),
            answers: Vec::new(),
        }
    }

    /// What is to be awaited right before the last byte leaves; the first who sends takes it.
    pub fn handing_over(&mut self) -> Option<HandingOver> {
        let handing_over = self.handing_over.take()?;
        Some(handing_over.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes where the channel's message about the incident is, and that it shows this letter.
    ///
    /// # Errors
    /// When that cannot be written, in the store's words.
    pub async fn mark(&mut self, letter: &Letter, place: &str) -> Result<(), String> {
        let mark = Mark { by: letter.key.clone(), place: place.to_owned() };
        if let Some(store) = &self.store {
            let noted = store.mark(&letter.channel, &letter.incident, &mark).await;
            noted.map_err(|error| error.to_string())?;
        }
        self.standing.mark = Some(mark);
        Ok(())
    }

    /// Where the channel's newest message is, whatever it is about.
    pub async fn newest_place(&self, letter: &Letter) -> Option<String> {
        self.store.as_ref()?.newest_mark(&letter.channel).await.ok()?
    }
}
