//! Certificates, as far as judging a time stamp needs them (RFC 5280).

use super::algorithm::Algorithm;
use super::der::{
    BIT_STRING, BOOLEAN, DerError, Element, INTEGER, OBJECT, OCTET_STRING, Reader, SEQUENCE, SET,
    UTF8_STRING, context, context_primitive,
};
use super::error::StampError;
use super::oid::Oid;
use crate::domain::time::UtcMs;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const PRINTABLE_STRING: u8 = 0x13;
const KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const PURPOSES: &[u8] = &[0x55, 0x1d, 0x25];
/// Policies restrict nothing that is judged here; critical or not, they may stand.
const POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// Extensions of one certificate.
const EXTENSIONS: usize = 64;

/// A public key and what it is for.
#[derive(Clone, Debug)]
pub struct PublicKey<'a> {
    pub algorithm: Algorithm,
    pub bits: &'a [u8],
}

/// Uses that a certificate allows its key: the bits that are asked for here.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    signs: bool,
    certifies: bool,
}

/// A certificate taken apart; nothing is believed yet.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// All of it.
    pub raw: &'a [u8],
    /// The part that is signed.
    pub(super) signed: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The subject's common name, or a stand-in.
    pub name: String,
    pub from: UtcMs,
    pub until: UtcMs,
    pub(super) key: PublicKey<'a>,
    pub(super) key_identifier: Option<&'a [u8]>,
    algorithm: Algorithm,
    signature: &'a [u8],
    authority: bool,
    /// How many authorities may stand below this one.
    most_below: Option<u64>,
    usage: Option<Usage>,
    stamps_only: bool,
    unknown_critical: Option<Oid>,
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart.
    pub fn parse(raw: &'a [u8]) -> Result<Self, StampError> {
        let der = StampError::der("certificate");
        let mut reader = Reader::new(raw);
        let element = reader.take(SEQUENCE, "certificate").map_err(&der)?;
        reader.end("certificate").map_err(&der)?;
        Self::read(element).map_err(der)
    }

    fn read(element: Element<'a>) -> Result<Self, DerError> {
        let mut outer = element.reader();
        let signed = outer.take(SEQUENCE, "certificate")?;
        let algorithm = Algorithm::read(&mut outer, "certificate's signature algorithm")?;
        let signature = outer.take(BIT_STRING, "certificate's signature")?;
        let signature = signature.bits("certificate's signature")?;
        outer.end("certificate")?;

        let mut inner = signed.reader();
        if let Some(version) = inner.optional(context(0), "version")? {
            version.reader().take(INTEGER, "version")?.small("version")?;
        }
        let serial = inner.take(INTEGER, "serial number")?.body;
        let inner_algorithm = Algorithm::read(&mut inner, "signature algorithm")?;
        if inner_algorithm != algorithm {
            // Only the inner one is signed.
            return Err(inner.fail("signature algorithm", "is another inside than outside"));
        }
        let issuer = inner.take(SEQUENCE, "issuer")?.raw;
        let mut validity = inner.take(SEQUENCE, "validity")?.reader();
        let from = validity.any("validity")?.time("validity")?;
        let until = validity.any("validity")?.time("validity")?;
        validity.end("validity")?;
        let subject = inner.take(SEQUENCE, "subject")?;
        let mut key = inner.take(SEQUENCE, "public key")?.reader();
        let key_algorithm = Algorithm::read(&mut key, "public key")?;
        let bits = key.take(BIT_STRING, "public key")?.bits("public key")?;
        key.end("public key")?;
        // Unique identifiers of version 2 say nothing here.
        for number in [1, 2] {
            inner.optional(context_primitive(number), "unique identifier")?;
        }
        let extensions = inner.optional(context(3), "extensions")?;
        inner.end("certificate")?;

        let mut certificate = Self {
            raw: element.raw,
            signed: signed.raw,
            serial,
            issuer,
            subject: subject.raw,
            name: common_name(subject).unwrap_or_else(|_| "without a name".to_owned()),
            from,
            until,
            key: PublicKey { algorithm: key_algorithm, bits },
            key_identifier: None,
            algorithm,
            signature,
            authority: false,
            most_below: None,
            usage: None,
            stamps_only: false,
            unknown_critical: None,
        };
        if let Some(extensions) = extensions {
            certificate.extend(extensions)?;
        }
        Ok(certificate)
    }

    fn extend(&mut self, extensions: Element<'a>) -> Result<(), DerError> {
        let mut wrapper = extensions.reader();
        let list = wrapper.take(SEQUENCE, "extensions")?;
        wrapper.end("extensions")?;
        let mut seen: Vec<Oid> = Vec::new();
        let known = [BASIC_CONSTRAINTS, KEY_USAGE, PURPOSES, KEY_IDENTIFIER];
        let mut reader = list.reader();
        while !reader.is_empty() {
            let Extension { oid, critical, mut value } = Extension::read(&mut reader)?;
            if seen.contains(&oid) || seen.len() >= EXTENSIONS {
                return Err(reader.fail("extension", "is there twice, or is one of too many"));
            }
            if oid.is(BASIC_CONSTRAINTS) {
                let mut inner = value.take(SEQUENCE, "basic constraints")?.reader();
                let authority = inner.optional(BOOLEAN, "basic constraints")?;
                let authority = authority.map(|b| b.boolean("basic constraints")).transpose()?;
                self.authority = authority.unwrap_or(false);
                let below = inner.optional(INTEGER, "path length")?;
                self.most_below = below.map(|n| n.small("path length")).transpose()?;
                inner.end("basic constraints")?;
            } else if oid.is(KEY_USAGE) {
                self.usage = Some(usage(value.take(BIT_STRING, "key usage")?));
            } else if oid.is(PURPOSES) {
                let mut inner = value.take(SEQUENCE, "purposes")?.reader();
                let first = inner.take(OBJECT, "purposes")?.oid("purposes")?;
                self.stamps_only = critical && first.is(TIME_STAMPING) && inner.is_empty();
            } else if oid.is(KEY_IDENTIFIER) {
                self.key_identifier = Some(value.take(OCTET_STRING, "key identifier")?.body);
            } else if critical && !oid.is(POLICIES) {
                self.unknown_critical.get_or_insert(oid.clone());
            }
            if known.iter().any(|known| oid.is(known)) {
                value.end("extension")?;
            }
            seen.push(oid);
        }
        Ok(())
    }

    fn unfit(&self, why: &'static str) -> StampError {
        StampError::Unfit { subject: self.name.clone(), why }
    }

    /// Refuses a certificate that was not valid then, or that restricts itself in ways unknown.
    pub(super) fn check_at(&self, at: UtcMs) -> Result<(), StampError> {
        if let Some(oid) = &self.unknown_critical {
            return Err(StampError::Critical { what: "a certificate", oid: oid.clone() });
        }
        if at < self.from || at > self.until {
            let (subject, from, until) = (self.name.clone(), self.from, self.until);
            return Err(StampError::Expired { subject, from, until, at });
        }
        Ok(())
    }

    /// Refuses a certificate that is not for stamping time alone (RFC 3161 §2.3).
    pub(super) fn check_signer(&self) -> Result<(), StampError> {
        if !self.stamps_only {
            return Err(self.unfit("is not for time stamping, critically and alone"));
        }
        if self.usage.is_some_and(|usage| !usage.signs) {
            return Err(self.unfit("may not sign"));
        }
        Ok(())
    }

    /// Refuses a certificate that may not stand above `below` authorities and a signer.
    pub(super) fn check_authority(&self, below: u64) -> Result<(), StampError> {
        if !self.authority || self.usage.is_some_and(|usage| !usage.certifies) {
            return Err(self.unfit("may not certify others"));
        }
        if self.most_below.is_some_and(|most| below > most) {
            return Err(self.unfit("has more authorities below it than it may"));
        }
        Ok(())
    }

    /// Verifies that `issuer` signed this certificate.
    pub(super) fn verify(&self, issuer: &PublicKey<'_>) -> Result<(), StampError> {
        let what = "signature of a certificate";
        self.algorithm.verify(issuer, None, self.signed, self.signature, what)
    }
}

