//! What the server, or those who hold its key, may do.

use super::*;

#[test]
fn a_chain_whose_tail_is_kept_back_makes_its_cues_explained_and_never_played() {
    let world = live(2, &mut |world, moment| {
        let late = moment.device == 1 && moment.at_ms > DAY + 4 * HOUR;
        if late {
            let seen = world.log().seen.clone();
            let _ = world.devices[1].sign(moment.at_ms, &seen, &beat());
        }
        late
    });
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert_eq!((verdict.outcomes.played[&3], verdict.outcomes.explained), (12, 4));
    // The device kept its receipt: now it shows.
    let mut world = world;
    world.keys = Some(epochs());
    let device = world.devices[1].clone();
    let kept = receipt(&device.name, &device.chain, device.seq, &device.prev.unwrap());
    let brought = Options { receipts: kept.as_bytes(), ..options() };
    let verdict = judge_with(&world, &world.pack(), &brought);
    let fault = only(&verdict, FaultKind::Receipt);
    assert_eq!((fault.device.as_deref(), fault.seq), (Some("loa-thon-2"), Some(device.seq)));
}

#[test]
fn a_fork_after_restoring_a_backup_is_found_by_checkpoints_and_by_what_devices_quote() {
    // The server goes on from a backup; witnesses and devices know the other tree.
    let mut backup = None;
    let mut shown = Value::Null;
    let world = live(2, &mut |world, moment| {
        if moment.device == 0 && moment.cue == Some(3) {
            backup = Some(world.log().clone());
        }
        if moment.device == 0 && moment.cue == Some(4) {
            shown = world.log().seen.clone();
            let known = world.log().cosigned.clone();
            let restored = backup.take().unwrap();
            *world.log() = restored;
            world.log().cosigned = known;
        }
        false
    });
    let verdict = judge(&world, &world.pack());
    let forks = verdict.faults.iter().filter(|fault| fault.kind == FaultKind::Fork);
    assert!(forks.count() >= 1, "{:#?}", verdict.faults);

    // Without the checkpoints of the other tree, a device's quote is enough.
    let mut quoted = Value::Null;
    let world = live(2, &mut |world, moment| {
        if moment.device == 0 && moment.cue == Some(4) {
            let mut other = world.log().clone();
            other.record(moment.at_ms, "kept.from.others");
            other.checkpoint(moment.at_ms, &[0]);
            quoted = other.seen.clone();
            world.tell(0, moment.at_ms, &beat());
        }
        if moment.device == 0 && moment.cue == Some(5) {
            let text = world.devices[0].sign(moment.at_ms + MIN, &quoted, &beat());
            world.log().record(moment.at_ms + MIN, &text);
        }
        false
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Fork);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-1"));
    assert!(fault.seq.is_some() && fault.index.is_some(), "{fault:?}");
}

#[test]
fn plays_made_up_before_their_timetable_are_found() {
    let world = live(1, &mut |world, moment| {
        if moment.cue == Some(2) {
            // Of a day for which nothing was published yet.
            let at = DAY + HOUR / 2 + 24 * HOUR;
            let id = cue_of(DAY + 24 * HOUR, 0);
            world.tell(0, moment.at_ms, &play(&id, at, 2 * MIN));
        }
        if moment.cue == Some(5) {
            let next = DAY + 24 * HOUR;
            world.publish(moment.at_ms, 0, 2, &[sheet(DAY), sheet(next)], next + HOUR / 2);
        }
        false
    });
    let world = World { window: (DAY, DAY + 48 * HOUR), ..world };
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Premature);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-1"));
    assert!(fault.seq.is_some() && fault.index.is_some());
    assert_eq!((verdict.outcomes.pending, verdict.outcomes.played[&3]), (8, 8));
}

#[test]
fn a_timetable_published_after_its_cue_orders_nothing() {
    let world = live(1, &mut |world, moment| {
        if moment.cue == Some(3) {
            let mut extra: Value = serde_json::from_slice(&sheet(DAY)).unwrap();
            extra["cues"][1]["id"] = json!(hex(&[9; 16]));
            let sheet = extra.to_string().into_bytes();
            let first = DAY + HOUR + HOUR / 2;
            world.publish(moment.at_ms, 0, 2, &[sheet], first);
            world.tell(0, moment.at_ms, &play(&hex(&[9; 16]), first, 2 * MIN));
        }
        false
    });
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Timetable);
    assert_eq!(fault.device.as_deref(), Some("loa-thon-1"));
    assert!(fault.index.is_some());
    let unplanned = only(&verdict, FaultKind::Unplanned);
    assert!(unplanned.seq.is_some() && unplanned.message.contains(&hex(&[9; 16])));
    // Back-dating the leaf does not help: witnesses signed a tree without it after the cue.
    let world = live(1, &mut |world, moment| {
        if moment.cue == Some(5) {
            world.publish(DAY - HOUR, 0, 2, &[sheet(DAY)], DAY + HOUR / 2);
        }
        false
    });
    let verdict = judge(&world, &world.pack());
    assert!(only(&verdict, FaultKind::Timetable).message.starts_with("logged "));
}

