//! Compact JWS (RFC 7515), strictly: one algorithm, one spelling, keys by name and role.
//!
//! The algorithm and the key never come from the header; header members other than `alg`, `typ`
//! and `kid` are refused. What was signed is kept as received: nothing is serialised again.

use super::refusal::{Refusal, shorten};
use super::{b64, json, limits};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use super::key::{Kid, PublicKey, SecretKey};

/// What a document is; the header's `typ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Typ {
    /// One key epoch.
    Keys,
    /// Which day sheets a device follows.
    Timetable,
    /// Hours without clips.
    Floor,
    /// One order to one device.
    Command,
    /// Answer to a device's nonce.
    Time,
    /// Records are durable.
    Receipt,
    /// Presence of the server.
    Server,
    /// Evidence of a device.
    Record,
    /// A device asks to be known.
    EnrolRequest,
    /// The server says who it is.
    EnrolAnswer,
    /// An urgent notice.
    Urgent,
    /// A rehearsal of one.
    Drill,
    /// Takes a notice back.
    Withdrawal,
    /// Silences a unit.
    Hold,
    /// A value for boards.
    Feed,
    /// Which devices stand behind a gateway.
    Behind,
}

impl Typ {
    /// All types.
    pub const ALL: [Typ; 16] = [
        Typ::Keys,
        Typ::Timetable,
        Typ::Floor,
        Typ::Command,
        Typ::Time,
        Typ::Receipt,
        Typ::Server,
        Typ::Record,
        Typ::EnrolRequest,
        Typ::EnrolAnswer,
        Typ::Urgent,
        Typ::Drill,
        Typ::Withdrawal,
        Typ::Hold,
        Typ::Feed,
        Typ::Behind,
    ];

    /// Returns the header's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "loa-keys+jwt",
            Self::Timetable => "loa-timetable+jwt",
            Self::Floor => "loa-floor+jwt",
            Self::Command => "loa-command+jwt",
            Self::Time => "loa-time+jwt",
            Self::Receipt => "loa-receipt+jwt",
            Self::Server => "loa-server+jwt",
            Self::Record => "loa-record+jwt",
            Self::EnrolRequest => "loa-enrol-request+jwt",
            Self::EnrolAnswer => "loa-enrol-answer+jwt",
            Self::Urgent => "loa-urgent+jwt",
            Self::Drill => "loa-drill+jwt",
            Self::Withdrawal => "loa-withdrawal+jwt",
            Self::Hold => "loa-hold+jwt",
            Self::Feed => "loa-feed+jwt",
            Self::Behind => "loa-behind+jwt",
        }
    }

    /// Returns the role whose keys sign such documents.
    pub fn role(self) -> Role {
        match self {
            Self::Keys => Role::Root,
            Self::Timetable | Self::Command | Self::Hold | Self::Feed => Role::Schedule,
            Self::Floor | Self::EnrolAnswer | Self::Behind => Role::Policy,
            Self::Time => Role::Time,
            Self::Receipt | Self::Server => Role::Receipt,
            Self::Record | Self::EnrolRequest => Role::Device,
            Self::Urgent | Self::Drill | Self::Withdrawal => Role::Urgent,
        }
    }

    /// Returns the largest compact JWS of this type, in bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Keys => limits::EPOCH_BYTES,
            Self::Timetable => limits::TIMETABLE_BYTES,
            Self::Floor => limits::FLOOR_BYTES,
            Self::Behind => limits::BEHIND_BYTES,
            Self::Command => limits::COMMAND_BYTES,
            Self::Time => limits::TIME_BYTES,
            Self::Receipt => limits::RECEIPT_BYTES,
            Self::Server => limits::PRESENCE_BYTES,
            Self::Record => limits::RECORD_BYTES,
            Self::EnrolRequest => limits::ENROL_REQUEST_BYTES,
            Self::EnrolAnswer => limits::ENROL_ANSWER_BYTES,
            Self::Urgent | Self::Drill | Self::Withdrawal => limits::URGENT_BYTES,
            Self::Hold | Self::Feed => limits::HOLD_BYTES,
        }
    }
}

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Timetable, command, hold, feeds.
    Schedule,
    /// Urgent notices, drills, withdrawals.
    Urgent,
    /// Quiet floor, enrolment.
    Policy,
    /// Answers to a device's nonce.
    Time,
    /// Receipts and presence.
    Receipt,
    /// Key epochs; offline.
    Root,
    /// A device's records and its enrolment request.
    Device,
}

