//! Policies: which logs and witnesses count, and how many witnesses make a quorum (C2SP
//! tlog-policy).
//!
//! The file an auditor pins, and the rule by which a device gives up a record.
//!
//! # Invariants
//! * Groups name only what stands above them, and each name is a member at most once: a witness
//!   contributes in one way only.
//! * A log's key counts for the log of its name and for that log's yearly shards
//!   ([`VerifierKey::of_log`]), so that a policy need not change each year.
//! * A witness counts with a signature that was checked; one whose type this version cannot check
//!   never counts, so that a policy is never met by what nobody verified.

mod fault;
mod read;

pub use fault::{PolicyError, PolicyFault};

use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use super::key::VerifierKey;
use std::fmt;

/// Bytes of the longest policy.
pub const POLICY_BYTES: usize = 65_536;
/// Logs, witnesses and groups of a policy, each (readers should take 32).
const MOST: usize = 64;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    log_urls: Vec<Option<Octets>>,
    witnesses: Vec<Witness>,
    keys: Vec<VerifierKey>, // of the witnesses, in their order
    groups: Vec<Group>,
    quorum: Quorum,
}

/// A name or address of the file: opaque octets, shown as far as they are text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Octets(Vec<u8>);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A witness of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    name: Octets,
    url: Option<Octets>,
}

impl Witness {
    /// Returns what the policy calls it.
    pub fn name(&self) -> &Octets {
        &self.name
    }

    /// Returns where it takes checkpoints, if the policy says so in text.
    pub fn url(&self) -> Option<&str> {
        std::str::from_utf8(&self.url.as_ref()?.0).ok()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Octets,
    need: usize,
    members: Vec<Member>,
}

/// What a group or the quorum names, by position in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Quorum {
    None,
    Of(Member),
}

/// A witness's word on a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Position of the witness in the policy.
    pub witness: usize,
    /// When it signed, in seconds since 1970.
    pub time_s: u64,
}

/// What a policy says of a checkpoint that one of its logs signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Who cosigned it, in the policy's order.
    pub witnessed: Vec<Witnessed>,
    /// Whether that is enough.
    pub quorum: Standing,
}

/// Whether the witnesses are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The policy asks for none.
    NotAsked,
    /// Enough, by this time (seconds since 1970): what the checkpoint holds is not younger.
    Met {
        /// Seconds since 1970.
        time_s: u64,
    },
    /// Not yet.
    Lacking,
}

impl Standing {
    /// Says whether the checkpoint counts.
    pub fn is_enough(self) -> bool {
        self != Self::Lacking
    }
}

impl Policy {
    /// Reads a policy; refuses with all its faults.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        read::read(bytes)
    }

    /// Returns the same policy without addresses: what those need who only judge.
    pub fn without_urls(&self) -> Self {
        let mut bare = self.clone();
        bare.log_urls.iter_mut().for_each(|url| *url = None);
        bare.witnesses.iter_mut().for_each(|witness| witness.url = None);
        bare
    }

    /// Returns the keys of the logs.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Returns the witnesses.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Returns the keys of the witnesses, in their order.
    pub fn witness_keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Says whether these witnesses (positions) make a quorum.
    pub fn is_met_by(&self, witnesses: &[usize]) -> bool {
        match self.quorum {
            Quorum::None => true,
            Quorum::Of(member) => self.standing(witnesses, member),
        }
    }

    fn standing(&self, witnesses: &[usize], wanted: Member) -> bool {
        // Groups name only earlier groups, so one pass in their order settles all.
        let mut settled: Vec<bool> = Vec::with_capacity(self.groups.len());
        let of = |member: Member, settled: &[bool]| match member {
            Member::Witness(at) => witnesses.contains(&at),
            Member::Group(at) => settled.get(at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let there = group.members.iter().filter(|member| of(**member, &settled)).count();
            settled.push(there >= group.need);
        }
        of(wanted, &settled)
    }

    /// Weighs cosignatures that were checked.
    pub fn weigh(&self, witnessed: &[Witnessed]) -> Standing {
        if self.quorum == Quorum::None {
            return Standing::NotAsked;
        }
        let mut by_time = witnessed.to_vec();
        by_time.sort_by_key(|witnessed| (witnessed.time_s, witnessed.witness));
        let mut there = Vec::with_capacity(by_time.len());
        for Witnessed { witness, time_s } in by_time {
            there.push(witness);
            if self.is_met_by(&there) {
                return Standing::Met { time_s };
            }
        }
        Standing::Lacking
    }

    /// Judges a checkpoint as it came: refuses one that none of the logs signed, or on which a
    /// signature of a known key does not fit.
    pub fn judge(&self, bytes: &[u8]) -> Result<Verdict, CheckpointError> {
        let signed = SignedCheckpoint::parse(bytes)?;
        self.judge_signed(&signed)
    }

    /// Judges a checkpoint that was read before.
    pub fn judge_signed(&self, signed: &SignedCheckpoint) -> Result<Verdict, CheckpointError> {
        let checkpoint = signed.checkpoint().clone();
        let own: Vec<VerifierKey> =
            self.logs.iter().filter_map(|key| key.of_log(&checkpoint.origin)).collect();
        signed.note().verify(&own)?;
        let mut witnessed: Vec<Witnessed> = signed
            .note()
            .signatures(&self.keys)?
            .into_iter()
            .filter_map(|(witness, signed)| Some(Witnessed { witness, time_s: signed.time_s? }))
            .collect();
        witnessed.sort_by_key(|witnessed| witnessed.witness);
        let quorum = self.weigh(&witnessed);
        Ok(Verdict { checkpoint, witnessed, quorum })
    }
}

impl Policy {
    /// Writes the policy; what is read back is equal.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |words: &[&[u8]]| {
            out.extend_from_slice(&words.join(&b' '));
            out.push(b'\n');
        };
        let url = |url: &Option<Octets>| url.as_ref().map(|url| url.0.clone());
        for (key, address) in self.logs.iter().zip(&self.log_urls) {
            let key = key.to_string();
            let mut words: Vec<&[u8]> = vec![b"log", key.as_bytes()];
            let address = url(address);
            words.extend(address.as_deref());
            line(&words);
        }
        for (witness, key) in self.witnesses.iter().zip(&self.keys) {
            let key = key.to_string();
            let mut words: Vec<&[u8]> = vec![b"witness", &witness.name.0, key.as_bytes()];
            let address = url(&witness.url);
            words.extend(address.as_deref());
            line(&words);
        }
        for group in &self.groups {
            let need = group.need.to_string();
            let mut words: Vec<&[u8]> = vec![b"group", &group.name.0, need.as_bytes()];
            words.extend(group.members.iter().map(|member| self.name_of(*member)));
            line(&words);
        }
        match self.quorum {
            Quorum::None => line(&[b"quorum", b"none"]),
            Quorum::Of(member) => line(&[b"quorum", self.name_of(member)]),
        }
        out
    }

    fn name_of(&self, member: Member) -> &[u8] {
        let name = match member {
            Member::Witness(at) => self.witnesses.get(at).map(|witness| &witness.name),
            Member::Group(at) => self.groups.get(at).map(|group| &group.name),
        };
        name.map_or(&[], |name| &name.0)
    }
}

#[cfg(test)]
mod tests;
