//! What an audit says: counts and faults, as JSON for programs and as a table for people.

use super::text::excerpt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Faults that are listed; of more only the number is told.
pub const LISTED: usize = 1_000;

/// What can be wrong with a pack; the list is closed, and each word is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The file is no audit pack at all.
    NotAPack,
    /// The archive breaks off, or holds what a pack does not, or in another order.
    Archive,
    /// A file is not the one that the manifest lists.
    Manifest,
    /// Something that the verdict needs is not in the pack.
    Missing,
    /// A log that the policy does not know.
    UnknownLog,
    /// A checkpoint is unreadable or not signed by its log.
    Checkpoint,
    /// The cosignature of a known witness does not fit.
    Cosignature,
    /// The newest checkpoint lacks the witnesses that the policy asks for.
    Quorum,
    /// A time stamp does not fit its checkpoint.
    Token,
    /// The tiles do not lead to the root of the newest checkpoint.
    Root,
    /// Two trees of one log were vouched for, neither the beginning of the other.
    Fork,
    /// A tile of hashes does not fit the tree.
    Tile,
    /// Entries do not fit the tree.
    Bundle,
    /// An entry is no leaf that this version knows.
    Leaf,
    /// A statement of the server is unreadable or contradicts itself.
    Statement,
    /// A shard does not go on where the one before it ended.
    Shard,
    /// A record is not rightly signed.
    Signature,
    /// A record is signed by a key that was not enrolled before, or for another device.
    Key,
    /// A record is signed by a key that had been revoked.
    Revoked,
    /// A record is rightly signed and does not say where it belongs.
    Record,
    /// Two different records have one number: a cloned or broken device.
    Conflict,
    /// One record stands in a log twice.
    Duplicate,
    /// Numbers of a chain are missing and not declared lost.
    Gap,
    /// A record does not name its predecessor.
    Chain,
    /// A record's own time lies outside what encloses it.
    Clock,
    /// A timetable was logged after its first cue.
    Timetable,
    /// Something sounded or was shown for which no timetable, sheet or urgent notice had been
    /// logged.
    Unplanned,
    /// A play was logged before the timetable or urgent notice that orders it.
    Premature,
    /// Something sounded that nobody had approved, as far as the log knows, when it was ordered.
    Approval,
    /// The server receipted what the log does not hold.
    Receipt,
    /// A timetable or sheet is unreadable, or not the one that was logged.
    Document,
    /// More than an honest pack holds: the rest was not judged.
    Limit,
}

impl FaultKind {
    /// All kinds, in the order of the list.
    pub const ALL: [Self; 32] = [
        Self::NotAPack,
        Self::Archive,
        Self::Manifest,
        Self::Missing,
        Self::UnknownLog,
        Self::Checkpoint,
        Self::Cosignature,
        Self::Quorum,
        Self::Token,
        Self::Root,
        Self::Fork,
        Self::Tile,
        Self::Bundle,
        Self::Leaf,
        Self::Statement,
        Self::Shard,
        Self::Signature,
        Self::Key,
        Self::Revoked,
        Self::Record,
        Self::Conflict,
        Self::Duplicate,
        Self::Gap,
        Self::Chain,
        Self::Clock,
        Self::Timetable,
        Self::Unplanned,
        Self::Premature,
        Self::Approval,
        Self::Receipt,
        Self::Document,
        Self::Limit,
    ];

    /// Says what an auditor does about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotAPack => "ask the station for a pack made by `loa audit pack`",
            Self::Archive | Self::Manifest => {
                "the copy is damaged or was changed: ask for it again and compare both"
            }
            Self::Missing | Self::Document => "ask for a pack that holds what is named",
            Self::UnknownLog => "compare the policy with the one that the root key signed",
            Self::Checkpoint | Self::Cosignature | Self::Root | Self::Tile | Self::Bundle => {
                "compare with a copy of the log from a mirror or witness"
            }
            Self::Fork | Self::Shard | Self::Receipt => {
                "keep pack, receipt and checkpoint: together they show that the server said two \
                 things"
            }
            Self::Quorum => "ask for the pack again when witnesses have cosigned, or ask them why",
            Self::Token => "ask the time-stamp authority",
            Self::Leaf | Self::Statement | Self::Record => {
                "read the pack with a newer version, or ask who wrote it"
            }
            Self::Signature | Self::Key | Self::Revoked | Self::Conflict => {
                "look at the device: its key may have been copied; the record counts for nothing"
            }
            Self::Duplicate => "it is counted once; ask why the server logged it again",
            Self::Gap | Self::Chain => {
                "ask the device for these numbers, it keeps them for 35 days; what is missing \
                 counts as not played"
            }
            Self::Clock => "look at the device's clock; go by the enclosure, not by its word",
            Self::Timetable | Self::Unplanned | Self::Premature => {
                "ask who ordered it: there is no schedule logged before it sounded"
            }
            Self::Approval => {
                "ask who let it sound: a second person had to approve it before it was published"
            }
            Self::Limit => "audit a shorter window or one unit, in several packs",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// The file in the pack, or the log.
    #[serde(rename = "where")]
    pub place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Place of the leaf in its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    pub message: String,
}

impl Fault {
    /// Returns a fault of a file or log.
    pub fn new(kind: FaultKind, place: impl Into<String>, message: impl Into<String>) -> Self {
        let (place, message) = (place.into(), message.into());
        Self { kind, place, device: None, seq: None, index: None, message }
    }

    /// Names the leaf.
    pub fn at(self, index: u64) -> Self {
        Self { index: Some(index), ..self }
    }