impl Role {
    /// The roles that `keys` names, in order.
    pub const NAMED: [Role; 5] =
        [Role::Schedule, Role::Urgent, Role::Policy, Role::Time, Role::Receipt];

    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Urgent => "urgent",
            Self::Policy => "policy",
            Self::Time => "time",
            Self::Receipt => "receipt",
            Self::Root => "root",
            Self::Device => "device",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key as the verifier's register knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: PublicKey,
    /// The key epoch in which it first had this role; 0 where epochs do not apply.
    pub epoch: u32,
    /// When it was retired: documents made (`iat`) later are refused.
    pub retired: Option<UtcMs>,
}

/// A register of keys: by name and role, never by what a header says about itself.
pub trait Keys {
    /// Finds the key, or says why it cannot be used in this role
    /// ([`Refusal::UnknownKey`], [`Refusal::Role`], [`Refusal::Revoked`]).
    fn find(&self, kid: &Kid, role: Role) -> Result<Found, Refusal>;
}

/// A register that knows one key in one role: a device's own, a root.
#[derive(Clone, Debug)]
pub struct OneKey {
    /// The key.
    pub key: PublicKey,
    /// Its role.
    pub role: Role,
}

impl Keys for OneKey {
    fn find(&self, kid: &Kid, role: Role) -> Result<Found, Refusal> {
        if self.key.kid() != *kid {
            Err(Refusal::UnknownKey { kid: *kid })
        } else if self.role != role {
            Err(Refusal::Role { kid: *kid, role: role.as_str() })
        } else {
            Ok(Found { key: self.key.clone(), epoch: 0, retired: None })
        }
    }
}

/// A document whose signature, type and role are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<T> {
    /// What it says.
    pub claims: T,
    /// Who signed.
    pub kid: Kid,
    /// The key epoch of the signer: compared before `ver`.
    pub epoch: u32,
    /// SHA-256 of the compact JWS as received.
    pub digest: Digest,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: Kid,
}

/// Signs a claims set; the text is the document from then on.
///
/// # Panics
/// Never for the types of [`super::doc`]: their map keys are texts.
pub fn sign<T: Serialize + ?Sized>(key: &SecretKey, typ: Typ, claims: &T) -> String {
    let body = serde_json::to_vec(claims).expect("claims are structures with text keys");
    sign_bytes(key, typ.as_str(), &body)
}

/// As [`sign`]; refuses what is over the limit of its type.
pub fn sign_within<T: Serialize + ?Sized>(
    key: &SecretKey,
    typ: Typ,
    claims: &T,
) -> Result<String, Refusal> {
    let text = sign(key, typ, claims);
    Refusal::limit("bytes", text.len(), typ.max_bytes())?;
    Ok(text)
}

/// Signs bytes that are JSON already.
pub(crate) fn sign_bytes(key: &SecretKey, typ: &str, body: &[u8]) -> String {
    let header = Header { alg: "EdDSA", typ, kid: key.kid() };
    let header = serde_json::to_vec(&header).expect("three texts");
    let mut text = format!("{}.{}", b64::encode(&header), b64::encode(body));
    let signature = key.sign(text.as_bytes());
    text.push('.');
    text.push_str(&b64::encode(&signature));
    text
}

/// Verifies a compact JWS of the wanted type by the keys of the wanted role, then reads it.
pub fn open<T: DeserializeOwned>(
    text: &str,
    typ: Typ,
    role: Role,
    keys: &dyn Keys,
) -> Result<Opened<T>, Refusal> {
    let verified = verify(text, typ, role, keys)?;
    Ok(Opened {
        claims: verified.read()?,
        kid: verified.kid,
        epoch: verified.epoch,
        digest: verified.digest,
    })
}

/// As [`open`], from bytes off the wire.
pub fn open_bytes<T: DeserializeOwned>(
    bytes: &[u8],
    typ: Typ,
    role: Role,
    keys: &dyn Keys,
) -> Result<Opened<T>, Refusal> {
    open(text_of(bytes, typ)?, typ, role, keys)
}

/// Returns the bytes as text when they can be a compact JWS at all.
pub fn text_of(bytes: &[u8], typ: Typ) -> Result<&str, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    Refusal::limit("bytes", bytes.len(), typ.max_bytes())?;
    if !bytes.is_ascii() {
        return Err(Refusal::Jws { why: "not base64url" });
    }
    std::str::from_utf8(bytes).map_err(|_| Refusal::Jws { why: "not base64url" })
}

