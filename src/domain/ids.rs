//! Names of things, checked when made: an id in a type is a valid id.
//!
//! Invariant: every text id is lower-case ASCII without `/`, `+`, `#`, space or control
//! characters, so it can stand in an MQTT topic, a file name, a URL and a log line as it is.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct IdError {
    pub what: &'static str,
    pub text: String,
    pub hint: &'static str,
}

impl IdError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

fn is_slug(text: &str, min: usize, max: usize) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (min..=max).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || *b == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

fn is_unit(text: &str) -> bool {
    let (code, hamlet) = match text.split_once('-') {
        Some((code, hamlet)) => (code, Some(hamlet)),
        None => (text, None),
    };
    let digits = code.bytes().all(|b| b.is_ascii_digit());
    match hamlet {
        None => digits && matches!(code.len(), 2 | 3 | 5),
        Some(h) => {
            digits
                && code.len() == 5
                && (1..=12).contains(&h.len())
                && h.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $hint:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text; refuses with what a right one looks like.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text: String = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    let text = text.chars().take(80).collect();
                    Err(IdError { what: $what, text, hint: $hint })
                }
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id!(
    /// A device: loudspeaker cluster, LED board or gateway.
    DeviceId, "device id", "3 to 40 of a-z, 0-9 and -, no - at the ends: `loa-thon-1`",
    |t| is_slug(t, 3, 40)
);
text_id!(
    /// An administrative unit: `NN` province, `NNN` historic district, `NNNNN` commune,
    /// `NNNNN-name` hamlet.
    UnitId, "unit id",
    "2 digits (province), 3 (historic district), 5 (commune) or 5 digits, - and up to 12 of a-z, 0-9 (hamlet)",
    is_unit
);
text_id!(
    /// A playlist.
    PlaylistId, "playlist id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A slot, unique in its playlist.
    SlotId, "slot id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// An item, unique in its playlist.
    ItemId, "valid item id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A device profile.
    ProfileId, "profile id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A policy.
    PolicyId, "policy id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A calendar of named dates.
    CalendarId, "calendar id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A person who uses the station, by the short name they log in under.
    PersonId, "person", "1 to 40 of a-z, 0-9 and -, no - at the ends: `nguyen-thi-lan`",
    |t| is_slug(t, 1, 40)
);
text_id!(
    /// An administrative plan whose lines are followed.
    PlanId, "plan id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A line of a plan, unique in its plan.
    LineId, "line id", "1 to 40 of a-z, 0-9 and -, no - at the ends: `ii-1`", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A list of topics.
    TopicListId, "topic list id", "1 to 40 of a-z, 0-9 and -, no - at the ends",
    |t| is_slug(t, 1, 40)
);
text_id!(
    /// An entry of evidence that a person brought.
    EntryId, "valid entry id", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);
text_id!(
    /// A feed: a value for boards that the server reads from elsewhere.
    FeedId, "feed id", "1 to 40 of a-z, 0-9 and -, no - at the ends: `muc-nuoc`",
    |t| is_slug(t, 1, 40)
);
text_id!(
    /// A tag that groups devices across units.
    Tag, "tag", "1 to 40 of a-z, 0-9 and -, no - at the ends", |t| is_slug(t, 1, 40)
);

impl UnitId {
    /// Returns the commune of a hamlet, or `None`; provinces of communes stand in the register,
    /// since the two codes are independent (QĐ 19/2025/QĐ-TTg).
    pub fn commune_of_hamlet(&self) -> Option<UnitId> {
        self.0.split_once('-').map(|(commune, _)| UnitId(commune.to_owned()))
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $hint:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let refuse = || IdError {
                    what: $what,
                    text: text.chars().take(80).collect(),
                    hint: $hint,
                };
                let mut bytes = [0; $bytes];
                if text.len() != 2 * $bytes {
                    return Err(refuse());
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let digit = |c: u8| match c {
                        b'0'..=b'9' => Ok(c - b'0'),
                        b'a'..=b'f' => Ok(c - b'a' + 10),
                        _ => Err(refuse()),
                    };
                    *byte = digit(pair[0])? << 4 | digit(pair[1])?;
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

hex_id!(
    /// SHA-256 of some exact bytes: the name of an asset, a day sheet, a record.
    Digest, 32, "SHA-256", "64 lower-case hexadecimal digits"
);
hex_id!(
    /// A cue: one item of one occurrence. With the device it is the key of all evidence.
    CueId, 16, "cue id", "32 lower-case hexadecimal digits"
);
hex_id!(
    /// One unbroken sequence of records of a device: random, made at enrolment or after loss.
    ChainId, 16, "chain id", "32 lower-case hexadecimal digits"
);

impl Digest {
    /// Returns the SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl CueId {
    /// Derives the id: the first 128 bits of SHA-256 over
    /// `playlist\nslot\nnominal start in ms\nitem\nk`, where `k` says how many-th appearance of
    /// the item in its occurrence this is, from 0. Duration, order and volume do not enter.
    pub fn derive(
        playlist: &PlaylistId,
        slot: &SlotId,
        nominal: super::time::UtcMs,
        item: &ItemId,
        k: u32,
    ) -> Self {
        let text = format!("{playlist}\n{slot}\n{}\n{item}\n{k}", nominal.0);
        let full: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut id = [0; 16];
        id.copy_from_slice(&full[..16]);
        Self(id)
    }
}
