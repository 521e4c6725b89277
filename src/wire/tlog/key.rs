//! Keys that sign notes: what a verifier is configured with, and what log and witness sign with.
//!
//! Sources: C2SP signed-note (verifier keys, key ids), tlog-cosignature (types 0x04 and 0x06).
//! Invariant: the type of a signature comes from the configured key, never from the line.

use super::name::{Name, NameError};
use super::note::SignatureLine;
use super::text::{MOST, base64, excerpt, unbase64};
use crate::wire::jws::{PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Bytes of the longest verifier key that is read: one of ML-DSA-44 with the longest name.
pub const VKEY_BYTES: usize = 2_048;
const ED25519: u8 = 0x01;
const COSIGNATURE: u8 = 0x04;
const ML_DSA: u8 = 0x06;
const ML_DSA_BYTES: usize = 1_312;
const SIGNATURE_BYTES: usize = 64;
const TIMED_BYTES: usize = 8 + SIGNATURE_BYTES;

/// The first four bytes of SHA-256 over name, newline, type and key: a hint, no proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    fn of(name: &Name, kind: u8, key: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', kind])
            .chain_update(key)
            .finalize();
        Self([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a key signs, with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// 0x01: the text of the note.
    Ed25519(PublicKey),
    /// 0x04: text and time, by a witness.
    Cosignature(PublicKey),
    /// 0x06, which this version keeps and cannot check: it never counts.
    MlDsa(Vec<u8>),
}

/// Why a text is no verifier key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum KeyError {
    #[error("`{text}` is not NAME+ID+KEY")]
    Form { text: String },
    #[error("the key's name cannot be used")]
    Name(#[from] NameError),
    #[error("the id of key `{name}` is {want}, not `{got}`")]
    Id { name: Name, got: String, want: KeyId },
    #[error("key `{name}` has signature type {kind:#04x}")]
    Kind { name: Name, kind: u8 },
    #[error("key `{name}` is not a sound Ed25519 key")]
    Weak { name: Name },
}

impl KeyError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Form { .. } | Self::Name(_) => {
                "a verifier key such as `example.com/log+0a1b2c3d+AQ…`, copied as a whole"
            }
            Self::Id { .. } => "name and key do not belong together: copy the line again",
            Self::Kind { .. } => {
                "known are 0x01 (log), 0x04 (witness) and 0x06 (kept, not checked)"
            }
            Self::Weak { .. } => "ask the owner for a new key: anybody could sign for this one",
        }
    }
}

/// The public half as verifiers are configured with it (a "vkey").
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: Name,
    id: KeyId,
    material: Material,
}

impl VerifierKey {
    fn new(name: Name, material: Material) -> Self {
        let (kind, bytes) = encoded(&material);
        let id = KeyId::of(&name, kind, &bytes);
        Self { name, id, material }
    }

    /// Returns the key that checks a log's own signatures.
    pub fn log(name: Name, key: PublicKey) -> Self {
        Self::new(name, Material::Ed25519(key))
    }

    /// Returns the key that checks a witness's cosignatures.
    pub fn witness(name: Name, key: PublicKey) -> Self {
        Self::new(name, Material::Cosignature(key))
    }

    /// Returns the name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the bytes of the key without its type: equal bytes are one key under any name.
    pub fn key_bytes(&self) -> Vec<u8> {
        encoded(&self.material).1
    }

    /// Says whether the key is of a type in which a log signs.
    pub fn signs_checkpoints(&self) -> bool {
        !matches!(self.material, Material::Cosignature(_))
    }

    /// Says whether the key is of a type in which a witness signs.
    pub fn cosigns(&self) -> bool {
        !matches!(self.material, Material::Ed25519(_))
    }

