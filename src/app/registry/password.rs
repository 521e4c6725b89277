//! Passwords of devices at the broker, made again whenever a broker must be told them.
//!
//! A broker of somebody else's may lose its accounts, and the register keeps only hashes: were
//! passwords drawn by lot, every device would have to be visited. So they follow from one seed of
//! the data folder, the device's id and its key: HMAC-SHA-256 (RFC 2104), cut to 128 bits.
//!
//! # Invariants
//! * A device that enrols with a new key has a new password.
//! * Nobody without the seed can tell a password from chance; whoever has it also has the keys that
//!   the server signs with, which lie beside it.

use crate::domain::ids::DeviceId;
use crate::wire::b64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// What the passwords of a station's devices follow from.
#[derive(Clone)]
pub struct PasswordSeed(Zeroizing<[u8; 32]>);

impl fmt::Debug for PasswordSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordSeed(..)")
    }
}

impl PasswordSeed {
    /// Takes 32 random bytes.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// Returns the password of a device with the key of that RFC 7638 thumbprint.
    pub fn of_device(&self, device: &DeviceId, kid: &str) -> String {
        self.derive(&["device", device.as_str(), kid])
    }

    /// Returns the password of the server's own account of that name.
    pub fn of_server(&self, user: &str) -> String {
        self.derive(&["server", user])
    }

    fn derive(&self, words: &[&str]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        // No word holds a line feed: ids, thumbprints and user names are checked text.
        mac.update(b"loa broker password");
        for word in words {
            mac.update(b"\n");
            mac.update(word.as_bytes());
        }
        let code = mac.finalize().into_bytes();
        b64::encode(&code[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_has_the_same_password_and_every_other_word_another() {
        let seed = PasswordSeed::new([7; 32]);
        let [one, two]: [DeviceId; 2] = ["loa-1", "loa-2"].map(|id| id.parse().unwrap());
        // Python: base64.urlsafe_b64encode(hmac.new(bytes([7]*32), b"loa broker password\n"
        // b"device\nloa-1\nkid", "sha256").digest()[:16]).rstrip(b"=")
        assert_eq!(seed.of_device(&one, "kid"), "KReG0u3PAJHrEWgKHvnyeQ");
        let all = [
            seed.of_device(&one, "kid"),
            seed.of_device(&one, "kid2"),
            seed.of_device(&two, "kid"),
            seed.of_server("loa.server"),
            PasswordSeed::new([8; 32]).of_device(&one, "kid"),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|word| word.len() == 22));
    }
}
