//! Records on the wire: signed once, kept as text, readable as far as this version knows them.
//!
//! A rightly signed record is always worth storing: its head may be read though its body is of
//! unknown kind, and even an unreadable one keeps its bytes and hash.

use super::jws::{self, Keys, Kid, Opened, Role, SecretKey, Typ};
use super::limits;
use super::refusal::Refusal;
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Head, Record};

/// Signs a record; the text is the record from then on.
pub fn sign(key: &SecretKey, record: &Record) -> String {
    jws::sign(key, Typ::Record, record)
}

/// A rightly signed record with what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    /// The compact JWS as received.
    pub text: String,
    /// SHA-256 of it: what the next record names as `prev`.
    pub digest: Digest,
    /// Who signed.
    pub kid: Kid,
    /// Who says so and where in the chain, or why that cannot be read.
    pub head: Result<Head, Refusal>,
    /// What happened ([`Body::Unknown`] for unknown kinds), or why that cannot be read.
    pub body: Result<Body, Refusal>,
}

/// Verifies the signature and reads what can be read; refuses only what is not rightly signed.
pub fn verify(text: &str, keys: &dyn Keys) -> Result<SignedRecord, Refusal> {
    let verified = jws::verify(text, Typ::Record, Role::Device, keys)?;
    Ok(SignedRecord {
        text: text.to_owned(),
        digest: verified.digest,
        kid: verified.kid,
        head: verified.read::<Head>().and_then(sound),
        body: verified.read::<Record>().map(|record| record.body),
    })
}

/// Verifies a record and reads its head, whatever its kind.
pub fn open_head(text: &str, keys: &dyn Keys) -> Result<Opened<Head>, Refusal> {
    let opened = jws::open::<Head>(text, Typ::Record, Role::Device, keys)?;
    let claims = sound(opened.claims)?;
    Ok(Opened { claims, ..opened })
}

/// Verifies and reads a whole record; its body is [`Body::Unknown`] for unknown kinds.
pub fn open(text: &str, keys: &dyn Keys) -> Result<Opened<Record>, Refusal> {
    jws::open(text, Typ::Record, Role::Device, keys)
}

/// Returns the SHA-256 of a record: its name, and the `prev` of the next.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn sound(head: Head) -> Result<Head, Refusal> {
    if head.seq == 0 || head.boot == 0 {
        return Err(Refusal::content("`seq` and `boot` count from 1"));
    }
    if (head.seq == 1) != head.prev.is_none() {
        return Err(Refusal::content("`prev` is null exactly in the first record of a chain"));
    }
    Ok(head)
}

/// Takes a batch apart into its lines; an empty body, a foreign byte or too much refuses it.
/// One newline at the end is allowed.
pub fn lines(body: &[u8]) -> Result<Vec<&str>, Refusal> {
    if body.is_empty() {
        return Err(Refusal::Empty);
    }
    Refusal::limit("bytes", body.len(), limits::BATCH_BYTES)?;
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or(Refusal::Jws { why: "a batch is lines of compact JWS" })?;
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    Refusal::limit("records", lines.len(), limits::BATCH_RECORDS)?;
    Ok(lines)
}

/// Puts as many records, oldest first, into one batch as fit; returns the body and how many.
/// A record beyond its own limit ends the batch before it.
pub fn batch<'a>(records: impl IntoIterator<Item = &'a str>) -> (Vec<u8>, usize) {
    let mut body = Vec::new();
    let mut taken = 0;
    for record in records {
        let more = record.len() + usize::from(taken > 0);
        if taken == limits::BATCH_RECORDS
            || record.len() > limits::RECORD_BYTES
            || body.len() + more > limits::BATCH_BYTES
        {
            break;
        }
        if taken > 0 {
            body.push(b'\n');
        }
        body.extend_from_slice(record.as_bytes());
        taken += 1;
    }
    (body, taken)
}
