//! What a loudspeaker does at golden moments.

use super::*;

#[test]
fn a_cue_is_ordered_ahead_sounds_and_leaves_a_start_and_a_play() {
    let from = at("05:00:00");
    let sheet = sheet(&[loud()], &[clip("gong", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, at("04:50:00"));
    bench.follow(&sheet);
    bench.tell(Event::AssetHeld(asset("gong")));
    assert_eq!(orders(&bench.at(from.plus(-LEAD_MS - 1))), []);
    let actions = bench.at(from.plus(-LEAD_MS));
    let [order] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((order.at, order.offset_ms, order.end), (from, 0, from.plus(20_000)));
    assert_eq!((order.volume, order.gain_cb), (80, -30));
    // The journal promises before the order is given.
    let journal = actions.iter().position(|a| matches!(a, Action::Journal(_))).unwrap();
    assert!(journal < actions.iter().position(|a| matches!(a, Action::Play(_))).unwrap());
    bench.at(from);
    let started = bench.tell(Event::Started { token: order.token, at: from.plus(3) });
    let subject = Subject::Cue { cue: cue_id("gong") };
    let start = Body::Start { subject, n: 1, started_ms: from.plus(3) };
    assert_eq!(bodies(&started), [start]);
    bench.at(from.plus(20_003));
    let end = from.plus(20_003);
    let ended = Event::Ended { token: order.token, at: end, played_ms: 20_000, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str(), play.skew_ms), (Said::Played, "end", Some(3)));
    assert_eq!((play.grade, play.due_len_ms, play.played_ms), (3, 20_000, 20_000));
    assert_eq!(bodies(&bench.at(from.plus(60_000))), [], "one record is enough");
}

#[test]
fn a_device_that_boots_late_joins_the_running_cue() {
    let from = at("07:00:00");
    let sheet = sheet(&[loud()], &[clip("gong", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, from.plus(13_000));
    bench.tell(Event::AssetHeld(asset("gong")));
    let [order] = &orders(&bench.follow(&sheet))[..] else { panic!() };
    assert_eq!((order.at, order.offset_ms), (from.plus(13_000), 13_000));
    bench.tell(Event::Started { token: 1, at: from.plus(13_100) });
    bench.at(from.plus(20_000));
    let at = bench.now.utc;
    let ended = Event::Ended { token: 1, at, played_ms: 6_900, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "late"));
}

#[test]
fn quiet_hours_of_the_sheet_and_of_the_floor_refuse_and_cut() {
    let night = clip("dem", at("04:00:00"), 20_000);
    let before = clip("som", at("04:59:50"), 20_000);
    let across = clip("toi", at("20:59:50"), 30_000);
    // This sheet would allow the night; the floor does not.
    let sheet = sheet(
        &[(at("03:00:00"), at("04:30:00")), (at("05:00:00"), at("21:00:00"))],
        &[night, before, across],
    );
    let mut bench = Bench::new(SPEAKER, at("03:50:00"));
    for name in ["dem", "som", "toi"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&sheet);
    for (time, name) in [("04:00:00", "dem"), ("04:59:50", "som")] {
        let play = only_play(&bench.at(at(time)));
        assert_eq!(play.subject, Subject::Cue { cue: cue_id(name) });
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Refused, "quiet"));
    }
    let [order] = &orders(&bench.at(at("20:59:50").plus(-LEAD_MS)))[..] else { panic!() };
    assert_eq!(order.end, at("21:00:00"));
    bench.tell(Event::Started { token: order.token, at: at("20:59:50") });
    bench.at(at("21:00:00"));
    let (token, at) = (order.token, at("21:00:00"));
    let play =
        only_play(&bench.tell(Event::Ended { token, at, played_ms: 10_000, by: Ended::Time }));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "quiet"));
}

#[test]
fn a_missing_clip_gives_way_to_its_fallback_then_fails_as_missing() {
    let from = at("06:00:00");
    let (cue, _, main) = clip("tin", from, 20_000);
    let item = SheetItem::Clip {
        title: "Tin".to_owned(),
        asset: asset("tin"),
        fallback: Some(asset("nhac")),
    };
    let other = clip("mat", at("06:01:00"), 10_000);
    let mut planned = sheet(&[loud()], &[(cue, item, main), other]);
    Arc::get_mut(&mut planned).unwrap().assets.insert(asset("nhac"), entry(20_000));
    let mut bench = Bench::new(SPEAKER, at("05:50:00"));
    bench.tell(Event::AssetHeld(asset("nhac")));
    bench.follow(&planned);
    assert_eq!(orders(&bench.at(from.plus(-LEAD_MS))), [], "the clip may still come");
    let [order] = &orders(&bench.at(from.plus(-400)))[..] else { panic!() };
    assert_eq!((order.asset, order.offset_ms), (asset("nhac"), 0));
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(20_000));
    let (token, end) = (order.token, from.plus(20_000));
    let ended = Event::Ended { token, at: end, played_ms: 20_000, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.asset, play.cause.as_str()), (Some(asset("nhac")), "fallback"));
    assert_eq!(bodies(&bench.at(at("06:01:00"))), []);
    let play = only_play(&bench.at(at("06:01:10")));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "missing"));
    assert_eq!((play.started_ms, play.grade), (None, 1));
}

