//! The values of feeds that a device follows: judged, kept as signed, judged anew at each start.
//!
//! # Invariants
//! * Only feeds that pages of the schedule name are followed, at most [`limits::FEEDS`].
//! * A value is replaced only by one with a higher version; what a revoked key signed falls.
//! * Nothing here says that a value is fresh: that is decided when it is shown.

use crate::domain::ids::{DeviceId, FeedId};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Feed};
use crate::wire::epoch::KeySet;
use crate::wire::judge::{Stamp, Verdict};
use crate::wire::jws::{Keys as _, Kid, Role};
use crate::wire::{Refusal, limits};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The values of the feeds in use.
#[derive(Debug, Default)]
pub struct Values {
    named: BTreeSet<FeedId>,
    kept: BTreeMap<FeedId, Kept>,
}

#[derive(Debug)]
struct Kept {
    text: String,
    kid: Kid,
    stamp: Stamp,
    feed: Feed,
}

/// As they lie on disk: signed texts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    #[serde(default)]
    values: Vec<String>,
}

/// Which topics to ask for from now on, and which no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub new: Vec<FeedId>,
    pub gone: Vec<FeedId>,
}

impl Values {
    /// Follows these feeds and no others; what is beyond the limit is left out, by id.
    pub fn follow(&mut self, named: BTreeSet<FeedId>) -> Change {
        let named: BTreeSet<FeedId> = named.into_iter().take(limits::FEEDS).collect();
        let new = named.difference(&self.named).cloned().collect();
        let gone = self.named.difference(&named).cloned().collect();
        self.kept.retain(|feed, _| named.contains(feed));
        self.named = named;
        Change { new, gone }
    }

    /// Returns the feeds in use.
    pub fn named(&self) -> impl Iterator<Item = &FeedId> {
        self.named.iter()
    }

    /// Returns the newest value of each feed.
    pub fn newest(&self) -> BTreeMap<FeedId, Feed> {
        self.kept.iter().map(|(id, kept)| (id.clone(), kept.feed.clone())).collect()
    }

    /// Judges a value that came on the topic of `feed`; says whether it is a new one.
    pub fn judge(
        &mut self,
        bytes: &[u8],
        feed: &FeedId,
        keys: &KeySet,
        me: &DeviceId,
        now: Option<UtcMs>,
    ) -> Result<bool, Refusal> {
        if !self.named.contains(feed) {
            return Ok(false);
        }
        let opened = doc::open::<Feed>(bytes, keys)?;
        let last = self.kept.get(feed).map(|kept| &kept.stamp);
        match Feed::judge(&opened, me, feed, last, now) {
            Verdict::Same => Ok(false),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Accept => {
                let kept = Kept {
                    text: String::from_utf8_lossy(bytes).into_owned(),
                    kid: opened.kid,
                    stamp: Stamp::of(&opened),
                    feed: opened.claims,
                };
                self.kept.insert(feed.clone(), kept);
                Ok(true)
            }
        }
    }

    /// Drops what a key signed that does not count any more; says whether anything fell.
    pub fn rekey(&mut self, keys: &KeySet) -> bool {
        let before = self.kept.len();
        self.kept.retain(|_, kept| keys.find(&kept.kid, Role::Schedule).is_ok());
        self.kept.len() < before
    }

    /// Writes what is kept.
    pub fn encode(&self) -> Vec<u8> {
        let values = self.kept.values().map(|kept| kept.text.clone()).collect();
        serde_json::to_vec(&File { values }).expect("a list of texts")
    }

