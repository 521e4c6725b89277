//! The whole product as its users run it: real processes, real brokers, real files, real time.
//!
//! These wait for conditions with a deadline; none asserts how fast something was.

mod agent;
mod approval;
mod audit;
mod chance;
mod chaos;
mod commune;
mod conform;
mod courier;
mod damage;
mod day;
mod demo;
mod disk;
mod draw;
mod dynsec;
mod feed;
mod gate;
mod halfway;
mod hold;
mod listener;
mod log;
mod mosquitto;
mod partition;
mod process;
mod relay;
mod reload;
mod report;
mod restore;
mod secrets;
mod slow;
pub mod sound;
mod stamp;
mod stranger;
mod street;
mod tiny;
mod tls;
mod two;
mod urgent;
mod witness;
mod witnesses;
