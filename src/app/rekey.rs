//! After a change of keys: what we keep and hand out again is signed by the keys in use.
//!
//! Floors, holds, notices and receipts are signed once and kept. When their key is retired they
//! still hold, when it is revoked they do not; either way the server that leads signs them anew as
//! soon as it has other keys, before it publishes anything. Timetables are signed anew by the next
//! plan, sheets and assets are not signed. Nothing of this touches evidence.
//!
//! # Invariants
//! * Written under the number of a lease: a leader that was replaced while it slept changes nothing.
//! * Never in the place of what was ordered meanwhile: a hold released between reading and writing
//!   stays released.

use super::ports::{Fence, IntakeRound, RetainedDocument, Store, StoreError, StoredReceipt};
use crate::domain::time::UtcMs;
use crate::wire::doc::{
    self, Behind, Document, Drill, Feed, Floor, Hold, Receipt, Urgent, Withdrawal,
};
use crate::wire::jws::{self, SecretKey};
use crate::wire::server_keys::ServerKeys;
use crate::wire::topic::{Topic, Topics};
use crate::wire::{Refusal, version};

/// Receipts stored in one step.
const AT_ONCE: usize = 1_000;

/// How much was signed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Retained documents.
    pub documents: usize,
    /// Receipts.
    pub receipts: usize,
}

/// Signs anew what another key signed. What cannot be read or signed is left as it is and told.
pub async fn renew(
    store: &dyn Store,
    keys: &ServerKeys,
    topics: &Topics,
    now: UtcMs,
    fence: Option<Fence>,
) -> Result<Renewed, StoreError> {
    let mut documents = Vec::new();
    for kept in store.retained().await? {
        match document(&kept, keys, topics, now) {
            Ok(Some(anew)) => documents.push((kept.ver, anew)),
            Ok(None) => {}
            Err(error) => tracing::error!(topic = kept.topic, %error, "Cannot sign it anew"),
        }
    }
    // What somebody ordered since it was read stays: it is newer, and signed by whoever ordered it.
    let replaced = match documents.as_slice() {
        [] => 0,
        documents => store.replace_retained(documents, fence).await?,
    };
    let mut receipts = Vec::new();
    for kept in store.receipts().await? {
        let change = |receipt: &mut Receipt| receipt.iat = now.numeric_date();
        match again::<Receipt>(&kept.jws, &keys.receipt, change) {
            Ok(Some(jws)) => {
                receipts.push(StoredReceipt { jws: jws.into(), made_ms: now, ..kept });
            }
            Ok(None) => {}
            Err(error) => tracing::error!(device.id = %kept.device, %error, "Cannot sign it anew"),
        }
    }
    let renewed = Renewed { documents: replaced, receipts: receipts.len() };
    for some in receipts.chunks(AT_ONCE) {
        let round = IntakeRound { receipts: some.to_vec(), ..IntakeRound::default() };
        store.commit_intake(&round, fence.as_slice()).await?;
    }
    Ok(renewed)
}

fn document(
    kept: &RetainedDocument,
    keys: &ServerKeys,
    topics: &Topics,
    now: UtcMs,
) -> Result<Option<RetainedDocument>, Refusal> {
    let text = std::str::from_utf8(&kept.body).unwrap_or_default();
    let iat = now.numeric_date();
    let ver = version::next(Some(kept.ver), now);
    let (jws, ver) = match topics.parse(&kept.topic) {
        Some(Topic::Floor(_)) => {
            let change = |floor: &mut Floor| (floor.iat, floor.ver) = (iat, ver);
            (again(text, &keys.policy, change)?, ver)
        }
        Some(Topic::Behind(_)) => {
            let change = |behind: &mut Behind| (behind.iat, behind.ver) = (iat, ver);
            (again(text, &keys.policy, change)?, ver)
        }
        Some(Topic::Hold(_)) => {
            let change = |hold: &mut Hold| (hold.iat, hold.ver) = (iat, ver);
            (again(text, &keys.schedule, change)?, ver)
        }
        Some(Topic::Feed(_)) => {
            let change = |feed: &mut Feed| (feed.iat, feed.ver) = (iat, ver);
            (again(text, &keys.schedule, change)?, ver)
        }
        // Notices keep the time they were given at: by it they stand in line and expire.
        Some(Topic::Urgent { .. }) => {
            let notice = again::<Urgent>(text, &keys.urgent, |_| ())
                .or_else(|_| again::<Drill>(text, &keys.urgent, |_| ()))
                .or_else(|_| again::<Withdrawal>(text, &keys.urgent, |_| ()))?;
            (notice, kept.ver)
        }
        _ => (None, kept.ver),
    };
    Ok(jws.map(|jws| RetainedDocument {
        topic: kept.topic.clone(),
        ver,
        made_ms: now,
        body: jws.into_bytes().into(),
    }))
}