/// One extension of a certificate or of a time stamp.
pub(super) struct Extension<'a> {
    pub oid: Oid,
    pub critical: bool,
    pub value: Reader<'a>,
}

impl<'a> Extension<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut inner = reader.take(SEQUENCE, "extension")?.reader();
        let oid = inner.take(OBJECT, "extension")?.oid("extension")?;
        let critical = inner.optional(BOOLEAN, "extension")?;
        let critical = critical.map(|b| b.boolean("extension")).transpose()?.unwrap_or(false);
        let value = inner.take(OCTET_STRING, "extension")?.reader();
        inner.end("extension")?;
        Ok(Self { oid, critical, value })
    }
}

/// Bits count from the highest: 0 and 1 let a key sign, 5 lets it certify.
fn usage(bits: Element<'_>) -> Usage {
    let first = bits.body.get(1).copied().unwrap_or(0);
    Usage { signs: first & 0b1100_0000 != 0, certifies: first & 0b0000_0100 != 0 }
}

fn common_name(subject: Element<'_>) -> Result<String, DerError> {
    let mut found = None;
    let mut sets = subject.reader();
    while !sets.is_empty() {
        let mut set = sets.take(SET, "subject")?.reader();
        while !set.is_empty() {
            let mut pair = set.take(SEQUENCE, "subject")?.reader();
            let oid = pair.take(OBJECT, "subject")?.oid("subject")?;
            let value = pair.any("subject")?;
            if oid.is(COMMON_NAME) && matches!(value.tag, UTF8_STRING | PRINTABLE_STRING) {
                let text = String::from_utf8_lossy(value.body);
                found = Some(text.chars().filter(|c| !c.is_control()).take(120).collect());
            }
        }
    }
    Ok(found.unwrap_or_else(|| "without a name".to_owned()))
}
