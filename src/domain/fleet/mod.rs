//! The fleet as technicians see it: what stands where, whether it answers, what hinders it.
//!
//! Pure. Leaves what devices say to `wire`, what is kept to the store, who is told to `app`.
//!
//! | Word | Vietnamese | Meaning |
//! |---|---|---|
//! | card | thẻ thiết bị | [`Card`]: where it hangs, who put it there, its serial number |
//! | reach | liên lạc | [`Reach`]: whether it answers, with hysteresis |
//! | fault | hỏng hóc | [`FaultKind`]: what hinders it although it answers |

mod card;
mod fault;
mod reach;

pub use card::{Card, CardError, Point};
pub use fault::{FaultKind, Firmware, older_than_most};
pub use reach::{Line, Patience, Presence, Reach, Sign, Signs, Standing, advance};
