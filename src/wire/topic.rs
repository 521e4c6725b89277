//! Topics: built and read in one place, under a configurable prefix.

use super::limits;
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{DeviceId, Digest, FeedId, UnitId};
use std::fmt;

/// A topic of the contract, without its prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "members are named by the contract: sha256, n, unit")]
pub enum Topic {
    /// The chain of key epochs.
    Keys,
    /// Presence of the server.
    Server,
    /// The server's marker, published last.
    Epoch,
    /// A device's timetable.
    Timetable(DeviceId),
    /// A device's quiet floor.
    Floor(DeviceId),
    /// The devices behind a gateway.
    Behind(DeviceId),
    /// An order to a device.
    Command(DeviceId),
    /// The time for a device that asked.
    Time(DeviceId),
    /// What of a device's records is durable.
    Receipt(DeviceId),
    /// What a device says about itself.
    State(DeviceId),
    /// A day sheet.
    Sheet(Digest),
    /// Chunk `n` of an asset.
    Chunk { sha256: Digest, size: ChunkSize, n: u32 },
    /// The chunk hashes of an asset.
    Sums { sha256: Digest, size: ChunkSize },
    /// Records of a device; the partition follows from the id.
    Records(DeviceId),
    /// An urgent notice or drill, `id` its `jti`; later its withdrawal.
    Urgent { unit: UnitId, id: String },
    /// The hold of a unit.
    Hold(UnitId),
    /// A value for boards.
    Feed(FeedId),
}

/// A prefix that cannot stand before topics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{prefix}` is not a topic prefix")]
#[expect(missing_docs, reason = "the message says it")]
pub struct PrefixError {
    pub prefix: String,
}

impl PrefixError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "1 to 64 of a-z, 0-9 and -, levels parted by /, none empty: `loa/1`"
    }
}

/// Topics under one prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topics {
    prefix: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self { prefix: "loa/1".to_owned() }
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}

impl Topics {
    /// Checks the prefix; refuses wildcards, empty levels and `$`.
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let word = |level: &str| {
            !level.is_empty()
                && level.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if prefix.len() <= limits::PREFIX_BYTES && prefix.split('/').all(word) {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(PrefixError { prefix: super::refusal::shorten(prefix) })
        }
    }

    /// Returns the prefix, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Writes a topic.
    pub fn of(&self, topic: &Topic) -> String {
        let prefix = &self.prefix;
        match topic {
            Topic::Keys => format!("{prefix}/keys"),
            Topic::Server => format!("{prefix}/server"),
            Topic::Epoch => format!("{prefix}/epoch"),
            Topic::Timetable(device) => format!("{prefix}/d/{device}/timetable"),
            Topic::Floor(device) => format!("{prefix}/d/{device}/floor"),
            Topic::Behind(device) => format!("{prefix}/d/{device}/behind"),
            Topic::Command(device) => format!("{prefix}/d/{device}/command"),
            Topic::Time(device) => format!("{prefix}/d/{device}/time"),
            Topic::Receipt(device) => format!("{prefix}/d/{device}/receipt"),
            Topic::State(device) => format!("{prefix}/d/{device}/state"),
            Topic::Sheet(sha256) => format!("{prefix}/s/{sha256}"),
            Topic::Chunk { sha256, size, n } => format!("{prefix}/a/{sha256}/{}/{n}", size.kib()),
            Topic::Sums { sha256, size } => format!("{prefix}/a/{sha256}/{}/sums", size.kib()),
            Topic::Records(device) => format!("{prefix}/r/{}/{device}", partition(device)),
            Topic::Urgent { unit, id } => format!("{prefix}/u/{unit}/urgent/{id}"),
            Topic::Hold(unit) => format!("{prefix}/u/{unit}/hold"),
            Topic::Feed(feed) => format!("{prefix}/f/{feed}"),
        }
    }

    /// Reads a topic; `None` when it is none of the contract under this prefix, or not spelled
    /// in the one right way.
    pub fn parse(&self, text: &str) -> Option<Topic> {
        if text.len() > limits::TOPIC_BYTES {
            return None;
        }
        let rest = text.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let levels: Vec<&str> = rest.split('/').collect();
        match levels.as_slice() {
            ["keys"] => Some(Topic::Keys),
            ["server"] => Some(Topic::Server),
            ["epoch"] => Some(Topic::Epoch),
            ["d", device, kind] => {
                let device = device.parse().ok()?;
                Some(match *kind {
                    "timetable" => Topic::Timetable(device),
                    "floor" => Topic::Floor(device),
                    "behind" => Topic::Behind(device),
                    "command" => Topic::Command(device),
                    "time" => Topic::Time(device),
                    "receipt" => Topic::Receipt(device),
                    "state" => Topic::State(device),
                    _ => return None,
                })
            }
            ["s", sha256] => Some(Topic::Sheet(sha256.parse().ok()?)),
            ["a", sha256, kib, last] => {
                let sha256 = sha256.parse().ok()?;
                let size = number(kib).and_then(ChunkSize::from_kib)?;
                if *last == "sums" {
                    return Some(Topic::Sums { sha256, size });
                }
                let n = number(last).filter(|n| u64::from(*n) < limits::CHUNKS)?;
                Some(Topic::Chunk { sha256, size, n })
            }
            ["r", p, device] => {
                let device: DeviceId = device.parse().ok()?;
                let mut digit = [0; 4];
                (*p == partition(&device).encode_utf8(&mut digit)).then_some(Topic::Records(device))
            }
            ["u", unit, "urgent", id] => {
                Some(Topic::Urgent { unit: unit.parse().ok()?, id: word(id)? })
            }
            ["u", unit, "hold"] => Some(Topic::Hold(unit.parse().ok()?)),
            ["f", feed] => Some(Topic::Feed(feed.parse().ok()?)),
            _ => None,
        }
    }

