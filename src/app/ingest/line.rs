//! One line: rightly signed or not, and what can be read of it.

use crate::app::ports::{DeviceKey, KeyEnd, Reject, Signed, StoredRecord, Via};
use crate::domain::ids::{ChainId, CueId, DeviceId, Digest};
use crate::domain::proof::chain::{Link, LostSpan};
use crate::domain::proof::record::{Attestor, Body, Record};
use crate::domain::time::UtcMs;
use crate::wire::jws::{self, Found, Keys, Kid, PublicKey, Role, Typ};
use crate::wire::{Refusal, limits, record};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Bytes kept of a line that is not rightly signed.
const KEPT: usize = 4_096;

/// Characters kept of a kind that this version does not know.
const KIND: usize = 40;

/// What a line turned out to be.
pub(super) enum Line {
    Record(Box<Placeable>),
    Reject(Reject),
}

/// A rightly signed record with a place in a chain.
pub(super) struct Placeable {
    pub record: StoredRecord,
    pub link: Link,
    pub lost: Option<LostSpan>,
}

/// The least a record must say to have a place.
#[derive(Deserialize)]
struct Place {
    dev: Option<String>,
    chain: ChainId,
    seq: u64,
    #[serde(default)]
    prev: Option<Digest>,
    at_ms: UtcMs,
}

/// What finds a record again, read apart so that one bad member hides no other.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct OfCue {
    cue: CueId,
}

#[derive(Deserialize)]
struct OfOrder {
    jti: String,
}

/// A key of a device.
struct Known {
    key: PublicKey,
    end: KeyEnd,
    attestor: Attestor,
}

/// The keys of one device.
pub(super) struct DeviceKeys {
    keys: BTreeMap<Kid, Known>,
    via: Via,
}

impl DeviceKeys {
    pub(super) fn new(keys: Vec<DeviceKey>, via: Via) -> Self {
        let keys = keys.into_iter().filter_map(|known| {
            let key = PublicKey::from_bytes(&known.key).ok()?;
            let own = known.gateway.is_none();
            let attestor = if own { Attestor::Device } else { Attestor::Gateway };
            Some((key.kid(), Known { key, end: known.end, attestor }))
        });
        Self { keys: keys.collect(), via }
    }
}

impl Keys for DeviceKeys {
    fn find(&self, kid: &Kid, role: Role) -> Result<Found, Refusal> {
        let Known { key, end, .. } = self.keys.get(kid).ok_or(Refusal::UnknownKey { kid: *kid })?;
        if role != Role::Device {
            return Err(Refusal::Role { kid: *kid, role: role.as_str() });
        }
        // A revoked device's records enter by import alone, where a person vouches for them.
        if matches!(end, KeyEnd::Revoked { .. }) && self.via == Via::Link {
            return Err(Refusal::Revoked { kid: *kid });
        }
        Ok(Found { key: key.clone(), epoch: 0, retired: None })
    }
}

/// Takes a batch apart.
pub(super) fn read_batch(
    device: &DeviceId,
    batch: &Bytes,
    keys: &DeviceKeys,
    now: UtcMs,
) -> Vec<Line> {
    match record::lines(batch) {
        Ok(lines) => lines.into_iter().map(|line| read(device, line, keys, now)).collect(),
        Err(refusal) => {
            vec![reject(device, batch, refusal.reason(), Signed::No, now)]
        }
    }
}

fn reject(
    device: &DeviceId,
    bytes: &[u8],
    reason: &'static str,
    signed: Signed,
    now: UtcMs,
) -> Line {
    let kept = if signed == Signed::Yes { bytes.len() } else { bytes.len().min(KEPT) };
    Line::Reject(Reject {
        device: device.clone(),
        received_ms: now,
        reason: reason.to_owned(),
        digest: Digest::of(bytes),
        bytes: bytes[..kept].to_vec(),
        signed,
    })
}

fn read(device: &DeviceId, line: &str, keys: &DeviceKeys, now: UtcMs) -> Line {
    let verified = match jws::verify(line, Typ::Record, Role::Device, keys) {
        Ok(verified) => verified,
        Err(refusal) => {
            return reject(device, line.as_bytes(), refusal.reason(), Signed::No, now);
        }
    };
    let payload = verified.payload();
    let place = serde_json::from_slice::<Place>(payload)
        .ok()
        .filter(|p| p.seq > 0 && i64::try_from(p.seq).is_ok_and(|seq| seq <= limits::INTEGER));
    let Some(place) = place else {
        return reject(device, line.as_bytes(), "place", Signed::Yes, now);
    };
    let mut faults = Vec::new();
    if place.dev.as_deref() != Some(device.as_str()) {
        faults.push("dev".to_owned());
    }
    if (place.seq == 1) != place.prev.is_none() {
        faults.push("first".to_owned());
    }
    let read = verified.read::<Record>();
    let attestor = read.as_ref().map(|record| record.head.attestor).map_err(|_| ());
    let body = read.map(|record| record.body);
    if let Err(refusal) = &body {
        faults.push(format!("content: {}", refusal.reason()));
    }
    let refused = match &body {
        Ok(Body::Refuse { topic, .. }) => notice_of(topic),
        _ => None,
    };
    let lost = match &body {
        Ok(Body::Lost { from, to, hash, .. }) => {
            Some(LostSpan { from: *from, to: *to, hash: *hash })
        }
        _ => None,
    };
    let known = keys.keys.get(&verified.kid);
    if known.is_some_and(|known| matches!(known.end, KeyEnd::Revoked { .. })) {
        faults.push("revoked".to_owned());
    }
    // Whose word it is must be said as it is.
    if let (Some(known), Ok(attestor)) = (known, attestor)
        && known.attestor != attestor
    {
        faults.push("attestor".to_owned());
    }
    let kind = serde_json::from_slice::<Kind>(payload)
        .map_or_else(|_| "unknown".to_owned(), |kind| kind.kind);
    let link = Link { digest: verified.digest, prev: place.prev, at_ms: place.at_ms };
    let record = StoredRecord {
        device: device.clone(),
        chain: place.chain,
        seq: place.seq,
        digest: verified.digest,
        prev: place.prev,
        kid: verified.kid.to_string(),
        kind: kind.chars().filter(|c| !c.is_control()).take(KIND).collect(),
        cue: serde_json::from_slice::<OfCue>(payload).ok().map(|of| of.cue),
        jti: serde_json::from_slice::<OfOrder>(payload)
            .ok()
            .map(|of| of.jti)
            .or(refused)
            .filter(|jti| is_word(jti)),
        at_ms: place.at_ms,
        received_ms: now,
        via: keys.via,
        fault: (!faults.is_empty()).then(|| faults.join(", ")),
        jws: line.into(),
    };
    Line::Record(Box::new(Placeable { record, link, lost }))
}

/// Returns the notice whose topic this is: what was refused there may be the notice.
fn notice_of(topic: &str) -> Option<String> {
    let mut levels = topic.rsplit('/');
    let (id, kind) = (levels.next()?, levels.next()?);
    let (_unit, of_unit) = (levels.next()?, levels.next()?);
    (kind == "urgent" && of_unit == "u").then(|| id.to_owned())
}

/// Says whether it can be the id of something that the server ordered.
fn is_word(jti: &str) -> bool {
    !jti.is_empty() && jti.len() <= limits::WORD_BYTES && !jti.chars().any(char::is_control)
}

/// Adds a fault to those a record already has.
pub(super) fn add_fault(record: &mut StoredRecord, fault: &str) {
    record.fault = Some(match record.fault.take() {
        Some(known) => format!("{known}, {fault}"),
        None => fault.to_owned(),
    });
}
