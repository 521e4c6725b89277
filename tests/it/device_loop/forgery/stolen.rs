//! Somebody has the schedule key and full access to the broker. What that key is not for, it does
//! not do: each attempt is refused, counted in one record, and nothing sounds.

use super::*;

const TIMES: u64 = 20;

/// A device of the commune that follows a timetable, and the key that was stolen.
async fn robbed(dir: &Path) -> (Server, Running, SecretKey) {
    let (server, device) = of_a_commune(dir, &[], SinkSpec::Null).await;
    let stolen = server.keys.schedule.clone();
    (server, device, stolen)
}

/// The chain that the device holds.
fn held_keys(dir: &Path, server: &Server) -> epoch::KeySet {
    let body = std::fs::read(dir.join("keys.json")).unwrap();
    epoch::KeySet::verify(&body, &server.root.kid()).unwrap()
}

/// Plants each of them again and again, ends the device and checks that each was refused for the
/// reason named, in one record, and that nothing sounded.
async fn refuses(
    mut server: Server,
    device: Running,
    planted: &[(Topic, Vec<u8>, &str)],
) -> Server {
    for (topic, bytes, _) in planted {
        for _ in 0..TIMES {
            server.put(topic, bytes.clone(), true).await;
        }
    }
    // Its answer shows that everything before it was judged.
    server.put_command("c-after", Do::Volume { volume: 70 }).await;
    server.until("the command is answered", |s| !s.answers("c-after").is_empty()).await;
    device.end().await;
    let names: Vec<_> = planted
        .iter()
        .map(|(topic, _, reason)| (server.topics.of(topic), (*reason).to_owned()))
        .collect();
    let wanted = names.clone();
    server
        .until("refusals are told", |s| wanted.iter().all(|name| refused(s).contains_key(name)))
        .await;
    let counted = refused(&server);
    for name in &names {
        let times = TIMES * names.iter().filter(|one| *one == name).count() as u64;
        assert_eq!(counted.get(name), Some(&times), "{name:?} of {counted:#?}");
    }
    let kinds: std::collections::BTreeSet<_> = names.iter().collect();
    let mut records = std::collections::BTreeMap::new();
    for record in &server.records {
        if let Body::Refuse { topic, reason, .. } = &record.body {
            *records.entry((topic.clone(), reason.clone())).or_insert(0) += 1;
        }
    }
    for kind in kinds {
        assert_eq!(records[kind], 1, "one record for {kind:?}, however many came: {records:?}");
    }
    assert_eq!((server.starts(), server.plays().len()), (0, 0), "nothing sounded");
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_schedule_key_cannot_rotate_keys_and_cannot_revoke_one() {
    let dir = TempDir::new().unwrap();
    let (server, device, stolen) = robbed(dir.path()).await;
    let now = server.clock.now();
    // A chain of its own, and a next epoch on top of the true one: new keys, and the urgent key
    // revoked.
    let own = epochs_by(&stolen, &server);
    let known = held_keys(dir.path(), &server);
    let mut keys = server.keys.clone();
    keys.set(Role::Urgent, SecretKey::from_seed(&[99; 32]));
    let revoke = [server.keys.urgent.kid()].into();
    let change =
        epoch::Change { keys: &keys, revoke: &revoke, root: None, log: epoch::LogChange::Keep };
    let right = epoch::next(&known, &server.root, &change, now).unwrap();
    let mut body = right.body().clone();
    let last = body.epochs.len() - 1;
    let claims: serde_json::Value = {
        use base64::Engine as _;
        let part = body.epochs[last].split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    body.epochs[last] = jws::sign(&stolen, Typ::Keys, &claims);
    let planted = [(Topic::Keys, own, "epoch"), (Topic::Keys, body.encode(), "unknown-key")];
    let server = refuses(server, device, &planted).await;
    assert_eq!(server.last_state().unwrap().ver.unwrap().keys, 1);
    let home = Home::open(dir.path()).unwrap();
    assert_eq!(home.keys.epoch(), 1);
    assert!(!home.keys.is_revoked(&server.keys.urgent.kid()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_schedule_key_cannot_move_the_quiet_floor_either_way() {
    let dir = TempDir::new().unwrap();
    let (server, device, stolen) = robbed(dir.path()).await;
    let now = server.clock.now();
    let before = server.last_state().unwrap().ver.unwrap().floor;
    let first = |ver| Floor::first(server.device.clone(), ver, now.numeric_date(), 420);
    let mut open = first(now.0 + 1);
    open.to = open.from;
    let closed =
        Floor { from: "00:00".parse().unwrap(), to: "23:59".parse().unwrap(), ..first(now.0 + 2) };
    let floor = Topic::Floor(server.device.clone());
    let planted = [&open, &closed]
        .map(|doc| (floor.clone(), jws::sign(&stolen, Typ::Floor, doc).into_bytes(), "role"));
    let server = refuses(server, device, &planted).await;
    assert_eq!(server.last_state().unwrap().ver.unwrap().floor, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_schedule_key_cannot_make_a_cue_sound_in_quiet_hours() {
    let dir = TempDir::new().unwrap();
    let (mut server, device, stolen) = robbed(dir.path()).await;
    // Quiet all day but one minute half a day away, in UTC.
    let now = server.clock.now();
    let minute = now.0.rem_euclid(86_400_000) / 60_000;
    let at = |minute: i64| {
        let minute = minute.rem_euclid(1_440);
        format!("{:02}:{:02}", minute / 60, minute % 60).parse().unwrap()
    };
    let mut quiet = Floor::first(server.device.clone(), now.0 + 1, now.numeric_date(), 0);
    (quiet.from, quiet.to) = (at(minute + 721), at(minute + 720));
    let floor = Topic::Floor(server.device.clone());
    server.put(&floor, doc::sign(&server.keys.policy, &quiet).unwrap(), true).await;
    let ver = quiet.ver;
    server
        .until("the floor is in force", |s| {
            s.last_state().and_then(|st| st.ver).is_some_and(|held| held.floor == ver)
        })
        .await;
    // The thief opens the floor, which fails, and signs a sheet that allows sound at all hours.
    let mut open = Floor { ver: ver + 1, ..quiet };
    open.to = open.from;
    server.put(&floor, jws::sign(&stolen, Typ::Floor, &open), true).await;
    let clip = tone(1_000);
    let cues = [2_000, 4_000].map(|ms| server.clock.now().plus(ms));
    server.put_day(&[("mot", &clip, 1_000, cues[0]), ("hai", &clip, 1_000, cues[1])]).await;
    server.until("both cues are answered for", |s| s.plays().len() == 2).await;
    for play in server.plays() {
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Refused, "quiet"), "{play:?}");
        assert_eq!(play.played_ms, 0);
    }
    assert_eq!(server.starts(), 0, "nothing sounded");
    device.end().await;
    let name = (server.topics.of(&floor), "role".to_owned());
    server.until("the refusal is told", |s| refused(s).get(&name) == Some(&1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_schedule_key_cannot_make_or_withdraw_an_urgent_notice() {
    let dir = TempDir::new().unwrap();
    let (server, device, stolen) = robbed(dir.path()).await;
    let siren = tone(1_000);
    server.put_clip(&siren).await;
    let now = server.clock.now().numeric_date();
    let notice = server.urgent("u-1", &siren, 1_000);
    let gone = Withdrawal {
        v: 1,
        iss: "Đài xã".into(),
        withdraws: "u-2".into(),
        iat: now,
        exp: now + 600,
    };
    let planted = [
        (server.urgent_topic("u-1"), jws::sign(&stolen, Typ::Urgent, &notice).into_bytes(), "role"),
        (
            server.urgent_topic("u-2"),
            jws::sign(&stolen, Typ::Withdrawal, &gone).into_bytes(),
            "role",
        ),
    ];
    let mut server = refuses(server, device, &planted).await;
    // The true notice, which the thief tried to withdraw, sounds.
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.put_urgent(&server.urgent("u-2", &siren, 1_000)).await;
    server.until("the true one sounds", |s| s.alarms("u-2") == [1]).await;
    device.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_schedule_key_can_give_no_receipt_and_no_time() {
    let dir = TempDir::new().unwrap();
    let (mut server, device, stolen) = robbed(dir.path()).await;
    server.until("it has records", |s| !s.records.is_empty()).await;
    let now = server.clock.now();
    let head = server.records.last().unwrap().head.clone();
    let receipt = Receipt {
        v: 1,
        aud: server.device.clone(),
        iat: now.numeric_date(),
        chain: head.chain,
        upto: head.seq + 1,
        head: None,
        logged: None,
        checkpoint: None,
    };
    let time = TimeAnswer {
        v: 1,
        aud: server.device.clone(),
        iat: now.numeric_date(),
        nonce: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        now_ms: now.plus(3_600_000),
    };
    let me = server.device.clone();
    let planted = [
        (
            Topic::Receipt(me.clone()),
            jws::sign(&stolen, Typ::Receipt, &receipt).into_bytes(),
            "role",
        ),
        (Topic::Time(me), jws::sign(&stolen, Typ::Time, &time).into_bytes(), "role"),
    ];
    refuses(server, device, &planted).await;
}

/// Holds are signed under `schedule`: whoever steals that key can silence, until it is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_by_a_stolen_schedule_key_stops_no_urgent_notice_and_falls_with_the_key() {
    let dir = TempDir::new().unwrap();
    let (mut server, device, stolen) = robbed(dir.path()).await;
    let siren = tone(1_000);
    server.put_clip(&siren).await;
    let hold = server.put_hold(server.clock.now().plus(3_600_000)).await;
    server.until("it is obeyed", |s| !s.answers(&hold).is_empty()).await;
    server.put_urgent(&server.urgent("u-1", &siren, 1_000)).await;
    server.until("the siren sounds in the hold", |s| s.alarms("u-1") == [1]).await;
    // The root revokes the key; the next timetable is signed by the new one.
    let now = server.clock.now();
    let known = held_keys(dir.path(), &server);
    let mut keys = server.keys.clone();
    keys.set(Role::Schedule, SecretKey::from_seed(&[77; 32]));
    let revoke = [stolen.kid()].into();
    let change =
        epoch::Change { keys: &keys, revoke: &revoke, root: None, log: epoch::LogChange::Keep };
    let chain = epoch::next(&known, &server.root, &change, now).unwrap();
    server.keys = keys;
    server.put(&Topic::Keys, chain.body().encode(), true).await;
    server
        .until("the hold is gone", |s| {
            s.last_state().is_some_and(|st| st.holds.is_empty() && st.ver.unwrap().keys == 2)
        })
        .await;
    let at = server.clock.now().plus(3_000);
    server.ver = now.0;
    server.put_day(&[("mot", &tone(1_000), 1_000, at)]).await;
    let played = |s: &Server| {
        s.plays().iter().any(|play| play.outcome == Said::Played && play.item == "sang/mot")
    };
    server.until("the next clip plays", played).await;
    // The same hold, planted again: its key counts for nothing.
    let again = jws::sign(&stolen, Typ::Hold, &super::hold(&server, now.0 + 9));
    server.put(&Topic::Hold(UNIT.parse().unwrap()), again, true).await;
    server.put_command("c-1", Do::Volume { volume: 70 }).await;
    server.until("the command is answered", |s| !s.answers("c-1").is_empty()).await;
    device.end().await;
    let name = (server.topics.of(&Topic::Hold(UNIT.parse().unwrap())), "revoked".to_owned());
    server.until("the refusal is told", |s| refused(s).contains_key(&name)).await;
    assert!(server.last_state().unwrap().holds.is_empty());
}
