//! `skips.toml`: single occurrences that an operator left out, written by `loa skip`.

use super::fault::{At, Place};
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use crate::domain::ids::{PlaylistId, SlotId};
use crate::domain::playlist::Skip;

pub(super) static SKIPS: Shape = Shape {
    of: "the list of skips",
    keys: &[may(
        "skips",
        Kind::Tables(&SKIP, 10_000),
        "each `[[skips]]` leaves a slot out on a date",
    )],
};

static SKIP: Shape = Shape {
    of: "a skip",
    keys: &[
        must("playlist", Kind::Text(40), "id of the playlist"),
        must("slot", Kind::Text(40), "id of the slot"),
        must("date", Kind::Date, "the day on which the slot does not occur"),
        must("reason", Kind::Text(200), "why, for the report"),
    ],
};

/// A skip and the slot it belongs to.
pub(super) struct PlacedSkip {
    pub playlist: At<PlaylistId>,
    pub slot: SlotId,
    pub skip: Skip,
    pub place: Place,
}

/// Reads the skips.
pub(super) fn read(source: &Source<'_>) -> Option<Vec<PlacedSkip>> {
    source.toml(&SKIPS, |top| {
        top.tables("skips").unwrap_or_default().iter().filter_map(skip).collect()
    })
}

fn skip(table: &Reader<'_>) -> Option<PlacedSkip> {
    // All read before any is missed, so that all faults are noted.
    let (playlist, slot) = (table.id("playlist"), table.id::<SlotId>("slot"));
    let (date, reason) = (table.date("date"), table.text("reason"));
    Some(PlacedSkip {
        playlist: playlist?,
        slot: slot?.value,
        skip: Skip { date: date?.value, reason: reason?.value },
        place: table.place,
    })
}
