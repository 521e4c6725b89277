//! What is tested, chapter by chapter. Each chapter leaves the device connected, with the time,
//! under a good timetable and without hold or notice, whatever it found.

pub mod assets;
pub mod documents;
pub mod keys;
pub mod line;
pub mod orders;
pub mod playing;
pub mod power;
pub mod records;
pub mod sheets;
pub mod time;
