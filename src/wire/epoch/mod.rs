//! Key epochs: which keys may sign what, said by the offline root, in an unbroken chain.
//!
//! Each epoch is a complete statement and names its predecessor by hash. A device pins the
//! thumbprint of one root key at enrolment, verifies the whole chain, trusts it from the first
//! epoch that the pinned key signed, persists the body and only ever takes a longer one that
//! begins with the same epochs.

use super::jws::{self, Found, Keys, Kid, OneKey, PublicKey, Role, SecretKey, Typ};
use super::refusal::Refusal;
use super::tlog::{Policy, PolicyError};
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
    /// The evidence log and its witnesses; absent where there is no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogRule>,
}

/// By which rule a device believes a checkpoint of the evidence log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRule {
    /// A C2SP tlog-policy: keys of the logs, keys of the witnesses, how many of them are enough.
    pub policy: String,
}

impl LogRule {
    /// Returns the rule of a policy; addresses of witnesses are not a device's business.
    pub fn new(policy: &Policy) -> Self {
        Self { policy: String::from_utf8_lossy(&policy.without_urls().to_bytes()).into_owned() }
    }

    /// Reads the policy.
    pub fn read(&self) -> Result<Policy, PolicyError> {
        Policy::parse(self.policy.as_bytes())
    }
}

/// What the keys say about the evidence log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTrust {
    /// There is none: what is receipted may be deleted.
    None,
    /// Checkpoints are judged by this.
    By(Box<Policy>),
    /// There is one whose policy this version cannot read: no checkpoint counts.
    Unread,
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
    current: Option<Epoch>,
    signer: Kid,
    kids: BTreeSet<Kid>,
    revoked: BTreeSet<Kid>,
    log: LogTrust,
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
        let mut newest = root.kid();
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
            newest = opened.kid;
            root = epoch.root.clone();
            prev = Some(opened.digest);
            history.push(epoch);
        }
        if !trusted {
            return Err(Refusal::Root);
        }
        Ok(Self::collect(epochs, root, newest, &history))
    }

    /// The newest epoch decides who may sign; the history decides since when.
    fn collect(epochs: Vec<String>, root: PublicKey, signer: Kid, history: &[Epoch]) -> Self {
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
        let current = last.cloned();
        let log = match last.and_then(|e| e.log.as_ref()).map(LogRule::read) {
            None => LogTrust::None,
            Some(Ok(policy)) => LogTrust::By(Box::new(policy)),
            // A later version's policy must not cost a device its keys.
            Some(Err(_)) => LogTrust::Unread,
        };
        Self { epochs, epoch, iat, root, known, current, signer, kids, revoked, log }
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

    /// Returns the thumbprint of the root that signed the newest epoch: what a device may pin.
    pub fn signer(&self) -> Kid {
        self.signer
    }

    /// Returns the thumbprint of the root that signs the next epoch.
    pub fn root(&self) -> Kid {
        self.root.kid()
    }

    /// Returns what the newest epoch says.
    pub fn current(&self) -> Option<&Epoch> {
        self.current.as_ref()
    }

    /// Returns what the newest epoch says about the evidence log.
    pub fn log(&self) -> &LogTrust {
        &self.log
    }

    /// Returns every key that was ever revoked.
    pub fn revoked(&self) -> impl Iterator<Item = &Kid> {
        self.revoked.iter()
    }

    /// Returns the length of the body in bytes, of [`limits::KEYS_BYTES`].
    pub fn body_bytes(&self) -> usize {
        self.body().encode().len()
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
    if let Some(log) = &epoch.log {
        Refusal::limit("log policy", log.policy.len(), limits::LOG_POLICY_BYTES)?;
    }
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

/// How long a retired key is named: beyond it nothing that it signed is in force any more
/// (timetables reach 16 days ahead; floors are signed anew at once).
const RETIRED_MS: i64 = 60 * 86_400_000;

/// What a new epoch changes.
#[derive(Debug)]
pub struct Change<'a> {
    /// The keys in use from now on. A role whose key is another one than before retires the old.
    pub keys: &'a super::server_keys::ServerKeys,
    /// Keys that are revoked instead of retired; retired ones may be among them.
    pub revoke: &'a BTreeSet<Kid>,
    /// The root that signs the next epoch, when it is another one.
    pub root: Option<PublicKey>,
    /// What is said about the evidence log from now on.
    pub log: LogChange,
}

/// What a new epoch says about the evidence log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogChange {
    /// The same as before.
    #[default]
    Keep,
    /// This.
    Set(LogRule),
    /// Nothing: devices give up what is receipted.
    Clear,
}

/// Signs the epoch that follows a chain and returns the longer chain, verified as a device would.
pub fn next(
    chain: &KeySet,
    root: &SecretKey,
    change: &Change<'_>,
    now: UtcMs,
) -> Result<KeySet, Refusal> {
    if root.kid() != chain.root() {
        return Err(Refusal::Root);
    }
    let last = chain.current().ok_or(Refusal::Epoch { epoch: 0, why: "the chain is empty" })?;
    let roles = change.keys.public();
    let in_use: BTreeSet<Kid> = roles.values().flatten().map(PublicKey::kid).collect();
    let dropped = named(last).filter(|(_, key)| !in_use.contains(&key.kid()));
    let dropped = dropped.map(|(role, key)| RetiredKey {
        role: role.as_str().to_owned(),
        key: key.clone(),
        retired_ms: now,
    });
    let fresh = |key: &&RetiredKey| now.since(key.retired_ms) < RETIRED_MS;
    let mut retired: Vec<RetiredKey> =
        dropped.chain(last.retired.iter().filter(fresh).cloned()).collect();
    retired.retain(|key| !change.revoke.contains(&key.key.kid()));
    retired.truncate(limits::RETIRED);
    let epoch = Epoch {
        v: 1,
        epoch: chain.epoch().saturating_add(1),
        prev: Some(Digest::of(chain.newest().as_bytes())),
        // A clock set back must not stop a rotation.
        iat: now.numeric_date().max(chain.iat()),
        root: change.root.clone().unwrap_or_else(|| root.public()),
        roles,
        retired,
        revoked: change.revoke.iter().copied().collect(),
        log: match &change.log {
            LogChange::Keep => last.log.clone(),
            LogChange::Set(rule) => Some(rule.clone()),
            LogChange::Clear => None,
        },
    };
    if epoch.log.as_ref().is_some_and(|log| log.read().is_err()) {
        return Err(Refusal::Epoch { epoch: epoch.epoch, why: "its log policy cannot be read" });
    }
    let mut epochs = chain.epochs.clone();
    epochs.push(jws::sign_within(root, Typ::Keys, &epoch)?);
    KeySet::verify(&KeysBody::new(epochs).encode(), &root.kid())
}

/// Signs the first epoch of a server without an evidence log.
pub fn first(root: &SecretKey, keys: &super::server_keys::ServerKeys, iat: i64) -> String {
    first_with(root, keys, None, iat)
}

/// Signs the first epoch of a server.
pub fn first_with(
    root: &SecretKey,
    keys: &super::server_keys::ServerKeys,
    log: Option<LogRule>,
    iat: i64,
) -> String {
    let epoch = Epoch {
        v: 1,
        epoch: 1,
        prev: None,
        iat,
        root: root.public(),
        roles: keys.public(),
        retired: Vec::new(),
        revoked: Vec::new(),
        log,
    };
    jws::sign(root, Typ::Keys, &epoch)
}

#[cfg(test)]
mod tests;
