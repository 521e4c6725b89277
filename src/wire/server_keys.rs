//! The keys a server signs with, one for each role but the root's.
//!
//! Pure: seeds come from outside, files are written outside. Invariant: `Debug` shows names only.

use super::b64;
use super::json;
use super::jws::{PublicKey, Role, SecretKey};
use super::refusal::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// The server's own keys.
#[derive(Clone, Debug)]
pub struct ServerKeys {
    /// Timetable, command, hold, feeds.
    pub schedule: SecretKey,
    /// Urgent notices.
    pub urgent: SecretKey,
    /// Quiet floor, enrolment.
    pub policy: SecretKey,
    /// Answers to a device's nonce.
    pub time: SecretKey,
    /// Receipts and presence.
    pub receipt: SecretKey,
}

const FILE_BYTES: usize = 4_096;

#[derive(Serialize, Deserialize)]
struct File {
    v: u8,
    seeds: BTreeMap<String, String>,
}

impl Drop for File {
    fn drop(&mut self) {
        self.seeds.values_mut().for_each(Zeroize::zeroize);
    }
}

impl ServerKeys {
    /// Makes the keys of five seeds, in the order of [`Role::NAMED`].
    pub fn from_seeds(seeds: &[[u8; 32]; 5]) -> Self {
        let [schedule, urgent, policy, time, receipt] = seeds;
        Self {
            schedule: SecretKey::from_seed(schedule),
            urgent: SecretKey::from_seed(urgent),
            policy: SecretKey::from_seed(policy),
            time: SecretKey::from_seed(time),
            receipt: SecretKey::from_seed(receipt),
        }
    }

    /// Returns the key of a role; `None` for root and device.
    pub fn of(&self, role: Role) -> Option<&SecretKey> {
        match role {
            Role::Schedule => Some(&self.schedule),
            Role::Urgent => Some(&self.urgent),
            Role::Policy => Some(&self.policy),
            Role::Time => Some(&self.time),
            Role::Receipt => Some(&self.receipt),
            Role::Root | Role::Device => None,
        }
    }

    /// Puts another key into a role; nothing happens for root and device.
    pub fn set(&mut self, role: Role, key: SecretKey) {
        match role {
            Role::Schedule => self.schedule = key,
            Role::Urgent => self.urgent = key,
            Role::Policy => self.policy = key,
            Role::Time => self.time = key,
            Role::Receipt => self.receipt = key,
            Role::Root | Role::Device => {}
        }
    }

    /// Returns the public halves as an epoch names them.
    pub fn public(&self) -> BTreeMap<String, Vec<PublicKey>> {
        Role::NAMED
            .into_iter()
            .filter_map(|role| Some((role.as_str().to_owned(), vec![self.of(role)?.public()])))
            .collect()
    }

    /// Writes the keys for a file that only its owner can read.
    pub fn to_file(&self) -> Zeroizing<String> {
        let seeds = Role::NAMED
            .into_iter()
            .filter_map(|role| Some((role.as_str().to_owned(), secret_text(self.of(role)?))))
            .collect();
        let file = File { v: 1, seeds };
        Zeroizing::new(serde_json::to_string_pretty(&file).expect("a structure with text keys"))
    }

    /// Reads what [`Self::to_file`] wrote.
    pub fn from_file(text: &str) -> Result<Self, Refusal> {
        let file: File = json::read(text.as_bytes(), "bytes", FILE_BYTES)?;
        if file.v != 1 {
            return Err(Refusal::Unsupported { v: i64::from(file.v) });
        }
        let key = |role: Role| {
            let text = file.seeds.get(role.as_str()).map_or("", String::as_str);
            secret_from_text(text).ok_or_else(|| Refusal::Member {
                why: format!("seed of role `{role}` is missing or not 32 bytes of base64url"),
            })
        };
        Ok(Self {
            schedule: key(Role::Schedule)?,
            urgent: key(Role::Urgent)?,
            policy: key(Role::Policy)?,
            time: key(Role::Time)?,
            receipt: key(Role::Receipt)?,
        })
    }
}

/// Writes one secret key (43 characters of base64url): the root's for paper and USB, a device's.
pub fn secret_text(key: &SecretKey) -> String {
    b64::encode(&*key.seed())
}

/// Reads what [`secret_text`] wrote.
pub fn secret_from_text(text: &str) -> Option<SecretKey> {
    let seed = Zeroizing::new(b64::decode_exact::<32>(text.trim())?);
    Some(SecretKey::from_seed(&seed))
}
