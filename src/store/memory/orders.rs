//! Notices and holds, in memory.

use super::{MemoryStore, State};
use crate::app::logbook;
use crate::app::ports::{
    Orders, RetainedDocument, SentNotice, StoreError, StoredHold, StoredNotice, WithdrawnNotice,
};
use crate::app::trail::Entry;
use async_trait::async_trait;

fn stale(jti: &str) -> StoreError {
    StoreError::Stale { what: "notice", key: jti.to_owned() }
}

fn by_age(state: &State) -> Vec<StoredNotice> {
    let mut notices: Vec<_> = state.notices.values().cloned().collect();
    notices.sort_by(|a, b| (b.made_ms, &a.jti).cmp(&(a.made_ms, &b.jti)));
    notices
}

#[async_trait]
impl Orders for MemoryStore {
    async fn put_notice(&self, notice: &StoredNotice, entry: &Entry) -> Result<(), StoreError> {
        let mut state = self.write()?;
        if !state.notices.contains_key(&notice.jti) {
            let new =
                StoredNotice { sent: None, withdrawn: None, cleared: false, ..notice.clone() };
            state.notices.insert(notice.jti.clone(), new);
            state.trail.push(entry.clone());
        }
        Ok(())
    }

    async fn send_notice(
        &self,
        jti: &str,
        sent: &SentNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let Some(known) = state.notices.get(jti).filter(|notice| notice.sent.is_none()) else {
            return Err(stale(jti));
        };
        let leaf = logbook::noticed(jti, known.kind, &known.content, sent)?;
        state.put_retained(documents)?;
        state.say(leaf);
        state.trail.push(entry.clone());
        if let Some(notice) = state.notices.get_mut(jti) {
            notice.sent = Some(sent.clone());
        }
        Ok(())
    }

    async fn withdraw_notice(
        &self,
        jti: &str,
        withdrawn: &WithdrawnNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let open = |notice: &StoredNotice| notice.sent.is_some() && notice.withdrawn.is_none();
        let Some(known) = state.notices.get(jti).filter(|notice| open(notice)) else {
            return Err(stale(jti));
        };
        let sent = known.sent.as_ref().map_or("", |sent| &sent.jws);
        let leaf = logbook::withdrawn(sent.as_bytes(), withdrawn)?;
        state.put_retained(documents)?;
        state.say(leaf);
        state.trail.push(entry.clone());
        if let Some(notice) = state.notices.get_mut(jti) {
            notice.withdrawn = Some(withdrawn.clone());
        }
        Ok(())
    }

    async fn clear_notice(&self, jti: &str, topics: &[String]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for topic in topics {
            state.retained.remove(topic);
        }
        if let Some(notice) = state.notices.get_mut(jti) {
            notice.cleared = true;
        }
        Ok(())
    }

    async fn notice(&self, jti: &str) -> Result<Option<StoredNotice>, StoreError> {
        Ok(self.read().notices.get(jti).cloned())
    }

    async fn notices(&self, limit: u32) -> Result<Vec<StoredNotice>, StoreError> {
        let mut notices = by_age(&self.read());
        notices.truncate(limit as usize);
        Ok(notices)
    }

    async fn notices_at_broker(&self) -> Result<Vec<StoredNotice>, StoreError> {
        let mut notices = by_age(&self.read());
        notices.retain(|notice| notice.sent.is_some() && !notice.cleared);
        notices.sort_by_key(|notice| {
            (notice.sent.as_ref().map(|sent| sent.at_ms), notice.jti.clone())
        });
        Ok(notices)
    }

    async fn put_hold(
        &self,
        hold: &StoredHold,
        document: &RetainedDocument,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        if state.holds.iter().any(|known| known.unit == hold.unit && known.ver >= hold.ver) {
            return Err(StoreError::Stale { what: "hold", key: hold.unit.to_string() });
        }
        state.put_retained(std::slice::from_ref(document))?;
        state.trail.push(entry.clone());
        state.say(logbook::held(hold)?);
        state.holds.push(hold.clone());
        Ok(())
    }

    async fn holds(&self) -> Result<Vec<StoredHold>, StoreError> {
        let state = self.read();
        let newest = |hold: &&StoredHold| {
            !state.holds.iter().any(|other| other.unit == hold.unit && other.ver > hold.ver)
        };
        let mut holds: Vec<_> = state.holds.iter().filter(newest).cloned().collect();
        holds.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(holds)
    }

    async fn hold_history(&self, limit: u32) -> Result<Vec<StoredHold>, StoreError> {
        let mut holds = self.read().holds.clone();
        holds.sort_by(|a, b| (b.made_ms, &a.unit, b.ver).cmp(&(a.made_ms, &b.unit, a.ver)));
        holds.truncate(limit as usize);
        Ok(holds)
    }

    async fn orders_mark(&self) -> Result<i64, StoreError> {
        let state = self.read();
        let steps = state.notices.values().map(|notice| {
            usize::from(notice.sent.is_some()) + usize::from(notice.withdrawn.is_some())
        });
        Ok(i64::try_from(steps.sum::<usize>() + state.holds.len()).unwrap_or(i64::MAX))
    }
}
