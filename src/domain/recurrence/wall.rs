//! From readings of the wall clock to instants, in any zone.
//!
//! # Invariants
//! * [`first`] and [`last`] never decrease as the reading grows, and `first ≤ last`; they differ
//!   only for readings that happen twice.
//! * The days of [`day`] follow one another without gap or overlap; a date that a zone leaves out
//!   (Samoa, 30 December 2011) has a day without length.

use crate::domain::time::{LocalOffset, UtcMs};
use chrono::{
    Days, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _,
};
use chrono_tz::{GapInfo, Tz};

/// Returns the first instant at which the clocks show this reading or a later one: of a time that
/// happens twice its first pass, of a time in a gap the first instant after the gap.
pub fn first(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    match zone.offset_from_local_datetime(&reading) {
        LocalResult::Single(offset) => minus(reading, offset.fix()),
        LocalResult::Ambiguous(one, other) => {
            minus(reading, one.fix()).min(minus(reading, other.fix()))
        }
        LocalResult::None => after_gap(zone, reading),
    }
}

/// Returns the first instant from which on the clocks show this reading or a later one for good:
/// as [`first`], but of a time that happens twice the second pass.
pub fn last(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    match zone.offset_from_local_datetime(&reading) {
        LocalResult::Single(offset) => minus(reading, offset.fix()),
        LocalResult::Ambiguous(one, other) => {
            minus(reading, one.fix()).max(minus(reading, other.fix()))
        }
        LocalResult::None => after_gap(zone, reading),
    }
}

/// Returns the first instant of a local date and the first one of the next.
pub fn day(zone: Tz, date: NaiveDate) -> (UtcMs, UtcMs) {
    (
        first(zone, date.and_time(NaiveTime::MIN)),
        first(zone, shift(date, 1).and_time(NaiveTime::MIN)),
    )
}

/// Returns what the clocks show at an instant.
pub fn reading(zone: Tz, at: UtcMs) -> NaiveDateTime {
    at.datetime().with_timezone(&zone).naive_local()
}

/// Returns the instant with the offset in force, for display.
pub fn display(zone: Tz, at: UtcMs) -> chrono::DateTime<FixedOffset> {
    at.datetime().with_timezone(&zone).fixed_offset()
}

/// Returns the offsets in force between two instants, the first one's first; seconds of ancient
/// offsets are left out.
pub fn offsets(zone: Tz, from: UtcMs, to: UtcMs) -> Vec<LocalOffset> {
    const STEP_MS: i64 = 3_600_000;
    const MINUTE_MS: i64 = 60_000;
    let at = |at: UtcMs| display(zone, at).offset().local_minus_utc() / 60;
    let mut found = vec![LocalOffset { from_ms: from, minutes: at(from) }];
    let (mut known, mut minutes) = (from, at(from));
    while known < to {
        let next = known.plus(STEP_MS).min(to);
        if at(next) == minutes {
            known = next;
        } else {
            // Clocks change at whole minutes.
            let first = UtcMs((known.0.div_euclid(MINUTE_MS) + 1) * MINUTE_MS);
            let mut change = first;
            while change < next && at(change) == minutes {
                change = change.plus(MINUTE_MS);
            }
            minutes = at(change);
            if change < to {
                found.push(LocalOffset { from_ms: change, minutes });
            }
            known = change;
        }
    }
    found
}

/// Moves a date by days, staying within the dates that exist.
pub fn shift(date: NaiveDate, days: i32) -> NaiveDate {
    let by = Days::new(u64::from(days.unsigned_abs()));
    let moved = if days < 0 { date.checked_sub_days(by) } else { date.checked_add_days(by) };
    moved.unwrap_or(date)
}

fn minus(reading: NaiveDateTime, offset: FixedOffset) -> UtcMs {
    let utc_ms = reading.and_utc().timestamp_millis();
    UtcMs(utc_ms - i64::from(offset.local_minus_utc()) * 1000)
}

fn after_gap(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    let end = GapInfo::new(&reading, &zone).and_then(|gap| gap.end);
    // A gap always ends; if the tables should say otherwise, UTC is at least deterministic.
    end.map_or_else(
        || UtcMs(reading.and_utc().timestamp_millis()),
        |end| UtcMs(end.timestamp_millis()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_change_to_the_minute_where_clocks_change() {
        let day = |zone: Tz, y, m, d| day(zone, NaiveDate::from_ymd_opt(y, m, d).unwrap());
        let viet_nam = chrono_tz::Asia::Ho_Chi_Minh;
        let (from, to) = day(viet_nam, 2026, 11, 22);
        assert_eq!(offsets(viet_nam, from, to), [LocalOffset { from_ms: from, minutes: 420 }]);
        let berlin = chrono_tz::Europe::Berlin;
        let (from, to) = day(berlin, 2026, 3, 29);
        let change = from.plus(2 * 3_600_000);
        let want =
            [(from, 60), (change, 120)].map(|(from_ms, minutes)| LocalOffset { from_ms, minutes });
        assert_eq!(offsets(berlin, from, to), want);
    }

    #[test]
    fn every_zone_shows_what_its_clocks_show_through_a_year() {
        let (from, to) = (UtcMs(1_767_225_600_000), UtcMs(1_798_761_600_000));
        for zone in chrono_tz::TZ_VARIANTS {
            let offsets = offsets(zone, from, to);
            let mut at = from;
            while at < to {
                let known = offsets.iter().rev().find(|offset| offset.from_ms <= at).unwrap();
                let shown = at.plus(i64::from(known.minutes) * 60_000).datetime().naive_utc();
                assert_eq!(shown, reading(zone, at), "{zone} {at:?}");
                at = at.plus(5 * 3_600_000 + 1_020_000);
            }
        }
    }
}
