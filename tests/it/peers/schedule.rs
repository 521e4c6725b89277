//! Schedules: the second that was asked, whatever the clocks, the length or the name.

use super::village::{DAWN, DAY, FIVE, HOUR, MINUTE, Village, playlist};
use loa::device::executor::Event;
use loa::domain::ids::Digest;
use loa::domain::proof::outcome::Verdict;
use loa::domain::proof::record::Said;
use loa::domain::recurrence::wall;
use loa::domain::time::UtcMs;
use loa::domain::timetable::{Compiled, Compiler, Horizon};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

fn compiled(village: &Village, from: &str, days: u32) -> Compiled {
    let horizon = Horizon { from: from.parse().unwrap(), days };
    Compiler::new().compile(&village.station(), horizon)
}

/// The cues of the loudspeaker: start, end, nominal start.
fn cues(compiled: &Compiled, village: &Village) -> Vec<(UtcMs, UtcMs, UtcMs)> {
    let plan = compiled.device(&village.loa.id).unwrap();
    plan.cues().map(|(cue, planned)| (cue.at_ms, cue.end_ms, planned.nominal)).collect()
}

/// Xibo 3040: a clock change moved an event for ever; Anthias: it fired twice.
#[tokio::test]
async fn a_clock_change_moves_nothing_for_ever_and_fires_once() {
    let village = Village::new().await;
    let zone = "name = \"Đài\"\napproval = \"off\"\nzone = \"Europe/Berlin\"\n";
    village.write("station.toml", zone);
    let times = "at = [\"02:30\", \"05:00\"]\nlongest = \"5m\"";
    village.write("ban-tin.toml", &playlist(times, &["a.mp3"]));
    for (from, change) in [("2026-03-20", "2026-03-29"), ("2026-10-16", "2026-10-25")] {
        let compiled = compiled(&village, from, 20);
        let mut of_day: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (at, ..) in cues(&compiled, &village) {
            let local = wall::reading(compiled.zone(), at);
            let (day, time) = (local.date().to_string(), local.time().to_string());
            of_day.entry(day).or_default().push(time);
        }
        assert_eq!(of_day.len(), 20);
        for (day, times) in of_day {
            // In spring 02:30 does not exist that night: the first instant after it counts.
            let night = if day == change && change.starts_with("2026-03") {
                "03:00:00"
            } else {
                "02:30:00"
            };
            assert_eq!(times, [night, "05:00:00"], "{day}");
        }
    }
}

/// Xibo 1275: a slot over midnight lost its second half.
#[tokio::test]
async fn a_slot_across_midnight_sounds_to_its_end_once() {
    let mut village = Village::new().await;
    village.write("clips/dai.mp3", "600000");
    let slot = "at = [\"23:55\"]\nlongest = \"20m\"";
    village.write("ban-tin.toml", &playlist(slot, &["dai.mp3", "a.mp3"]));
    let floor = loa::device::floor::QuietFloor { from_min: 0, to_min: 0, offset_min: 420 };
    village.loa.tell(Event::Floor(floor));
    village.publish().await;
    village.pass_until(DAWN.plus(DAY));
    let begin = FIVE.plus(18 * HOUR + 55 * MINUTE);
    let heard: Vec<_> = village.loa.heard.iter().map(|(from, to, _)| (*from, *to)).collect();
    let end = begin.plus(10 * MINUTE);
    assert_eq!(heard, [(begin, end), (end, end.plus(MINUTE))], "without a seam");
    village.deliver().await;
    let outcomes = village.outcomes(DAWN, DAWN.plus(DAY)).await;
    let told: Vec<_> = outcomes.iter().map(|o| (o.result, o.played_ms)).collect();
    let played = Some(Verdict::Played);
    assert_eq!(told, [(played, 600_000), (played, 60_000)]);
}

/// LibreTime 1310: content longer than its slot ran on into what followed.
#[tokio::test]
async fn content_longer_than_its_slot_ends_with_it() {
    let mut village = Village::new().await;
    village.write("clips/dai.mp3", "600000");
    village.write(
        "ban-tin.toml",
        &playlist("at = [\"05:00\"]\nlongest = \"2m\"", &["dai.mp3", "a.mp3"]),
    );
    let plan = compiled(&village, "2026-12-01", 1);
    let left = plan.device(&village.loa.id).unwrap().left_out().count();
    assert_eq!(left, 1, "what has no room is told, not forgotten");
    village.publish().await;
    village.pass_until(FIVE.plus(HOUR));
    let heard: Vec<_> = village.loa.heard.iter().map(|(from, to, _)| (*from, *to)).collect();
    assert_eq!(heard, [(FIVE, FIVE.plus(2 * MINUTE))]);
    let play = &village.loa.plays()[0];
    assert_eq!((play.outcome, play.due_len_ms), (Said::Played, 120_000));
}

