//! Text to pixels, for boards, previews and tests. PURE.
//!
//! One engine decides what a board of our contract shows, so that a panel, a terminal, a preview
//! and an auditor's laptop have the same pixels and [`Frame::hash`] means the same everywhere.
//! It reads no clock and no file: the moment, the values of feeds and the pictures are given
//! ([`Scene`]).
//!
//! ```text
//! Design ─► Template ─► (Scene) ─► layout: NFC, clusters, words, lines ─► Pass ─► Frame ─► encode
//!              fields      values    Face: loa-11, loa-13, unifont, BDF     time     pixels   PNG …
//!                                        └───────────► review: findings with reason and remedy
//! ```
//!
//! | File | Holds |
//! |---|---|
//! | `design`, `template`, `scene` | what a page shall look like, its fields, what fills them |
//! | `layout`, `pass` | lines, and what stands at each moment of one full pass |
//! | `board`, `colour`, `frame` | size, colours, several panels; pixels and what is hashed |
//! | `wiring` | a frame as the bytes that lamps take |
//! | `font`, `face` | BDF in and out, our own fonts, names |
//! | `lunar` | the Vietnamese lunar calendar |
//! | `picture` | PNG within bounds |
//! | `review` | what is wrong with a page, before it is shown |
//! | `encode` | PNG, moving PNG, SVG for people |
//!
//! # Invariants
//! * Drawing never fails and never panics: a board lower than a row of text shows what fits, a
//!   letter that a font lacks is a box; [`review`](review::review) has said so before.
//! * Nothing in a frame depends on floating point (but the day of the lunar calendar, which is
//!   tested through three centuries), on the machine, or on the order of maps.
//!
//! # How a run loop drives a board
//! For each page in turn: `Pass::new(…)`, then `for shown in pass.frames() { output.show(
//! &shown.frame)?; wait shown.hold_ms }`; `pass.first().hash()` is what a `show` record names.
//! At the end of the slot, at a hold or a stop: a dark frame. Showing an equal frame again is
//! harmless.
//!
//! # Why not embedded-graphics and its fonts
//! Its fonts are Latin-1 at most and its text boxes know neither grapheme clusters nor the rules
//! of `layout`; what is left of it would be to set pixels.

pub mod board;
pub mod colour;
pub mod design;
pub mod encode;
pub mod face;
pub mod font;
pub mod frame;
mod layout;
pub mod lunar;
pub mod pass;
pub mod picture;
pub mod review;
pub mod scene;
pub mod template;
pub mod wiring;

pub use board::Board;
pub use colour::Rgb;
pub use design::Design;
pub use face::Faces;
pub use frame::Frame;
pub use pass::{Pass, Shown};
pub use scene::Scene;

#[cfg(test)]
mod tests;
