//! What people ordered: approvals and urgent notices against what sounded.

use super::super::day::usual;
use super::super::model::{Log, notice, start};
use super::*;
use crate::log::leaf::NoticeKind;

/// A day's sheet, each cue of it approved under a hash.
fn approved_sheet(day: i64, hash: &str) -> Vec<u8> {
    let mut sheet: Value = serde_json::from_slice(&sheet(day)).unwrap();
    for cue in sheet["cues"].as_array_mut().unwrap() {
        cue["approval"] = json!(hash);
    }
    sheet.to_string().into_bytes()
}

fn approve(world: &mut World, at_ms: i64, hash: &str, role: &str) -> u64 {
    let body = ServerBody::Approval {
        of: hash.parse().unwrap(),
        what: "proposal".into(),
        role: role.into(),
        by: "tran-van-b".into(),
    };
    world.log().say(at_ms, &body)
}

/// Lives through a day whose cues from the fifth on are of a sheet that was approved, or not.
fn day(approval: impl Fn(&mut World, i64, bool), named: &str) -> World {
    live(1, &mut |world, moment| {
        if moment.cue == Some(4) {
            // Half an hour before: the fifth cue has not begun.
            let at = moment.at_ms + 31 * MIN;
            sound(world, moment);
            approval(world, at, false);
            world.publish(at, 0, 2, &[approved_sheet(DAY, named)], moment.at_ms + HOUR);
            approval(world, at, true);
            return true;
        }
        false
    })
}

#[test]
fn what_sounds_by_an_approval_that_the_log_does_not_know_is_a_fault() {
    let (hash, other) = (hex(&[5; 32]), hex(&[6; 32]));
    let right = |world: &mut World, at, published: bool| {
        if !published {
            approve(world, at, &hash, "approver");
        }
    };
    let world = day(right, &hash);
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert_eq!(verdict.outcomes.played[&3], 8);
    // None, one of something else, and a word that none was needed.
    for (of, role) in [(None, ""), (Some(&other), "approver"), (Some(&hash), "not-needed")] {
        let wrong = |world: &mut World, at, published: bool| {
            if let (Some(of), false) = (of, published) {
                approve(world, at, of, role);
            }
        };
        let world = day(wrong, &hash);
        let verdict = judge(&world, &world.pack());
        assert_eq!(kinds(&verdict), [FaultKind::Approval]);
        assert_eq!(verdict.faults.len(), 3, "each cue that sounded by it");
        let fault = &verdict.faults[0];
        assert_eq!(fault.device.as_deref(), Some("loa-thon-1"));
        assert!(fault.seq.is_some() && fault.index.is_some(), "{fault:?}");
        assert!(fault.message.contains("knows no approval"), "{fault:?}");
    }
}

#[test]
fn an_approval_that_came_after_the_publication_is_a_fault() {
    let hash = hex(&[5; 32]);
    let late = |world: &mut World, at, published: bool| {
        if published {
            approve(world, at, &hash, "approver");
        }
    };
    let world = day(late, &hash);
    let verdict = judge(&world, &world.pack());
    assert_eq!(kinds(&verdict), [FaultKind::Approval]);
    assert!(verdict.faults[0].message.contains("approved only after"), "{:?}", verdict.faults);
}

