//! Assets and sheets in the loop: what to fetch, to check, to keep, to throw away.

use super::{Agent, until};
use crate::device::executor::{AssetWant, Event};
use crate::device::fetch::{Action, AssetOrder, Need};
use crate::device::storage::Storage;
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::Digest;
use crate::wire::sheet;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Checks that may be reported before the loop takes them.
const WAITING: usize = 64;
/// What found no room is ordered again after this time: needs change as cues pass.
const ORDER_AGAIN_MS: i64 = 300_000;

/// A check of a whole file that was done off the loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    asset: Digest,
    kind: Check,
    right: bool,
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// A file found at the start, or one that a decoder refused.
    Found,
    /// A file whose last chunk came.
    Complete,
    /// The player could not decode it.
    Suspect,
}

/// What the loop knows about assets.
#[derive(Debug)]
pub(super) struct Assets {
    size: ChunkSize,
    /// Starts of fetches are spread over this time.
    pub spread_ms: i64,
    /// Verified since the start.
    pub held: BTreeSet<Digest>,
    /// Right by their hash but refused by the decoder: fetching them again is of no use.
    undecodable: BTreeSet<Digest>,
    wanted: (Vec<Digest>, Vec<AssetWant>),
    /// Thrown away for want of room; the executor is told after the orders are out.
    evicted: Vec<Digest>,
    ordered_mono: i64,
    checks: mpsc::Sender<Checked>,
}

impl Assets {
    pub fn new(size: ChunkSize) -> (Self, mpsc::Receiver<Checked>) {
        let (checks, checked) = mpsc::channel(WAITING);
        let assets = Self {
            size,
            spread_ms: 0,
            held: BTreeSet::new(),
            undecodable: BTreeSet::new(),
            wanted: (Vec::new(), Vec::new()),
            evicted: Vec::new(),
            ordered_mono: 0,
            checks,
        };
        (assets, checked)
    }

    /// Takes note of an asset that made room for records.
    pub fn gave_up(&mut self, asset: Digest) -> bool {
        tracing::warn!(asset.sha256 = %asset, "Dropped an asset to make room for records");
        self.held.remove(&asset);
        self.evicted.push(asset);
        true
    }
}

impl Agent {
    /// Hashes what lies on disk, first used first, before anything may play it.
    pub(super) fn check_assets(&mut self) {
        let now = self.time.moment().utc;
        let needed: Vec<Digest> = self.executor.needed(now).iter().map(|w| w.asset).collect();
        let mut files: Vec<_> = needed.iter().filter(|a| self.storage.has(a)).copied().collect();
        files.extend(self.storage.assets().filter(|asset| !needed.contains(asset)));
        let files: Vec<_> = files.into_iter().map(|a| (a, self.storage.path(&a))).collect();
        let checks = self.assets.checks.clone();
        tokio::task::spawn_blocking(move || {
            for (asset, path) in files {
                let right = Storage::verify(&path, &asset);
                if checks.blocking_send(Checked { asset, kind: Check::Found, right }).is_err() {
                    return;
                }
            }
        });
    }

    /// Hashes a file that the decoder refused.
    pub(super) fn suspect(&mut self, asset: Digest) {
        self.reporter.changed();
        self.assets.held.remove(&asset);
        let path = self.storage.path(&asset);
        self.check(asset, Check::Suspect, move || Storage::verify(&path, &asset));
    }

    fn check(&self, asset: Digest, kind: Check, work: impl FnOnce() -> bool + Send + 'static) {
        let checks = self.assets.checks.clone();
        tokio::task::spawn_blocking(move || {
            let right = work();
            // A loop that ended does not ask any more.
            let _ = checks.blocking_send(Checked { asset, kind, right });
        });
    }

    /// Takes the result of a check.
    pub(super) fn checked(&mut self, check: Checked) {
        let Checked { asset, kind, right } = check;
        let now = self.time.moment().mono_ms;
        match (kind, right) {
            (Check::Found, true) => {
                self.assets.held.insert(asset);
                self.feed(Event::AssetHeld(asset));
            }
            (Check::Complete, true) => {
                self.storage.held(asset);
                self.assets.held.insert(asset);
                let actions = self.fetcher.verified(now, &asset, true);
                self.fetch(actions);
                self.feed(Event::AssetHeld(asset));
            }
            (Check::Complete, false) => {
                self.storage.remove(&asset);
                let actions = self.fetcher.verified(now, &asset, false);
                self.fetch(actions);
            }
            (Check::Suspect, true) => {
                tracing::warn!(asset.sha256 = %asset, "An asset is right but cannot be decoded");
                self.assets.undecodable.insert(asset);
            }
            (Check::Found | Check::Suspect, false) => {
                tracing::warn!(asset.sha256 = %asset, "An asset on disk is damaged");
                self.storage.remove(&asset);
                self.feed(Event::AssetLost(asset));
                self.order();
            }
        }
        self.reporter.changed();
    }

    /// Takes what the executor lacks.
    pub(super) fn want(&mut self, sheets: Vec<Digest>, assets: Vec<AssetWant>) {
        self.assets.wanted = (sheets, assets);
        self.order();
    }

