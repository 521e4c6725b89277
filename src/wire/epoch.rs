//! Key epochs: which keys may sign what, said by the offline root, in an unbroken chain.
//!
//! Each epoch is a complete statement and names its predecessor by hash. A device pins the
//! thumbprint of one root key at enrolment, verifies the whole chain, trusts it from the first
//! epoch that the pinned key signed, persists the body and only ever takes a longer one that
//! begins with the same epochs.

use super::jws::{self, Found, Keys, Kid, OneKey, PublicKey, Role, SecretKey, Typ};
use super::refusal::Refusal;
use super::{json, limits};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Body of `keys`: all epochs, oldest first, each a compact JWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysBody {
    /// Version of the document, 1.
    pub v: u8,
    /// The chain.
    pub epochs: Vec<String>,
}

/// One epoch as signed by the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Version of the document, 1.
    pub v: u8,
    /// Number, from 1, consecutive.
    pub epoch: u32,
    /// SHA-256 of the previous epoch's compact JWS; null for the first.
    pub prev: Option<Digest>,
    /// When it was made, seconds.
    pub iat: i64,
    /// The root key that signs the *next* epoch. In the first epoch it is the signer itself.
    pub root: PublicKey,
    /// Keys by role: `schedule`, `urgent`, `policy`, `time`, `receipt`; other roles are ignored.
    pub roles: BTreeMap<String, Vec<PublicKey>>,
    /// Keys that sign nothing new; what they signed before holds until its `exp`.
    #[serde(default)]
    pub retired: Vec<RetiredKey>,
    /// Keys whose documents are dropped at once.
    #[serde(default)]
    pub revoked: Vec<Kid>,
}

/// A key that signs nothing new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The role it had.
    pub role: String,
    /// The key.
    pub key: PublicKey,
    /// Documents with a later `iat` are refused.
    pub retired_ms: UtcMs,
}

impl KeysBody {
    /// Returns the body of a chain.
    pub fn new(epochs: Vec<String>) -> Self {
        Self { v: 1, epochs }
    }

    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a structure with text keys")
    }
}

/// A verified chain: the register a device judges by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    epochs: Vec<String>,
    epoch: u32,
    iat: i64,
    root: PublicKey,
    known: BTreeMap<(Kid, Role), Found>,
    kids: BTreeSet<Kid>,
    revoked: BTreeSet<Kid>,
}

/// What a new body of `keys` means for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The chain in force, again.
    Same,
    /// A longer chain: persist the body, then use the set, drop what revoked keys signed, judge
    /// parked documents again.
    Newer(Box<KeySet>),
}

impl KeySet {
    /// Verifies a body of `keys` from the pinned thumbprint of a root key.
    pub fn verify(body: &[u8], pin: &Kid) -> Result<Self, Refusal> {
        let body: KeysBody = json::read(body, "bytes", limits::KEYS_BYTES)?;
        if body.v != 1 {
            return Err(Refusal::Unsupported { v: i64::from(body.v) });
        }
        Self::of(body.epochs, pin)
    }

    fn of(epochs: Vec<String>, pin: &Kid) -> Result<Self, Refusal> {
        Refusal::limit("epochs", epochs.len(), limits::EPOCHS)?;
        let first = epochs.first().ok_or(Refusal::Epoch { epoch: 0, why: "the chain is empty" })?;
        let mut root = first_root(first)?;
        let mut trusted = false;
        let mut prev = None;
        let mut history: Vec<Epoch> = Vec::with_capacity(epochs.len());
        for (number, text) in (1_u32..).zip(&epochs) {
            let signer = OneKey { key: root.clone(), role: Role::Root };
            let opened = jws::open::<Epoch>(text, Typ::Keys, Role::Root, &signer)?;
            let epoch = opened.claims;
            let wrong = |why| Err(Refusal::Epoch { epoch: number, why });
            if epoch.epoch != number {
                return wrong("numbers are not consecutive from 1");
            }
            if epoch.prev != prev {
                return wrong("`prev` is not the hash of the epoch before");
            }
            if history.last().is_some_and(|last| last.iat > epoch.iat) {
                return wrong("made before its predecessor");
            }
            check(&epoch)?;
            trusted |= opened.kid == *pin;
            root = epoch.root.clone();
            prev = Some(opened.digest);
            history.push(epoch);
        }
        if !trusted {
            return Err(Refusal::Root);
        }
        Ok(Self::collect(epochs, root, &history))
    }

