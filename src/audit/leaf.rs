//! Leaves: entries of a log, and what the server states in its own.
//!
//! A leaf is `format ‖ time of receipt (ms, 64 bits, big-endian) ‖ content`; format 1 is a record
//! as received, 3 one that came out of a file, 2 a statement of the server as JSON.

use super::hash::Hash;
use super::text::{INTEGER, base64, base64url, hex};
use serde::Deserialize;

/// Bytes of the longest leaf.
pub const LEAF_BYTES: usize = 9 + 8_192;
/// Bytes of the longest statement.
const STATEMENT_BYTES: usize = 4_096;

/// How a record came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    Link,
    File,
}

/// What a leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    Record(Came, &'a [u8]),
    Statement(&'a [u8]),
}

/// Takes a leaf apart, or says why it is none.
pub fn parse(entry: &[u8]) -> Result<(i64, Content<'_>), &'static str> {
    let ([format, ms @ ..], content) = entry.split_first_chunk::<9>().ok_or("it has no head")?;
    let received_ms = i64::try_from(u64::from_be_bytes(*ms))
        .ok()
        .filter(|ms| *ms <= INTEGER)
        .ok_or("its time of receipt is out of range")?;
    if content.is_empty() || entry.len() > LEAF_BYTES {
        return Err("its content is empty or too long");
    }
    match format {
        1 => Ok((received_ms, Content::Record(Came::Link, content))),
        2 => Ok((received_ms, Content::Statement(content))),
        3 => Ok((received_ms, Content::Record(Came::File, content))),
        _ => Err("its format is unknown"),
    }
}

/// Takes a bundle apart into its entries; `None` when it does not hold exactly `width`.
pub fn entries(bundle: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let mut found = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    for _ in 0..width {
        let (length, more) = rest.split_first_chunk::<2>()?;
        let (entry, more) = more.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        found.push(entry);
        rest = more;
    }
    rest.is_empty().then_some(found)
}

/// A tree at one size, as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// What the auditor needs of the server's statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    Shard {
        previous: Option<Head>,
    },
    Restored {
        known: Option<Head>,
        witnessed: Option<Head>,
    },
    Enrol {
        dev: String,
        key: [u8; 32],
        units: Vec<String>,
    },
    Revoke {
        dev: String,
        kid: Hash,
        from: Option<(String, u64)>,
    },
    Published {
        dev: String,
        ver: i64,
        timetable: Hash,
        sheets: Vec<Hash>,
        first_cue_ms: Option<i64>,
    },
    Conflict {
        dev: String,
        chain: [u8; 16],
        seq: u64,
    },
    /// An urgent notice was signed; a drill neither sounds nor shows, and orders nothing.
    Urgent {
        jti: String,
        document: Hash,
    },
    /// Somebody approved what has this hash; `needed` is false where nobody had to.
    Approval {
        of: Hash,
        needed: bool,
    },
    /// Numbers that had not come then; the device may have told of them itself.
    Gap {
        dev: String,
        chain: [u8; 16],
        to: u64,
    },
    /// Any other, which changes no number here.
    Other,
}

#[derive(Deserialize)]
struct Kind<'a> {
    v: i64,
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawHead {
    origin: String,
    size: u64,
    root: String,
}

#[derive(Deserialize)]
struct RawPlace {
    origin: String,
    index: u64,
}

#[derive(Deserialize)]
struct RawShard {
    previous: Option<RawHead>,
}

#[derive(Deserialize)]
struct RawRestored {
    known: Option<RawHead>,
    witnessed: Option<RawHead>,
}

#[derive(Deserialize)]
struct RawEnrol {
    dev: String,
    kid: String,
    key: String,
    alg: String,
    units: Vec<String>,
}

#[derive(Deserialize)]
struct RawRevoke {
    dev: String,
    kid: String,
    from: Option<RawPlace>,
}

#[derive(Deserialize)]
struct RawPublished {
    dev: String,
    ver: i64,
    timetable: String,
    sheets: Vec<String>,
    first_cue_ms: Option<i64>,
}

#[derive(Deserialize)]
struct RawConflict {
    dev: String,
    chain: String,
    seq: u64,
}

#[derive(Deserialize)]
struct RawUrgent {
    notice: String,
    jti: String,
    document: String,
}

#[derive(Deserialize)]
struct RawApproval {
    of: String,
    role: String,
}

#[derive(Deserialize)]
struct RawGap {
    dev: String,
    chain: String,
    from: u64,
    to: u64,
}

/// Reads a statement; `None` when it is not what the server writes.
pub fn statement(content: &[u8]) -> Option<Statement> {
    fn read<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Option<T> {
        serde_json::from_slice(content).ok()
    }
    if content.len() > STATEMENT_BYTES {
        return None;
    }
    let Kind { v: 1, kind } = read(content)? else { return None };
    Some(match &*kind {
        "shard" => {
            let RawShard { previous } = read(content)?;
            Statement::Shard { previous: heads(previous)? }
        }
        "restored" => {
            let RawRestored { known, witnessed } = read(content)?;
            Statement::Restored { known: heads(known)?, witnessed: heads(witnessed)? }
        }
        "enrol" => {
            let RawEnrol { dev, kid, key, alg, units } = read(content)?;
            let key = base64url(key.as_bytes()).or_else(|| base64(&key))?.try_into().ok()?;
            let known = matches!(alg.as_str(), "Ed25519" | "EdDSA");
            (known && base64url(kid.as_bytes())? == super::record::thumbprint(&key))
                .then_some(Statement::Enrol { dev, key, units })?
        }
        "revoke" => {
            let RawRevoke { dev, kid, from } = read(content)?;
            let kid = base64url(kid.as_bytes())?.try_into().ok()?;
            let from = from.map(|place| (place.origin, place.index));
            Statement::Revoke { dev, kid, from }
        }
        "timetable-published" => {
            let RawPublished { dev, ver, timetable, sheets, first_cue_ms } = read(content)?;
            let sheets = sheets.iter().map(|sheet| hex(sheet)).collect::<Option<_>>()?;
            let timetable = hex(&timetable)?;
            Statement::Published { dev, ver, timetable, sheets, first_cue_ms }
        }
        "conflict" => {
            let RawConflict { dev, chain, seq } = read(content)?;
            Statement::Conflict { dev, chain: hex(&chain)?, seq }
        }
        "urgent" => {
            let RawUrgent { notice, jti, document } = read(content)?;
            let document = hex(&document)?;
            if notice == "urgent" { Statement::Urgent { jti, document } } else { Statement::Other }
        }
        "approval" => {
            let RawApproval { of, role } = read(content)?;
            Statement::Approval { of: hex(&of)?, needed: role != "not-needed" }
        }
        "gap" => {
            let RawGap { dev, chain, from, to } = read(content)?;
            let right = from > 0 && from <= to && to <= INTEGER.unsigned_abs();
            right.then_some(Statement::Gap { dev, chain: hex(&chain)?, to })?
        }
        _ => Statement::Other,
    })
}

/// Reads the head if there is one; `None` when it is none.
#[expect(clippy::option_option, reason = "a head that is absent is right, one that is bad is not")]
fn heads(head: Option<RawHead>) -> Option<Option<Head>> {
    let Some(RawHead { origin, size, root }) = head else { return Some(None) };
    let root = base64(&root)?.try_into().ok()?;
    Some(Some(Head { origin, size, root }))
}