/// LibreTime: a file that came five seconds late was skipped without a word.
#[tokio::test]
async fn a_file_that_comes_late_is_joined_and_one_that_never_comes_is_told() {
    let mut village = Village::new().await;
    village.write("clips/b.mp3", "60000");
    let slot = "at = [\"05:00\"]\nlongest = \"10m\"";
    village.write("ban-tin.toml", &playlist(slot, &["a.mp3", "b.mp3"]));
    let round = village.plan().await;
    village.hand_over(&round);
    village.pass_until(FIVE.plus(5_000));
    village.loa.tell(Event::AssetHeld(Digest::of(b"a.mp3")));
    village.pass_until(FIVE.plus(5 * MINUTE));
    let plays = village.loa.plays();
    assert_eq!((plays[0].outcome, plays[0].played_ms), (Said::Partial, 55_000), "{:?}", plays[0]);
    assert_eq!(village.loa.heard[0].1, FIVE.plus(MINUTE), "in step with its neighbours");
    assert_eq!((plays[1].outcome, plays[1].cause.as_str()), (Said::Failed, "missing"));
    village.deliver().await;
    let outcomes = village.outcomes(DAWN, DAWN.plus(HOUR)).await;
    let told: Vec<_> = outcomes.iter().map(|outcome| outcome.result).collect();
    assert_eq!(told, [Some(Verdict::Partial), Some(Verdict::Failed)]);
}

/// AzuraCast: a start meant some moment of the next fifteen minutes.
#[tokio::test]
async fn a_start_is_the_second_that_was_asked() {
    let mut village = Village::new().await;
    let slot = "at = [\"05:00:07\", \"05:07\", \"05:14:59\"]\nlongest = \"5m\"";
    village.write("ban-tin.toml", &playlist(slot, &["a.mp3"]));
    let plan = compiled(&village, "2026-12-01", 1);
    let asked = [7, 7 * 60, 14 * 60 + 59].map(|s: i64| FIVE.plus(s * 1_000));
    let planned: Vec<_> =
        cues(&plan, &village).iter().map(|(at, _, nominal)| (*at, *nominal)).collect();
    assert_eq!(planned, asked.map(|at| (at, at)), "to the millisecond");
    village.publish().await;
    village.pass_until(FIVE.plus(HOUR));
    let heard: Vec<_> = village.loa.heard.iter().map(|(from, ..)| *from).collect();
    assert_eq!(heard, asked);
    assert!(village.loa.plays().iter().all(|play| play.skew_ms == Some(0)));
}

/// LibreTime 528, AzuraCast 1075: names that are not ASCII failed.
#[tokio::test]
async fn names_with_diacritics_work_in_either_normalisation() {
    for decomposed in [false, true] {
        let name = |text: &str| {
            if decomposed { text.nfd().collect::<String>() } else { text.nfc().collect() }
        };
        let mut village = Village::new().await;
        std::fs::remove_file(village.path("ban-tin.toml")).unwrap();
        village.write(&name("clips/Nghị quyết – đợt 1.mp3"), "60000");
        let slot = "at = [\"05:00\"]\nlongest = \"5m\"";
        // The text names it the other way round.
        let clip = if decomposed {
            "Nghị quyết – đợt 1.mp3".nfc().collect()
        } else {
            "Nghị quyết – đợt 1.mp3".nfd().collect::<String>()
        };
        village.write(&name("Bản tin sáng.toml"), &playlist(slot, &[&clip]));
        let loaded = village.load();
        assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
        village.publish().await;
        village.pass_until(FIVE.plus(5 * MINUTE));
        village.deliver().await;
        let outcomes = village.outcomes(DAWN, DAWN.plus(HOUR)).await;
        assert_eq!(outcomes[0].result, Some(Verdict::Played));
        assert_eq!(outcomes[0].title, "Tin Nghị quyết – đợt 1.mp3".nfc().collect::<String>());
        assert_eq!(outcomes[0].item, "ban-tin-sang/tin-0");
    }
}
