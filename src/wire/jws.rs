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
    Timetable,
    Floor,
    Command,
    /// Answer to a device's nonce.
    Time,
    Receipt,
    /// Presence of the server.
    Server,
    Record,
    EnrolRequest,
    EnrolAnswer,
    /// Reserved: an urgent notice.
    Urgent,
    /// Reserved: a rehearsal of one.
    Drill,
    /// Reserved: takes an urgent notice back.
    Withdrawal,
    /// Reserved: silences a unit.
    Hold,
    /// Reserved: a value for boards.
    Feed,
}

impl Typ {
    /// All types, reserved ones too.
    pub const ALL: [Typ; 15] = [
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
        }
    }

    /// Returns the role whose keys sign such documents.
    pub fn role(self) -> Role {
        match self {
            Self::Keys => Role::Root,
            Self::Timetable | Self::Command | Self::Hold | Self::Feed => Role::Schedule,
            Self::Floor | Self::EnrolAnswer => Role::Policy,
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Said {
        v: u8,
        text: String,
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn keys() -> OneKey {
        OneKey { key: key().public(), role: Role::Time }
    }

    fn said(text: &str) -> Said {
        Said { v: 1, text: text.to_owned() }
    }

    fn reason(text: &str) -> &'static str {
        match open::<Said>(text, Typ::Time, Role::Time, &keys()) {
            Ok(_) => "accepted",
            Err(refusal) => refusal.reason(),
        }
    }

    /// Signs with any header and payload at all.
    fn forge(header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", b64::encode(header.as_bytes()), b64::encode(payload));
        let signature = b64::encode(&key().sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn header(extra: &str) -> String {
        format!(r#"{{"alg":"EdDSA","typ":"loa-time+jwt","kid":"{}"{extra}}}"#, key().kid())
    }

    #[test]
    fn what_was_signed_opens_with_its_name_and_hash() {
        let text = sign(&key(), Typ::Time, &said("Thôn Đông"));
        let opened: Opened<Said> = open(&text, Typ::Time, Role::Time, &keys()).unwrap();
        assert_eq!(opened.claims, said("Thôn Đông"));
        assert_eq!(opened.kid, key().kid());
        assert_eq!(opened.digest, Digest::of(text.as_bytes()));
    }

    #[test]
    fn a_header_that_brings_its_own_rules_is_refused() {
        let good = br#"{"v":1,"text":""}"#;
        assert_eq!(reason(&forge(&header(""), good)), "accepted");
        for member in ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "cty"] {
            let text = forge(&header(&format!(r#","{member}":["b64"]"#)), good);
            assert_eq!(reason(&text), "header", "{member}");
        }
        let twice = header(r#","kid":"x""#);
        assert_eq!(reason(&forge(&twice, good)), "json");
        for alg in ["none", "HS256", "ES256", "Ed25519", "EDDSA", ""] {
            assert_eq!(reason(&forge(&header("").replace("EdDSA", alg), good)), "alg", "{alg}");
        }
        for typ in
            ["loa-time", "LOA-time+jwt", "application/loa-time+jwt", "loa-command+jwt", "JWT"]
        {
            let text = forge(&header("").replace("loa-time+jwt", typ), good);
            assert_eq!(reason(&text), "typ", "{typ}");
        }
        let long = header(&format!(r#","x":"{}""#, "y".repeat(limits::HEADER_BYTES)));
        assert_eq!(reason(&forge(&long, good)), "limit");
    }

    #[test]
    fn other_spellings_of_the_same_bytes_are_refused() {
        let text = sign(&key(), Typ::Time, &said("x"));
        for bad in [
            format!("{text}="),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}."),
            format!(".{text}"),
            text.replace('.', ".."),
            text.replace('.', ""),
            format!("{text}Ạ"),
        ] {
            assert_eq!(reason(&bad), "jws", "{bad}");
        }
        // 64 bytes leave four loose bits in the last character.
        let loose = ['B', 'R', 'h', 'x'].map(|last| format!("{}{last}", &text[..text.len() - 1]));
        for bad in loose {
            assert_eq!(reason(&bad), "jws", "{bad}");
        }
    }

    #[test]
    fn the_key_comes_from_the_register_and_its_role_counts() {
        let other = SecretKey::from_seed(&[2; 32]);
        assert_eq!(reason(&sign(&other, Typ::Time, &said(""))), "unknown-key");
        let stolen = sign(&other, Typ::Time, &said(""));
        let (_, signature) = stolen.rsplit_once('.').unwrap();
        let own = sign(&key(), Typ::Time, &said(""));
        let (signed, _) = own.rsplit_once('.').unwrap();
        assert_eq!(reason(&format!("{signed}.{signature}")), "signature");
        let wrong = open::<Said>(&own, Typ::Time, Role::Policy, &keys()).unwrap_err();
        assert_eq!(wrong.reason(), "role");
    }

    #[test]
    fn content_is_judged_after_the_signature() {
        for (payload, wanted) in [
            (&br#"{"v":2,"text":""}"#[..], "unsupported"),
            (br#"{"text":""}"#, "member"),
            (br#"{"v":1}"#, "member"),
            (br#"{"v":1,"text":"","text":""}"#, "json"),
            (br#"{"v":1,"text":"","more":1.5}"#, "json"),
            (br#"{"v":1,"text":"","more":{"x":[1]}}"#, "accepted"),
            (b"[]", "member"),
            (b"", "empty"),
        ] {
            let text = forge(&header(""), payload);
            assert_eq!(reason(&text), wanted, "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn a_document_made_after_its_key_was_retired_is_refused() {
        struct Retiring(UtcMs);
        impl Keys for Retiring {
            fn find(&self, _: &Kid, _: Role) -> Result<Found, Refusal> {
                Ok(Found { key: key().public(), epoch: 1, retired: Some(self.0) })
            }
        }
        #[derive(Debug, Serialize, Deserialize)]
        struct Dated {
            v: u8,
            iat: i64,
        }
        let text = sign(&key(), Typ::Time, &Dated { v: 1, iat: 100 });
        let at = |ms| open::<Dated>(&text, Typ::Time, Role::Time, &Retiring(UtcMs(ms)));
        assert!(at(100_000).is_ok());
        assert_eq!(at(99_999).unwrap_err().reason(), "retired");
        let undated = sign(&key(), Typ::Time, &said(""));
        let opened = open::<Said>(&undated, Typ::Time, Role::Time, &Retiring(UtcMs(100_000)));
        assert_eq!(opened.unwrap_err().reason(), "retired");
    }

    proptest! {
        #[test]
        fn what_is_signed_opens(text in any::<String>(), seed in any::<[u8; 32]>()) {
            let key = SecretKey::from_seed(&seed);
            let keys = OneKey { key: key.public(), role: Role::Time };
            let claims = Said { v: 1, text: text.chars().take(100).collect() };
            let signed = sign(&key, Typ::Time, &claims);
            let opened = open::<Said>(&signed, Typ::Time, Role::Time, &keys).unwrap();
            prop_assert_eq!(opened.claims, claims);
        }

        #[test]
        fn a_flipped_bit_is_refused(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let mut bytes = sign(&key(), Typ::Time, &said("Nhiệt độ")).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let opened = open_bytes::<Said>(&bytes, Typ::Time, Role::Time, &keys());
            prop_assert!(opened.is_err(), "byte {} bit {}", at, bit);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for typ in Typ::ALL {
                let _ = open_bytes::<Said>(&bytes, typ, typ.role(), &keys());
            }
        }

        #[test]
        fn no_text_of_three_parts_panics(
            header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), tail in any::<[u8; 64]>()
        ) {
            let text = [&header[..], &payload, &tail].map(b64::encode).join(".");
            prop_assert!(open::<Said>(&text, Typ::Time, Role::Time, &keys()).is_err());
        }
    }
}
