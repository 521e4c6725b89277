use crate::app::keyring::Keyring;
use crate::store::memory::MemoryStore;
use crate::wire::server_keys::ServerKeys;

use super::*;
use crate::app::link::hub::Hub;
use crate::app::live::Picture;
use crate::app::people;
use crate::app::ports::{
    Intake, IntakeRound, NoticeKind, Orders as _, Plans as _, Registry as _, Standing, StoredChain,
    StoredRecord, Trail as _, Via,
};
use crate::clock::ManualClock;
use crate::domain::ids::ChainId;
use crate::domain::standby::{Standby, Template};
use crate::domain::station::{Clip, Station, Unit};
use crate::wire::jws::{OneKey, Role};
use serde_json::{Value, json};

const NOW: UtcMs = UtcMs(1_796_068_800_000);

struct Bench {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    live: Arc<Live>,
    notices: Notices,
    hub: Hub,
    keys: Arc<ServerKeys>,
    _folder: tempfile::TempDir,
}

fn station() -> Station {
    let mut station = crate::app::publish::tests::station(1);
    let path = crate::domain::playlist::ClipPath("a.mp3".into());
    assert!(matches!(station.library.clips[&path], Clip::Known(_)));
    station.standby.insert(Template::Storm, Standby { clip: path, text: "Bão đổ bộ".into() });
    station
}

/// Two enrolled loudspeakers in two hamlets of one commune, one more that is not enrolled.
async fn bench() -> Bench {
    let store = Arc::new(MemoryStore::default());
    let manual = Arc::new(ManualClock::new(NOW));
    let clock: SharedClock = manual.clone();
    let live = Arc::new(Live::new(Picture::empty("hub")));
    let station = station();
    let units: Vec<Unit> = station.units.values().cloned().collect();
    let devices: Vec<_> = station.devices.values().cloned().collect();
    store.put_units(&units).await.unwrap();
    store.put_devices(&devices, NOW).await.unwrap();
    let mut known = store.devices().await.unwrap();
    for one in &mut known {
        one.standing =
            Standing::Enrolled { since_ms: NOW, kid: String::new(), password: Digest::of(b"x") };
    }
    let mut awaiting = known[0].clone();
    awaiting.device.id = "loa-moi".parse().unwrap();
    awaiting.standing = Standing::Awaiting;
    known.push(awaiting);
    live.set_register(known, &units);
    live.change(|picture| {
        picture.name = "Đài xã".into();
        picture.station = Some(Arc::new(station));
    });
    let keys = Arc::new(ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]));
    let folder = tempfile::tempdir().unwrap();
    let library = Arc::new(FileLibrary::open(folder.path()).unwrap());
    let outlet = Arc::new(Outlet::default());
    let hub = Hub::new();
    let (link, _) = hub.connect("server");
    outlet.connect(link);
    let all: Arc<dyn Store> = store.clone();
    let topics = Topics::default();
    let ring = Keyring::rooted(&keys);
    let notices = Notices::new(all, ring, topics, clock, live.clone(), library, outlet);
    Bench { store, clock: manual, live, notices, hub, keys, _folder: folder }
}

fn lan() -> Actor {
    Actor::new("lan", "10.0.0.7")
}

fn asked(kind: NoticeKind) -> Asked {
    Asked {
        kind,
        units: vec!["10363-doai".parse().unwrap()],
        reason: "Bão số 3\nđổ bộ".into(),
        number: "05/CĐ-UBND".into(),
        issuer: "UBND tỉnh".into(),
        document_ms: None,
        text: None,
        template: Some(Template::Storm),
        clip: None,
        times: 2,
        gap_ms: 1_000,
        volume: 90,
        lasts_ms: 600_000,
    }
}

fn urgent_keys(bench: &Bench) -> OneKey {
    OneKey { key: bench.keys.urgent.public(), role: Role::Urgent }
}

