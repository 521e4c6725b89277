//! Audio in: what a clip is, how long, how loud, and whether it may be used.
//!
//! Streams from disk and keeps only blocks in memory. Leaves playing to `device`, storing to
//! `app`. Invariants: nothing here panics on any bytes; a codec that is not decoded here is
//! refused by its name and never read as another one; duration comes from decoded samples.

pub mod convert;
pub mod decode;
pub mod identify;
pub mod inspect;
mod measure;
mod refusal;
mod true_peak;

pub use inspect::{Inspection, Limits, inspect};
pub use refusal::Refusal;
