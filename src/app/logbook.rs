//! What the server says in the log about its own acts: one statement for each, made of what is
//! stored. Pure; the store adds it within the write that it tells of.
//!
//! # Invariants
//! * What must be obeyed is never held up by what is said of it: texts are cut to what a leaf can
//!   hold, and documents are named by their hash.

use super::approval::{Proposal, Stand, Version};
use super::draws::{Document, HeadText};
use super::ports::{
    ApprovalStep, Conflict, DeviceKey, Enrolment, EnteredEntry, Intake, LoggedRecord,
    NoticeContent, NoticeKind, SentNotice, StoreError, StoredDraw, StoredFindings, StoredHold,
    StoredRecord, StoredTail, StoredTimetable, Via, WithdrawnNotice,
};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::log::leaf::{self, Leaf, LeafHead, ServerBody};
use crate::plan::manual::Channel;
use crate::report::question::Checkpoint;
use crate::wire::b64;
use crate::wire::tlog::TreeHash;
use std::collections::BTreeSet;

/// Characters of a reason that are said.
const REASON: usize = 200;
/// Characters of a name that are said.
const NAME: usize = 60;
/// Units that are said; more are in the document.
const UNITS: usize = 64;
/// Sheets that are said; more are in the document.
const SHEETS: usize = 40;

fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "–".to_owned();
    }
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn unsaid<E: std::error::Error + Send + Sync + 'static>(source: E) -> StoreError {
    StoreError::Failed { what: "say in the log what was done", source: source.into() }
}

fn said(at: UtcMs, body: &ServerBody) -> Result<Leaf, StoreError> {
    Leaf::server(at, body).map_err(unsaid)
}

/// Returns the leaf of a record: exactly what the device signed.
pub fn record(record: &StoredRecord) -> Result<Leaf, StoreError> {
    received(record.received_ms, record.via, &record.jws)
}

/// Returns the leaf of a record's bytes.
pub fn received(at: UtcMs, via: Via, jws: &str) -> Result<Leaf, StoreError> {
    match via {
        Via::Link => Leaf::record(at, jws),
        Via::Import => Leaf::imported(at, jws),
    }
    .map_err(unsaid)
}

/// Two records with one number: the second one itself, and that it contradicts.
pub fn conflict(conflict: &Conflict) -> Result<[Leaf; 2], StoreError> {
    let second = &conflict.record;
    let body = ServerBody::Conflict {
        dev: second.device.clone(),
        chain: second.chain,
        seq: second.seq,
        first: conflict.first,
        second: second.digest,
    };
    Ok([record(second)?, said(second.received_ms, &body)?])
}

/// Numbers of a chain are missing.
pub fn missing(intake: &Intake) -> Result<Vec<Leaf>, StoreError> {
    let at = intake.add.iter().map(|record| record.received_ms).max().unwrap_or_default();
    let (dev, chain) = (&intake.chain.device, intake.chain.chain);
    let gaps = intake.gaps.iter();
    gaps.map(|(from, to)| {
        said(at, &ServerBody::Gap { dev: dev.clone(), chain, from: *from, to: *to })
    })
    .collect()
}

/// Numbers of a chain that its device told of have not come.
pub fn cut_tail(tail: &StoredTail, (from, to): (u64, u64), at: UtcMs) -> Result<Leaf, StoreError> {
    let (dev, chain) = (tail.device.clone(), tail.chain);
    said(at, &ServerBody::Gap { dev, chain, from, to })
}

/// Records of a chain whose time is enclosed too loosely.
pub fn late(
    first: &LoggedRecord,
    to: u64,
    width_ms: Option<i64>,
    at: UtcMs,
) -> Result<Leaf, StoreError> {
    let body = ServerBody::Late {
        dev: first.device.clone(),
        chain: first.chain,
        from: first.seq,
        to,
        record: first.digest,
        width_ms,
    };
    said(at, &body)
}

/// A device's key is taken on.
pub fn enrolled(enrolment: &Enrolment, units: &[UnitId]) -> Result<Leaf, StoreError> {
    let body = ServerBody::Enrol {
        dev: enrolment.device.clone(),
        kid: enrolment.kid.clone(),
        key: b64::encode(&enrolment.key),
        alg: "EdDSA".to_owned(),
        units: units.iter().take(UNITS).cloned().collect(),
        by: cut(&format!("code {}", enrolment.code), NAME * 2),
    };
    said(enrolment.at_ms, &body)
}