    /// Orders what is wanted and not there, and drops orders that nothing names any more.
    fn order(&mut self) {
        let now = self.time.moment();
        let time = self.time.timing().time;
        let spread_ms = self.assets.spread_ms;
        self.assets.ordered_mono = now.mono_ms;
        let (sheets, assets) = self.assets.wanted.clone();
        let mut actions = Vec::new();
        let named: BTreeSet<Digest> =
            sheets.iter().copied().chain(assets.iter().map(|want| want.asset)).collect();
        for old in self.fetcher.pending() {
            if !named.contains(&old) {
                actions.extend(self.fetcher.unwant(now.mono_ms, &old));
            }
        }
        for name in sheets {
            // Sheets are small, and without them nothing else is known: no spread.
            let need = Need { first_use_in_ms: 0, spread_ms: 0 };
            actions.extend(self.fetcher.want_sheet(now.mono_ms, name, need));
        }
        let pending: BTreeSet<Digest> = self.fetcher.pending().into_iter().collect();
        let needed = self.executor.needed(now.utc);
        for want in assets {
            let asset = want.asset;
            if self.storage.has(&asset) || self.assets.undecodable.contains(&asset) {
                continue;
            }
            let size = self.assets.size;
            let Some(sums) = want.entry.sums.get(&size.kib().to_string()) else {
                tracing::warn!(asset.sha256 = %asset, kib = size.kib(), "An asset has no sums of this size");
                continue;
            };
            let order = AssetOrder { sha256: asset, bytes: want.entry.bytes, size, sums: *sums };
            let first_use_in_ms = until(want.first, now.utc, time);
            let need = Need { first_use_in_ms, spread_ms };
            if pending.contains(&asset) {
                actions.extend(self.fetcher.want_asset(now.mono_ms, order, need, None));
                continue;
            }
            let Some(dropped) = self.storage.make_room(&want, &needed) else {
                tracing::warn!(asset.sha256 = %asset, "No room for an asset");
                continue;
            };
            for gone in dropped {
                tracing::info!(asset.sha256 = %gone, "Dropped an asset for want of room");
                self.assets.held.remove(&gone);
                self.assets.evicted.push(gone);
            }
            let left = self.storage.left(&order);
            actions.extend(self.fetcher.want_asset(now.mono_ms, order, need, left.as_ref()));
        }
        self.fetch(actions);
    }

    /// Tells the executor what was thrown away, and tries again what found no room.
    pub(super) fn tend(&mut self) {
        for gone in std::mem::take(&mut self.assets.evicted) {
            self.feed(Event::AssetLost(gone));
        }
        let now = self.time.moment().mono_ms;
        if now.saturating_sub(self.assets.ordered_mono) >= ORDER_AGAIN_MS
            && !self.assets.wanted.1.is_empty()
        {
            self.order();
        }
    }

    /// Drops what was fetched in part of a plan that is gone, once the newest one is known whole.
    pub(super) fn drop_parts(&mut self) {
        if !self.assets.wanted.0.is_empty() || !self.executor.follows_newest() {
            return;
        }
        let needed = self.executor.needed(self.time.moment().utc);
        let mut named: BTreeSet<Digest> = needed.iter().map(|want| want.asset).collect();
        named.extend(self.fetcher.pending());
        self.storage.drop_parts(&named);
    }

    /// Does what the fetcher says.
    pub(super) fn fetch(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Subscribe(topics) => self.mailer.subscribe(topics),
                Action::Unsubscribe(topics) => self.mailer.unsubscribe(topics),
                Action::Sheet { sha256, bytes } => self.take_sheet(sha256, &bytes),
                Action::KeepSums { sha256, sums } => {
                    if let Err(error) = self.storage.keep_sums(&sha256, &sums) {
                        tracing::warn!(error = %error, "Cannot keep the sums of an asset");
                    }
                }
                Action::Write { sha256, offset, bytes, .. } => {
                    if let Err(error) = self.storage.write_chunk(&sha256, offset, &bytes) {
                        tracing::error!(error = %error, hint = error.hint(), "Cannot keep a chunk");
                        let now = self.time.moment().mono_ms;
                        let more = self.fetcher.failed(now, &sha256);
                        self.fetch(more);
                    }
                }
                Action::Complete { sha256 } => {
                    let path = self.storage.path(&sha256);
                    self.check(sha256, Check::Complete, move || {
                        Storage::complete(&path, &sha256).unwrap_or_else(|error| {
                            tracing::error!(error = %error, "Cannot keep an asset");
                            false
                        })
                    });
                }
            }
        }
    }

    fn take_sheet(&mut self, name: Digest, bytes: &[u8]) {
        let limit = self.settings.profile.sheet_bytes as usize;
        match sheet::open(bytes, &name, limit) {
            Ok(sheet) => {
                if let Err(error) = self.storage.put_sheet(&name, bytes) {
                    tracing::error!(error = %error, hint = error.hint(), "Cannot keep a sheet");
                }
                self.feed(Event::SheetHeld(name, Arc::new(sheet)));
                self.values.named_anew = true;
            }
            Err(refusal) => {
                tracing::warn!(sheet.sha256 = %name, error = %refusal, "Refused a sheet");
                let topic = self.topics.of(&crate::wire::topic::Topic::Sheet(name));
                let now = self.time.moment();
                self.refusals.count(&topic, refusal.reason(), bytes, now.utc, now.mono_ms);
            }
        }
    }

    /// Reads sheets that an earlier run kept.
    pub(super) fn load_sheets(&mut self, names: &[Digest]) {
        let limit = self.settings.profile.sheet_bytes as usize;
        for name in names {
            let Some(bytes) = self.storage.sheet(name) else { continue };
            if let Ok(sheet) = sheet::open(&bytes, name, limit) {
                self.feed(Event::SheetHeld(*name, Arc::new(sheet)));
                self.values.named_anew = true;
            }
        }
    }
}
