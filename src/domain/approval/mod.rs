//! What a change would do on air, and whether it only silences.
//!
//! Nothing sounds without a second person; anything may fall silent at once. So a change comes
//! into force by itself only when [`narrows`] (no setting asks for more, ever) and
//! [`Preview::only_silences`] (no cue of the days ahead is new, elsewhere, longer, louder or other)
//! both say so. Leaves people, hashes and keeping to `app::approval`.
//!
//! # Why two judgements
//! Comparing compiled cues sees every way in which settings act on each other, but only as far as
//! it looks: a slot for a day in two years would pass. Comparing settings sees for ever, but not
//! that a withdrawn playlist lets another one through. What passes both can in the far future
//! change at most which of two approved cues gives way to the other.
//!
//! # Why effects are compared, and not versions
//! Several changes wait beside each other, and each one that comes into force moves the ground
//! under the others. An approval given for one commune is not spoilt by a change in another: it
//! is when the same change would now do something else on air ([`same_effect`]).
//!
//! # Invariants
//! * What adds, moves, lengthens, makes louder or changes content is never "only silences".
//! * Equal stations have an empty preview.

mod ground;
mod narrow;
mod preview;
mod reach;

pub use ground::{Ground, same_effect};
pub use narrow::narrows;
pub use preview::{Change, Counts, Preview, What, compare};
pub use reach::{addressed_by, reach};

use super::station::Station;
use super::time::UtcMs;

/// How many days are compared, from today on.
pub const DAYS: u32 = 62;

/// Compares what two stations do from `now` on.
pub fn preview(old: &Station, new: &Station, now: UtcMs) -> Preview {
    Ground::new(old.clone(), now).preview(new)
}

/// Says whether the change only silences, and shows what it does.
pub fn judge(old: &Station, new: &Station, now: UtcMs) -> (bool, Preview) {
    Ground::new(old.clone(), now).judge(new)
}
