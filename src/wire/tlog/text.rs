//! Numbers and base64 as the C2SP texts write them: one text for one value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Largest size or index: what a signed 64-bit column of a store keeps (2^63 − 1).
pub const MOST: u64 = i64::MAX as u64;

/// Writes bytes as base64 of RFC 4648 §4, padded.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads padded base64; missing padding, other alphabets and loose trailing bits give `None`.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads exactly `N` bytes of padded base64.
pub fn unbase64_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Longer texts cannot be right, so they are not decoded at all.
    if text.len() != N.div_ceil(3) * 4 {
        return None;
    }
    unbase64(text)?.try_into().ok()
}

/// Reads an ASCII decimal without sign or leading zeros, at most [`MOST`].
pub fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    if !plain || leading {
        return None;
    }
    text.parse().ok().filter(|n| *n <= MOST)
}

/// Shortens a foreign text for a message.
pub fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("9223372036854775807"), Some(MOST));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "x", "9223372036854775808", "١"]
        {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(unbase64("AQ=="), Some(vec![1]));
        for bad in ["AQ", "AR==", "A-==", "AQ==\n", " AQ==", "AQ="] {
            assert_eq!(unbase64(bad), None, "{bad:?}");
        }
        assert_eq!(unbase64_exact::<1>("AQ=="), Some([1]));
        assert_eq!(unbase64_exact::<2>("AQ=="), None);
    }
}