    /// The newest epoch decides who may sign; the history decides since when.
    fn collect(epochs: Vec<String>, root: PublicKey, history: &[Epoch]) -> Self {
        let mut since: BTreeMap<(Kid, Role), u32> = BTreeMap::new();
        let mut kids = BTreeSet::new();
        let mut revoked = BTreeSet::new();
        for epoch in history {
            revoked.extend(epoch.revoked.iter().copied());
            for (role, key) in named(epoch) {
                let kid = key.kid();
                kids.insert(kid);
                since.entry((kid, role)).or_insert(epoch.epoch);
            }
        }
        let mut known = BTreeMap::new();
        let last = history.last();
        for retired in last.iter().flat_map(|e| &e.retired) {
            if let Some(role) = role_named(&retired.role) {
                let kid = retired.key.kid();
                let epoch = since.get(&(kid, role)).copied().unwrap_or(0);
                let (key, at) = (retired.key.clone(), Some(retired.retired_ms));
                kids.insert(kid);
                known.insert((kid, role), Found { key, epoch, retired: at });
            }
        }
        for (role, key) in last.iter().flat_map(|e| named(e)) {
            let kid = key.kid();
            let epoch = since.get(&(kid, role)).copied().unwrap_or(0);
            known.insert((kid, role), Found { key: key.clone(), epoch, retired: None });
        }
        let epoch = last.map_or(0, |e| e.epoch);
        let iat = last.map_or(0, |e| e.iat);
        Self { epochs, epoch, iat, root, known, kids, revoked }
    }

    /// Judges a newer body against this one; ask [`Self::timely`] of the new set before use.
    pub fn advance(&self, body: &[u8], pin: &Kid) -> Result<Advance, Refusal> {
        let new = Self::verify(body, pin)?;
        let common = self.epochs.len().min(new.epochs.len());
        if self.epochs[..common] != new.epochs[..common] {
            return Err(Refusal::Conflict { ver: i64::from(new.epoch) });
        }
        if new.epoch < self.epoch {
            let (ver, last) = (i64::from(new.epoch), i64::from(self.epoch));
            return Err(Refusal::VersionLow { ver, last });
        }
        if new.epoch == self.epoch {
            return Ok(Advance::Same);
        }
        Ok(Advance::Newer(Box::new(new)))
    }

    /// Returns the number of the newest epoch.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns when the newest epoch was made, seconds.
    pub fn iat(&self) -> i64 {
        self.iat
    }

    /// Refuses a chain made more than a day ahead of trusted time.
    pub fn timely(&self, now: Option<UtcMs>) -> Result<(), Refusal> {
        match now {
            Some(now) if UtcMs::from_numeric_date(self.iat) > now.plus(limits::AHEAD_MS) => {
                Err(Refusal::Ahead { member: "iat" })
            }
            _ => Ok(()),
        }
    }

    /// Returns the thumbprint of the root that signs the next epoch.
    pub fn root(&self) -> Kid {
        self.root.kid()
    }

    /// Says whether a key was revoked: drop what it signed, sheets too.
    pub fn is_revoked(&self, kid: &Kid) -> bool {
        self.revoked.contains(kid)
    }

    /// Returns the body to persist or to publish.
    pub fn body(&self) -> KeysBody {
        KeysBody::new(self.epochs.clone())
    }

    /// Returns the text of the newest epoch's compact JWS.
    pub fn newest(&self) -> &str {
        self.epochs.last().map_or("", String::as_str)
    }
}

impl Keys for KeySet {
    fn find(&self, kid: &Kid, role: Role) -> Result<Found, Refusal> {
        if self.revoked.contains(kid) {
            return Err(Refusal::Revoked { kid: *kid });
        }
        if let Some(found) = self.known.get(&(*kid, role)) {
            return Ok(found.clone());
        }
        let elsewhere = self.known.keys().any(|(known, _)| known == kid);
        if elsewhere || self.root.kid() == *kid {
            Err(Refusal::Role { kid: *kid, role: role.as_str() })
        } else if self.kids.contains(kid) {
            // Named once, by no role now and not as retired: as good as revoked.
            Err(Refusal::Revoked { kid: *kid })
        } else {
            Err(Refusal::UnknownKey { kid: *kid })
        }
    }
}

/// The first epoch names its own signer; its signature is checked with that key afterwards.
fn first_root(text: &str) -> Result<PublicKey, Refusal> {
    #[derive(Deserialize)]
    struct Rooted {
        root: PublicKey,
    }
    let parts = jws::split(text, Typ::Keys)?;
    let rooted: Rooted = json::read(&parts.payload, "bytes", limits::EPOCH_BYTES)?;
    if rooted.root.kid() != parts.kid {
        return Err(Refusal::Epoch {
            epoch: 1,
            why: "the first epoch is not signed by its own root",
        });
    }
    Ok(rooted.root)
}

fn role_named(word: &str) -> Option<Role> {
    Role::NAMED.into_iter().find(|role| role.as_str() == word)
}