/// A payload whose signature, type and role are right; not yet read.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who signed.
    pub kid: Kid,
    /// The key epoch of the signer.
    pub epoch: u32,
    /// SHA-256 of the compact JWS as received.
    pub digest: Digest,
    payload: Vec<u8>,
    retired: Option<UtcMs>,
}

#[derive(Deserialize)]
struct Common {
    v: i64,
    #[serde(default)]
    iat: Option<i64>,
}

impl Verified {
    /// Reads the claims: strict JSON, version 1, not made after the key was retired.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let text = json::check(&self.payload, "bytes", limits::KEYS_BYTES)?;
        let common: Common = json::typed(text)?;
        if common.v != 1 {
            return Err(Refusal::Unsupported { v: common.v });
        }
        if let Some(retired) = self.retired {
            let made = common.iat.map_or(UtcMs::MAX, UtcMs::from_numeric_date);
            if made > retired {
                return Err(Refusal::Retired { kid: self.kid });
            }
        }
        json::typed(text)
    }

    /// Returns the claims as signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Verifies everything but the content.
pub fn verify(text: &str, typ: Typ, role: Role, keys: &dyn Keys) -> Result<Verified, Refusal> {
    let parts = split(text, typ)?;
    let found = keys.find(&parts.kid, role)?;
    parts.verify(&found)
}

/// Takes a document of our own keeping apart, without judging its signature: who signed it, and
/// what it says. Never for anything that came from outside.
pub fn kept<T: DeserializeOwned>(text: &str, typ: Typ) -> Result<(Kid, T), Refusal> {
    let parts = split(text, typ)?;
    Ok((parts.kid, json::read(&parts.payload, "bytes", limits::KEYS_BYTES)?))
}

pub(crate) struct Parts<'a> {
    pub kid: Kid,
    pub payload: Vec<u8>,
    text: &'a str,
    signed: &'a str,
    signature: [u8; 64],
}

impl Parts<'_> {
    pub fn verify(self, found: &Found) -> Result<Verified, Refusal> {
        if found.key.kid() != self.kid {
            return Err(Refusal::UnknownKey { kid: self.kid });
        }
        found.key.verify(self.signed.as_bytes(), &self.signature)?;
        Ok(Verified {
            kid: self.kid,
            epoch: found.epoch,
            digest: Digest::of(self.text.as_bytes()),
            payload: self.payload,
            retired: found.retired,
        })
    }
}

/// Takes a compact JWS apart; the header is judged, the signature not yet.
pub(crate) fn split(text: &str, typ: Typ) -> Result<Parts<'_>, Refusal> {
    let text = text_of(text.as_bytes(), typ)?;
    let (signed, signature) =
        text.rsplit_once('.').ok_or(Refusal::Jws { why: "not three parts" })?;
    let (header, payload) =
        signed.split_once('.').ok_or(Refusal::Jws { why: "not three parts" })?;
    if payload.contains('.') {
        return Err(Refusal::Jws { why: "not three parts" });
    }
    let part = |t: &str| b64::decode(t).ok_or(Refusal::Jws { why: "not canonical base64url" });
    let (header, payload) = (part(header)?, part(payload)?);
    let signature = b64::decode_exact(signature)
        .ok_or(Refusal::Jws { why: "signature is not 64 bytes of canonical base64url" })?;
    let kid = judge_header(&header, typ)?;
    Ok(Parts { kid, payload, text, signed, signature })
}

fn judge_header(bytes: &[u8], typ: Typ) -> Result<Kid, Refusal> {
    let header: serde_json::Map<String, serde_json::Value> =
        json::read(bytes, "header bytes", limits::HEADER_BYTES)?;
    if let Some(name) = header.keys().find(|n| !matches!(n.as_str(), "alg" | "typ" | "kid")) {
        return Err(Refusal::Header { name: shorten(name) });
    }
    let member = |name: &str| header.get(name).and_then(|v| v.as_str()).unwrap_or("");
    if member("alg") != "EdDSA" {
        return Err(Refusal::Alg { alg: shorten(member("alg")) });
    }
    if member("typ") != typ.as_str() {
        return Err(Refusal::Typ { got: shorten(member("typ")), want: typ.as_str() });
    }
    member("kid")
        .parse()
        .map_err(|_| Refusal::Jws { why: "`kid` is not a thumbprint of 43 base64url characters" })
}

#[cfg(test)]
mod tests;