#[test]
fn a_clip_that_arrives_while_its_cue_runs_is_joined() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.follow(&sheet);
    assert_eq!(orders(&bench.at(from.plus(5_000))), []);
    let [order] = &orders(&bench.tell(Event::AssetHeld(asset("tin"))))[..] else { panic!() };
    assert_eq!(order.offset_ms, 5_000);
}

#[test]
fn a_withdrawn_cue_fades_out_and_an_amended_one_goes_on() {
    let from = at("06:00:00");
    let first = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:50:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&first);
    let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(10_000));
    // Shorter and quieter: the same cue goes on.
    let (mut cue, item, main) = clip("tin", from, 60_000);
    cue.end_ms = from.plus(40_000);
    cue.volume = 50;
    let second = sheet(&[loud()], &[(cue, item, main)]);
    let actions = bench.follow(&second);
    let amend = Action::Amend { token: order.token, volume: 50, end: from.plus(40_000) };
    assert!(actions.contains(&amend), "{actions:?}");
    assert_eq!(orders(&actions), []);
    // Gone: it fades out.
    let third = sheet(&[loud()], &[]);
    let actions = bench.follow(&third);
    assert!(actions.contains(&Action::Halt { token: order.token, fade_ms: 500 }));
    let (token, now) = (order.token, bench.now.utc);
    let ended = Event::Ended { token, at: now, played_ms: 10_500, by: Ended::Halted };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "withdrawn"));
    assert_eq!(play.sheet, Some(name_of(&second)));
}

#[test]
fn the_day_follows_the_old_sheet_until_the_new_one_and_its_near_clips_are_held() {
    let old = sheet(&[loud()], &[clip("cu", at("06:20:00"), 10_000)]);
    let new = sheet(&[loud()], &[clip("moi", at("06:05:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("cu")));
    bench.follow(&old);
    bench.tell(Event::Timetable(schedule(&[&new])));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&old), "the sheet is missing");
    bench.tell(Event::SheetHeld(name_of(&new), Arc::clone(&new)));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&old), "its clip is missing");
    bench.tell(Event::AssetHeld(asset("moi")));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&new));
    // A clip that never comes does not keep the old sheet in force for ever.
    let third = sheet(&[loud()], &[clip("ba", at("06:08:00"), 600_000)]);
    bench.follow(&third);
    bench.at(at("06:09:59"));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&new));
    bench.at(at("06:10:00"));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&third));
}

#[test]
fn without_trusted_time_nothing_plays_and_the_cue_says_so() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 10_000), clip("sau", at("06:05:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.tell(Event::AssetHeld(asset("sau")));
    bench.follow(&sheet);
    bench.tell(Event::Clock(Time::Drifted));
    assert_eq!(orders(&bench.at(from)), []);
    let play = only_play(&bench.at(from.plus(10_000)));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "clock"));
    bench.tell(Event::Clock(Time::Fit));
    assert_eq!(orders(&bench.at(at("06:05:00").plus(-LEAD_MS))).len(), 1);
}

#[test]
fn time_learnt_late_fails_what_ended_meanwhile_and_joins_what_still_runs() {
    let over = clip("qua", at("06:00:30"), 10_000);
    let runs = clip("dang", at("06:01:00"), 60_000);
    let sheet = sheet(&[loud()], &[over, runs]);
    let now = Moment { utc: UtcMs(5_000), mono_ms: 0 };
    let mut device =
        Executor::new("loa-thon-1", SPEAKER, QuietFloor::default(), Past::default(), now);
    for name in ["qua", "dang"] {
        device.handle(now, Event::AssetHeld(asset(name)));
    }
    device.handle(now, Event::Timetable(schedule(&[&sheet])));
    device.handle(now, Event::SheetHeld(name_of(&sheet), Arc::clone(&sheet)));
    assert_eq!(bodies(&device.handle(now, Event::Tick)), []);
    // 70 s later the time is known: it is 06:01:10, so the program began at 06:00:00.
    let now = Moment { utc: at("06:01:10"), mono_ms: 70_000 };
    let actions = device.handle(now, Event::Clock(Time::Fit));
    let play = only_play(&actions);
    assert_eq!(play.subject, Subject::Cue { cue: cue_id("qua") });
    assert_eq!(play.cause, "clock");
    assert_eq!(orders(&actions)[0].offset_ms, 10_000);
}