#[tokio::test]
async fn a_notice_is_shown_then_sent_under_the_urgent_key_on_the_topic_of_its_unit() {
    let bench = bench().await;
    let preview = bench.notices.prepare(asked(NoticeKind::Urgent), &lan()).await.unwrap();
    let names: Vec<_> = preview.devices.iter().map(|one| one.device.as_str()).collect();
    assert_eq!(names, ["loa-doai-1"], "enrolled, and below the unit");
    assert!(preview.devices[0].speaker && !preview.devices[0].holds_clip);
    assert_eq!(preview.notice.content.text, "Bão đổ bộ", "the template's");
    assert_eq!(preview.notice.content.reason, "Bão số 3 đổ bộ", "one line");
    assert_eq!(
        preview.warnings,
        ["1 of 1 devices are not connected now", "1 loudspeakers must fetch the clip first"]
    );
    assert!(bench.hub.published().is_empty(), "nothing goes out before it is confirmed");

    let jti = preview.notice.jti.clone();
    let (sent, told) = bench.notices.send(&jti, &preview.confirm, &lan()).await.unwrap();
    assert_eq!(told, Told::Published);
    let topic = format!("loa/1/u/10363-doai/urgent/{jti}");
    let body = bench.hub.retained()[&topic].clone();
    let opened = doc::open::<Urgent>(&body, &urgent_keys(&bench)).unwrap().claims;
    assert_eq!((opened.jti.as_str(), opened.volume), (jti.as_str(), 90));
    assert_eq!(opened.exp, NOW.numeric_date() + 600);
    assert_eq!(opened.document.number, "05/CĐ-UBND");
    assert_eq!(opened.asset.unwrap().sha256, Digest::of(b"a.mp3"));
    assert_eq!(sent.sent.unwrap().reached, ["loa-doai-1".parse().unwrap()]);
    let kept = bench.store.retained().await.unwrap();
    assert_eq!((kept.len(), kept[0].topic.as_str()), (1, topic.as_str()));

    let again = bench.notices.send(&jti, &preview.confirm, &lan()).await;
    assert!(matches!(again, Err(UrgentError::Sent { .. })), "{again:?}");
    let trail = bench.store.trail(Page::After { position: 0, limit: 9 }).await.unwrap();
    let told: Vec<_> = trail.iter().map(|one| one.entry.action.as_str()).collect();
    assert_eq!(told, ["prepare-urgent", "send-urgent"]);
    let after = trail[1].entry.after.as_deref().unwrap();
    assert!(after.contains("05/CĐ-UBND") && after.contains("10363-doai"), "{after}");
}

#[tokio::test]
async fn a_drill_is_another_type_of_document() {
    let bench = bench().await;
    let preview = bench.notices.prepare(asked(NoticeKind::Drill), &lan()).await.unwrap();
    bench.notices.send(&preview.notice.jti, &preview.confirm, &lan()).await.unwrap();
    let retained = bench.hub.retained();
    let body = retained.values().next().unwrap();
    assert!(doc::open::<Drill>(body, &urgent_keys(&bench)).is_ok());
    let as_notice = doc::open::<Urgent>(body, &urgent_keys(&bench)).unwrap_err();
    assert_eq!(as_notice.reason(), "typ");
}

#[tokio::test]
async fn what_was_not_shown_is_not_sent() {
    let bench = bench().await;
    let preview = bench.notices.prepare(asked(NoticeKind::Urgent), &lan()).await.unwrap();
    let jti = &preview.notice.jti;
    let wrong = bench.notices.send(jti, &Digest::of(b"other"), &lan()).await;
    assert!(matches!(wrong, Err(UrgentError::Unconfirmed { .. })), "{wrong:?}");
    let unknown = bench.notices.send("n-1", &preview.confirm, &lan()).await;
    assert!(matches!(unknown, Err(UrgentError::Unknown { .. })), "{unknown:?}");
    bench.clock.pass(PREPARED_MS + 1);
    let late = bench.notices.send(jti, &preview.confirm, &lan()).await;
    assert!(matches!(late, Err(UrgentError::Stale { .. })), "{late:?}");
    assert!(bench.hub.published().is_empty());
}

