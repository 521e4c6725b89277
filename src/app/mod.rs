//! Use cases over the traits in [`ports`]: what the server decides, free of SQL, HTTP and MQTT.

#[cfg(feature = "server")]
pub mod access;
#[cfg(feature = "server")]
pub mod air;
#[cfg(feature = "server")]
pub mod assets;
#[cfg(feature = "server")]
pub mod ingest;
pub mod link;
#[cfg(feature = "server")]
pub mod live;
#[cfg(feature = "server")]
pub mod mosquitto;
#[cfg(feature = "server")]
pub mod outcome;
#[cfg(feature = "server")]
pub mod ports;
#[cfg(feature = "server")]
pub mod publish;
#[cfg(feature = "server")]
pub mod registry;
#[cfg(feature = "server")]
pub mod retention;
