//! What devices, or those who hold their keys, may do.

use super::*;

/// Lives through the day, but for one record of device 1.
fn but(mut other: impl FnMut(&mut World, Moment)) -> World {
    live(3, &mut |world, moment| {
        let this = moment.device == 1 && moment.cue == Some(4);
        if this {
            other(world, moment);
        }
        this
    })
}

#[test]
fn a_record_that_the_log_leaves_out_is_a_gap_in_its_chain() {
    let world = but(|world, moment| {
        let id = cue_of(DAY, 4);
        world.tell(1, moment.at_ms + 10 * MIN, &super::super::model::start(&id, moment.at_ms));
        // Signed, sent, and dropped by the server before it was logged.
        let seen = world.log().seen.clone();
        let _ = world.devices[1].sign(moment.at_ms + 11 * MIN, &seen, &play(&id, moment.at_ms, 1));
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Gap);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    let seq = fault.seq.unwrap();
    assert_eq!(fault.message, format!("number {seq} never came"));
    assert_eq!((verdict.records.gaps, verdict.outcomes.partial), (1, 1));
}

#[test]
fn a_tail_that_was_cut_is_found_by_what_the_device_told() {
    let mut world = usual(3);
    let (chain, seq) = (world.devices[1].chain, world.devices[1].seq);
    let mut at = DAY + 25 * HOUR;
    let mut say = |world: &mut World, chain: [u8; 16], from: u64, to: u64| {
        let (dev, chain) = ("loa-thon-2".parse().unwrap(), hex(&chain).parse().unwrap());
        world.log().say(at, &ServerBody::Gap { dev, chain, from, to });
        at += 1_000;
        world.log().checkpoint(at, &[0]);
    };
    // What was missing for a while and came is no fault, nor a chain of which nothing came.
    say(&mut world, chain, 1, seq);
    say(&mut world, [99; 16], 1, 7);
    assert_eq!(judge(&world, &world.pack()).faults, []);
    say(&mut world, chain, seq + 1, seq + 2);
    say(&mut world, chain, seq + 3, seq + 4);
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Gap);
    assert_eq!((fault.device.as_deref(), fault.seq), (Some("loa-thon-2"), Some(seq + 1)));
    let (from, to) = (seq + 1, seq + 4);
    let why = format!("the device told of numbers up to {to}, from {from} on none came");
    assert_eq!((&fault.message, verdict.records.gaps), (&why, 4));
    assert!(fault.index.is_some());
}

