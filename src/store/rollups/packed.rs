//! Pages and months as bytes: whole numbers of variable length, differences where rows are sorted.
//!
//! Why not rows: a province's year has 640,000 broadcasts of 25 columns each; packed they take a
//! tenth of the space and are read as one value for a commune and day.
//!
//! Invariant: the same rows have the same bytes, and bytes that are not such rows are refused.

use crate::domain::time::UtcMs;
use crate::report::airing::Tally;
use crate::report::contents::ContentNo;
use crate::report::rollup::{Broadcast, Days};

/// The form of the bytes.
const FORM: u8 = 1;
/// Rows of one value: no commune comes near.
const MOST_ROWS: u64 = 1 << 20;

/// Counts of a tally, in the order in which they are kept.
const COUNTS: usize = 18;

fn counts(tally: &Tally) -> [u64; COUNTS] {
    let mut all = [0; COUNTS];
    all[0] = tally.expected;
    all[1..8].copy_from_slice(&tally.played);
    all[8..].copy_from_slice(&[
        tally.partial,
        tally.failed,
        tally.pre_empted,
        tally.refused,
        tally.offline,
        tally.missing,
        tally.pending,
        tally.unsettled,
        tally.superseded,
        tally.unplanned,
    ]);
    all
}

fn tally(all: [u64; COUNTS], due_ms: i64, played_ms: i64) -> Tally {
    let mut played = [0; 7];
    played.copy_from_slice(&all[1..8]);
    Tally {
        expected: all[0],
        played,
        partial: all[8],
        failed: all[9],
        pre_empted: all[10],
        refused: all[11],
        offline: all[12],
        missing: all[13],
        pending: all[14],
        unsettled: all[15],
        superseded: all[16],
        unplanned: all[17],
        due_ms,
        played_ms,
    }
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Small numbers of either sign stay small.
    fn signed(&mut self, value: i64) {
        self.number((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            value |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn rows(&mut self) -> Option<u64> {
        (self.byte()? == FORM).then_some(())?;
        self.number().filter(|rows| *rows <= MOST_ROWS)
    }
}

/// Packs the broadcasts of a page.
pub(super) fn pack(broadcasts: &[Broadcast]) -> Vec<u8> {
    let mut out = Out(vec![FORM]);
    out.number(broadcasts.len() as u64);
    let mut last = 0_i64;
    for one in broadcasts {
        out.signed(one.at_ms.0.wrapping_sub(last));
        last = one.at_ms.0;
        out.number(u64::from(one.content.0));
        let counts = counts(&one.tally);
        let named = counts.iter().enumerate().filter(|(_, count)| **count != 0);
        let mut mask = named.fold(0_u64, |mask, (bit, _)| mask | 1 << bit);
        mask |= u64::from(one.first_ms.is_some()) << COUNTS;
        mask |= u64::from(one.last_ms.is_some()) << (COUNTS + 1);
        out.number(mask);
        for count in counts.into_iter().filter(|count| *count != 0) {
            out.number(count);
        }
        out.signed(one.tally.due_ms);
        out.signed(one.tally.played_ms);
        for at in [one.first_ms, one.last_ms].into_iter().flatten() {
            out.signed(at.0.wrapping_sub(one.at_ms.0));
        }
    }
    out.0
}

/// Reads the broadcasts of a page.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<Broadcast>> {
    let mut from = In(bytes);
    let rows = from.rows()?;
    let mut found = Vec::new();
    let mut last = 0_i64;
    for _ in 0..rows {
        last = last.wrapping_add(from.signed()?);
        let content = ContentNo(from.small()?);
        let mask = from.number().filter(|mask| mask >> (COUNTS + 2) == 0)?;
        let mut counts = [0; COUNTS];
        for (bit, count) in counts.iter_mut().enumerate() {
            if mask >> bit & 1 == 1 {
                *count = from.number()?;
            }
        }
        let (due_ms, played_ms) = (from.signed()?, from.signed()?);
        let mut instant = |bit: usize| match mask >> bit & 1 {
            1 => from.signed().map(|ms| Some(UtcMs(last.wrapping_add(ms)))),
            _ => Some(None),
        };
        found.push(Broadcast {
            at_ms: UtcMs(last),
            content,
            first_ms: instant(COUNTS)?,
            last_ms: instant(COUNTS + 1)?,
            tally: tally(counts, due_ms, played_ms),
        });
    }
    from.0.is_empty().then_some(found)
}

/// Packs the rows of a month: device, subject, days.
pub(super) fn pack_reach(rows: &[(u32, u32, Days)]) -> Vec<u8> {
    let mut out = Out(vec![FORM]);
    out.number(rows.len() as u64);
    let mut last = 0_u32;
    for (device, subject, days) in rows {
        out.number(u64::from(device.wrapping_sub(last)));
        last = *device;
        out.number(u64::from(*subject));
        out.number(u64::from(days.due));
        out.number(u64::from(days.confirmed));
    }
    out.0
}

/// Reads the rows of a month.
pub(super) fn unpack_reach(bytes: &[u8]) -> Option<Vec<(u32, u32, Days)>> {
    let mut from = In(bytes);
    let rows = from.rows()?;
    let mut found = Vec::new();
    let mut last = 0_u32;
    for _ in 0..rows {
        last = last.wrapping_add(from.small()?);
        let subject = from.small()?;
        let days = Days { due: from.small()?, confirmed: from.small()? };
        found.push((last, subject, days));
    }
    from.0.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_broadcast() -> impl Strategy<Value = Broadcast> {
        let counts = proptest::array::uniform18(prop_oneof![3 => Just(0_u64), 1 => any::<u64>()]);
        let at = || proptest::option::of(any::<i64>().prop_map(UtcMs));
        (any::<i64>(), any::<u32>(), counts, any::<i64>(), any::<i64>(), at(), at()).prop_map(
            |(at, content, counts, due, played, first_ms, last_ms)| Broadcast {
                at_ms: UtcMs(at),
                content: ContentNo(content),
                tally: tally(counts, due, played),
                first_ms,
                last_ms,
            },
        )
    }

    proptest! {
        #[test]
        fn pages_are_read_back(rows in proptest::collection::vec(any_broadcast(), 0..20)) {
            prop_assert_eq!(unpack(&pack(&rows)), Some(rows));
        }

        #[test]
        fn months_are_read_back(
            rows in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..20),
        ) {
            let rows: Vec<_> = rows
                .into_iter()
                .map(|(device, subject, due, confirmed)| (device, subject, Days { due, confirmed }))
                .collect();
            prop_assert_eq!(unpack_reach(&pack_reach(&rows)), Some(rows));
        }

        #[test]
        fn no_bytes_are_a_panic_and_a_cut_value_is_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            row in any_broadcast(),
            cut in 1_usize..30,
        ) {
            let _ = (unpack(&bytes), unpack_reach(&bytes));
            let whole = pack(&[row]);
            let cut = whole.len().saturating_sub(cut);
            prop_assert_eq!(unpack(&whole[..cut]), None);
        }
    }

    #[test]
    fn an_ordinary_broadcast_takes_less_than_thirty_bytes() {
        let one = |n: i64| Broadcast {
            at_ms: UtcMs(1_796_000_000_000 + n * 300_000),
            content: ContentNo(120_000),
            tally: Tally {
                expected: 45,
                played: [0, 0, 0, 43, 0, 0, 0],
                offline: 2,
                due_ms: 13_050_000,
                played_ms: 12_470_000,
                ..Tally::default()
            },
            first_ms: Some(UtcMs(1_796_000_000_012 + n * 300_000)),
            last_ms: Some(UtcMs(1_796_000_000_480 + n * 300_000)),
        };
        let rows: Vec<_> = (0..16).map(one).collect();
        assert!(pack(&rows).len() < 16 * 30, "{} bytes", pack(&rows).len());
    }
}
