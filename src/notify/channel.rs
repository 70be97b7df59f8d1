//! What a channel is: it takes a letter and says what became of it.

use std::{future::Future, pin::Pin};

pub use crate::model::{Delivered, Letter};

/// What a channel must await right before the last byte of a letter leaves; when it fails, nothing may be sent.
pub type HandingOver = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'static>>;

/// A way to tell people.
pub trait Channel: Send + Sync {
    /// What people call it: `Slack`.
    fn called(&self) -> &'static str;

    /// Delivers one letter. `handing_over` must be awaited right before the last byte of the letter leaves, so that a
    /// process that dies knows afterwards whether it can have arrived; when it fails, nothing may be sent.
    fn deliver<'a>(
        &'a self,
        letter: &'a Letter,
        handing_over: HandingOver,
    ) -> Pin<Box<dyn Future<Output = Delivered> + Send + 'a>>;
}