#[test]
fn an_approval_of_long_ago_counts_although_its_neighbours_are_left_out() {
    let hash = hex(&[5; 32]);
    let day = DAY + 60 * 24 * HOUR;
    let mut world = World::new(1);
    world.log().say(DAY, &ServerBody::Shard { previous: None });
    world.enrol(DAY, 0);
    approve(&mut world, DAY, &hash, "approver");
    for n in 0..700 {
        world.tell(0, DAY + n * MIN, &beat());
    }
    world.log().checkpoint(DAY + 12 * HOUR, &[0]);
    for n in 0..400 {
        world.tell(0, day - 32 * 24 * HOUR + n * MIN, &beat());
    }
    world.log().checkpoint(day - 32 * 24 * HOUR + 7 * HOUR, &[0]);
    world.publish(day - HOUR, 0, 1, &[approved_sheet(day, &hash)], day + HOUR / 2);
    world.log().checkpoint(day - HOUR + MIN, &[0]);
    let at = day + HOUR / 2;
    world.tell(0, at + 10 * MIN, &play(&cue_of(day, 0), at, 2 * MIN));
    world.log().checkpoint(day + HOUR, &[0]);
    world.window = (day, day + 24 * HOUR);
    world.logs[0].first = 768;
    world.logs[0].kept = [0].into();
    let verdict = judge(&world, &world.pack());
    assert_eq!(kinds(&verdict), [], "{:#?}", verdict.faults);
    assert_eq!(verdict.outcomes.played[&3], 1);
}