#[test]
fn a_receipt_without_its_record_is_found_unless_a_loss_was_logged() {
    let mut world = usual(2);
    world.keys = Some(epochs());
    let device = world.devices[1].clone();
    let (name, chain) = (device.name.clone(), device.chain);
    let right = receipt(&name, &chain, device.seq, &device.prev.clone().unwrap());
    world.receipts = format!("{right}\n");
    assert!(judge(&world, &world.pack()).ok);
    let wrong = receipt(&name, &chain, device.seq, &hex(&[3; 32]));
    world.receipts = format!("{right}\n{wrong}\n");
    let verdict = judge(&world, &world.pack());
    let fault = only(&verdict, FaultKind::Receipt);
    assert_eq!((fault.device.as_deref(), fault.seq), (Some(name.as_str()), Some(device.seq)));
    // One that the server did not sign blames nobody.
    let forged = jws(&key(93), "loa-receipt+jwt", &json!({"v": 1}));
    world.receipts = format!("{right}\n{forged}\n");
    let fault = only(&judge(&world, &world.pack()), FaultKind::Receipt).clone();
    assert_eq!(fault.message, "line 2 is no receipt that the server signed");
    // Lost with the tail of the log, said so, and begun anew.
    world.receipts = format!("{right}\n{wrong}\n");
    let known = LeafHead::from(&world.log().head());
    world.logs.push(super::super::model::Log::new(2028));
    let restored = ServerBody::Restored {
        known: Some(known),
        witnessed: None,
        reason: "hỏng đĩa".into(),
        by: "nguyen-thi-lan".parse().unwrap(),
    };
    world.log().say(DAY + 11 * HOUR, &restored);
    world.log().checkpoint(DAY + 11 * HOUR, &[0, 1]);
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert!(verdict.notes.iter().any(|note| note.contains("1 receipts")));
}

#[test]
fn what_devices_send_again_after_a_loss_is_no_duplicate() {
    let mut world = usual(2);
    let known = LeafHead::from(&world.log().head());
    let width = u16::try_from(world.logs[0].edge.size()).unwrap();
    let bundle = &world.logs[0].files[&format!("tile/entries/000.p/{width}")];
    let last = crate::audit::leaf::entries(bundle, width).unwrap().last().unwrap()[9..].to_vec();
    for restored in [true, false] {
        let mut world = world.clone();
        world.logs.push(super::super::model::Log::new(2028));
        let previous = Some(known.clone());
        let first = if restored {
            ServerBody::Restored {
                known: previous,
                witnessed: None,
                reason: "hỏng đĩa".into(),
                by: "nguyen-thi-lan".parse().unwrap(),
            }
        } else {
            ServerBody::Shard { previous }
        };
        world.log().say(DAY + 11 * HOUR, &first);
        world.log().record(DAY + 11 * HOUR, std::str::from_utf8(&last).unwrap());
        world.log().checkpoint(DAY + 11 * HOUR, &[0, 1]);
        let verdict = judge(&world, &world.pack());
        assert_eq!(kinds(&verdict).contains(&FaultKind::Duplicate), !restored);
        assert_eq!(verdict.ok, restored, "{:#?}", verdict.faults);
    }
    // A shard that does not go on where the one before ended.
    world.logs.push(super::super::model::Log::new(2028));
    let previous = LeafHead { size: known.size - 1, ..known };
    world.log().say(DAY + 11 * HOUR, &ServerBody::Shard { previous: Some(previous) });
    world.log().checkpoint(DAY + 11 * HOUR, &[0, 1]);
    let verdict = judge(&world, &world.pack());
    assert_eq!(only(&verdict, FaultKind::Shard).place, "logs/2/tile/entries/000.p/1");
}

#[test]
fn of_two_heads_of_a_size_the_one_that_is_not_the_packs_own_is_named() {
    for root in [[0; 32], [0xff; 32]] {
        let mut world = live(2, &mut |_, _| false);
        let head = world.log().head();
        let other = Checkpoint { root: TreeHash(root), ..head };
        let note = world.log().sign(&other, DAY, &[]);
        let kept = world.log().cosigned.values_mut().last().unwrap();
        kept.push_str(&note);
        kept.push('\n');
        let verdict = judge(&world, &world.pack());
        let fault = only(&verdict, FaultKind::Fork);
        assert!(fault.place.contains("cosigned/"), "{fault:?}");
        assert!(fault.message.contains("/checkpoint`"), "{fault:?}");
    }
}
