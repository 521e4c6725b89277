//! What must hold of any bytes: one function a target, beyond "no panic".
//!
//! Shared by the stable test (`tests/it/fuzz/`) and by cargo-fuzz (`tests/fuzz/cargo-fuzz/`), so
//! only the crate's public API is used. What is accepted is written and read back to the same;
//! what is refused is refused in words, with a place or a value, and briefly.

mod device;
mod pack;
mod station;
mod wire;

/// A body takes any bytes and panics when they break a promise.
pub type Body = fn(&[u8]);

/// All targets by name; the corpus of each lies in the folder of that name.
pub const TARGETS: &[(&str, Body)] = &[
    ("jws", wire::jws),
    ("claims", wire::claims),
    ("keys", wire::keys),
    ("epochs", wire::epochs),
    ("sheet", wire::sheet),
    ("batch", wire::batch),
    ("record", wire::record),
    ("state", wire::state),
    ("code", wire::code),
    ("enrol-request", wire::enrol_request),
    ("enrol-answer", wire::enrol_answer),
    ("topic", wire::topic),
    ("sums", wire::sums),
    ("broker-url", device::broker_url),
    ("frames", device::frames),
    ("audio", device::audio),
    ("playlist", station::playlist),
    ("station", station::station),
    ("policy", station::policy),
    ("calendar", station::calendar),
    ("skips", station::skips),
    ("profile", station::profile),
    ("units", station::units),
    ("devices", station::devices),
    ("cron", station::cron),
    ("pack", pack::pack),
    ("pack-policy", pack::policy),
];

/// Returns the body of a target.
pub fn body(target: &str) -> Option<Body> {
    TARGETS.iter().find(|(name, _)| *name == target).map(|(_, body)| *body)
}