/// Signs a document of ours again; `None` when this key signed it.
fn again<T: Document>(
    text: &str,
    key: &SecretKey,
    change: impl FnOnce(&mut T),
) -> Result<Option<String>, Refusal> {
    let (kid, mut claims) = jws::kept::<T>(text, T::TYP)?;
    if kid == key.kid() {
        return Ok(None);
    }
    change(&mut claims);
    doc::sign(key, &claims).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ports::{Evidence as _, Plans as _};
    use crate::domain::ids::{ChainId, DeviceId, Digest};
    use crate::store::memory::MemoryStore;
    use crate::wire::jws::{OneKey, Role};

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn keys(n: u8) -> ServerKeys {
        ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [10 * n + role; 32]))
    }

    fn open<T: Document>(text: &[u8], key: &SecretKey) -> T {
        let register = OneKey { key: key.public(), role: T::TYP.role() };
        doc::open::<T>(text, &register).unwrap().claims
    }

    #[tokio::test]
    async fn what_a_former_key_signed_is_signed_by_the_key_in_use_once() {
        let (old, new) = (keys(1), keys(2));
        let store = MemoryStore::default();
        let device: DeviceId = "loa-thon-1".parse().unwrap();
        let topics = Topics::default();
        let floor = Floor::first(device.clone(), NOW.0, NOW.numeric_date(), 420);
        let topic = topics.of(&Topic::Floor(device.clone()));
        let body = doc::sign(&old.policy, &floor).unwrap().into_bytes().into();
        let document = RetainedDocument { topic: topic.clone(), ver: NOW.0, made_ms: NOW, body };
        store.put_retained(&[document]).await.unwrap();
        let receipt = Receipt {
            v: 1,
            aud: device.clone(),
            iat: NOW.numeric_date(),
            chain: ChainId([1; 16]),
            upto: 7,
            head: Some(Digest::of(b"7")),
            logged: None,
            checkpoint: None,
        };
        let jws = doc::sign(&old.receipt, &receipt).unwrap().into();
        let stored = StoredReceipt {
            device: device.clone(),
            chain: receipt.chain,
            upto: 7,
            made_ms: NOW,
            jws,
        };
        let round = IntakeRound { receipts: vec![stored], ..IntakeRound::default() };
        store.commit_intake(&round, &[]).await.unwrap();

        let later = NOW.plus(5_000);
        let renewed = renew(&store, &new, &topics, later, None).await.unwrap();
        assert_eq!(renewed, Renewed { documents: 1, receipts: 1 });
        let kept = store.retained().await.unwrap().remove(0);
        let anew: Floor = open(&kept.body, &new.policy);
        assert_eq!((anew.from, anew.to), (floor.from, floor.to), "the hours stay");
        assert!(anew.ver > floor.ver && anew.ver == kept.ver);
        let kept = store.receipt_of(&device).await.unwrap().unwrap();
        let anew: Receipt = open(kept.jws.as_bytes(), &new.receipt);
        assert_eq!((anew.upto, anew.head), (7, receipt.head));
        let again = renew(&store, &new, &topics, later, None).await.unwrap();
        assert_eq!(again, Renewed::default(), "once is enough");
        assert_eq!(Role::Policy, Floor::TYP.role());
    }
    #[tokio::test]
    async fn a_leader_that_was_replaced_while_it_slept_signs_nothing_anew() {
        use crate::app::ports::{LeaseName, Leases as _};
        let (old, new) = (keys(1), keys(2));
        let (store, topics) = (MemoryStore::default(), Topics::default());
        let floor = Floor::first("loa-thon-1".parse().unwrap(), NOW.0, NOW.numeric_date(), 420);
        let topic = topics.of(&Topic::Floor(floor.aud.clone()));
        let body = doc::sign(&old.policy, &floor).unwrap().into_bytes().into();
        let document = RetainedDocument { topic, ver: NOW.0, made_ms: NOW, body };
        store.put_retained(std::slice::from_ref(&document)).await.unwrap();
        let compiler = [LeaseName::Compiler];
        let slept = store.take_leases(&compiler, "a", NOW, NOW.plus(1)).await.unwrap();
        let later = NOW.plus(60_000);
        let leads = store.take_leases(&compiler, "b", later, later.plus(9_000)).await.unwrap();
        let renewed = renew(&store, &new, &topics, later, Some(slept[0].fence())).await;
        assert!(matches!(renewed, Err(StoreError::Fenced { .. })), "{renewed:?}");
        assert_eq!(store.retained().await.unwrap(), [document]);
        let renewed = renew(&store, &new, &topics, later, Some(leads[0].fence())).await.unwrap();
        assert_eq!(renewed, Renewed { documents: 1, receipts: 0 });
    }
}
