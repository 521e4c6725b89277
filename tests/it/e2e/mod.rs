//! The whole product as its users run it: real processes, real brokers, real files, real time.
//!
//! These wait for conditions with a deadline; none asserts how fast something was.

mod approval;
mod chance;
mod chaos;
mod commune;
mod courier;
mod day;
mod demo;
mod hold;
mod kill;
mod mosquitto;
mod partition;
mod process;
mod relay;
mod reload;
mod restore;
mod secrets;
mod sound;
mod stranger;
mod tls;
mod two;
mod urgent;
