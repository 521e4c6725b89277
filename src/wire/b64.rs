//! Base64url without padding, canonical only: one text for one sequence of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Writes bytes as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url; padding, other alphabets, white space and loose trailing bits give `None`.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads exactly `N` bytes.
pub fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_text_is_read() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for bad in ["AQ==", "AR", "A", "A+", "A/", " AQ", "AQ\n", "Ạ"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