fn named(epoch: &Epoch) -> impl Iterator<Item = (Role, &PublicKey)> {
    epoch
        .roles
        .iter()
        .filter_map(|(word, keys)| Some((role_named(word)?, keys)))
        .flat_map(|(role, keys)| keys.iter().map(move |key| (role, key)))
}

fn check(epoch: &Epoch) -> Result<(), Refusal> {
    Refusal::limit("retired keys", epoch.retired.len(), limits::RETIRED)?;
    Refusal::limit("revoked keys", epoch.revoked.len(), limits::REVOKED)?;
    for keys in epoch.roles.values() {
        Refusal::limit("keys of a role", keys.len(), limits::ROLE_KEYS)?;
    }
    let wrong = |why| Err(Refusal::Epoch { epoch: epoch.epoch, why });
    let root = epoch.root.kid();
    let mut seen = BTreeSet::new();
    for (_, key) in named(epoch) {
        let kid = key.kid();
        if kid == root {
            return wrong("the root key has another role too");
        }
        if !seen.insert(kid) {
            return wrong("a key has two roles");
        }
        if epoch.revoked.contains(&kid) {
            return wrong("a revoked key still has a role");
        }
        if epoch.retired.iter().any(|r| r.key.kid() == kid) {
            return wrong("a retired key still has a role");
        }
    }
    Ok(())
}

/// Signs the first epoch of a server.
pub fn first(root: &SecretKey, keys: &super::server_keys::ServerKeys, iat: i64) -> String {
    let epoch = Epoch {
        v: 1,
        epoch: 1,
        prev: None,
        iat,
        root: root.public(),
        roles: keys.public(),
        retired: Vec::new(),
        revoked: Vec::new(),
    };
    jws::sign(root, Typ::Keys, &epoch)
}

#[cfg(test)]
mod tests {
    use super::super::server_keys::ServerKeys;
    use super::*;