    /// Names the device.
    pub fn of(self, device: &str) -> Self {
        Self { device: Some(excerpt(device)), ..self }
    }

    /// Names the record's number.
    pub fn seq(self, seq: u64) -> Self {
        Self { seq: Some(seq), ..self }
    }
}

/// A log as far as the pack goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogHead {
    pub origin: String,
    pub size: u64,
    /// Base64 as in checkpoints.
    pub root: String,
}

/// Signatures that were checked and are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Signatures {
    pub checkpoints: u64,
    pub cosignatures: u64,
    pub tokens: u64,
    /// Whether the newest checkpoint of each log has what the policy asks for.
    pub quorum_met: bool,
}

/// Records of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    pub total: u64,
    /// Rightly signed, by the key enrolled, in force.
    pub verified: u64,
    pub conflicts: u64,
    /// Numbers missing and not declared lost.
    pub gaps: u64,
    /// Whose time is not enclosed tightly enough.
    pub late: u64,
    pub unverifiable: u64,
}

/// What became of the cues of the window. `expected` is the sum of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    pub expected: u64,
    /// By grade of the evidence, `0` to `6`.
    pub played: BTreeMap<u8, u64>,
    pub partial: u64,
    /// Failed, pre-empted, refused, offline.
    pub explained: u64,
    pub missing: u64,
    pub pending: u64,
}

impl Default for Outcomes {
    fn default() -> Self {
        let played = (0..=6).map(|grade| (grade, 0)).collect();
        Self { expected: 0, played, partial: 0, explained: 0, missing: 0, pending: 0 }
    }
}

/// Everything an audit says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Nothing is wrong.
    pub ok: bool,
    pub logs: Vec<LogHead>,
    pub signatures: Signatures,
    pub records: Records,
    pub outcomes: Outcomes,
    pub faults: Vec<Fault>,
    /// What people should know although it is no fault; not in the JSON.
    #[serde(skip)]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) unlisted: u64,
}

impl Verdict {
    pub(super) fn fault(&mut self, fault: Fault) {
        if self.faults.len() < LISTED {
            self.faults.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    pub(super) fn not_a_pack(why: &str) -> Self {
        let mut verdict = Self::default();
        verdict.fault(Fault::new(FaultKind::NotAPack, "pack", why));
        verdict
    }

    /// Ends the audit: nothing wrong is right.
    pub(super) fn close(mut self) -> Self {
        if self.unlisted > 0 {
            let more = format!("{} faults more are not listed", self.unlisted);
            self.faults.push(Fault::new(FaultKind::Limit, "pack", more));
        }
        self.ok = self.faults.is_empty();
        self
    }

    /// Writes the JSON for programs.
    pub fn json(&self) -> String {
        // Structures of numbers and texts: writing them cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Writes the table for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for log in &self.logs {
            let _ = writeln!(out, "log {}, {} leaves, root {}", log.origin, log.size, log.root);
        }
        let Signatures { checkpoints, cosignatures, tokens, quorum_met } = self.signatures;
        let met = if quorum_met { "met" } else { "NOT MET" };
        let _ = writeln!(
            out,
            "signatures right: {checkpoints} checkpoints, {cosignatures} cosignatures, {tokens} \
             time stamps; quorum {met}\n"
        );
        let (o, r) = (&self.outcomes, self.records);
        let mut row = |what: &str, count: u64| {
            let _ = writeln!(out, "{what:<42}{count:>12}");
        };
        row("expected (cues × devices)", o.expected);
        for (grade, count) in o.played.iter().filter(|(_, count)| **count > 0) {
            row(&format!("  played, {}", grade_words(*grade)), *count);
        }
        if o.played.values().all(|count| *count == 0) {
            row("  played", 0);
        }
        row("  partial", o.partial);
        row("  explained (failed, pre-empted, …)", o.explained);
        row("  missing", o.missing);
        row("  pending", o.pending);
        row("records", r.total);
        row("  verified", r.verified);
        row("  late (time enclosed too loosely)", r.late);
        row("  conflict", r.conflicts);
        row("  unverifiable", r.unverifiable);
        row("  numbers missing", r.gaps);
        for note in &self.notes {
            let _ = writeln!(out, "\nnote: {note}");
        }
        if self.ok {
            out.push_str("\nnothing is wrong\n");
            return out;
        }
        let count = self.faults.len() as u64 + self.unlisted;
        let _ = writeln!(out, "\nWRONG: {count} {}", if count == 1 { "fault" } else { "faults" });
        let mut hinted: Vec<FaultKind> = Vec::new();
        for fault in &self.faults {
            let _ = write!(out, "  {} {}", fault.kind, fault.place);
            if let Some(index) = fault.index {
                let _ = write!(out, ", leaf {index}");
            }
            if let Some(device) = &fault.device {
                let _ = write!(out, ", device {device}");
            }
            if let Some(seq) = fault.seq {
                let _ = write!(out, ", number {seq}");
            }
            let _ = writeln!(out, ": {}", fault.message);
            if !hinted.contains(&fault.kind) {
                hinted.push(fault.kind);
                let _ = writeln!(out, "    {}", fault.kind.hint());
            }
        }
        out
    }
}

fn grade_words(grade: u8) -> &'static str {
    match grade {
        0 => "grade 0: sent",
        1 => "grade 1: accepted",
        2 => "grade 2: the device says so",
        3 => "grade 3: samples or frames counted",
        4 => "grade 4: electrical",
        5 => "grade 5: own sensor",
        _ => "grade 6: independent sensor",
    }
}
