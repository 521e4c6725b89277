//! Loa schedules audio clips and board texts for grassroots loudspeakers and LED boards, pushes
//! them over MQTT before they are due, and brings back signed proof of what each device did.
//!
//! # Map
//! Everything that decides is pure; everything that does is thin.
//!
//! | Room | Holds |
//! |---|---|
//! | [`domain`] | words and rules: recurrence, policy, compile, outcomes; start reading here |
//! | [`wire`] | what travels: documents, signatures, topics, limits |
//! | [`plan`] | what administrative plans order, doubts about their figures, plan against actual |
//! | [`draw`] | plays drawn for inspection, and what findings prove |
//! | `stamp` | time stamps of an authority (RFC 3161) |
//! | [`config`] | the station folder to checked values, all faults at once |
//! | [`dialect`] | foreign devices by a profile: templates, matchers, the machine that speaks them |
//! | [`app`] | use cases over ports: publish, ingest, registry, assets, the link |
//! | `store` | SQL behind the ports |
//! | [`mqtt`], `broker` | the client; the embedded broker and who may do what there |
//! | `http` | API, enrolment, the page |
//! | `log` | tiles, checkpoints, the sequencer, the witness: the evidence log on disk |
//! | `report` | documents for people from judged evidence: XLSX, CSV, JSON, PDF |
//! | `audit`, `pack` | the auditor's tool: packs checked offline from the formats alone; their writer |
//! | [`audio`], `raster` | clips measured and decoded; text to pixels |
//! | `conform` | the scheduler played against a device under test, and the table of what it kept |
//! | [`device`] | the pure executor, the ledger, outputs, and the loop around them |
//! | [`cmds`] | one file per subcommand: builds the parts and wires them together |
//!
//! Allowed directions (`a ← b`: b may use a), held by `tests/it/architecture.rs`:
//! `domain ← wire ← app ← { store, mqtt, broker, http, device } ← cmds`,
//! `wire ← log ← { app, http, store } ← cmds`; `domain ← { raster, audio, dialect, stamp, plan, draw }`, `{ dialect, plan, draw, raster } ← config`; `domain ← report ← { app, http, store }`; `audit` and `pack` use no room at all, `cmds` uses them; `{ app, mqtt, raster } ← conform ← cmds`; `clock` serves all but `domain`, `wire`, `raster`.
//!
//! # Architecture invariants
//! * What is signed is never serialised again: bytes are kept, hashed and shown as received.
//! * Content is named by its hash (assets, sheets, records); what is equal is compiled, stored and
//!   sent once.
//! * A record is durable before its receipt, and a device forgets nothing without one. The broker
//!   is trusted with nothing, and its acknowledgements prove nothing.
//! * Instants are UTC milliseconds; local time exists in `domain::recurrence`, `domain::policy`
//!   and on display. Only [`clock`] reads a clock.
//! * Nothing is ordered or acknowledged by timestamp.
//!
//! Deliberately absent: floating point on the wire, local time on devices, broker sessions,
//! editing of evidence, a cache of anything that can be derived in time.

pub mod app;
pub mod audio;
pub mod audit;
#[cfg(feature = "embedded-broker")]
pub mod broker;
pub mod clock;
pub mod cmds;
pub mod config;
#[cfg(all(feature = "embedded-broker", feature = "board"))]
pub mod conform;
pub mod device;
pub mod dialect;
pub mod domain;
pub mod draw;
#[cfg(feature = "server")]
pub mod http;
pub mod lifecycle;
#[cfg(feature = "server")]
pub mod log;
pub mod mqtt;
#[cfg(feature = "server")]
pub mod pack;
pub mod plan;
#[cfg(feature = "raster")]
pub mod raster;
#[cfg(feature = "server")]
pub mod report;
#[cfg(feature = "server")]
pub mod stamp;
#[cfg(feature = "server")]
pub mod store;
pub mod telemetry;
pub mod wire;