    /// Returns the filter for the records of one partition, or of all.
    pub fn records_filter(&self, partition: Option<char>) -> String {
        match partition {
            Some(p) => format!("{}/r/{p}/+", self.prefix),
            None => format!("{}/r/+/+", self.prefix),
        }
    }

    /// Returns the filter for the states of all devices.
    pub fn states_filter(&self) -> String {
        format!("{}/d/+/state", self.prefix)
    }

    /// Returns the filter for the urgent notices of a unit.
    pub fn urgent_filter(&self, unit: &UnitId) -> String {
        format!("{}/u/{unit}/urgent/+", self.prefix)
    }
}

/// Returns the first hexadecimal digit of SHA-256(device id): up to 16 servers share the work.
pub fn partition(device: &DeviceId) -> char {
    let first = Digest::of(device.as_str().as_bytes()).0[0] >> 4;
    char::from_digit(u32::from(first), 16).unwrap_or('0')
}

fn number(text: &str) -> Option<u32> {
    let n: u32 = text.parse().ok()?;
    (n.to_string() == text).then_some(n) // no sign, no leading zero
}

fn word(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (!text.is_empty() && text.len() <= limits::WORD_BYTES && text.bytes().all(plain))
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Vec<Topic> {
        let device = || DeviceId::new("loa-thon-1").unwrap();
        let unit: UnitId = "00070-thon3".parse().unwrap();
        let sha256 = Digest::of(b"x");
        vec![
            Topic::Keys,
            Topic::Server,
            Topic::Epoch,
            Topic::Timetable(device()),
            Topic::Floor(device()),
            Topic::Command(device()),
            Topic::Time(device()),
            Topic::Receipt(device()),
            Topic::State(device()),
            Topic::Sheet(sha256),
            Topic::Chunk { sha256, size: ChunkSize::Kib64, n: 0 },
            Topic::Chunk { sha256, size: ChunkSize::Kib16, n: 4_095 },
            Topic::Sums { sha256, size: ChunkSize::Kib64 },
            Topic::Records(device()),
            Topic::Urgent { unit: unit.clone(), id: "a_B-9".to_owned() },
            Topic::Hold(unit),
            Topic::Feed("nhiet-do".parse().unwrap()),
        ]
    }

    #[test]
    fn what_is_built_is_read_under_any_prefix() {
        for prefix in ["loa/1", "x", "tinh/01/loa/1"] {
            let topics = Topics::new(prefix).unwrap();
            for topic in all() {
                let text = topics.of(&topic);
                assert_eq!(topics.parse(&text), Some(topic), "{text}");
                assert_eq!(Topics::new("other").unwrap().parse(&text), None);
            }
        }
    }

    #[test]
    fn other_spellings_are_no_topics() {
        let topics = Topics::default();
        let sha = Digest::of(b"x");
        for bad in [
            "loa/1/keys/".to_owned(),
            "loa/1//keys".to_owned(),
            "/loa/1/keys".to_owned(),
            "loa/1/d/+/state".to_owned(),
            "loa/1/d/LOA/state".to_owned(),
            format!("loa/1/a/{sha}/48/0"),
            format!("loa/1/a/{sha}/64/00"),
            format!("loa/1/a/{sha}/64/+1"),
            format!("loa/1/a/{sha}/64/4096"),
            format!("loa/1/s/{}", sha.to_string().to_uppercase()),
            "loa/1/u/00070/urgent/#".to_owned(),
            "loa/1/u/00070/urgent/".to_owned(),
        ] {
            assert_eq!(topics.parse(&bad), None, "{bad}");
        }
        let device = DeviceId::new("loa-thon-1").unwrap();
        let right = partition(&device);
        for p in "0123456789abcdef".chars() {
            let text = format!("loa/1/r/{p}/{device}");
            assert_eq!(topics.parse(&text).is_some(), p == right, "{text}");
        }
    }

    #[test]
    fn prefixes_with_wildcards_or_empty_levels_are_refused() {
        for bad in ["", "/", "loa/", "/loa", "loa//1", "+", "loa/#", "$SYS", "Loa", "a b"] {
            assert!(Topics::new(bad).is_err(), "{bad}");
        }
        assert!(Topics::new(&"x".repeat(65)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_built_alike(text in "(loa/1/)?[a-z0-9/+#-]{0,90}") {
            let topics = Topics::default();
            if let Some(topic) = topics.parse(&text) {
                prop_assert_eq!(topics.of(&topic), text);
            }
        }
    }
}
