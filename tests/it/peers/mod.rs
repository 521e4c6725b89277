//! What other stations' software got wrong, each as a test of ours.
//!
//! The failures and where they were reported stand beside each test. Two more, an alert that is
//! replayed after a restart and a withdrawal that comes before its alert, stand with the urgent
//! notices; a start moved by the sound card is measured by the bench.

mod evidence;
mod schedule;
mod village;
