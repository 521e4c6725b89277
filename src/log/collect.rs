//! Collects cosignatures for one checkpoint until the policy is met: pure.
//!
//! Holds one conversation a witness: what to ask next, what its answer means, when to ask again.
//! Whoever does the I/O proves growth from the size asked for ([`Ask`]), posts the body and hands
//! the answer in. The server publishes without waiting; what is not met yet is marked so.
//!
//! # Invariants
//! * Only signatures that were checked with the policy's keys enter the checkpoint.
//! * A witness is asked again at most [`TRIES`] times for one checkpoint; one that says the log
//!   contradicts itself is not asked again at all, and its word is kept for people.

use crate::wire::tlog::{
    AddCheckpoint, CheckpointError, NOTE_BYTES, Note, Policy, SignatureLine, SignedCheckpoint,
    Standing, TreeHash, Verdict, Witnessed, parse_lines, text::decimal,
};

/// How often a witness is asked about one checkpoint.
pub const TRIES: u8 = 4;
/// How far a witness's clock may be ahead of ours, in seconds.
pub const AHEAD_S: u64 = 300;

/// What a witness is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Position of the witness in the policy.
    pub witness: usize,
    /// Growth is to be proven from this size.
    pub old: u64,
}

/// Where the conversation with a witness stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Talk {
    /// To be asked, from this size.
    Open { old: u64 },
    /// It cosigned.
    Cosigned { time_s: u64 },
    /// It will not cosign this checkpoint.
    Over { why: Trouble },
}

/// What went wrong with a witness; the first two call a person at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("it says that the log contradicts itself (status {status})")]
    Contradiction { status: u16 },
    #[error("it knows {known} leaves, more than the {ours} here")]
    Ahead { known: u64, ours: u64 },
    #[error("it knows {known} leaves already, more than the {ours} it was asked about")]
    Newer { known: u64, ours: u64 },
    #[error("it does not know this log or its key (status {status})")]
    Stranger { status: u16 },
    #[error("its answer is none of the protocol (status {status})")]
    Answer { status: u16 },
    #[error("it cosigned with time {time_s}, far ahead of now")]
    Clock { time_s: u64 },
    #[error("it did not answer")]
    Silent,
    #[error("its key is of a type that this version cannot check")]
    Uncheckable,
}

impl Trouble {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Contradiction { .. } | Self::Ahead { .. } => {
                "stop signing: an older copy of the log may have been restored, or a second server \
                 signs with the same key; compare with the witness's newest checkpoint"
            }
            Self::Newer { .. } => {
                "nothing, unless it stays so: heads are public, and somebody may have sent it a \
                 newer one; it is asked again"
            }
            Self::Stranger { .. } => "give the witness's operator the log's verifier key",
            Self::Answer { .. } => "check the witness's address in the policy",
            Self::Clock { .. } => "tell the witness's operator that its clock is wrong",
            Self::Uncheckable => "update this program, or ask for the witness's Ed25519 key",
            Self::Silent => "check the line to the witness; the log goes on without it",
        }
    }

    /// Says whether a person must look at once. Whoever asks again and again turns an answer that
    /// the next head explains into [`Self::Newer`].
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Contradiction { .. } | Self::Ahead { .. })
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Collection {
    checkpoint: SignedCheckpoint,
    own: Vec<SignatureLine>,
    talks: Vec<(Talk, u8)>,
    lines: Vec<Option<SignatureLine>>,
}

impl Collection {
    /// Begins with a checkpoint that the log has signed. `sizes` says which size each witness of
    /// the policy is believed to know, from the last collection; 0 where nothing is known.
    /// Cosignatures that the checkpoint carries already count.
    pub fn new(
        checkpoint: &SignedCheckpoint,
        policy: &Policy,
        sizes: impl Fn(usize) -> u64,
    ) -> Result<Self, CheckpointError> {
        let verdict = policy.judge_signed(checkpoint)?;
        let keys = policy.witness_keys();
        let own = checkpoint.note().lines().iter();
        let own = own.filter(|line| !keys.iter().any(|key| key.matches(line))).cloned().collect();
        let mut collection = Self {
            checkpoint: checkpoint.clone(),
            own,
            talks: Vec::with_capacity(keys.len()),
            lines: Vec::with_capacity(keys.len()),
        };
        let size = checkpoint.checkpoint().size;
        for (at, key) in keys.iter().enumerate() {
            let there = verdict.witnessed.iter().find(|there| there.witness == at);
            collection.talks.push(match there {
                Some(there) => (Talk::Cosigned { time_s: there.time_s }, 0),
                None if !key.is_checkable() => (Talk::Over { why: Trouble::Uncheckable }, 0),
                None => (Talk::Open { old: sizes(at).min(size) }, 0),
            });
            let line = checkpoint.note().lines().iter().find(|line| key.matches(line));
            collection.lines.push(there.and(line).cloned());
        }
        Ok(collection)
    }

    /// Returns which witnesses are to be asked now.
    pub fn asks(&self) -> Vec<Ask> {
        let open = self.talks.iter().enumerate().filter_map(|(witness, (talk, _))| match talk {
            Talk::Open { old } => Some(Ask { witness, old: *old }),
            _ => None,
        });
        open.collect()
    }

