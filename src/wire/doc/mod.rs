//! The documents, member by member. The shapes are the contract (`firmware-notes`).

mod command;
mod floor;
mod presence;
mod receipt;
mod state;
mod time;
mod timetable;

pub use command::{Command, Do};
pub use floor::{Floor, LocalClock};
pub use presence::{Marker, Presence, ServerState};
pub use receipt::{Checkpoint, Receipt};
pub use state::{Held, State, StateClock, StateKind, Storage, Wanted, WantedKind};
pub use time::TimeAnswer;
pub use timetable::{DayEntry, Timetable};

pub use super::epoch::{Epoch, KeysBody, RetiredKey};
