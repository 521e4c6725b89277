//! The plays that a draw chooses from, out of packs.

use super::super::{Asked, DrawnError, FaultKind, Policy, population};
use super::day::{live, sound, usual};
use super::model::{DAY, HOUR, MIN, World, cue_of, sheet};
use super::options;
use crate::audit::text::hex;

const UNIT: &str = "17329";

fn asked() -> Asked<'static> {
    let to_ms = DAY + 4 * HOUR;
    Asked { from_ms: DAY, to_ms, after_ms: to_ms, unit: None, line: None }
}

/// Device and cue of each play, and the size of the head that decides.
type Drawn = (Vec<(String, [u8; 16])>, u64);

fn drawn(world: &World, pack: &[u8], asked: &Asked<'_>) -> Result<Drawn, DrawnError> {
    let policy = Policy::parse(world.policy().as_bytes()).unwrap();
    let plays = population(pack, &policy, asked, &options(), &mut |_| {})?;
    let all = plays.all().map(|(device, cue)| (device.to_owned(), cue)).collect();
    Ok((all, plays.head.size))
}

fn id(n: i64) -> [u8; 16] {
    hex(&cue_of(DAY, n)).unwrap()
}

#[test]
fn the_confirmed_plays_below_the_head_are_found_in_the_order_of_devices_and_cues() {
    let world = usual(3);
    let pack = world.pack();
    let (found, size) = drawn(&world, &pack, &asked()).unwrap();
    let expected: Vec<_> =
        (1..=3).flat_map(|n| (0..4).map(move |cue| (format!("loa-thon-{n}"), id(cue)))).collect();
    assert_eq!(found, expected);
    // An earlier head lacks the records of the last cue; the numbers do not hang on later ones.
    let early = Asked { after_ms: DAY + 3 * HOUR + 5 * MIN, ..asked() };
    let (found, less) = drawn(&world, &pack, &early).unwrap();
    assert_eq!((found.len(), less < size), (9, true));
    let policy = Policy::parse(world.policy().as_bytes()).unwrap();
    let plays = population(&pack[..], &policy, &asked(), &options(), &mut |_| {}).unwrap();
    let play = plays.play(5).unwrap().unwrap();
    assert_eq!((play.device.as_str(), play.cue), ("loa-thon-2", id(1)));
    assert_eq!((play.title.as_str(), play.at_ms), ("Bản tin", DAY + HOUR + HOUR / 2));
    assert_eq!(play.units, [UNIT]);
    assert!(play.index < size, "the record stands below the head");
    assert!(plays.play(12).unwrap().is_none());
    assert_eq!(plays.head.vouched_ms, Some(DAY + 4 * HOUR + 11 * MIN));
}

#[test]
fn half_a_clip_and_a_play_that_never_came_are_none() {
    let world = live(2, &mut |world, moment| match moment.cue {
        Some(1) => {
            let at = moment.at_ms;
            let half = super::model::play(&cue_of(DAY, 1), at, MIN);
            world.tell(moment.device, at + 10 * MIN, &half);
            true
        }
        Some(2) => moment.device == 0,
        Some(_) => {
            sound(world, moment);
            true
        }
        None => false,
    });
    let (found, _) = drawn(&world, &world.pack(), &asked()).unwrap();
    let of = |n: u8, cues: &[i64]| -> Vec<_> {
        cues.iter().map(|cue| (format!("loa-thon-{n}"), id(*cue))).collect()
    };
    assert_eq!(found, [of(1, &[0, 3]), of(2, &[0, 2, 3])].concat());
}

#[test]
fn a_play_counts_for_the_unit_that_its_timetable_names() {
    // The device moves at 02:00: what it played before stays with the unit where it stood.
    let mut world = usual(1);
    let found = |world: &World, unit| {
        drawn(world, &world.pack(), &Asked { unit: Some(unit), ..asked() })
            .map(|found| found.0.len())
    };
    assert_eq!(found(&world, UNIT).unwrap(), 4);
    assert_eq!(found(&world, "10363").unwrap(), 0);
    let mut moved = live(1, &mut |world, moment| {
        if moment.cue == Some(2) {
            world.units = vec!["10363".to_owned()];
            world.publish(moment.at_ms - HOUR / 2, 0, 2, &[sheet(DAY)], moment.at_ms);
        }
        false
    });
    assert_eq!((found(&moved, UNIT).unwrap(), found(&moved, "10363").unwrap()), (2, 2));
    // Without its timetables nobody can say where it stood.
    moved.timetables.clear();
    assert!(matches!(found(&moved, UNIT), Err(DrawnError::Unplaced { .. })));
    // A pack about one unit holds no others.
    world.unit = Some(UNIT.to_owned());
    let all = drawn(&world, &world.pack(), &asked()).unwrap_err();
    assert!(matches!(all, DrawnError::Unit { .. }), "{all}");
}

#[test]
fn a_plan_line_is_that_of_the_sheet() {
    let mut world = usual(1);
    let found = |world: &World, line| {
        drawn(world, &world.pack(), &Asked { line: Some(line), ..asked() })
            .map(|found| found.0.len())
    };
    assert_eq!(found(&world, "000/III.2").unwrap(), 0);
    world = live(1, &mut |world, moment| {
        if moment.cue == Some(1) {
            let lined = String::from_utf8(sheet(DAY)).unwrap();
            let lined = lined.replace("\"line\":null", "\"line\":\"000/III.2\"").into_bytes();
            world.publish(moment.at_ms - HOUR / 2, 0, 2, &[lined], moment.at_ms);
        }
        false
    });
    assert_eq!(found(&world, "000/III.2").unwrap(), 3, "the first was played under another sheet");
}

#[test]
fn a_question_that_the_pack_does_not_answer_is_refused() {
    let world = usual(1);
    let pack = world.pack();
    let refused = |asked: Asked<'_>| drawn(&world, &pack, &asked).unwrap_err();
    let wide = Asked { from_ms: DAY - 1, ..asked() };
    assert!(matches!(refused(wide), DrawnError::Window { .. }));
    let late = Asked { after_ms: DAY + 20 * HOUR, ..asked() };
    assert!(matches!(refused(late), DrawnError::NoHead));
    let none = drawn(&world, b"PK", &asked()).unwrap_err();
    assert!(matches!(none, DrawnError::NotAPack { .. }), "{none}");
    // One byte of a bundle: whoever drew would draw from another list.
    let mut files = world.files();
    let at = files.iter().position(|(name, _)| name.contains("entries")).unwrap();
    let middle = files[at].1.len() / 2;
    files[at].1[middle] ^= 1;
    let broken = drawn(&world, &world.write(&files), &asked()).unwrap_err();
    assert!(matches!(broken, DrawnError::Damaged { kind: FaultKind::Bundle, .. }), "{broken}");
    for error in [none, broken, refused(late)] {
        assert!(!error.hint().is_empty());
    }
}
