//! What outlives a check: things that several checks share as long as one of them is there (also over a reload, which
//! builds the new ones before it lets go of the old), the folder for what must outlive the process, and what is under way
//! that must not be cut off. Must not know what is kept.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use tokio::sync::watch;

type Shared = HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>;

/// What outlives a check.
#[derive(Clone, Default)]
pub struct Kept {
    shared: Arc<Mutex<Shared>>,
    folder: Arc<OnceLock<PathBuf>>,
    errands: Arc<watch::Sender<usize>>,
}

/// Something under way that must not be cut off, such as a question whose answer comes only once.
pub struct Errand(Arc<watch::Sender<usize>>);

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.send_modify(|under_way| *under_way -= 1);
    }
}

impl Kept {
    /// The one thing of its type under a key; made when nobody has it.
    pub fn shared<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        match self.shared_or(key, || Ok::<T, Infallible>(make())) {
            Ok(known) => known,
            Err(never) => match never {},
        }
    }

    /// The same where making it may fail.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then.
    pub fn shared_or<T: Any + Send + Sync, E>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, known| known.strong_count() > 0);
        let key = (TypeId::of::<T>(), key.to_owned());
        if let Some(known) = shared.get(&key).and_then(Weak::upgrade)
            && let Ok(known) = known.downcast::<T>()
        {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        let kept: Arc<dyn Any + Send + Sync> = Arc::clone(&made) as _;
        shared.insert(key, Arc::downgrade(&kept));
        Ok(made)
    }

    /// Says once where files go.
    pub fn stay_in(&self, folder: PathBuf) {
        // A second word comes too late: files may lie there already.
        let _ = self.folder.set(folder);
    }

    /// Where files go; the present folder when nobody has said.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.get().map_or(Path::new(""), |folder| folder)
    }

    /// Begins something that must not be cut off, until what comes back is dropped.
    #[must_use]
    pub fn errand(&self) -> Errand {
        self.errands.send_modify(|under_way| *under_way += 1);
        Errand(Arc::clone(&self.errands))
    }

    /// Waits until nothing is under way that must not be cut off: whoever ends the process waits for this.
    pub async fn settled(&self) {
        // It fails only when nobody is left to begin anything.
        let _ = self.errands.subscribe().wait_for(|under_way| *under_way == 0).await;
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("folder", &self.folder()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_thing_as_long_as_somebody_holds_it() {
        let kept = Kept::default();
        let one = kept.shared("a", || 1_u32);
        assert_eq!(*kept.clone().shared("a", || 2_u32), 1);
        assert_eq!(*kept.shared("a", || "of another type"), "of another type");
        assert_eq!(*kept.shared("b", || 3_u32), 3);
        drop(one);
        assert_eq!(*kept.shared("a", || 4_u32), 4);
    }

    #[tokio::test]
    async fn whoever_ends_waits_for_all_that_must_not_be_cut_off() {
        let kept = Kept::default();
        kept.settled().await;
        let errands = [kept.errand(), kept.clone().errand()];
        let mut settled = std::pin::pin!(kept.settled());
        for errand in errands {
            assert!(futures_util::poll!(&mut settled).is_pending());
            drop(errand);
        }
        settled.await;
    }
}