    /// Returns the key under the name of a log that this one signs: of its own, or of a shard of it,
    /// whose name is this one's with a slash and a year, or a year and a number, behind it.
    pub fn of_log(&self, origin: &Name) -> Option<Self> {
        if self.name == *origin {
            return Some(self.clone());
        }
        let shard = origin.as_str().strip_prefix(self.name.as_str())?.strip_prefix('/')?;
        let (year, part) = shard.split_once('-').unwrap_or((shard, "2"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let sound = year.len() == 4 && digits(year, 4) && digits(part, 5);
        sound.then(|| Self::new(origin.clone(), self.material.clone()))
    }

    /// Says whether the line claims to be by this key.
    pub fn matches(&self, line: &SignatureLine) -> bool {
        line.id == self.id && line.name == self.name
    }

    /// Checks a line that claims to be by this key; returns the time it was signed at, if it has
    /// one, or `None` when the signature does not fit or cannot be checked by this version.
    pub fn check(&self, text: &str, line: &SignatureLine) -> Option<Signed> {
        match &self.material {
            Material::Ed25519(key) => {
                let signature: [u8; SIGNATURE_BYTES] = line.signature.as_slice().try_into().ok()?;
                key.verify(text.as_bytes(), &signature).ok()?;
                Some(Signed { time_s: None })
            }
            Material::Cosignature(key) => {
                let timed: &[u8; TIMED_BYTES] = line.signature.as_slice().try_into().ok()?;
                let (time, signature) = timed.split_first_chunk::<8>()?;
                let time_s = u64::from_be_bytes(*time);
                let signature: [u8; SIGNATURE_BYTES] = signature.try_into().ok()?;
                if time_s > MOST {
                    return None;
                }
                key.verify(cosigned(time_s, text).as_bytes(), &signature).ok()?;
                Some(Signed { time_s: Some(time_s) })
            }
            Material::MlDsa(_) => None,
        }
    }

    /// Says whether this version can check the key's signatures at all.
    pub fn is_checkable(&self) -> bool {
        !matches!(self.material, Material::MlDsa(_))
    }
}

/// A signature that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// When a witness signed, in seconds since 1970; a log's own signature has no time.
    pub time_s: Option<u64>,
}

fn encoded(material: &Material) -> (u8, Vec<u8>) {
    match material {
        Material::Ed25519(key) => (ED25519, key.to_bytes().to_vec()),
        Material::Cosignature(key) => (COSIGNATURE, key.to_bytes().to_vec()),
        Material::MlDsa(bytes) => (ML_DSA, bytes.clone()),
    }
}

/// What a witness signs under type 0x04.
fn cosigned(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = encoded(&self.material);
        write!(f, "{}+{}+{}", self.name, self.id, base64(&[&[kind], bytes.as_slice()].concat()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({}+{})", self.name, self.id)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let form = || KeyError::Form { text: excerpt(text) };
        if text.len() > VKEY_BYTES {
            return Err(form());
        }
        let mut parts = text.splitn(3, '+'); // base64 may hold more of them
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let name = Name::new(name)?;
        let bytes = unbase64(key).ok_or_else(form)?;
        let (kind, bytes) = bytes.split_first().ok_or_else(form)?;
        let ed25519 = || {
            let bytes: [u8; 32] = bytes.try_into().map_err(|_| form())?;
            PublicKey::from_bytes(&bytes).map_err(|_| KeyError::Weak { name: name.clone() })
        };
        let material = match *kind {
            ED25519 => Material::Ed25519(ed25519()?),
            COSIGNATURE => Material::Cosignature(ed25519()?),
            ML_DSA if bytes.len() == ML_DSA_BYTES => Material::MlDsa(bytes.to_vec()),
            kind => return Err(KeyError::Kind { name, kind }),
        };
        let key = Self::new(name, material);
        if key.id.to_string() == id {
            Ok(key)
        } else {
            Err(KeyError::Id { name: key.name, got: excerpt(id), want: key.id })
        }
    }
}

/// What a log signs its checkpoints with.
#[derive(Clone, Debug)]
pub struct LogSigner {
    verifier: VerifierKey,
    secret: SecretKey,
}

impl LogSigner {
    /// Returns the signer of a log; its name is the log's origin.
    pub fn new(origin: Name, secret: SecretKey) -> Self {
        Self { verifier: VerifierKey::log(origin, secret.public()), secret }
    }

    /// Returns the public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs the text of a note.
    pub fn sign(&self, text: &str) -> SignatureLine {
        let signature = self.secret.sign(text.as_bytes()).to_vec();
        let VerifierKey { name, id, .. } = &self.verifier;
        SignatureLine { name: name.clone(), id: *id, signature }
    }
}

/// What a witness cosigns with.
#[derive(Clone, Debug)]
pub struct Cosigner {
    verifier: VerifierKey,
    secret: SecretKey,
}

impl Cosigner {
    /// Returns the cosigner of that name. A key serves one name only: the signature does not
    /// hold it.
    pub fn new(name: Name, secret: SecretKey) -> Self {
        Self { verifier: VerifierKey::witness(name, secret.public()), secret }
    }

    /// Returns the public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs the text of a checkpoint with the time.
    pub fn sign(&self, time_s: u64, text: &str) -> SignatureLine {
        let mut signature = time_s.to_be_bytes().to_vec();
        signature.extend_from_slice(&self.secret.sign(cosigned(time_s, text).as_bytes()));
        let VerifierKey { name, id, .. } = &self.verifier;
        SignatureLine { name: name.clone(), id: *id, signature }
    }
}
