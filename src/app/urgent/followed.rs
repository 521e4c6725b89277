//! How far the records of notices were read, so that a page that is asked for every few seconds
//! reads what is new and not three hundred thousand signatures.

use super::progress::Heard;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Notices followed at a time, those asked for last: as many as a page shows, and a few more.
const FOLLOWED: usize = 16;

/// What was read of one notice.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Place of the last record in order of arrival.
    pub position: i64,
    /// What the records up to there say.
    pub heard: Heard,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AllFollowed {
    /// Asked for last at the end.
    known: Mutex<VecDeque<(String, Followed)>>,
}

impl AllFollowed {
    /// Takes out what is known of a notice.
    pub fn take(&self, jti: &str) -> Option<Followed> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(name, _)| name == jti)?;
        known.remove(at).map(|(_, followed)| followed)
    }

    /// Puts back what is known now; of two answers the one that read more stays.
    pub fn keep(&self, jti: &str, followed: Followed) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = known.iter().position(|(name, _)| name == jti) {
            if known[at].1.position >= followed.position {
                return;
            }
            known.remove(at);
        }
        known.push_back((jti.to_owned(), followed));
        if known.len() > FOLLOWED {
            known.pop_front();
        }
    }
}