#[test]
fn records_whose_order_was_made_up_do_not_name_each_other() {
    let world = but(|world, moment| {
        let seen = world.log().seen.clone();
        let at = moment.at_ms + 10 * MIN;
        // Another record takes the place of the one that the next names.
        let forged = world.devices[1].clone().sign(at, &seen, &play(&cue_of(DAY, 4), at, 2 * MIN));
        let _ = world.devices[1].sign(at, &seen, &beat());
        world.log().record(at, &forged);
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Chain);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert!(fault.seq.is_some() && fault.index.is_some());
}

#[test]
fn a_record_logged_twice_is_found_and_counted_once() {
    let world = but(|world, moment| {
        sound(world, moment);
        let again = world.log().waiting.last().unwrap().clone();
        world.log().waiting.push(again);
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Duplicate);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert_eq!(
        fault.message,
        format!("the record stands at leaf {} already", fault.index.unwrap() - 1)
    );
    assert_eq!(verdict.outcomes.played[&3], 24);
}

#[test]
fn a_record_signed_by_another_device_counts_for_nothing() {
    let world = but(|world, moment| {
        let seen = world.log().seen.clone();
        let (own, other) = (world.devices[1].key.clone(), world.devices[2].key.clone());
        world.devices[1].key = other;
        let at = moment.at_ms + 10 * MIN;
        let text = world.devices[1].sign(at, &seen, &play(&cue_of(DAY, 4), moment.at_ms, 2 * MIN));
        world.devices[1].key = own;
        world.log().record(at, &text);
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Key);
    assert_eq!(fault.message, "its key was enrolled for another device");
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert_eq!((verdict.records.unverifiable, verdict.outcomes.played[&3]), (1, 23));
}

#[test]
fn a_record_whose_words_were_changed_after_signing_counts_for_nothing() {
    let world = but(|world, moment| {
        let seen = world.log().seen.clone();
        let at = moment.at_ms + 10 * MIN;
        let text = world.devices[1].sign(at, &seen, &play(&cue_of(DAY, 4), moment.at_ms, 5_000));
        let parts: Vec<&str> = text.split('.').collect();
        let claims = crate::audit::text::base64url(parts[1].as_bytes()).unwrap();
        let better = String::from_utf8(claims).unwrap().replace(":5000,", ":120000,");
        let better = crate::audit::text::to_base64url(better.as_bytes());
        world.log().record(at, &format!("{}.{better}.{}", parts[0], parts[2]));
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Signature);
    assert!(fault.index.is_some());
    assert_eq!((verdict.records.unverifiable, verdict.records.gaps), (1, 1));
}

#[test]
fn a_cloned_key_shows_in_two_records_with_one_number() {
    let world = but(|world, moment| {
        let mut clone = world.devices[1].clone();
        sound(world, moment);
        let seen = world.log().seen.clone();
        let at = moment.at_ms + 10 * MIN;
        let text = clone.sign(at, &seen, &play(&cue_of(DAY, 4), moment.at_ms, 2 * MIN));
        world.log().record(at, &text);
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Conflict);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert!(fault.seq.is_some() && fault.index.is_some());
    assert_eq!(verdict.records.conflicts, 1);
    // The server's own word is enough.
    let world = but(|world, moment| {
        sound(world, moment);
        let (first, second) = (hex(&[1; 32]), hex(&[2; 32]));
        let body = ServerBody::Conflict {
            dev: "loa-thon-2".parse().unwrap(),
            chain: hex(&[2; 16]).parse().unwrap(),
            seq: 7,
            first: first.parse().unwrap(),
            second: second.parse().unwrap(),
        };
        world.log().say(moment.at_ms, &body);
    });
    let verdict = judge(&world, &world.pack());
    assert_eq!(only(&verdict, FaultKind::Conflict).seq, Some(7));
}

#[test]
fn a_back_dated_clock_is_held_against_what_encloses_it() {
    let world = but(|world, moment| {
        // Written now, and said to be of three hours ago.
        let text = {
            let seen = world.log().seen.clone();
            let body = play(&cue_of(DAY, 4), moment.at_ms, 2 * MIN);
            world.devices[1].sign(moment.at_ms - 3 * HOUR, &seen, &body)
        };
        world.log().record(moment.at_ms + 10 * MIN, &text);
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Clock);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert!(fault.message.contains("before a checkpoint"));
    let world = but(|world, moment| {
        let seen = world.log().seen.clone();
        let text = world.devices[1].sign(moment.at_ms + 5 * HOUR, &seen, &beat());
        world.log().record(moment.at_ms, &text);
    });
    let verdict = judge(&world, &world.pack());
    assert!(only(&verdict, FaultKind::Clock).message.contains("after a checkpoint"));
    // Old checkpoints quoted on purpose only widen what encloses the record.
    let mut old = Value::Null;
    let world = live(2, &mut |world, moment| {
        if moment.device == 0 && old.is_null() {
            old = world.log().seen.clone();
        }
        let this = moment.device == 1;
        if this && moment.cue.is_none() {
            let seen = old.clone();
            let text = world.devices[1].sign(moment.at_ms, &seen, &beat());
            world.log().record(moment.at_ms, &text);
        }
        this
    });
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok && verdict.records.late >= 15, "{:?}", verdict.records);
}

#[test]
fn a_revoked_key_that_is_used_later_counts_for_nothing() {
    let lost = |from: bool| {
        live(2, &mut |world, moment| {
            if moment.device == 1 && moment.cue == Some(4) {
                sound(world, moment);
                // Lost two hours ago: what it signed since does not count either.
                let since = world.log().size() - 3;
                world.revoke(moment.at_ms + 11 * MIN, 1, from.then_some(since));
                return true;
            }
            false
        })
    };
    let world = lost(false);
    let verdict = judge(&world, &world.pack());
    assert_eq!(kinds(&verdict), [FaultKind::Revoked]);
    let fault = &verdict.faults[0];
    assert_eq!(fault.device.as_deref(), Some("loa-thon-2"));
    assert!(fault.seq.is_some() && fault.index.is_some());
    // Cues 5, 6, 7 are told of by a key that no longer counts.
    assert_eq!(verdict.outcomes.played[&3], 13);
    assert_eq!(verdict.records.unverifiable, verdict.faults.len() as u64);
    let earlier = judge(&lost(true), &lost(true).pack());
    assert_eq!(earlier.outcomes.played[&3], 12, "the play before the revocation fell, too");
}
