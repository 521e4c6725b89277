//! The signer of a token: which certificate, over which attributes (RFC 5652 §5.3, §5.4).
//!
//! What is signed are attributes, and these hold the hash of the statement and the name of the
//! signer's certificate. Each of the three is checked; leaving one out would let somebody put
//! another statement, or another certificate of the same key, in its place.

use super::algorithm::{Algorithm, Hash, sha1_name};
use super::certificate::Certificate;
use super::der::{
    DerError, Element, INTEGER, OBJECT, OCTET_STRING, Reader, SEQUENCE, SET, context,
    context_primitive,
};
use super::error::StampError;
use super::statement::STATEMENT;

const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const SIGNING_CERTIFICATE_V2: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
/// Signed attributes of one signer.
const ATTRIBUTES: usize = 32;

/// The one signer of a token.
pub(super) struct Signer<'a> {
    name: Named<'a>,
    digest: Algorithm,
    attributes: Element<'a>,
    algorithm: Algorithm,
    signature: &'a [u8],
}

/// How a signer's certificate is named.
enum Named<'a> {
    Serial { issuer: &'a [u8], serial: &'a [u8] },
    Key(&'a [u8]),
}

impl<'a> Signer<'a> {
    /// Takes a signer's part of the message apart.
    pub fn read(signer: Element<'a>) -> Result<Self, DerError> {
        let mut inner = signer.reader();
        inner.take(INTEGER, "signer's version")?;
        let name = if let Some(key) = inner.optional(context_primitive(0), "signer's name")? {
            Named::Key(key.body)
        } else {
            let mut pair = inner.take(SEQUENCE, "signer's name")?.reader();
            let issuer = pair.take(SEQUENCE, "signer's issuer")?.raw;
            let serial = pair.take(INTEGER, "signer's serial number")?.body;
            pair.end("signer's name")?;
            Named::Serial { issuer, serial }
        };
        let digest = Algorithm::read(&mut inner, "signer's hash")?;
        let attributes = inner.take(context(0), "signed attributes")?;
        let algorithm = Algorithm::read(&mut inner, "signer's algorithm")?;
        let signature = inner.take(OCTET_STRING, "signature")?.body;
        inner.optional(context(1), "unsigned attributes")?;
        inner.end("signer")?;
        Ok(Self { name, digest, attributes, algorithm, signature })
    }

    /// Says whether this is the certificate that the signer goes by.
    pub fn is(&self, certificate: &Certificate<'_>) -> bool {
        match self.name {
            Named::Serial { issuer, serial } => {
                certificate.issuer == issuer && certificate.serial == serial
            }
            Named::Key(key) => certificate.key_identifier == Some(key),
        }
    }

    /// Returns the one value of an attribute; `None` when it is not there.
    fn attribute(
        &self,
        wanted: &[u8],
        what: &'static str,
    ) -> Result<Option<Element<'a>>, StampError> {
        let fault = StampError::der("signed attributes");
        let mut found = None;
        let mut count = 0;
        let mut reader = self.attributes.reader();
        while !reader.is_empty() {
            let mut pair = reader.take(SEQUENCE, "attribute").map_err(&fault)?.reader();
            let oid = pair.take(OBJECT, "attribute").and_then(|oid| oid.oid("attribute"));
            let oid = oid.map_err(&fault)?;
            let mut values = pair.take(SET, "attribute").map_err(&fault)?.reader();
            pair.end("attribute").map_err(&fault)?;
            count += 1;
            if oid.is(wanted) {
                let value = values.any("attribute").map_err(&fault)?;
                if found.is_some() || !values.is_empty() {
                    return Err(StampError::Attribute { what });
                }
                found = Some(value);
            }
            if count > ATTRIBUTES {
                return Err(fault(reader.fail("attributes", "are more than 32")));
            }
        }
        Ok(found)
    }

    /// Verifies that this certificate's key signed these attributes over this content.
    pub fn verify(&self, content: &[u8], certificate: &Certificate<'_>) -> Result<(), StampError> {
        let fault = StampError::der("signed attributes");
        let must = |wanted: &[u8], what| {
            self.attribute(wanted, what)?.ok_or(StampError::Attribute { what })
        };
        let kind = must(CONTENT_TYPE, "content type")?;
        if kind.tag != OBJECT || !kind.oid("content type").map_err(&fault)?.is(STATEMENT) {
            return Err(StampError::Attribute { what: "content type" });
        }
        let hash = self.digest.hash("the signer")?;
        let digest = must(MESSAGE_DIGEST, "message digest")?;
        if digest.tag != OCTET_STRING || digest.body != hash.of(content) {
            return Err(StampError::Signature { what: "statement's hash" });
        }
        self.check_named(certificate)?;
        // Signed as a set, though it travels under a tag of its own (RFC 5652 §5.4).
        let mut signed = self.attributes.raw.to_vec();
        if let Some(tag) = signed.first_mut() {
            *tag = SET;
        }
        let what = "signature of the time stamp";
        self.algorithm.verify(&certificate.key, Some(hash), &signed, self.signature, what)
    }

    /// Refuses a certificate other than the one that the signed attributes name first: a second
    /// certificate of the same key could say other things.
    fn check_named(&self, certificate: &Certificate<'_>) -> Result<(), StampError> {
        let fault = StampError::der("signed attributes");
        let what = "signing certificate";
        let newer = self.attribute(SIGNING_CERTIFICATE_V2, what)?;
        let older = self.attribute(SIGNING_CERTIFICATE, what)?;
        let named = match (newer, older) {
            (Some(value), _) => {
                let mut first = first_named(value).map_err(&fault)?;
                let hash = if first.next_is(SEQUENCE) {
                    Algorithm::read(&mut first, what).map_err(&fault)?.hash(what)?
                } else {
                    Hash::Sha256
                };
                let digest = first.take(OCTET_STRING, what).map_err(&fault)?.body;
                digest == hash.of(certificate.raw)
            }
            (None, Some(value)) => {
                let mut first = first_named(value).map_err(&fault)?;
                let digest = first.take(OCTET_STRING, what).map_err(&fault)?.body;
                digest == sha1_name(certificate.raw)
            }
            (None, None) => return Err(StampError::Attribute { what }),
        };
        if named {
            Ok(())
        } else {
            Err(StampError::Signature { what: "name of the signer's certificate" })
        }
    }
}

/// Opens the first certificate that an attribute names.
fn first_named(value: Element<'_>) -> Result<Reader<'_>, DerError> {
    let what = "signing certificate";
    if value.tag != SEQUENCE {
        return Err(value.reader().fail(what, "is of another type"));
    }
    let mut list = value.reader().take(SEQUENCE, what)?.reader();
    Ok(list.take(SEQUENCE, what)?.reader())
}
