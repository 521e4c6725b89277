//! Ed25519, strictly.
//!
//! # Why not `verify_strict`
//! It says the same and takes a fifth longer: it unpacks `R` to see whether its order is small.
//! Here the plain check comes first, which accepts `R` only as the one canonical text of a point;
//! of small order are eight such texts, and these are compared. Keys of small order are refused
//! when they are read. A test holds both against each other.

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

/// The canonical encodings of points of small order, without the sign bit.
const SMALL: [[u8; 32]; 5] = [
    first(1),
    first(0),
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn first(byte: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = byte;
    bytes
}

/// Reads the 32 bytes of a key; refuses what is no point, not canonical or of small order.
pub fn key(bytes: &[u8]) -> Option<VerifyingKey> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    // y ≥ 2^255 − 19 is a second spelling of a small y.
    let high = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff);
    if high && bytes[0] >= 0xed {
        return None;
    }
    VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())
}

/// Says whether a key, which [`key`] has read, signed the message.
pub fn is_by(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    let mut point = *signature.r_bytes();
    point[31] &= 0x7f;
    key.verify(message, signature).is_ok() && !SMALL.contains(&point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    #[test]
    fn every_point_of_small_order_is_refused_as_a_key() {
        for small in SMALL {
            for sign in [0, 0x80] {
                let mut bytes = small;
                bytes[31] |= sign;
                assert!(key(&bytes).is_none(), "{bytes:?}");
            }
        }
        let mut second_spelling = [0xff; 32];
        (second_spelling[0], second_spelling[31]) = (0xee, 0x7f);
        assert!(key(&second_spelling).is_none());
    }

    #[test]
    fn a_small_r_with_a_scalar_of_zero_is_refused_for_any_key() {
        // R of small order and s = 0 is what a forger tries with a weak key.
        let weak = VerifyingKey::from_bytes(&first(1)).unwrap();
        for small in SMALL {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&small);
            let signature = Signature::from_bytes(&bytes);
            assert!(!is_by(&weak, b"anything", &signature));
        }
        let mut identity = [0; 64];
        identity[0] = 1;
        let forged = Signature::from_bytes(&identity);
        assert!(weak.verify(b"anything", &forged).is_ok(), "the plain check is taken in");
    }

    proptest! {
        #[test]
        fn it_says_what_the_strict_check_says(
            seed: [u8; 32], message: Vec<u8>, flips in proptest::collection::vec(0_usize..512, 0..3),
            small in proptest::option::of((0_usize..5, any::<bool>())),
        ) {
            let secret = SigningKey::from_bytes(&seed);
            let mut bytes = secret.sign(&message).to_bytes();
            for flip in flips {
                bytes[flip / 8] ^= 1 << (flip % 8);
            }
            if let Some((which, sign)) = small {
                bytes[..32].copy_from_slice(&SMALL[which]);
                bytes[31] |= u8::from(sign) << 7;
            }
            let (key, signature) = (secret.verifying_key(), Signature::from_bytes(&bytes));
            let strict = key.verify_strict(&message, &signature).is_ok();
            prop_assert_eq!(is_by(&key, &message, &signature), strict);
        }
    }
}
