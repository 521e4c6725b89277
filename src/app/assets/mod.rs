//! Assets on their way to devices: the library on disk, what of it lies on the broker, and who
//! puts it there.
//!
//! The broker's memory is the scarce thing, so a clip lies there only while some device lacks it:
//! [`Shelf`] decides (pure), [`Courier`] publishes over a link, [`Library`] keeps the bytes for
//! good. A device that comes late says what it wants in its state and gets it again.
//!
//! # Invariants
//! * An asset is the untouched bytes of its file, named by their SHA-256; what is in the library
//!   is whole, whatever was killed when.
//! * The chunks of an asset are all acknowledged before its `sums`, and `sums` before anything
//!   that names the asset is published.
//! * At most a window of chunks is unacknowledged, so that other messages of the same link wait
//!   for half a megabyte at most.

mod courier;
mod library;
mod marker;
mod shelf;

pub use courier::{Courier, CourierError};
pub use library::{FileLibrary, Library, LibraryError, MemoryLibrary};
pub use marker::{MarkerWatch, Verdict};
pub use shelf::{Job, Shelf};