    fn server(n: u8) -> ServerKeys {
        ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [n * 10 + role; 32]))
    }

    fn root(n: u8) -> SecretKey {
        SecretKey::from_seed(&[100 + n; 32])
    }

    fn next(signer: &SecretKey, before: &[String], change: impl FnOnce(&mut Epoch)) -> String {
        let number = u32::try_from(before.len()).unwrap() + 1;
        let mut epoch = Epoch {
            v: 1,
            epoch: number,
            prev: before.last().map(|text| Digest::of(text.as_bytes())),
            iat: 1_000 * i64::from(number),
            root: signer.public(),
            roles: server(1).public(),
            retired: Vec::new(),
            revoked: Vec::new(),
        };
        change(&mut epoch);
        jws::sign(signer, Typ::Keys, &epoch)
    }

    fn verify(epochs: &[String], pin: &SecretKey) -> Result<KeySet, Refusal> {
        KeySet::verify(&KeysBody::new(epochs.to_vec()).encode(), &pin.kid())
    }

    #[test]
    fn the_first_epoch_gives_each_role_its_key_and_no_other() {
        let set = verify(&[first(&root(1), &server(1), 1_000)], &root(1)).unwrap();
        for role in Role::NAMED {
            for other in Role::NAMED {
                let kid = server(1).of(other).unwrap().kid();
                let found = set.find(&kid, role);
                if role == other {
                    let found = found.unwrap();
                    assert_eq!((found.key.kid(), found.epoch, found.retired), (kid, 1, None));
                } else {
                    assert_eq!(found.unwrap_err().reason(), "role");
                }
            }
        }
        let root = root(1).kid();
        assert_eq!(set.find(&root, Role::Schedule).unwrap_err().reason(), "role");
        let stranger = server(2).schedule.kid();
        assert_eq!(set.find(&stranger, Role::Schedule).unwrap_err().reason(), "unknown-key");
    }

    #[test]
    fn a_chain_of_another_root_is_refused() {
        let chain = [first(&root(2), &server(1), 1_000)];
        assert_eq!(verify(&chain, &root(1)).unwrap_err(), Refusal::Root);
    }

    #[test]
    fn a_new_root_is_signed_by_the_old_and_pinned_from_its_first_signature_on() {
        let mut chain = vec![first(&root(1), &server(1), 1_000)];
        chain.push(next(&root(1), &chain, |e| e.root = root(2).public()));
        // Named, but it has signed nothing yet: anybody could have named it.
        assert_eq!(verify(&chain, &root(2)).unwrap_err(), Refusal::Root);
        assert_eq!(verify(&chain, &root(1)).unwrap().root(), root(2).kid());
        chain.push(next(&root(2), &chain, |_| ()));
        assert_eq!(verify(&chain, &root(2)).unwrap().epoch(), 3);
        let mut wrong = chain[..2].to_vec();
        wrong.push(next(&root(1), &wrong, |_| ()));
        assert_eq!(verify(&wrong, &root(1)).unwrap_err().reason(), "unknown-key");
    }

    #[test]
    fn a_broken_chain_is_refused() {
        let one = vec![first(&root(1), &server(1), 1_000)];
        let with = |change: fn(&mut Epoch)| {
            let mut chain = one.clone();
            chain.push(next(&root(1), &one, change));
            verify(&chain, &root(1)).unwrap_err().reason()
        };
        assert_eq!(with(|e| e.epoch = 3), "epoch");
        assert_eq!(with(|e| e.prev = None), "epoch");
        assert_eq!(with(|e| e.prev = Some(Digest::of(b"other"))), "epoch");
        assert_eq!(with(|e| e.iat = 1), "epoch");
        assert_eq!(with(|e| e.v = 2), "unsupported");
        assert_eq!(with(|e| e.revoked = vec![server(1).time.kid()]), "epoch");
        assert_eq!(with(|e| e.roles = [("time".into(), vec![root(1).public()])].into()), "epoch");
        let twice = |e: &mut Epoch| {
            e.roles.insert("urgent".into(), vec![server(1).time.public()]);
        };
        assert_eq!(with(twice), "epoch");
        assert_eq!(verify(&[], &root(1)).unwrap_err().reason(), "epoch");
        let second = next(&root(1), &one, |_| ());
        assert_eq!(verify(&[second], &root(1)).unwrap_err().reason(), "epoch");
    }

    #[test]
    fn revoked_and_retired_keys_are_told_apart_and_new_keys_outrank_old_versions() {
        let mut chain = vec![first(&root(1), &server(1), 1_000)];
        chain.push(next(&root(1), &chain, |e| {
            e.roles = server(2).public();
            e.revoked = vec![server(1).schedule.kid()];
            e.retired = vec![RetiredKey {
                role: "time".into(),
                key: server(1).time.public(),
                retired_ms: UtcMs(1_500_000),
            }];
        }));
        let set = verify(&chain, &root(1)).unwrap();
        let find = |key: &SecretKey, role| set.find(&key.kid(), role);
        assert_eq!(find(&server(1).schedule, Role::Schedule).unwrap_err().reason(), "revoked");
        assert!(set.is_revoked(&server(1).schedule.kid()));
        assert_eq!(find(&server(1).time, Role::Time).unwrap().retired, Some(UtcMs(1_500_000)));
        // Left out without a word: it may sign nothing any more.
        assert_eq!(find(&server(1).policy, Role::Policy).unwrap_err().reason(), "revoked");
        assert_eq!(find(&server(2).schedule, Role::Schedule).unwrap().epoch, 2);
        // A revoked key stays revoked although later epochs do not repeat it.
        chain.push(next(&root(1), &chain, |e| e.roles = server(2).public()));
        let set = verify(&chain, &root(1)).unwrap();
        assert!(set.is_revoked(&server(1).schedule.kid()));
    }

    #[test]
    fn a_device_takes_only_a_longer_chain_with_the_same_beginning() {
        let one = vec![first(&root(1), &server(1), 1_000)];
        let mut two = one.clone();
        two.push(next(&root(1), &one, |_| ()));
        let mut fork = one.clone();
        fork.push(next(&root(1), &one, |e| e.iat += 1));
        let body = |chain: &[String]| KeysBody::new(chain.to_vec()).encode();
        let pin = root(1).kid();
        let set = verify(&one, &root(1)).unwrap();
        assert_eq!(set.advance(&body(&one), &pin), Ok(Advance::Same));
        let Ok(Advance::Newer(newer)) = set.advance(&body(&two), &pin) else { panic!("refused") };
        assert_eq!(newer.epoch(), 2);
        assert_eq!(newer.advance(&body(&one), &pin).unwrap_err().reason(), "version-low");
        assert_eq!(newer.advance(&body(&fork), &pin).unwrap_err().reason(), "conflict");
        assert_eq!(newer.timely(Some(UtcMs(2_000_000))), Ok(()));
        let early = newer.timely(Some(UtcMs(2_000_000 - limits::AHEAD_MS - 1)));
        assert_eq!(early.unwrap_err().reason(), "ahead");
    }

    #[test]
    fn the_keys_file_of_a_server_is_read_back_and_shows_nothing_in_debug() {
        let keys = server(1);
        let text = keys.to_file();
        let back = ServerKeys::from_file(&text).unwrap();
        assert_eq!(back.public(), keys.public());
        assert!(!format!("{keys:?}").contains("seed"));
        let short = text.replace("\"time\"", "\"tima\"");
        assert_eq!(ServerKeys::from_file(&short).unwrap_err().reason(), "member");
    }
}