#[tokio::test]
async fn a_notice_without_reason_or_document_is_not_even_prepared() {
    let bench = bench().await;
    let with = |change: fn(&mut Asked)| {
        let mut asked = asked(NoticeKind::Urgent);
        change(&mut asked);
        asked
    };
    for (wanted, told) in [
        (with(|a| a.reason = " \n".into()), "`reason` is empty"),
        (with(|a| a.number = String::new()), "`document.number` is empty"),
        (with(|a| a.issuer = "\u{7}".into()), "`document.issuer` is empty"),
        (with(|a| a.template = None), "`text` is empty"),
        (with(|a| a.units.clear()), "no unit is named"),
        (with(|a| a.units = vec!["99999".parse().unwrap()]), "no unit `99999` in the register"),
        (with(|a| a.times = 0), "`times` 0 is not within 1 to 100"),
        (with(|a| a.volume = 101), "`volume` 101 is not within 0 to 100"),
        (with(|a| a.lasts_ms = 1), "`expires` 1 is not within 10000 to 259200000"),
        (
            with(|a| a.template = Some(Template::Fire)),
            "the station has no standby template `fire` that can be used",
        ),
        (with(|a| a.clip = Some((Digest::of(b"x"), None))), "both a template and a clip are named"),
        (with(|a| a.number = "x".repeat(129)), "`document.number` has 129 bytes, more than 128"),
    ] {
        let error = bench.notices.prepare(wanted, &lan()).await.unwrap_err();
        assert_eq!(error.to_string(), told);
        assert!(!error.hint().is_empty());
    }
    let gone = with(|a| {
        a.template = None;
        a.text = Some("Bão".into());
        a.clip = Some((Digest::of(b"x"), None));
    });
    let error = bench.notices.prepare(gone, &lan()).await.unwrap_err();
    assert!(matches!(error, UrgentError::NoClip { .. }), "{error}");
    assert_eq!(bench.store.notices(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_clip_is_kept_only_when_it_can_sound() {
    let bench = bench().await;
    let refused = bench.notices.keep_clip(bytes::Bytes::from_static(b"not audio"), "x").await;
    assert!(matches!(refused, Err(UrgentError::BadClip { .. })), "{refused:?}");
    let path = bench.notices.library.path(&Digest::of(b"not audio"));
    assert!(!path.exists(), "nothing of it is left");
}

#[tokio::test]
async fn a_withdrawal_takes_the_notices_place_and_needs_a_reason() {
    let bench = bench().await;
    let preview = bench.notices.prepare(asked(NoticeKind::Urgent), &lan()).await.unwrap();
    let jti = &preview.notice.jti;
    let early = bench.notices.withdraw(jti, "nhầm", &lan()).await;
    assert!(matches!(early, Err(UrgentError::NotSent { .. })), "{early:?}");
    bench.notices.send(jti, &preview.confirm, &lan()).await.unwrap();
    let mute = bench.notices.withdraw(jti, "  ", &lan()).await;
    assert!(matches!(mute, Err(UrgentError::Empty { member: "reason" })), "{mute:?}");
    let (notice, told) = bench.notices.withdraw(jti, "nhầm", &lan()).await.unwrap();
    assert_eq!((told, notice.withdrawn.unwrap().reason.as_str()), (Told::Published, "nhầm"));
    let body = bench.hub.retained()[&format!("loa/1/u/10363-doai/urgent/{jti}")].clone();
    let opened = doc::open::<Withdrawal>(&body, &urgent_keys(&bench)).unwrap().claims;
    assert_eq!(&opened.withdraws, jti);
    assert_eq!(opened.exp, NOW.numeric_date() + 600, "until the notice would have ended");
    let again = bench.notices.withdraw(jti, "nhầm", &lan()).await;
    assert!(matches!(again, Err(UrgentError::Withdrawn { .. })), "{again:?}");

    let preview = bench.notices.prepare(asked(NoticeKind::Urgent), &lan()).await.unwrap();
    bench.notices.send(&preview.notice.jti, &preview.confirm, &lan()).await.unwrap();
    bench.clock.pass(600_001);
    let over = bench.notices.withdraw(&preview.notice.jti, "nhầm", &lan()).await;
    assert!(matches!(over, Err(UrgentError::Over { .. })), "{over:?}");
}

#[tokio::test]
async fn no_more_notices_are_in_force_than_a_device_remembers() {
    let bench = bench().await;
    for n in 0..=limits::NOTICES {
        let preview = bench.notices.prepare(asked(NoticeKind::Drill), &lan()).await.unwrap();
        let sent = bench.notices.send(&preview.notice.jti, &preview.confirm, &lan()).await;
        assert_eq!(sent.is_ok(), n < limits::NOTICES, "{n}");
    }
    bench.clock.pass(600_001);
    let preview = bench.notices.prepare(asked(NoticeKind::Drill), &lan()).await.unwrap();
    let sent = bench.notices.send(&preview.notice.jti, &preview.confirm, &lan()).await;
    assert!(sent.is_ok(), "those are over: {sent:?}");
}

/// A stored record as a device would have signed it.
fn record(jti: &str, device: &str, seq: u64, at_ms: i64, body: Value) -> StoredRecord {
    let mut claims = json!({
        "v": 1, "dev": device, "chain": ChainId([7; 16]), "boot": 1, "seq": seq,
        "prev": (seq > 1).then(|| Digest::of(b"before")), "at_ms": at_ms, "mono_ms": 1,
        "clock": {"src": "server", "age_s": 1, "err_ms": 1}, "seen": null, "attestor": "device",
        "jti": jti
    });
    let kind = body["kind"].as_str().unwrap().to_owned();
    claims.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let payload = crate::wire::b64::encode(claims.to_string().as_bytes());
    StoredRecord {
        device: device.parse().unwrap(),
        chain: ChainId([7; 16]),
        seq,
        digest: Digest::of(payload.as_bytes()),
        prev: None,
        kid: String::new(),
        kind,
        cue: None,
        jti: Some(jti.into()),
        at_ms: UtcMs(at_ms),
        received_ms: UtcMs(at_ms),
        via: Via::Link,
        fault: None,
        jws: format!("x.{payload}.x").into(),
    }
}

fn play(n: u32, started: Option<i64>, ended: Option<i64>, outcome: &str, cause: &str) -> Value {
    json!({
        "kind": "play", "n": n, "sheet": null, "item": "urgent", "asset": null, "title": "Bão",
        "lufs_cb": null, "gain_cb": null, "due_ms": NOW.0, "due_len_ms": 1_000,
        "started_ms": started, "ended_ms": ended, "played_ms": 1_000, "outcome": outcome,
        "cause": cause, "by": null, "volume": 90, "skew_ms": 0, "grade": 3, "method": "samples",
        "score_permille": null
    })
}

fn did(what: &str, result: &str) -> Value {
    json!({"kind": "did", "what": what, "result": result})
}

async fn sent(bench: &Bench, kind: NoticeKind) -> StoredNotice {
    let mut asked = asked(kind);
    asked.units = vec!["10363".parse().unwrap()];
    let preview = bench.notices.prepare(asked, &lan()).await.unwrap();
    bench.notices.send(&preview.notice.jti, &preview.confirm, &lan()).await.unwrap().0
}

#[tokio::test]
async fn each_device_goes_from_not_reached_to_ended_by_its_own_records() {
    let bench = bench().await;
    let notice = sent(&bench, NoticeKind::Urgent).await;
    let (jti, at) = (notice.jti.as_str(), NOW.0);
    let doai = |seq, ms, body| record(jti, "loa-doai-1", seq, at + ms, body);
    let start = |n: u32, ms: i64| json!({"kind": "start", "n": n, "started_ms": at + ms});
    let steps = [
        (doai(1, 100, did("urgent", "received")), Stage::Received),
        (doai(2, 900, did("urgent", "fetched")), Stage::Fetched),
        (doai(3, 1_000, start(1, 1_000)), Stage::Started),
        (
            doai(4, 2_000, play(1, Some(at + 1_000), Some(at + 2_000), "played", "end")),
            Stage::Started,
        ),
        (doai(5, 3_000, start(2, 3_000)), Stage::Started),
        (
            doai(6, 4_000, play(2, Some(at + 3_000), Some(at + 4_000), "played", "end")),
            Stage::Ended,
        ),
    ];
    let mut records = Vec::new();
    let none = progress(&notice, &records, NOW);
    assert_eq!((none.tally.devices, none.tally.not_reached), (2, 2));
    for (record, stage) in steps {
        records.push(record);
        let mut shaken = records.clone();
        shaken.reverse();
        shaken.extend(records.clone());
        let seen = progress(&notice, &shaken, NOW.plus(5_000));
        assert_eq!(seen, progress(&notice, &records, NOW.plus(5_000)), "order and repetition");
        assert_eq!(seen.devices[0].stage, stage);
        assert_eq!(seen.devices[1].stage, Stage::NotReached);
    }
    let seen = progress(&notice, &records, NOW.plus(5_000));
    assert_eq!(seen.devices[0].times, 2);
    assert_eq!(seen.first_play_ms, Some((1_000, 1_000)));
    assert_eq!((seen.tally.ended, seen.tally.not_reached), (1, 1));
}

#[tokio::test]
async fn refused_and_withdrawn_are_told_with_their_reason() {
    let bench = bench().await;
    let notice = sent(&bench, NoticeKind::Urgent).await;
    let (jti, at) = (notice.jti.as_str(), NOW.0);
    let damaged = record(jti, "loa-doai-1", 1, at, did("urgent", "failed: damaged"));
    let cut = play(1, Some(at + 10), Some(at + 500), "partial", "withdrawn");
    let records = [
        damaged,
        record(jti, "loa-dong-1", 1, at + 500, cut),
        record(jti, "loa-dong-1", 2, at + 510, did("withdrawal", "done")),
        record(jti, "loa-khac", 1, at, did("urgent", "unsupported")),
    ];
    let seen = progress(&notice, &records, NOW.plus(1_000));
    let told: Vec<_> = seen
        .devices
        .iter()
        .map(|one| (one.device.as_str(), one.stage, one.why.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("loa-doai-1", Stage::Refused, Some("failed: damaged")),
            ("loa-dong-1", Stage::Withdrawn, Some("withdrawn")),
            ("loa-khac", Stage::Refused, Some("unsupported")),
        ],
        "also a device that it was not for"
    );
    let waits = [record(jti, "loa-doai-1", 1, at, did("urgent", "failed: clock"))];
    let seen = progress(&notice, &waits, NOW.plus(1_000));
    assert_eq!(seen.devices[0].stage, Stage::Received, "it waits for its clock and may begin yet");
}

#[tokio::test]
async fn a_refused_notice_is_refused_and_what_others_plant_is_not() {
    let bench = bench().await;
    let notice = sent(&bench, NoticeKind::Urgent).await;
    let (jti, at) = (notice.jti.as_str(), NOW.0);
    let refuse = |seq, first: Digest| {
        let topic = format!("loa/1/u/10363/urgent/{jti}");
        let body = json!({"kind": "refuse", "topic": topic, "reason": "limit", "n": 1,
            "first": first.to_string(), "from_ms": at});
        record(jti, "loa-doai-1", seq, at + 10, body)
    };
    let own = Digest::of(notice.sent.as_ref().unwrap().jws.as_bytes());
    let stage = |records: &[StoredRecord]| {
        let seen = progress(&notice, records, NOW.plus(1_000));
        let first = &seen.devices[0];
        (first.stage, first.why.clone(), seen.tally.refused)
    };
    let planted = [refuse(1, Digest::of(b"garbage"))];
    assert_eq!(stage(&planted), (Stage::NotReached, None, 0), "somebody owns the broker");
    let why = Some("refused: limit".to_owned());
    assert_eq!(stage(&[refuse(1, own)]), (Stage::Refused, why.clone(), 1));
    let answered = record(jti, "loa-doai-1", 1, at, did("urgent", "refused: limit"));
    assert_eq!(stage(std::slice::from_ref(&answered)), (Stage::Refused, why.clone(), 1));
    // It found room after all.
    let then = record(jti, "loa-doai-1", 2, at + 5, did("urgent", "received"));
    assert_eq!(stage(&[answered, then]), (Stage::Received, why, 0));
    // A board that cannot show says why, and that it never could.
    let broken = [
        record(jti, "loa-doai-1", 1, at, did("urgent", "failed: output")),
        record(jti, "loa-doai-1", 2, at, did("urgent", "expired")),
    ];
    assert_eq!(stage(&broken), (Stage::Refused, Some("failed: output".to_owned()), 1));
}

#[tokio::test]
async fn a_drill_never_counts_as_played() {
    let bench = bench().await;
    let notice = sent(&bench, NoticeKind::Drill).await;
    let (jti, at) = (notice.jti.as_str(), NOW.0);
    let records = [record(jti, "loa-doai-1", 1, at + 5, did("drill", "ready"))];
    let seen = progress(&notice, &records, NOW.plus(1_000));
    assert_eq!(seen.devices[0].stage, Stage::Fetched);
    assert_eq!((seen.first_play_ms, seen.tally.started), (None, 0));
}

#[tokio::test]
async fn progress_is_read_from_the_stored_records_of_that_notice_alone() {
    let bench = bench().await;
    let notice = sent(&bench, NoticeKind::Urgent).await;
    let mine = record(&notice.jti, "loa-doai-1", 1, NOW.0, did("urgent", "received"));
    let other = record("other", "loa-doai-1", 2, NOW.0, did("urgent", "fetched"));
    let chain = StoredChain {
        device: mine.device.clone(),
        chain: mine.chain,
        upto: 2,
        head: None,
        first_at_ms: None,
        upto_at_ms: None,
        opened_ms: NOW,
        lost: vec![],
        revision: 0,
    };
    let intake =
        Intake { chain, add: vec![mine, other], gaps: vec![], conflicts: vec![], faults: vec![] };
    let round = IntakeRound { intakes: vec![intake], ..IntakeRound::default() };
    crate::app::ports::Evidence::commit_intake(&*bench.store, &round, &[]).await.unwrap();
    let seen = bench.notices.progress(&notice).await.unwrap();
    assert_eq!(seen.devices[0].stage, Stage::Received);
    // Asked again, only what is new is read; what was read before still counts.
    let later = record(&notice.jti, "loa-doai-1", 3, NOW.0 + 9, did("urgent", "fetched"));
    let mut round = round;
    round.intakes[0].chain.upto = 3;
    round.intakes[0].chain.revision = 1;
    round.intakes[0].add = vec![later];
    crate::app::ports::Evidence::commit_intake(&*bench.store, &round, &[]).await.unwrap();
    let seen = bench.notices.progress(&notice).await.unwrap();
    assert_eq!((seen.devices[0].stage, seen.devices[0].records), (Stage::Fetched, 2));
    assert!(seen.devices[0].received_ms < seen.devices[0].fetched_ms);
    assert_eq!(people::FIRST, "admin");
    assert!(bench.live.picture().station.is_some());
}
