//! Chains of certificates that were read lately. Servers show the same chain again and again, and many probes look at the
//! same servers.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::pki_types::CertificateDer;

use super::Chain;

/// Chains that are kept.
const KEPT: usize = 64;

/// Chains by the hash of their certificates, the one shown last at the end.
#[derive(Debug, Default)]
pub(super) struct Chains {
    hasher: RandomState,
    known: Mutex<VecDeque<(u64, Arc<Chain>)>>,
}

impl Chains {
    /// Reads certificates, leaf first, unless they are known.
    pub(super) fn read(&self, certificates: &[CertificateDer<'static>]) -> Arc<Chain> {
        let hash = self.hasher.hash_one(certificates);
        let find = |known: &mut VecDeque<(u64, Arc<Chain>)>| {
            let found = known.iter().position(|(of, _)| *of == hash).and_then(|at| known.remove(at))?;
            known.push_back(found.clone());
            Some(found.1)
        };
        if let Some(chain) = find(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            return chain;
        }
        // Not under the lock: it takes a while, and another may be reading another one.
        let chain = Arc::new(Chain::read(certificates));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.pop_front();
        }
        known.push_back((hash, Arc::clone(&chain)));
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_once_while_it_is_among_those_shown_lately() {
        let chains = Chains::default();
        let shown = |n: u8| chains.read(&[CertificateDer::from(vec![n])]);
        let first = shown(0);
        for n in 1..u8::try_from(KEPT).unwrap() {
            shown(n);
            assert!(Arc::ptr_eq(&first, &shown(0)));
        }
        for n in 100..200 {
            shown(n);
        }
        assert!(!Arc::ptr_eq(&first, &shown(0)));
        assert_eq!(chains.known.lock().unwrap().len(), KEPT);
    }
}