/// A gateway's key is taken on for a device that stands behind it.
pub fn signed_for(
    key: &DeviceKey,
    gateway: &DeviceId,
    units: &[UnitId],
) -> Result<Leaf, StoreError> {
    let body = ServerBody::Enrol {
        dev: key.device.clone(),
        kid: key.kid.clone(),
        key: b64::encode(&key.key),
        alg: "EdDSA".to_owned(),
        units: units.iter().take(UNITS).cloned().collect(),
        by: cut(&format!("gateway {gateway}"), NAME * 2),
    };
    said(key.since_ms, &body)
}

/// A key is taken off.
pub fn revoked(
    device: &DeviceId,
    kid: &str,
    reason: &str,
    by: &str,
    at: UtcMs,
) -> Result<Leaf, StoreError> {
    let body = ServerBody::Revoke {
        dev: device.clone(),
        kid: kid.to_owned(),
        from: None,
        reason: cut(reason, REASON),
        by: cut(by, NAME),
    };
    said(at, &body)
}

/// A timetable was signed.
pub fn timetable(
    timetable: &StoredTimetable,
    first_cue_ms: Option<UtcMs>,
) -> Result<Leaf, StoreError> {
    let mut known = BTreeSet::new();
    let sheets = timetable.days.iter().map(|day| day.sheet).filter(|sheet| known.insert(*sheet));
    let body = ServerBody::TimetablePublished {
        dev: timetable.device.clone(),
        ver: timetable.ver,
        timetable: Digest::of(timetable.jws.as_bytes()),
        sheets: sheets.take(SHEETS).collect(),
        first_cue_ms,
    };
    said(timetable.made_ms, &body)
}

/// A notice or drill goes out.
pub fn noticed(
    jti: &str,
    kind: NoticeKind,
    content: &NoticeContent,
    sent: &SentNotice,
) -> Result<Leaf, StoreError> {
    let body = ServerBody::Urgent {
        notice: match kind {
            NoticeKind::Urgent => leaf::NoticeKind::Urgent,
            NoticeKind::Drill => leaf::NoticeKind::Drill,
        },
        jti: jti.to_owned(),
        document: Digest::of(sent.jws.as_bytes()),
        units: content.units.iter().take(UNITS).cloned().collect(),
        by: cut(&sent.by, NAME),
    };
    said(sent.at_ms, &body)
}

/// A notice or drill is taken back.
pub fn withdrawn(sent: &[u8], withdrawn: &WithdrawnNotice) -> Result<Leaf, StoreError> {
    let body = ServerBody::Withdrawn {
        document: Digest::of(sent),
        by_document: Some(Digest::of(withdrawn.jws.as_bytes())),
        reason: cut(&withdrawn.reason, REASON),
        by: cut(&withdrawn.by, NAME),
    };
    said(withdrawn.at_ms, &body)
}

/// A unit is silenced, or may sound again.
pub fn held(hold: &StoredHold) -> Result<Leaf, StoreError> {
    let body = ServerBody::Hold {
        unit: hold.unit.clone(),
        ver: hold.ver,
        document: Digest::of(hold.jws.as_bytes()),
        until_ms: hold.until_ms,
        reason: cut(&hold.reason, REASON),
        by: cut(&hold.by, NAME),
    };
    said(hold.made_ms, &body)
}

/// A person brought evidence.
pub fn by_hand(entered: &EnteredEntry) -> Result<Leaf, StoreError> {
    let entry = &entered.entry;
    let channel = match entry.channel {
        Channel::Leaflet => leaf::Channel::Leaflet,
        Channel::Web => leaf::Channel::Web,
        Channel::Sms => leaf::Channel::Sms,
        Channel::School => leaf::Channel::School,
        Channel::Wifi => leaf::Channel::Wifi,
        Channel::Other => leaf::Channel::Other,
    };
    let body = ServerBody::Manual(leaf::Manual {
        entry: entry.id.to_string(),
        channel,
        unit: entry.unit.clone(),
        title: cut(&entry.title, REASON),
        file: entry.sha256,
        bytes: entry.bytes,
        on: entry.on,
        sha256: Digest::of(&serde_json::to_vec(entry).unwrap_or_default()),
        by: cut(&entered.by, NAME),
    });
    said(entered.at_ms, &body)
}

