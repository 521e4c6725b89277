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
//! # Invariants
//! * What adds, moves, lengthens, makes louder or changes content is never "only silences".
//! * Equal stations have an empty preview.

mod narrow;
mod preview;

pub use narrow::narrows;
pub use preview::{Change, Counts, Preview, What, compare};

use super::ids::PlaylistId;
use super::station::Station;
use super::time::UtcMs;
use super::timetable::{Compiler, Horizon};
use chrono::Days;

/// How many days are compared, from today on.
pub const DAYS: u32 = 62;

/// Compares what two stations do from `now` on.
pub fn preview(old: &Station, new: &Station, now: UtcMs) -> Preview {
    let from = now.datetime().with_timezone(&new.zone).date_naive();
    let from = from.checked_sub_days(Days::new(1)).unwrap_or(from);
    let horizon = Horizon { from, days: DAYS + 1 };
    let before = Compiler::new().compile(old, horizon);
    let after = Compiler::new().compile(new, horizon);
    compare(&before, &after, now)
}

/// Says whether the change only silences, and shows what it does.
pub fn judge(old: &Station, new: &Station, now: UtcMs) -> (bool, Preview) {
    let preview = preview(old, new, now);
    (narrows(old, new) && preview.only_silences(), preview)
}

/// Says which playlists of the station name a clip of that path.
pub fn naming<'a>(station: &'a Station, path: &str) -> Vec<&'a PlaylistId> {
    use super::playlist::Content;
    let names = |content: &Content| match content {
        Content::Clip { clip, fallback } => {
            clip.0 == path || fallback.as_ref().is_some_and(|fallback| fallback.0 == path)
        }
        Content::Pages(_) => false,
    };
    let lists = station.playlists.values();
    let lists = lists.filter(|list| list.items.iter().any(|item| names(&item.content)));
    lists.map(|list| &list.id).collect()
}
