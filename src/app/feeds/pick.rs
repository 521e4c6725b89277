//! The value in what a source said: JSON by a pointer, or the text as it is.

use crate::domain::feed::{self, Pick};
use crate::domain::time::UtcMs;
use serde_json::Value;

/// Most characters that are looked at of a value.
const MOST_CHARS: usize = 400;

/// What was picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// The value as the source wrote it.
    pub text: String,
    /// When it was measured, where the source says so.
    pub at: Option<UtcMs>,
}

/// Why nothing was picked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    #[error("the answer is not JSON: {why}")]
    Json { why: String },
    #[error("the answer is not text in UTF-8")]
    Text,
    #[error("nothing stands at `{pointer}`")]
    Nothing { pointer: String },
    #[error("{what} stands at `{pointer}`, not a number or a text")]
    Kind { pointer: String, what: &'static str },
    #[error("`{text}` at `{pointer}` is not a moment")]
    Moment { pointer: String, text: String },
    #[error("a value of {length} characters")]
    Long { length: usize },
}

impl PickError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Json { .. } => {
                "see what the address answers; without `pointer` plain text counts"
            }
            Self::Text => "name the value by `pointer`, or see what the source sends",
            Self::Nothing { .. } | Self::Kind { .. } | Self::Long { .. } => {
                "see what the source sends, and let `pointer` name the value in it"
            }
            Self::Moment { .. } => {
                "seconds or milliseconds since 1970, or RFC 3339 with its offset"
            }
        }
    }
}

/// Picks the value out of an answer.
pub fn pick(answer: &[u8], pick: &Pick) -> Result<Picked, PickError> {
    let Some(pointer) = &pick.value else {
        let text = std::str::from_utf8(answer).map_err(|_| PickError::Text)?;
        return Ok(Picked { text: bounded(text.trim())?, at: None });
    };
    let json: Value = serde_json::from_slice(answer)
        .map_err(|error| PickError::Json { why: error.to_string().chars().take(120).collect() })?;
    let text = at(&json, pointer)?;
    let at = match &pick.at {
        None => None,
        Some(pointer) => {
            let text = at(&json, pointer)?;
            let moment = feed::instant(&text);
            Some(moment.ok_or_else(|| PickError::Moment {
                pointer: pointer.clone(),
                text: text.chars().take(40).collect(),
            })?)
        }
    };
    Ok(Picked { text, at })
}

fn at(json: &Value, pointer: &str) -> Result<String, PickError> {
    let kind = |what| PickError::Kind { pointer: pointer.to_owned(), what };
    match json.pointer(pointer) {
        None => Err(PickError::Nothing { pointer: pointer.to_owned() }),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::String(text)) => bounded(text),
        Some(Value::Null) => Err(kind("null")),
        Some(Value::Bool(_)) => Err(kind("true or false")),
        Some(Value::Array(_)) => Err(kind("a list")),
        Some(Value::Object(_)) => Err(kind("an object")),
    }
}

fn bounded(text: &str) -> Result<String, PickError> {
    let length = text.chars().count();
    if length > MOST_CHARS { Err(PickError::Long { length }) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(value: Option<&str>, at: Option<&str>) -> Pick {
        Pick { value: value.map(str::to_owned), at: at.map(str::to_owned) }
    }

    #[test]
    fn the_value_and_its_moment_are_picked_by_their_pointers() {
        let answer = br#"{"tram":[{"muc_nuoc":3.10,"luc":"2027-01-15T15:00:00+07:00"}]}"#;
        let picked = pick(answer, &of(Some("/tram/0/muc_nuoc"), Some("/tram/0/luc"))).unwrap();
        assert_eq!(picked, Picked { text: "3.1".into(), at: Some(UtcMs(1_800_000_000_000)) });
        assert_eq!(pick(" 31,5\n".as_bytes(), &of(None, None)).unwrap().text, "31,5");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let told = |answer: &[u8], value, at| pick(answer, &of(value, at)).unwrap_err().to_string();
        let json = br#"{"a":{"b":null},"c":true,"d":[1],"e":"x","f":1}"#;
        assert_eq!(told(json, Some("/x"), None), "nothing stands at `/x`");
        assert_eq!(
            told(json, Some("/a"), None),
            "an object stands at `/a`, not a number or a text"
        );
        assert_eq!(told(json, Some("/a/b"), None), "null stands at `/a/b`, not a number or a text");
        assert_eq!(
            told(json, Some("/c"), None),
            "true or false stands at `/c`, not a number or a text"
        );
        assert_eq!(told(json, Some("/d"), None), "a list stands at `/d`, not a number or a text");
        assert_eq!(told(json, Some("/f"), Some("/e")), "`x` at `/e` is not a moment");
        assert!(told(b"{", Some("/x"), None).starts_with("the answer is not JSON: "));
        assert_eq!(told(&[0xFF], None, None), "the answer is not text in UTF-8");
        assert_eq!(told(&[b'x'; 401], None, None), "a value of 401 characters");
        let deep = "[".repeat(100_000);
        assert!(told(deep.as_bytes(), Some("/0"), None).contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}", pointer in "(/[a-z0-9~]{0,3}){0,3}") {
            let _ = pick(&bytes, &of(Some(&pointer), Some("/a")));
            let _ = pick(text.as_bytes(), &of(None, None));
            let _ = pick(text.as_bytes(), &of(Some(&pointer), None));
        }
    }
}
