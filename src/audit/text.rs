//! Numbers, base64 and hexadecimal: one text for one value.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Largest whole number that every JSON reader keeps.
pub const INTEGER: i64 = (1 << 53) - 1;

/// Reads an ASCII decimal without sign or leading zeros, at most 2^63 − 1.
pub fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|n| i64::try_from(*n).is_ok())
}

/// Reads padded base64, canonical only.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads base64url without padding, canonical only.
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Writes base64, padded.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Writes base64url without padding.
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
    }
    Some(bytes)
}

/// Writes lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'a' + n - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Shortens a foreign text for a message; what is not printable is escaped.
pub fn excerpt(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_base64_and_hexadecimal_have_one_spelling() {
        assert_eq!(decimal("9223372036854775807"), Some(i64::MAX.unsigned_abs()));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1\n", "9223372036854775808"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!(base64("AQ=="), Some(vec![1]));
        for bad in ["AQ", "AR==", "A-==", "AQ==\n"] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
        assert_eq!(base64url(b"AQ"), Some(vec![1]));
        assert_eq!((base64url(b"AQ=="), base64url(b"AR")), (None, None));
        assert_eq!(hex::<2>("0aff"), Some([10, 255]));
        for bad in ["0aff0", "0AFF", "0af", "0ag0", "ạb"] {
            assert_eq!(hex::<2>(bad), None, "{bad:?}");
        }
        assert_eq!(hex::<2>(&to_hex(&[1, 254])), Some([1, 254]));
        assert_eq!(excerpt("a\u{1b}[31m"), "a\\u{1b}[31m");
    }
}
