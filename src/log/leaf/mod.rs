//! Leaves: what the log holds, byte for byte.
//!
//! A leaf is `format byte ‖ time of receipt (milliseconds, 64 bits, big-endian) ‖ content`. The
//! content of a record is its compact JWS exactly as received, never serialised again; that of the
//! server's own leaves is JSON, see [`ServerLeaf`]. The format byte leaves room for other
//! envelopes.
//!
//! # Invariants
//! * A [`Leaf`] can be logged: its format is known, its time representable, its content within
//!   [`CONTENT_BYTES`].
//! * Equal leaves are equal bytes; a leaf is made once, stored, and logged as stored.

mod server;

pub use server::{
    Channel, LeafHead, LeafPlace, Manual, NoticeKind, ServerBody, ServerLeaf, ServerLeafError,
};

use crate::domain::time::UtcMs;

/// Bytes of the longest content: a record as long as the contract allows.
pub const CONTENT_BYTES: usize = 8_192;
/// Bytes before the content.
pub const HEAD_BYTES: usize = 9;

/// What the content of a leaf is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A device's record as it came from the broker: a compact JWS.
    Record,
    /// The server's own statement: JSON.
    Server,
    /// A device's record as it came out of a file (`loa records import`): a compact JWS.
    Imported,
}

impl Format {
    fn byte(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Server => 2,
            Self::Imported => 3,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Record, Self::Server, Self::Imported].into_iter().find(|f| f.byte() == byte)
    }
}

/// Why bytes are no leaf, or content makes none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    #[error("a leaf of {got} bytes has no head")]
    Short { got: usize },
    #[error("leaf format {byte} is unknown")]
    Format { byte: u8 },
    #[error("time of receipt {ms} ms is out of range")]
    Time { ms: i128 },
    #[error("the content has {got} bytes, at most {CONTENT_BYTES} are logged")]
    Long { got: usize },
    #[error("the content is empty")]
    Empty,
}

impl LeafError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Format { .. } => "a newer version wrote this log: read it with that version",
            Self::Long { .. } => "log the SHA-256 of so long a text instead of the text",
            Self::Time { .. } => "check the server's clock",
            _ => "the log or the store is damaged: compare with a backup",
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    bytes: Vec<u8>,
    format: Format,
    received_ms: UtcMs,
}

impl Leaf {
    fn new(format: Format, received_ms: UtcMs, content: &[u8]) -> Result<Self, LeafError> {
        check(content)?;
        let ms = u64::try_from(received_ms.0)
            .ok()
            .filter(|_| received_ms <= UtcMs::MAX)
            .ok_or(LeafError::Time { ms: received_ms.0.into() })?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len());
        bytes.push(format.byte());
        bytes.extend_from_slice(&ms.to_be_bytes());
        bytes.extend_from_slice(content);
        Ok(Self { bytes, format, received_ms })
    }

    /// Returns the leaf of a record that came from its device.
    pub fn record(received_ms: UtcMs, jws: &str) -> Result<Self, LeafError> {
        Self::new(Format::Record, received_ms, jws.as_bytes())
    }

    /// Returns the leaf of a record that came out of a file.
    pub fn imported(received_ms: UtcMs, jws: &str) -> Result<Self, LeafError> {
        Self::new(Format::Imported, received_ms, jws.as_bytes())
    }

    /// Returns the leaf of a statement of the server.
    pub fn server(at_ms: UtcMs, statement: &ServerBody) -> Result<Self, ServerLeafError> {
        let content = ServerLeaf::write(statement)?;
        Self::new(Format::Server, at_ms, &content).map_err(ServerLeafError::Leaf)
    }

    /// Reads a leaf as it was stored or logged.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, LeafError> {
        let short = LeafError::Short { got: bytes.len() };
        let Some(([format, ms @ ..], content)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Err(short);
        };
        let format = Format::of(*format).ok_or(LeafError::Format { byte: *format })?;
        check(content)?;
        let ms = u64::from_be_bytes(*ms);
        let received_ms = i64::try_from(ms)
            .ok()
            .map(UtcMs)
            .filter(|at| *at <= UtcMs::MAX)
            .ok_or(LeafError::Time { ms: ms.into() })?;
        Ok(Self { bytes, format, received_ms })
    }

    /// Returns the bytes that are logged.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns what the content is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns when the server received or made it.
    pub fn received_ms(&self) -> UtcMs {
        self.received_ms
    }

    /// Returns the content: the exact envelope of a record, or JSON of the server.
    pub fn content(&self) -> &[u8] {
        self.bytes.get(HEAD_BYTES..).unwrap_or(&[])
    }

    /// Reads the server's statement; `None` when the leaf is a record.
    pub fn statement(&self) -> Option<Result<ServerLeaf, ServerLeafError>> {
        (self.format == Format::Server).then(|| ServerLeaf::read(self.content()))
    }

    /// Says whether a shard may begin with it: it names what came before.
    pub fn begins_a_shard(&self) -> bool {
        matches!(
            self.statement(),
            Some(Ok(ServerLeaf {
                body: ServerBody::Shard { .. } | ServerBody::Restored { .. },
                ..
            }))
        )
    }
}

fn check(content: &[u8]) -> Result<(), LeafError> {
    match content.len() {
        0 => Err(LeafError::Empty),
        got if got > CONTENT_BYTES => Err(LeafError::Long { got }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
