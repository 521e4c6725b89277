//! Foreign devices by a profile, without code: what their dialect is, and the machine that
//! speaks it.
//!
//! Pure: no network, no clock, no files. `config::dialect` reads a [`model::Dialect`] from a
//! profile and notes every fault; [`machine::Device`] drives one device by events and actions.
//!
//! # Parts
//! | Module | Holds |
//! |---|---|
//! | [`model`] | the twelve groups of a dialect, compiled |
//! | [`template`], [`render`], [`scale`], [`field`] | payloads: fixed text and placeholders, bounded |
//! | [`matching`] | pointer, comparison, capture: what an answer means |
//! | [`limits`], [`words`] | what a device takes, and Vietnamese on devices that cannot draw it |
//! | [`machine`] | plays, pages, answers, presence, evidence, pace |
//! | [`pixels`], [`frame`] | DDP, E1.31, Art-Net and WLED packets |
//!
//! # How the gateway wires it
//! For each foreign device one [`machine::Device`] beside the device's ordinary executor:
//! * [`machine::Action::Started`] → the executor's `Started { token, at }`; `Ended` → `Ended` for a
//!   clip, `Passed` for a page, with the grade for the record; `Failed` → `Failed`.
//! * The executor's play becomes [`machine::PlayOrder`]: `end_ms` is the end of the span in which
//!   sound is allowed, `length_ms` the due length; `Halt` becomes `Stop`. A page of a pass becomes
//!   one [`machine::ShowOrder`] with the frame of `raster`; `Blank` becomes `Clear`.
//! * `Evidence` goes to the device's evidence folder under its SHA-256; its grade is reached only
//!   through `Started` and `Ended`.
//! * Instants are those of the monotonic clock in milliseconds. `Wake` replaces the timer.
//! * MQTT: connect, hand over [`machine::Event::Connected`], subscribe as told, pass messages with
//!   their retain flag. TCP and serial: split at the byte of the framing, pass lines. HTTP: pass
//!   the answer, or `None` after `within_ms`; a stop may leave while a request before it hangs.
//! * Orders are handed over at their instant, not ahead: these devices begin when told, and what
//!   sounds before is cut by the order.
//! * Of an answer at most [`matching::MOST_READ`] bytes need to be read.
//!
//! # Invariants
//! * A dialect that came out of the reader makes no message above its limit, whatever the values.
//! * Values are escaped by the place they stand in; a profile cannot forget it.
//! * The bytes of what a device said are kept bounded and hashed whole.

pub mod field;
pub mod frame;
pub mod limits;
pub mod machine;
pub mod matching;
pub mod model;
pub mod pixels;
pub mod render;
pub mod scale;
pub mod template;
mod template_error;
pub mod words;

pub use template_error::TemplateError;

#[cfg(test)]
mod tests;
