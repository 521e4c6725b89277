//! What waits for the publishing task: set aside by whoever hears it, without ever waiting.
//!
//! Everything here is a set or the newest of its kind, so nothing grows beyond the number of
//! devices, and the reader of the link never stands still while a large clip is being published.

use crate::domain::ids::{DeviceId, Digest};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Most sheets remembered as wanted.
const SHEETS: usize = 4096;

/// What has happened since it was last looked at.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The newest change of the connection.
    pub line: Option<Line>,
    /// Body of the marker on `epoch`.
    pub marker: Option<Bytes>,
    /// Somebody else's presence lies where ours should.
    pub foreign_presence: bool,
    /// Retained documents (floors) have been added.
    pub documents: bool,
    /// Devices that said something new about what they hold and want.
    pub devices: BTreeSet<DeviceId>,
    /// Sheets that devices lack.
    pub sheets: BTreeSet<Digest>,
}

/// Whether the line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Connected anew, and all filters subscribed to.
    Up,
    Down,
}

/// A place where things wait.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

impl Inbox {
    /// Sets something aside.
    pub fn put(&self, put: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        put(&mut waiting);
        if waiting.line == Some(Line::Down) {
            // What the broker kept is asked for anew after the next connection.
            waiting.marker = None;
        }
        while waiting.sheets.len() > SHEETS {
            waiting.sheets.pop_last();
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Takes everything that waits.
    pub fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something is there.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}
