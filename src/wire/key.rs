//! Ed25519 keys and their names.
//!
//! Invariants: a [`PublicKey`] is a canonical point that is not of small order; a [`SecretKey`]
//! never shows its bytes in `Debug` and wipes them when dropped; randomness comes from outside.

use super::b64;
use super::refusal::Refusal;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The name of a key: its RFC 7638 thumbprint (SHA-256), 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kid(pub [u8; 32]);

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64::encode(&self.0))
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a key's thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key thumbprint of 43 base64url characters")]
pub struct KidError;

impl FromStr for Kid {
    type Err = KidError;
    fn from_str(text: &str) -> Result<Self, KidError> {
        b64::decode_exact(text).map(Self).ok_or(KidError)
    }
}

impl TryFrom<String> for Kid {
    type Error = KidError;
    fn try_from(text: String) -> Result<Self, KidError> {
        text.parse()
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> String {
        kid.to_string()
    }
}

/// The public half, on the wire a JWK (`kty`, `crv`, `x`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct PublicKey(VerifyingKey);

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
}

impl PublicKey {
    /// Checks the 32 bytes; refuses what is no point, not canonical or of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        // y ≥ p = 2^255 − 19 is a second spelling of a small y.
        let high = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff);
        if high && bytes[0] >= 0xed {
            return Err(Refusal::WeakKey);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| Refusal::WeakKey)?;
        if key.is_weak() { Err(Refusal::WeakKey) } else { Ok(Self(key)) }
    }

    /// Returns the 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Returns the name of the key.
    pub fn kid(&self) -> Kid {
        let jwk =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64::encode(self.0.as_bytes()));
        Kid(Sha256::digest(jwk.as_bytes()).into())
    }

    /// Checks a signature strictly (no small-order parts, canonical scalar).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Refusal> {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| Refusal::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kid())
    }
}

impl TryFrom<Jwk> for PublicKey {
    type Error = Refusal;
    fn try_from(jwk: Jwk) -> Result<Self, Refusal> {
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return Err(Refusal::WeakKey);
        }
        let bytes = b64::decode_exact(&jwk.x).ok_or(Refusal::WeakKey)?;
        Self::from_bytes(&bytes)
    }
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        let x = b64::encode(key.0.as_bytes());
        Self { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), x }
    }
}

/// The secret half. `ed25519-dalek` wipes it when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key of a 32-byte seed; the caller draws it from the system's randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the seed, for a file that only its owner can read.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Returns the name of the key.
    pub fn kid(&self) -> Kid {
        self.public().kid()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, secret)", self.kid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_is_the_thumbprint_of_rfc_8037() {
        let x = b64::decode_exact("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey::from_bytes(&x).unwrap();
        assert_eq!(key.kid().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn keys_that_verify_anything_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut order_4 = [0; 32];
        order_4[31] = 0x80;
        let mut non_canonical = [0xff; 32];
        non_canonical[31] = 0x7f;
        let order_8 = b64::decode_exact("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o").unwrap();
        for weak in [identity, [0; 32], order_4, non_canonical, order_8] {
            assert_eq!(PublicKey::from_bytes(&weak), Err(Refusal::WeakKey), "{weak:?}");
        }
    }

    #[test]
    fn a_public_key_on_the_wire_is_a_jwk_and_nothing_else() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), key);
        for bad in [
            text.replace("OKP", "EC"),
            text.replace("Ed25519", "X25519"),
            text.replace("\"}", "=\"}"),
            text.replace("\"x\"", "\"y\""),
        ] {
            assert!(serde_json::from_str::<PublicKey>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let key = SecretKey::from_seed(&[7; 32]);
        let shown = format!("{key:?}");
        assert!(!shown.contains(&b64::encode(&[7; 32])) && !shown.contains("7, 7"), "{shown}");
        assert!(shown.contains(&key.kid().to_string()));
    }
}