    /// Reads what was kept, as far as it still counts; the feeds are followed until the schedule
    /// says which.
    pub fn restore(&mut self, bytes: &[u8], keys: &KeySet, me: &DeviceId) {
        let file: File = serde_json::from_slice(bytes).unwrap_or_default();
        for text in file.values.iter().take(limits::FEEDS) {
            let Ok(opened) = doc::open::<Feed>(text.as_bytes(), keys) else { continue };
            let feed = opened.claims.feed;
            self.named.insert(feed.clone());
            // What does not count is asked for again.
            let _ = self.judge(text.as_bytes(), &feed, keys, me, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::epoch::{self, KeysBody};
    use crate::wire::jws::SecretKey;
    use crate::wire::server_keys::ServerKeys;

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn keys(n: u8) -> (ServerKeys, KeySet) {
        let keys = ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [10 * n + role; 32]));
        let root = SecretKey::from_seed(&[200; 32]);
        let body = KeysBody::new(vec![epoch::first(&root, &keys, NOW.numeric_date() - 10)]);
        let set = KeySet::verify(&body.encode(), &root.kid()).unwrap();
        (keys, set)
    }

    fn signed(keys: &ServerKeys, feed: &str, ver: i64, value: &str) -> Vec<u8> {
        let doc = Feed {
            v: 1,
            iss: "x".into(),
            feed: feed.parse().unwrap(),
            iat: NOW.numeric_date(),
            ver,
            value: value.into(),
            at_ms: NOW,
            stale_after_s: 600,
        };
        doc::sign(&keys.schedule, &doc).unwrap().into_bytes()
    }

    fn ids(names: &[&str]) -> BTreeSet<FeedId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn me() -> DeviceId {
        "bang-1".parse().unwrap()
    }

    #[test]
    fn only_named_feeds_are_kept_and_versions_only_rise_over_restarts_too() {
        let (server, set) = keys(1);
        let (water, other) = ("nuoc".parse().unwrap(), "gio".parse().unwrap());
        let mut values = Values::default();
        let change = values.follow(ids(&["nuoc", "mua"]));
        assert_eq!(change.new.len(), 2);
        let now = Some(NOW);
        let mut take = |feed: &FeedId, bytes: &[u8]| values.judge(bytes, feed, &set, &me(), now);
        assert_eq!(take(&other, &signed(&server, "gio", NOW.0, "3")), Ok(false));
        assert_eq!(take(&water, &signed(&server, "nuoc", NOW.0, "310 cm")), Ok(true));
        assert_eq!(take(&water, &signed(&server, "nuoc", NOW.0, "310 cm")), Ok(false));
        let old = take(&water, &signed(&server, "nuoc", NOW.0 - 1, "9 cm")).unwrap_err();
        assert_eq!(old.reason(), "version-low");
        let swapped = take(&water, &signed(&server, "mua", NOW.0 + 1, "9 mm")).unwrap_err();
        assert_eq!(swapped.reason(), "content");
        let (stranger, _) = keys(3);
        assert!(take(&water, &signed(&stranger, "nuoc", NOW.0 + 1, "9 cm")).is_err());

        let mut again = Values::default();
        again.restore(&values.encode(), &set, &me());
        assert_eq!(again.newest()[&water].value, "310 cm");
        let old = signed(&server, "nuoc", NOW.0 - 1, "9 cm");
        assert!(again.judge(&old, &water, &set, &me(), now).is_err());
        assert_eq!(again.follow(ids(&["mua"])).gone, [water]);
        assert!(again.newest().is_empty());
        again.restore(b"{", &set, &me());
    }

    #[test]
    fn what_a_key_signed_falls_with_it_and_no_device_follows_without_bound() {
        let (server, set) = keys(1);
        let mut values = Values::default();
        let many: BTreeSet<FeedId> = (0..40).map(|n| format!("f{n}").parse().unwrap()).collect();
        assert_eq!(values.follow(many).new.len(), limits::FEEDS);
        values.follow(ids(&["nuoc"]));
        let water = "nuoc".parse().unwrap();
        let doc = signed(&server, "nuoc", 1, "310 cm");
        assert_eq!(values.judge(&doc, &water, &set, &me(), None), Ok(true));
        let (_, others) = keys(2);
        assert!(values.rekey(&others) && values.newest().is_empty());
    }
}