    /// Writes the body for a witness, with the proof of growth from the size it was asked for.
    pub fn body(&self, ask: Ask, proof: Vec<TreeHash>) -> String {
        let own = self.checkpoint.note().with_lines(self.own.clone());
        let checkpoint = self.checkpoint.with_note(own).unwrap_or_else(|| self.checkpoint.clone());
        AddCheckpoint { old: ask.old, proof, checkpoint }.to_string()
    }

    /// Takes a witness's answer. `now_s` is our clock.
    pub fn answer(&mut self, policy: &Policy, ask: Ask, status: u16, body: &[u8], now_s: u64) {
        let next = match status {
            200 => self.cosigned(policy, ask.witness, body, now_s),
            409 => self.conflict(ask, body),
            404 | 403 => Err(Trouble::Stranger { status }),
            422 => Err(Trouble::Contradiction { status }),
            429 | 500..=599 => Ok(Talk::Open { old: ask.old }),
            status => Err(Trouble::Answer { status }),
        };
        self.set(ask.witness, next);
    }

    /// Notes that a witness could not be reached.
    pub fn silent(&mut self, ask: Ask) {
        self.set(ask.witness, Ok(Talk::Open { old: ask.old }));
    }

    fn set(&mut self, witness: usize, next: Result<Talk, Trouble>) {
        let Some((talk, tries)) = self.talks.get_mut(witness) else { return };
        if matches!(talk, Talk::Cosigned { .. }) {
            return; // a late second answer changes nothing
        }
        *tries = tries.saturating_add(1);
        *talk = match next {
            Ok(Talk::Open { .. }) if *tries >= TRIES => Talk::Over { why: Trouble::Silent },
            Ok(next) => next,
            Err(why) => Talk::Over { why },
        };
    }

    fn cosigned(
        &mut self,
        policy: &Policy,
        witness: usize,
        body: &[u8],
        now_s: u64,
    ) -> Result<Talk, Trouble> {
        let wrong = || Trouble::Answer { status: 200 };
        let key = policy.witness_keys().get(witness).ok_or_else(wrong)?;
        if body.len() > NOTE_BYTES {
            return Err(wrong());
        }
        let text = std::str::from_utf8(body).map_err(|_| wrong())?;
        let lines = parse_lines(text).map_err(|_| wrong())?;
        let line = lines.into_iter().find(|line| key.matches(line)).ok_or_else(wrong)?;
        let signed = key.check(self.checkpoint.note().text(), &line).ok_or_else(wrong)?;
        let time_s = signed.time_s.ok_or_else(wrong)?;
        if time_s > now_s.saturating_add(AHEAD_S) {
            return Err(Trouble::Clock { time_s });
        }
        if let Some(place) = self.lines.get_mut(witness) {
            *place = Some(line);
        }
        Ok(Talk::Cosigned { time_s })
    }

    fn conflict(&self, ask: Ask, body: &[u8]) -> Result<Talk, Trouble> {
        let ours = self.checkpoint.checkpoint().size;
        let known = std::str::from_utf8(body).ok().and_then(|text| text.strip_suffix('\n'));
        match known.and_then(decimal) {
            None => Err(Trouble::Answer { status: 409 }),
            // It was asked from the size it knows, so it is the root that it does not agree with.
            Some(known) if known == ask.old => Err(Trouble::Contradiction { status: 409 }),
            Some(known) if known > ours => Err(Trouble::Ahead { known, ours }),
            Some(known) => Ok(Talk::Open { old: known }),
        }
    }

    /// Returns where the conversation with each witness stands, in the policy's order.
    pub fn talks(&self) -> impl Iterator<Item = &Talk> {
        self.talks.iter().map(|(talk, _)| talk)
    }

    /// Says whether nothing more is to be asked.
    pub fn is_over(&self) -> bool {
        !self.talks.iter().any(|(talk, _)| matches!(talk, Talk::Open { .. }))
    }

    /// Says whether the cosignatures so far are enough.
    pub fn standing(&self, policy: &Policy) -> Standing {
        let witnessed: Vec<Witnessed> = self
            .talks
            .iter()
            .enumerate()
            .filter_map(|(witness, (talk, _))| match talk {
                Talk::Cosigned { time_s } => Some(Witnessed { witness, time_s: *time_s }),
                _ => None,
            })
            .collect();
        policy.weigh(&witnessed)
    }

    /// Returns the checkpoint with the log's own lines first and the cosignatures in the policy's
    /// order: the same cosignatures give the same bytes.
    pub fn checkpoint(&self) -> SignedCheckpoint {
        let mut lines = self.own.clone();
        lines.extend(self.lines.iter().flatten().cloned());
        let note: Note = self.checkpoint.note().with_lines(lines);
        self.checkpoint.with_note(note).unwrap_or_else(|| self.checkpoint.clone())
    }

    /// Returns what the policy says of the checkpoint as it is now.
    pub fn verdict(&self, policy: &Policy) -> Result<Verdict, CheckpointError> {
        policy.judge_signed(&self.checkpoint())
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
