//! From lines on `r/{p}/{device}` to durable records and a signed receipt.

use super::publish::Publication;
use crate::domain::ids::DeviceId;
use bytes::Bytes;

/// A batch as it came from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The device of the topic.
    pub device: DeviceId,
    /// One compact JWS a line, oldest first.
    pub lines: Bytes,
}

/// What became of the batches taken in together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Receipts (retained) and `resend` commands (not retained) to publish.
    pub publications: Vec<Publication>,
    pub tally: Tally,
}

/// Counts for metrics and page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: u64,
    /// New records stored.
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub rejects: u64,
    /// Too far beyond a gap, neither kept nor acknowledged: the device sends them again.
    pub deferred: u64,
}
