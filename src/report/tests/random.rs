//! What must hold for any month: order and repetition change nothing, bytes are the same.

use super::month::{self, ZONE, day, month, question};
use crate::domain::proof::outcome::{Plan, Stage, Verdict};
use crate::report::airing::Airing;
use crate::report::as_run::{Run, as_run};
use crate::report::contents::{ContentNo, Contents};
use crate::report::coverage::coverage;
use crate::report::diary::diary;
use crate::report::pay::pay;
use crate::report::period::{Period, day_of};
use crate::report::render::{Format, render};
use crate::report::rollup::{Page, Rollups};
use proptest::prelude::*;
use proptest::sample::Index;

/// Every 40th cue of the golden month, with other ends.
fn any_days() -> impl Strategy<Value = Vec<Airing>> {
    let verdicts = [
        None,
        Some(Verdict::Played),
        Some(Verdict::Played),
        Some(Verdict::Partial),
        Some(Verdict::Failed),
        Some(Verdict::Offline),
        Some(Verdict::Missing),
    ];
    let end = (any::<Index>(), 0_u8..8, 0_u8..12, 0_u8..7);
    proptest::collection::vec(end, 30..60).prop_map(move |ends| {
        let month = month();
        let cues = month.airings.into_iter().step_by(40).zip(ends);
        cues.map(|(airing, (verdict, grade, plan, hours))| Airing {
            result: verdicts[verdict.index(verdicts.len())],
            grade,
            plan: match plan {
                0 => Plan::Superseded,
                1 => Plan::Unplanned,
                _ => Plan::Planned,
            },
            stage: if plan == 2 { Stage::Provisional } else { Stage::Final },
            at_ms: airing.at_ms.plus(i64::from(hours) * 3_600_000),
            ..airing
        })
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_of_rows_and_numbers_changes_no_byte(airings in any_days(), keys in proptest::collection::vec(any::<u32>(), 60)) {
        let mut month = month();
        month.rollups = Rollups::of(&airings, &month.places, &month.contents, ZONE);
        // The same contents met in another order have other numbers.
        let mut contents = Contents::default();
        let numbers = [month::slogan(), month::warning(), month::news()].map(|content| contents.add(content));
        let [slogan, warning, news] = numbers;
        let renumber = |no: ContentNo| [news, warning, slogan][no.0 as usize];
        let mut shuffled: Vec<(u32, Airing)> = airings
            .iter()
            .zip(keys.iter().cycle())
            .map(|(airing, key)| (*key, Airing { content: renumber(airing.content), ..*airing }))
            .collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Airing> = shuffled.into_iter().map(|(_, airing)| airing).collect();
        let mut other = super::month::month();
        other.rollups = Rollups::of(&shuffled, &other.places, &contents, ZONE);
        other.contents = contents;
        for scope in ["51", "10003"] {
            let (asked, mine, theirs) = (question(scope), month.evidence(), other.evidence());
            for (one, two) in [
                (diary(&asked, mine, &[]), diary(&asked, theirs, &[])),
                (pay(&asked, mine), pay(&asked, theirs)),
                (coverage(&asked, mine), coverage(&asked, theirs)),
            ] {
                let (one, two) = (one.unwrap(), two.unwrap());
                for format in [Format::Csv, Format::Json, Format::Xlsx] {
                    let (one, two) = (render(&one, format).unwrap(), render(&two, format).unwrap());
                    prop_assert_eq!(one.sha256, two.sha256, "{}", one.file);
                }
            }
        }
        let runs = |airings: &[Airing]| -> Vec<Run> {
            airings
                .iter()
                .map(|airing| Run {
                    airing: *airing,
                    cue: crate::domain::ids::CueId([u8::try_from(airing.device.0).unwrap(); 16]),
                    reason: crate::domain::proof::outcome::Reason::NoPlay,
                    volume: None,
                    record: None,
                })
                .collect()
        };
        let one = as_run(&question("51"), month.evidence(), &runs(&airings)).unwrap();
        let two = as_run(&question("51"), other.evidence(), &runs(&shuffled)).unwrap();
        prop_assert_eq!(render(&one, Format::Csv).unwrap(), render(&two, Format::Csv).unwrap());
    }

    #[test]
    fn pages_put_again_and_late_end_like_pages_made_once(
        before in any_days(), after in any_days(), order in any::<bool>(),
    ) {
        let month = month();
        let fresh = Rollups::of(&after, &month.places, &month.contents, ZONE);
        let mut kept = Rollups::of(&before, &month.places, &month.contents, ZONE);
        // Every day and commune that either knows is judged again, in either direction, twice.
        let mut keys: Vec<_> = before
            .iter()
            .chain(&after)
            .map(|airing| {
                let date = day_of(airing.at_ms, ZONE);
                (date, month.places.commune(airing.device, date).unwrap())
            })
            .collect();
        keys.sort();
        keys.dedup();
        if order {
            keys.reverse();
        }
        for (date, unit) in keys.iter().chain(&keys) {
            let here: Vec<Airing> = after
                .iter()
                .filter(|airing| {
                    day_of(airing.at_ms, ZONE) == *date
                        && month.places.commune(airing.device, *date) == Some(*unit)
                })
                .copied()
                .collect();
            kept.put(Page::fold(*date, *unit, &here, &month.contents));
        }
        prop_assert_eq!(&kept, &fresh);
        // What a store hands back is the same.
        let period = Period::new(day("2026-09-30"), day("2026-11-30")).unwrap();
        let all = month.places.scope(month.places.unit_no(&month::unit_id("51")).unwrap());
        let mut rows: Vec<_> =
            kept.broadcasts(period, &all).map(|(date, unit, one)| (date, unit, *one)).collect();
        rows.reverse();
        let reach: Vec<_> = kept.reach().within(period, &all).collect();
        prop_assert_eq!(Rollups::load(rows, reach), fresh);
    }

    #[test]
    fn any_window_counts_each_device_once(airings in any_days(), from in 1_u32..31, days in 0_u32..31) {
        let month = month();
        let rollups = Rollups::of(&airings, &month.places, &month.contents, ZONE);
        let first = day("2026-10-01").with_day_of(from);
        let period = Period::new(first, first + chrono::Days::new(u64::from(days))).unwrap();
        let scope = month.places.scope(month.places.unit_no(&month::unit_id("51")).unwrap());
        let mine: std::collections::BTreeSet<_> = rollups
            .reach()
            .within(period, &scope)
            .filter(|(_, days)| days.confirmed != 0)
            .map(|(key, _)| key.device)
            .collect();
        let told: std::collections::BTreeSet<_> = airings
            .iter()
            .filter(|airing| airing.is_confirmed() && period.contains(day_of(airing.at_ms, ZONE)))
            .map(|airing| airing.device)
            .collect();
        prop_assert_eq!(mine, told);
    }
}

trait WithDay {
    fn with_day_of(self, day: u32) -> Self;
}

impl WithDay for chrono::NaiveDate {
    fn with_day_of(self, day: u32) -> Self {
        use chrono::Datelike;
        self.with_day(day).unwrap()
    }
}
