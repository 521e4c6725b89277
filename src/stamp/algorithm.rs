//! The hashes and signatures that are taken, and verifying them.

use super::certificate::PublicKey;
use super::der::{DerError, NULL, OBJECT, Reader, SEQUENCE};
use super::error::StampError;
use super::oid::Oid;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
pub(super) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A hash that may stand for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Returns the hash of bytes.
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// Returns the SHA-256 identifier as a request writes it.
    pub(super) fn sha256_identifier() -> Vec<u8> {
        let oid = super::der::element(OBJECT, SHA256);
        super::der::element(SEQUENCE, &[oid, super::der::element(NULL, &[])].concat())
    }
}

/// An algorithm with what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub oid: Oid,
    /// The curve of a key; nothing otherwise.
    pub curve: Option<Oid>,
}

impl Algorithm {
    /// Reads an identifier: parameters are absent, null, or a named curve.
    pub(super) fn read(reader: &mut Reader<'_>, what: &'static str) -> Result<Self, DerError> {
        let mut inner = reader.take(SEQUENCE, what)?.reader();
        let oid = inner.take(OBJECT, what)?.oid(what)?;
        let mut curve = None;
        if let Some(null) = inner.optional(NULL, what)? {
            null.reader().end(what)?;
        } else if let Some(named) = inner.optional(OBJECT, what)? {
            curve = Some(named.oid(what)?);
        } else if !inner.is_empty() {
            // Parameters of algorithms that are not taken anyhow.
            inner.any(what)?;
        }
        inner.end(what)?;
        Ok(Self { oid, curve })
    }

    /// Returns the hash that this names.
    pub(super) fn hash(&self, what: &'static str) -> Result<Hash, StampError> {
        let known = [(SHA256, Hash::Sha256), (SHA384, Hash::Sha384), (SHA512, Hash::Sha512)];
        let found = known.iter().find(|(oid, _)| self.oid.is(oid));
        let refused = || StampError::Algorithm { what, oid: self.oid.clone() };
        found.map(|(_, hash)| *hash).ok_or_else(refused)
    }

    /// Returns the hash under this signature; `beside` is the one named beside it, if any.
    fn hash_signed(&self, beside: Option<Hash>) -> Option<Hash> {
        let known = [
            (RSA_SHA256, Hash::Sha256),
            (RSA_SHA384, Hash::Sha384),
            (RSA_SHA512, Hash::Sha512),
            (ECDSA_SHA256, Hash::Sha256),
            (ECDSA_SHA384, Hash::Sha384),
            (ECDSA_SHA512, Hash::Sha512),
        ];
        let said = known.iter().find(|(oid, _)| self.oid.is(oid)).map(|(_, hash)| *hash);
        match (said, beside) {
            (Some(said), Some(beside)) if said != beside => None,
            (Some(said), _) => Some(said),
            // CMS lets the key's own identifier stand, and names the hash beside it.
            (None, beside) if self.oid.is(RSA) => beside,
            (None, _) => None,
        }
    }

    fn fits(&self, key: &Algorithm) -> bool {
        let rsa = [RSA, RSA_SHA256, RSA_SHA384, RSA_SHA512];
        let ecdsa = [ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512];
        (key.oid.is(RSA) && rsa.iter().any(|oid| self.oid.is(oid)))
            || (key.oid.is(EC) && ecdsa.iter().any(|oid| self.oid.is(oid)))
            || (key.oid.is(ED25519) && self.oid.is(ED25519))
    }

    /// Verifies a signature; `beside` is the hash named beside it, if any.
    pub(super) fn verify(
        &self,
        key: &PublicKey<'_>,
        beside: Option<Hash>,
        message: &[u8],
        signature: &[u8],
        what: &'static str,
    ) -> Result<(), StampError> {
        let refused = || StampError::Algorithm { what, oid: self.oid.clone() };
        if !self.fits(&key.algorithm) {
            return Err(refused());
        }
        let method = if key.algorithm.oid.is(ED25519) {
            &signature::ED25519
        } else {
            let hash = self.hash_signed(beside).ok_or_else(refused)?;
            method(&key.algorithm, hash).ok_or_else(refused)?
        };
        UnparsedPublicKey::new(method, key.bits)
            .verify(message, signature)
            .map_err(|_| StampError::Signature { what })
    }
}

fn method(key: &Algorithm, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    if key.oid.is(RSA) {
        return Some(match hash {
            Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        });
    }
    let curve = key.curve.as_ref()?;
    Some(match hash {
        Hash::Sha256 if curve.is(P256) => &signature::ECDSA_P256_SHA256_ASN1,
        Hash::Sha384 if curve.is(P256) => &signature::ECDSA_P256_SHA384_ASN1,
        Hash::Sha512 if curve.is(P256) => &signature::ECDSA_P256_SHA512_ASN1,
        Hash::Sha256 if curve.is(P384) => &signature::ECDSA_P384_SHA256_ASN1,
        Hash::Sha384 if curve.is(P384) => &signature::ECDSA_P384_SHA384_ASN1,
        Hash::Sha512 if curve.is(P384) => &signature::ECDSA_P384_SHA512_ASN1,
        Hash::Sha256 if curve.is(P521) => &signature::ECDSA_P521_SHA256_ASN1,
        Hash::Sha384 if curve.is(P521) => &signature::ECDSA_P521_SHA384_ASN1,
        Hash::Sha512 if curve.is(P521) => &signature::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

/// Returns the SHA-1 of a certificate: older authorities name their own by it (RFC 2634 §5.4).
/// It only says which certificate is meant; whether to trust that one never rests on it.
pub(super) fn sha1_name(certificate: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref().to_vec()
}
