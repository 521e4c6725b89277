//! What runs at the edge: a loudspeaker or a board that plays alone and proves what it did.
//!
//! [`executor`] decides, purely; [`run`] obeys and is the only part that owns clocks, files and a
//! link. [`accept`] and [`orders`] judge what the broker brings, [`trust`] what time it is, [`ledger`] keeps the
//! evidence, [`storage`] and [`fetch`] the assets, `speaker`, `board` and `panel` the outputs;
//! `foreign` drives devices of other makers in an output's place.

pub mod accept;
#[cfg(feature = "board")]
pub mod board;
pub mod disk;
pub mod enrol;
pub mod executor;
pub mod fetch;
pub mod floor;
#[cfg(all(feature = "speaker", feature = "board"))]
pub mod foreign;
pub mod hardware;
pub mod identity;
pub mod ledger;
pub mod orders;
pub mod pace;
#[cfg(feature = "board")]
pub mod panel;
#[cfg(feature = "speaker")]
pub mod player;
pub mod progress;
pub mod props;
pub mod refusals;
pub mod run;
#[cfg(feature = "speaker")]
pub mod speaker;
pub mod storage;
pub mod trust;
pub mod values;
pub mod vouched;
