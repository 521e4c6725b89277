//! The keys that the server signs with, replaced while it runs.
//!
//! Everything that signs asks for the keys at the moment it signs, so a rotation needs no restart
//! and no connection breaks.
//!
//! # Invariants
//! * Keys and chain are replaced together: whoever signs and hands out the chain with it (an
//!   enrolment) takes both from one [`Keyring::in_use`].
//! * The chain only grows: [`Keyring::replace`] leaves a longer one in place.

use crate::wire::Refusal;
use crate::wire::epoch::{self, KeySet, KeysBody};
use crate::wire::jws::SecretKey;
use crate::wire::server_keys::ServerKeys;
use std::sync::{Arc, PoisonError, RwLock};

/// The keys in use and the root's word for them.
#[derive(Debug)]
pub struct InUse {
    pub keys: ServerKeys,
    pub chain: KeySet,
}

/// A handle on the keys in use; all clones see a replacement at once.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<RwLock<Arc<InUse>>>);

impl Keyring {
    /// Returns a ring with these keys, which the chain names.
    pub fn new(keys: ServerKeys, chain: KeySet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(InUse { keys, chain }))))
    }

    /// Returns what to sign with now.
    pub fn in_use(&self) -> Arc<InUse> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with other keys from now on; false when the ring has that epoch or a later one.
    pub fn replace(&self, keys: ServerKeys, chain: KeySet) -> bool {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let newer = chain.epoch() > place.chain.epoch();
        if newer {
            *place = Arc::new(InUse { keys, chain });
        }
        newer
    }

    /// Returns a ring whose chain is one epoch, signed by this root now.
    pub fn first(keys: ServerKeys, root: &SecretKey, iat: i64) -> Result<Self, Refusal> {
        let body = KeysBody::new(vec![epoch::first(root, &keys, iat)]).encode();
        let chain = KeySet::verify(&body, &root.kid())?;
        Ok(Self::new(keys, chain))
    }

    /// Returns a ring with these keys under a root of its own.
    #[cfg(test)]
    pub fn rooted(keys: &ServerKeys) -> Self {
        Self::first(keys.clone(), &SecretKey::from_seed(&[0x72; 32]), 1_700_000_000).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UtcMs;
    use crate::wire::epoch::{Change, LogChange};
    use std::collections::BTreeSet;

    #[test]
    fn all_handles_see_later_keys_and_none_goes_back() {
        let keys = |n: u8| ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [10 * n + role; 32]));
        let ring = Keyring::rooted(&keys(1));
        let (handle, first) = (ring.clone(), ring.in_use());
        let root = SecretKey::from_seed(&[0x72; 32]);
        let (later, none) = (keys(2), BTreeSet::new());
        let change = Change { keys: &later, revoke: &none, root: None, log: LogChange::Keep };
        let chain = epoch::next(&first.chain, &root, &change, UtcMs(1_800_000_000_000)).unwrap();
        assert!(ring.replace(later.clone(), chain));
        assert_eq!(handle.in_use().keys.schedule.kid(), later.schedule.kid());
        assert_eq!(handle.in_use().chain.epoch(), 2);
        assert!(!ring.replace(first.keys.clone(), first.chain.clone()), "an older chain");
        assert_eq!(handle.in_use().keys.schedule.kid(), later.schedule.kid());
    }
}