#[test]
fn a_sheet_that_was_not_published_orders_nothing_although_the_cue_is_due() {
    let other = hex(&[8; 32]);
    let world = live(2, &mut |world, moment| {
        let this = moment.device == 1 && moment.cue == Some(4);
        if this {
            // The cue of the published sheet, but said to be played out of another.
            let mut body = play(&cue_of(DAY, 4), moment.at_ms, 2 * MIN);
            body["sheet"] = json!(other);
            world.tell(1, moment.at_ms + 10 * MIN, &body);
        }
        if moment.device == 1 && moment.cue == Some(5) {
            let mut body = play(&cue_of(DAY, 5), moment.at_ms, 2 * MIN);
            body["sheet"] = json!(hex(&sha(&sheet(DAY))));
            world.tell(1, moment.at_ms + 10 * MIN, &body);
            return true;
        }
        this
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Unplanned);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert!(fault.message.contains(&cue_of(DAY, 4)), "{fault:?}");
    assert!(fault.message.contains("a sheet not published"), "{fault:?}");
}

fn urgent(world: &mut World, at_ms: i64, jti: &str) -> u64 {
    let body = ServerBody::Urgent {
        notice: NoticeKind::Urgent,
        jti: jti.into(),
        document: hex(&[3; 32]).parse().unwrap(),
        units: vec!["17329".parse().unwrap()],
        by: "tran-van-b".into(),
    };
    world.log().say(at_ms, &body)
}

#[test]
fn an_urgent_notice_that_sounds_and_was_not_logged_is_unplanned() {
    let sounds = |logged: Option<&str>, before: bool| {
        live(2, &mut |world, moment| {
            if moment.device == 1 && moment.cue == Some(4) {
                let at = moment.at_ms + 9 * MIN;
                if let Some(jti) = logged.filter(|_| before) {
                    urgent(world, at, jti);
                }
                let mut begun = start("", at);
                begun.as_object_mut().unwrap().remove("cue");
                begun["jti"] = json!("bao-so-3");
                world.tell(1, at, &begun);
                world.tell(1, at + MIN, &notice("bao-so-3", at, MIN));
                if let Some(jti) = logged.filter(|_| !before) {
                    urgent(world, at + MIN, jti);
                }
            }
            false
        })
    };
    let world = sounds(Some("bao-so-3"), true);
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert_eq!(verdict.outcomes.expected, 16, "a notice is no cue");
    for logged in [None, Some("bao-so-4")] {
        let world = sounds(logged, true);
        let verdict = judge(&world, &world.pack());
        let fault = only(&verdict, FaultKind::Unplanned);
        assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
        assert!(fault.message.contains("urgent notice"), "{fault:?}");
        assert!(fault.seq.is_some() && fault.index.is_some(), "{fault:?}");
    }
    let world = sounds(Some("bao-so-3"), false);
    let fault = only(&judge(&world, &world.pack()), FaultKind::Premature).clone();
    assert!(fault.message.contains("urgent notice"), "{fault:?}");
}

#[test]
fn an_urgent_notice_that_sounds_otherwise_than_it_was_signed_is_found() {
    let asset = |n: u8| hex(&[n; 32]);
    let sign = |jti: &str| {
        let claims = json!({"v": 1, "jti": jti, "asset": {"sha256": asset(7), "title": "Bão"}});
        jws(&key(94), "loa-urgent+jwt", &claims).into_bytes()
    };
    let sounds = |played: &str, signed: &str, kind: NoticeKind| {
        live(1, &mut |world, moment| {
            if moment.cue == Some(4) {
                let at = moment.at_ms + 9 * MIN;
                let document = hex(&sha(&sign(signed)));
                world.notices.insert(document.clone(), sign(signed));
                let body = ServerBody::Urgent {
                    notice: kind,
                    jti: "bao-so-3".into(),
                    document: document.parse().unwrap(),
                    units: vec!["17329".parse().unwrap()],
                    by: "tran-van-b".into(),
                };
                world.log().say(at, &body);
                let mut body = notice("bao-so-3", at, MIN);
                body["asset"] = json!(played);
                world.tell(0, at + MIN, &body);
            }
            false
        })
    };
    let world = sounds(&asset(7), "bao-so-3", NoticeKind::Urgent);
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    let world = sounds(&asset(8), "bao-so-3", NoticeKind::Urgent);
    let fault = only(&judge(&world, &world.pack()), FaultKind::Unplanned).clone();
    assert!(fault.message.contains("another recording"), "{fault:?}");
    assert!(fault.device.is_some() && fault.seq.is_some() && fault.index.is_some(), "{fault:?}");
    // The document is of another notice than the leaf says.
    let world = sounds(&asset(7), "bao-so-4", NoticeKind::Urgent);
    let fault = only(&judge(&world, &world.pack()), FaultKind::Document).clone();
    assert!(fault.place.starts_with("notices/") && fault.index.is_some(), "{fault:?}");
    // A drill orders no sound.
    let world = sounds(&asset(7), "bao-so-3", NoticeKind::Drill);
    let fault = only(&judge(&world, &world.pack()), FaultKind::Unplanned).clone();
    assert!(fault.message.contains("had not been logged"), "{fault:?}");
}

#[test]
fn what_the_log_lost_explains_what_sounded_then_and_nothing_else() {
    // The server lost its tail; devices send again what they played of a timetable and a notice
    // that were logged in it.
    let lost = hex(&[9; 16]);
    let told = |restored: bool, played_at: i64| {
        let mut world = usual(1);
        let known = LeafHead::from(&world.log().head());
        world.logs.push(Log::new(2028));
        let back = DAY + 14 * HOUR;
        let first = if restored {
            ServerBody::Restored {
                known: Some(known),
                witnessed: None,
                reason: "hỏng đĩa".into(),
                by: "nguyen-thi-lan".into(),
            }
        } else {
            ServerBody::Shard { previous: Some(known) }
        };
        world.log().say(back, &first);
        world.log().checkpoint(back + 1_000, &[0, 1]);
        world.tell(0, played_at + 2 * MIN, &play(&lost, played_at, 2 * MIN));
        world.tell(0, played_at + 3 * MIN, &notice("lut-so-1", played_at, MIN));
        world.log().checkpoint(back + 2 * MIN, &[0, 1]);
        judge(&world, &world.pack())
    };
    let between = DAY + 12 * HOUR;
    let verdict = told(true, between);
    assert!(!kinds(&verdict).contains(&FaultKind::Unplanned), "{:#?}", verdict.faults);
    assert!(verdict.notes.iter().any(|note| note.starts_with("2 plays")), "{:?}", verdict.notes);
    // Without a word of a loss, of a time before it, and of one after: as ever.
    for (restored, at) in [(false, between), (true, DAY + 2 * HOUR), (true, DAY + 15 * HOUR)] {
        let verdict = told(restored, at);
        let unplanned = verdict.faults.iter().filter(|fault| fault.kind == FaultKind::Unplanned);
        assert_eq!(unplanned.count(), 2, "{restored} {at}: {:#?}", verdict.faults);
    }
}