/// An earlier leaf was wrong; `with` takes its place.
pub fn corrected(
    of: Digest,
    with: Option<Digest>,
    at: UtcMs,
    reason: &str,
    by: &str,
) -> Result<Leaf, StoreError> {
    let (text, by) = (cut(reason, REASON), cut(by, NAME));
    said(at, &ServerBody::Correction { of, with, text, by })
}

/// Returns the hash by which the tree knows a leaf.
pub fn leaf_hash(leaf: &Leaf) -> Digest {
    Digest(TreeHash::leaf(leaf.bytes()).0)
}

/// What came into force with a step of approval, and by whose word: each approver's, or that none
/// was needed.
pub fn approved(step: &ApprovalStep) -> Result<Vec<Leaf>, StoreError> {
    let approved = |one: &&Proposal| matches!(one.stand, Stand::Approved { .. });
    let mut leaves = Vec::new();
    for one in step.proposals.iter().filter(approved) {
        let at = match one.stand {
            Stand::Approved { at_ms } => at_ms,
            _ => one.made_ms,
        };
        for by in &one.votes {
            leaves.push(said(at, &approval(one.hash, "proposal", "approver", by.as_str()))?);
        }
    }
    if let Some(version) = &step.version
        && leaves.is_empty()
    {
        let by = step.entries.last().map_or("server", |entry| entry.who.as_str());
        let body = match version.approval {
            Some(hash) => approval(hash, "version", "approver", by),
            None => approval(manifest(version), "version", "not-needed", by),
        };
        leaves.push(said(version.at_ms, &body)?);
    }
    Ok(leaves)
}

fn approval(of: Digest, what: &str, role: &str, by: &str) -> ServerBody {
    ServerBody::Approval { of, what: what.to_owned(), role: role.to_owned(), by: cut(by, NAME) }
}

/// A file was handed out, made from a head.
pub fn reported(
    name: &str,
    file: Digest,
    head: &Checkpoint,
    at: UtcMs,
) -> Result<Leaf, StoreError> {
    let Checkpoint { origin, size, root } = head.clone();
    let head = leaf::LeafHead { origin, size, root };
    said(at, &ServerBody::Report { name: cut(name, NAME), file, head })
}

/// Names what is in force by the hashes of its files.
fn manifest(version: &Version) -> Digest {
    Digest::of(&serde_json::to_vec(&version.manifest).unwrap_or_default())
}

/// Plays were drawn.
pub fn drawn(draw: &StoredDraw, document: &Document) -> Result<Leaf, StoreError> {
    let HeadText { origin, size, root, .. } = document.head.clone();
    let body = ServerBody::Draw {
        draw: draw.id.clone(),
        document: Digest::of(&draw.body),
        head: LeafHead { origin, size, root },
        plays: document.plays,
        by: cut(&draw.by, NAME),
    };
    said(draw.made_ms, &body)
}

/// Findings were handed in.
pub fn found(findings: &StoredFindings) -> Result<Leaf, StoreError> {
    let StoredFindings { draw, made_ms, by, sha256, .. } = findings;
    let body = ServerBody::Findings { draw: draw.clone(), file: *sha256, by: cut(by, NAME) };
    said(*made_ms, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(reason: &str, by: &str) -> StoredHold {
        StoredHold {
            unit: "10363".parse().unwrap(),
            ver: 7,
            jti: "j".to_owned(),
            made_ms: UtcMs(1_800_000_000_000),
            until_ms: UtcMs(1_800_000_900_000),
            reason: reason.to_owned(),
            by: by.to_owned(),
            jws: "a.b.c".into(),
        }
    }

    #[test]
    fn no_text_however_long_or_empty_keeps_an_act_from_being_said() {
        for text in ["", " ", "ngập", &"ệ\u{0301}\"\u{1}".repeat(4_000)] {
            let leaf = held(&hold(text, text)).unwrap();
            assert!(leaf.statement().unwrap().is_ok());
        }
    }

    #[test]
    fn a_hold_is_said_with_the_hash_of_what_was_signed() {
        let leaf = held(&hold("ngập", "lan")).unwrap();
        let text = std::str::from_utf8(leaf.content()).unwrap().to_owned();
        let document = Digest::of(b"a.b.c");
        assert_eq!(
            text,
            format!(
                "{{\"v\":1,\"kind\":\"hold\",\"unit\":\"10363\",\"ver\":7,\
                 \"document\":\"{document}\",\"until_ms\":1800000900000,\"reason\":\"ngập\",\
                 \"by\":\"lan\"}}"
            )
        );
    }
}
