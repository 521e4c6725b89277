//! Loa schedules audio clips and board texts for grassroots loudspeakers and LED boards, pushes
//! them over MQTT before they are due, and brings back signed proof of what each device did.
//!
//! # Map
//! Everything that decides is pure ([`domain`], [`wire`]); everything that does is thin.

pub mod app;
pub mod audio;
#[cfg(feature = "embedded-broker")]
pub mod broker;
pub mod clock;
pub mod cmds;
pub mod config;
pub mod device;
pub mod domain;
#[cfg(feature = "server")]
pub mod http;
pub mod lifecycle;
pub mod mqtt;
#[cfg(feature = "board")]
pub mod raster;
#[cfg(feature = "server")]
pub mod store;
pub mod telemetry;
pub mod wire;