#[test]
fn an_unknown_kind_fails_alone() {
    let from = at("06:00:00");
    let strange = (plain("la", from, from.plus(10_000)), SheetItem::Unknown, None);
    let pages = SheetItem::Pages { title: "Chữ".to_owned(), pages: Vec::new() };
    let text = (plain("chu", from.plus(10_000), from.plus(20_000)), pages, None);
    let sheet = sheet(&[loud()], &[strange, text, clip("tin", from.plus(20_000), 5_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    for plus in [0, 10_000] {
        let play = only_play(&bench.at(from.plus(plus)));
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "unsupported"));
    }
    assert_eq!(orders(&bench.at(from.plus(17_000))).len(), 1);
}

#[test]
fn a_stop_ends_what_plays_for_good_and_is_obeyed_once() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    bench.at(from.plus(-LEAD_MS));
    bench.tell(Event::Started { token: 1, at: from });
    bench.at(from.plus(5_000));
    let stop = || Event::Command { jti: "a".to_owned(), order: Order::Stop };
    let actions = bench.tell(stop());
    assert!(actions.contains(&Action::Halt { token: 1, fade_ms: 500 }));
    let now = bench.now.utc;
    let play = only_play(&bench.tell(Event::Ended {
        token: 1,
        at: now,
        played_ms: 5_000,
        by: Ended::Halted,
    }));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "stop"));
    assert_eq!(bodies(&bench.tell(stop())), [], "the same command acts once");
    assert_eq!(orders(&bench.at(from.plus(30_000))), []);
}

