//! The strict reader of JSON that every document passes first.
//!
//! Invariants: UTF-8 without byte order mark; nothing after the value; no member twice in an
//! object, at any level (serde would let flattened ones pass); nesting and size bounded; numbers
//! are whole and within ±(2^53 − 1). Unknown members are ignored by the types, not here.

use super::limits;
use super::refusal::{Refusal, shorten};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use std::collections::BTreeSet;
use std::fmt;

/// Reads a document of at most `max` bytes.
pub fn read<T: DeserializeOwned>(
    bytes: &[u8],
    what: &'static str,
    max: usize,
) -> Result<T, Refusal> {
    let text = check(bytes, what, max)?;
    typed(text)
}

/// Checks a document of at most `max` bytes without giving it a type.
pub fn check<'a>(bytes: &'a [u8], what: &'static str, max: usize) -> Result<&'a str, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    Refusal::limit(what, bytes.len(), max)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Refusal::Json { at: e.valid_up_to(), why: "not UTF-8".to_owned() })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|e| Refusal::Json { at: offset(text, &e), why: words(&e) })?;
    Ok(text)
}

/// Gives a checked text its type.
pub(crate) fn typed<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|e| Refusal::Member { why: words(&e) })
}

fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize =
        text.split('\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    (before + error.column().saturating_sub(1)).min(text.len())
}

/// The error without the place, which stands beside it, and without the peer's long texts.
fn words(error: &serde_json::Error) -> String {
    let full = error.to_string();
    let short = full.rsplit_once(" at line ").map_or(full.as_str(), |(words, _)| words);
    shorten(short)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<(), E> {
        if n.unsigned_abs() > limits::INTEGER.unsigned_abs() {
            return Err(E::custom("a number beyond 2^53 - 1"));
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<(), E> {
        if n > limits::INTEGER.unsigned_abs() {
            return Err(E::custom("a number beyond 2^53 - 1"));
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("a number that is not whole"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(twice) = seen.replace(name) {
                return Err(A::Error::custom(format_args!(
                    "member `{}` stands twice",
                    shorten(&twice)
                )));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &[u8]) -> &'static str {
        match check(text, "bytes", 200) {
            Ok(_) => "accepted",
            Err(refusal) => refusal.reason(),
        }
    }

    #[test]
    fn what_every_reader_understands_alike_is_accepted() {
        for good in [
            r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#,
            " [ true , null , \"Th\u{f4}n\" ] \n",
            "9007199254740991",
            "-9007199254740991",
            "\"\\u1ea1\"",
        ] {
            assert_eq!(reason(good.as_bytes()), "accepted", "{good}");
        }
    }

    #[test]
    fn what_readers_understand_differently_is_refused() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":[{"x":{"a":1,"a":2}}]}"#,
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551616",
            "1.0",
            "1e3",
            "-0",
            "01",
            "NaN",
            "\u{feff}{}",
            "{} {}",
            "{\"a\":1,}",
            r#""\ud800""#,
            "\"\t\"",
            "[1",
        ] {
            assert_eq!(reason(bad.as_bytes()), "json", "{bad}");
        }
        assert_eq!(reason(b"\"\xff\""), "json");
        assert_eq!(reason(b""), "empty");
        assert_eq!(reason(&[b' '; 201]), "limit");
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(reason(nested(limits::JSON_DEPTH).as_bytes()), "accepted");
        assert_eq!(reason(nested(limits::JSON_DEPTH + 1).as_bytes()), "json");
        assert_eq!(reason(&[b'['; 200]), "json");
    }

    #[test]
    fn an_error_names_the_place_and_keeps_the_peers_text_short() {
        let Err(Refusal::Json { at, why }) = check(b"{\n\"a\":1,\n\"a\":2}", "bytes", 200) else {
            panic!("accepted");
        };
        assert!((9..=13).contains(&at), "{at}");
        assert_eq!(why, "member `a` stands twice");
        let long = format!(r#"{{"{0}":1,"{0}":2}}"#, "x".repeat(5_000));
        let Err(refusal) = check(long.as_bytes(), "bytes", 20_000) else { panic!("accepted") };
        assert!(refusal.to_string().len() < 300);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, "bytes", 200);
        }

        #[test]
        fn no_near_json_panics(text in "[\\[\\]{}\",:0-9a\\\\u. \\-e\n]{0,60}") {
            let _ = check(text.as_bytes(), "bytes", 200);
        }
    }
}