#[test]
fn after_fourteen_days_the_plan_ends_and_the_device_is_idle() {
    let (from, to) = day();
    let mut sheets = Vec::new();
    for n in 0..14 {
        let shift = n * 86_400_000;
        sheets.push(Arc::new(DaySheet {
            v: 1,
            from_ms: from.plus(shift),
            to_ms: to.plus(shift),
            sound: vec![Span::new(at("05:00:00").plus(shift), at("21:00:00").plus(shift)).unwrap()],
            assets: [(asset("tin"), entry(10_000))].into(),
            items: [("tin".to_owned(), clip("tin", from, 1).1)].into(),
            cues: vec![Cue {
                id: cue_id(&format!("tin {n}")),
                ..plain("tin", at("06:00:00").plus(shift), at("06:00:10").plus(shift))
            }],
        }));
    }
    let mut bench = Bench::new(SPEAKER, at("05:00:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.tell(Event::Timetable(schedule(&sheets.iter().collect::<Vec<_>>())));
    for sheet in &sheets {
        bench.tell(Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
    }
    let mut played = 0;
    for minute in 0..(16 * 24 * 60) {
        let now = at("05:59:58").plus(minute * 60_000);
        for order in orders(&bench.at(now)) {
            bench.tell(Event::Started { token: order.token, at: order.at });
            bench.at(order.end);
            let (token, at) = (order.token, order.end);
            bench.tell(Event::Ended { token, at, played_ms: 10_000, by: Ended::Clip });
            played += 1;
        }
    }
    assert_eq!(played, 14);
    assert!(bench.device.idle());
}

#[test]
fn a_clock_set_back_during_a_play_neither_repeats_it_nor_ends_it_before_it_began() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    bench.at(from.plus(-LEAD_MS));
    bench.tell(Event::Started { token: 1, at: from });
    bench.at(from.plus(30_000));
    bench.now.utc = from.plus(-60_000);
    assert_eq!(orders(&bench.tell(Event::Tick)), []);
    bench.now.mono_ms += 30_000;
    bench.now.utc = from.plus(-30_000);
    let at = bench.now.utc;
    let play =
        only_play(&bench.tell(Event::Ended { token: 1, at, played_ms: 60_000, by: Ended::Clip }));
    assert_eq!((play.outcome, play.played_ms), (Said::Played, 60_000));
    assert_eq!(play.ended_ms, Some(from.plus(60_000)));
    assert_eq!(orders(&bench.at(from)), [], "its time comes again, its sound does not");
    assert_eq!(bodies(&bench.at(from.plus(70_000))), []);
}

#[test]
fn no_volume_passes_the_cap() {
    let from = at("06:00:00");
    let (mut cue, item, main) = clip("tin", from, 60_000);
    cue.volume = 100;
    let sheet = sheet(&[loud()], &[(cue, item, main)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
    assert_eq!(order.volume, 90);
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(1_000));
    let order = Order::Volume(95);
    let actions = bench.tell(Event::Command { jti: "to".to_owned(), order });
    assert!(!actions.iter().any(|a| matches!(a, Action::Amend { volume: 91.., .. })));
}

#[test]
fn a_self_test_sounds_where_sound_is_allowed_and_says_how_it_went() {
    let sheet = sheet(&[loud()], &[clip("tin", at("06:00:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("04:50:00"));
    bench.follow(&sheet);
    let ask = |bench: &mut Bench, jti: &str| {
        bench.tell(Event::Command { jti: jti.to_owned(), order: Order::SelfTest })
    };
    let result = |actions: &[Action]| match bodies(actions).pop() {
        Some(Body::Did { what, result, .. }) => (what, result),
        other => panic!("{other:?}"),
    };
    let refused = |why: &str| ("self-test".to_owned(), format!("refused: {why}"));
    assert_eq!(result(&ask(&mut bench, "1")), refused("quiet"));
    bench.at(at("05:59:58"));
    assert_eq!(result(&ask(&mut bench, "2")), refused("busy"));
    bench.at(at("06:10:00"));
    let [order] = &orders(&ask(&mut bench, "3"))[..] else { panic!() };
    let (token, at) = (order.token, order.end);
    bench.tell(Event::Started { token, at: order.at });
    let actions = bench.tell(Event::Ended { token, at, played_ms: TONE_MS, by: Ended::Clip });
    let method = "samples".to_owned();
    assert_eq!(bodies(&actions)[0], Body::SelfTest { method, score_permille: 1000 });
    assert_eq!(result(&actions).1, "done");
}

#[test]
fn no_sound_goes_beyond_what_the_journal_promised_before() {
    // A cut may strike at the last moment before the next tick, so at each tick all that has
    // sounded since the one before must have been promised then.
    let start = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("dài", start, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:50"));
    let mut actions = bench.tell(Event::AssetHeld(asset("dài")));
    actions.extend(bench.follow(&sheet));
    let (mut promised, mut token) = (0, None);
    for second in 1..60 {
        let now = at("05:59:50").plus(second * 1000);
        let sounded = now.since(start);
        if sounded > 0 {
            assert!(sounded <= promised, "{sounded} ms sounded, {promised} ms were promised");
        }
        actions.extend(bench.at(now));
        token = orders(&actions).first().map(|order| order.token).or(token);
        if now == start {
            actions.extend(bench.tell(Event::Started { token: token.unwrap(), at: start }));
        }
        for action in actions.drain(..) {
            if let Action::Journal(journal) = action {
                promised = journal.sounding.first().map_or(promised, |open| open.reach_ms);
            }
        }
    }
}

#[test]
fn a_play_is_recorded_with_the_grade_that_its_output_can_prove() {
    let from = at("05:00:00");
    let planned = [clip("gong", from, 20_000), clip("tin", from.plus(60_000), 20_000)];
    let sheet = sheet(&[loud()], &planned);
    let mut bench = Bench::new(Output::Speaker { grade: 0, method: "mqtt" }, at("04:50:00"));
    bench.follow(&sheet);
    let mut play = |name: &str, from: UtcMs, graded: Option<u8>| {
        bench.tell(Event::AssetHeld(asset(name)));
        let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
        bench.at(from);
        bench.tell(Event::Started { token: order.token, at: from });
        if let Some(grade) = graded {
            bench.tell(Event::Graded { token: order.token, grade: 1 });
            let open = &bench.device.journal(bench.now, false).sounding[0];
            assert_eq!(open.draft.grade, 1, "a power cut now claims no more");
            bench.tell(Event::Graded { token: order.token, grade });
        }
        let end = from.plus(20_000);
        bench.at(end);
        let (token, by) = (order.token, Ended::Clip);
        only_play(&bench.tell(Event::Ended { token, at: end, played_ms: 20_000, by }))
    };
    let known = play("gong", from, Some(4));
    assert_eq!((known.grade, known.method.as_str()), (4, "mqtt"));
    let unknown = play("tin", from.plus(60_000), None);
    assert_eq!(unknown.grade, 0, "what was said of one play is not true of the next");
}
