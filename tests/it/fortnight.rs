//! Fourteen days without a line, in seconds: the real loop, ledger, journal and gate of each
//! device, the server's real publisher, ingest and store, and clocks that are told the time.
//!
//! A village loudspeaker that has its time from the server, one that follows its machine and loses
//! power, and a board are cut off from the broker. They play their days alone; when the line
//! comes back everything arrives once, and every cue has the outcome that people lived through.

mod station;
mod street;

use crate::support::wait::within;
use loa::app::link::{Lag, LinkEvent, channel};
use loa::app::outcome::Outcomes;
use loa::clock::Clock as _;
use loa::device::executor::Output;
use loa::device::hardware::Hardware;
use loa::device::ledger::delivery::Span as Wanted;
use loa::device::ledger::{Ledger, LedgerConfig};
use loa::device::trust::ClockMode;
use loa::domain::ids::{CueId, DeviceId};
use loa::domain::proof::outcome::{Outcome, Plan, Verdict};
use loa::domain::proof::record::{Attestor, Body, Record, Subject};
use loa::domain::time::{Span, UtcMs};
use loa::wire::jws::{OneKey, Role};
use loa::wire::record;
use station::{Commune, DAWN, DAY, HOUR, MINUTE, SECOND};
use std::collections::{BTreeMap, BTreeSet};

const SPEAKER: Output = Output::Speaker { grade: 3, method: "samples" };
const BOARD: Output = Output::Board { grade: 3 };
const CLIP_MS: i64 = 12_000;
const TIMES: [&str; 4] = ["05:00", "06:30", "11:00", "17:00"];

fn bulletin(times: &[&str]) -> String {
    let times: Vec<_> = times.iter().map(|time| format!("\"{time}\"")).collect();
    format!(
        "title = \"Bản tin\"\n[targets]\ndevices = [\"loa-dau\", \"loa-cuoi\"]\n\
         [[items]]\nid = \"nhac-hieu\"\ntitle = \"Nhạc hiệu\"\nclip = \"clips/nhac.mp3\"\n\
         [[items]]\nid = \"tin\"\ntitle = \"Tin\"\nclip = \"clips/tin.mp3\"\n\
         [[slots]]\nid = \"ban-tin\"\nat = [{}]\nlongest = \"5m\"\nitems = [\"nhac-hieu\", \"tin\"]\n",
        times.join(", ")
    )
}

const WORDS: &str = "title = \"Chữ\"\n[targets]\ndevices = [\"bang\"]\n\
    [[items]]\nid = \"mot\"\ntitle = \"Một\"\n[[items.pages]]\ntext = \"AN TOÀN\"\ndwell = \"60s\"\n\
    [[items]]\nid = \"hai\"\ntitle = \"Hai\"\n[[items.pages]]\ntext = \"MỪNG\"\ndwell = \"60s\"\n\
    [[slots]]\nid = \"sang\"\nat = [\"06:00\"]\nlongest = \"30m\"\nitems = [\"mot\", \"hai\"]\n";

async fn commune() -> Commune {
    let mut commune = Commune::new(&[
        ("station.toml", "name = \"Đài xã\"\napproval = \"off\"\n"),
        ("units.csv", "id,name,parent\n51,Tỉnh,\n99901,Xã,51\n"),
        (
            "devices.csv",
            "id,name,unit,profile\nloa-dau,Loa đầu,99901,loa\nloa-cuoi,Loa cuối,99901,loa\n\
             bang,Bảng,99901,bang\n",
        ),
        ("profiles/loa.toml", "title = \"Loa\"\n[speaker]\ncodecs = [\"mp3\"]\n"),
        ("profiles/bang.toml", "title = \"Bảng\"\n[board]\nwidth_px = 64\nheight_px = 32\n"),
        ("clips/nhac.mp3", "12000"),
        ("clips/tin.mp3", "12000 "),
        ("ban-tin.toml", &bulletin(&TIMES)),
        ("chu.toml", WORDS),
    ])
    .await;
    commune.enrol("loa-dau", SPEAKER, ClockMode::Server).await;
    commune.enrol("loa-cuoi", SPEAKER, ClockMode::System).await;
    commune.enrol("bang", BOARD, ClockMode::System).await;
    commune.plan().await;
    commune
        .until("all follow their timetable and hold their clips", |commune| {
            commune.units.iter().all(|unit| {
                let Some(state) = commune.states.get(&unit.id) else { return false };
                let follows = state.ver.is_some_and(|ver| ver.timetable > 0 && ver.following > 0);
                follows && (unit.id.as_str() == "bang" || state.held.len() == 2)
            })
        })
        .await;
    commune
}

/// An instant on a day, counted from the first, by the clock on the wall.
fn on(day: i64, hour: i64, minute: i64) -> UtcMs {
    DAWN.plus(day * DAY + (hour - 4) * HOUR + (minute - 30) * MINUTE)
}

#[tokio::test]
async fn devices_cut_off_for_fourteen_days_play_alone_and_everything_arrives_once() {
    let mut commune = commune().await;
    commune.pass_until(on(0, 4, 45)).await;
    commune.cut_off().await;
    let told = stored(&commune).await;

    // Day 6: the power of one is cut in the middle of a clip, and is gone for half an hour.
    commune.pass_until(on(6, 11, 0).plus(5 * SECOND)).await;
    commune.kill("loa-cuoi").await;
    commune.pass_until(on(6, 11, 30)).await;
    commune.revive("loa-cuoi", SPEAKER).await;
    // Day 9: somebody sets its clock ahead by 40 seconds; the next day it is set right.
    commune.pass_until(on(9, 14, 0)).await;
    let ahead = commune.unit("loa-cuoi").clock.now().plus(40 * SECOND);
    commune.unit("loa-cuoi").clock.set(ahead);
    commune.pass_until(on(10, 14, 0)).await;
    let right = commune.clock.now();
    commune.unit("loa-cuoi").clock.set(right);
    // Day 12: the operator moves the evening from 17:00 to 18:00; no device can know of it.
    commune.pass_until(on(12, 12, 0)).await;
    commune.write("ban-tin.toml", &bulletin(&["05:00", "06:30", "11:00", "18:00"]));
    commune.plan().await;
    let moved = commune.clock.now();
    commune.pass_until(on(14, 4, 45)).await;

    let before: Vec<usize> = commune.units.iter().map(|unit| unit.street.heard.len()).collect();
    assert_eq!(stored(&commune).await, told, "nothing came while the line was cut");
    commune.reconnect().await;
    commune
        .until("all is receipted", |commune| {
            let done = |unit: &station::Unit| {
                commune.states.get(&unit.id).is_some_and(|s| s.upto == s.seq && s.upto > Some(100))
            };
            commune.units.iter().all(done)
        })
        .await;
    commune
        .until("all follow the newest timetable", |commune| {
            let newest = |unit: &station::Unit| {
                let ver = commune.states.get(&unit.id).and_then(|state| state.ver);
                ver.is_some_and(|v| v.following == v.timetable && v.timetable >= moved.0)
                    || unit.id.as_str() == "bang"
            };
            commune.units.iter().all(newest)
        })
        .await;
    let after: Vec<usize> = commune.units.iter().map(|unit| unit.street.heard.len()).collect();
    assert_eq!(before, after, "coming back makes no sound");
    commune.pass_until(on(14, 5, 10)).await;
    commune.end().await;
    // What was said at the very end is told at the next start.
    let now = commune.clock.now();

    for n in 0..commune.units.len() {
        everything_arrived_once(&commune, n).await;
        nothing_sounded_twice_or_in_the_night(&commune.units[n].street.heard);
    }
    let period = Span::new(on(0, 4, 45), on(14, 5, 5)).unwrap();
    let outcomes = Outcomes::new(commune.store.clone());
    let of = async |id: &str| {
        let id = id.parse().unwrap();
        outcomes.of_device(&id, period, now).await.unwrap()
    };
    let first = of("loa-dau").await;
    judged(&first, moved, &[]);
    let cut = [
        (on(6, 11, 0), Verdict::Partial, "power"),
        (on(6, 11, 0).plus(CLIP_MS), Verdict::Failed, "power"),
    ];
    judged(&of("loa-cuoi").await, moved, &cut);
    for outcome in of("bang").await {
        assert_eq!(outcome.result, Some(Verdict::Played), "{outcome:?}");
        assert_eq!((outcome.plan, outcome.grade), (Plan::Planned, 3), "{outcome:?}");
    }
    // The drift of two weeks stands in the records of the one that had its time from the server.
    let last = commune.stored(&"loa-dau".parse().unwrap()).await;
    let key = commune.units[0].key.public();
    let worst = last.iter().filter_map(|stored| read(&stored.jws, &key).head.clock.err_ms).max();
    let (least, most) = (59_000, 62_000);
    assert!(worst.is_some_and(|err| (least..most).contains(&err)), "{worst:?} ms");
}

/// Thousands of devices play at the same time: what changes nothing in their state is not told.
#[tokio::test]
async fn a_device_that_plays_or_shows_does_not_tell_its_state_at_every_step() {
    let mut commune = commune().await;
    commune.pass_until(on(0, 5, 55)).await;
    commune.said.clear();
    commune.pass_until(on(0, 6, 40)).await;
    // Half an hour of a board, and a bulletin of two clips, in which there are a beat and a few
    // records, each with its receipt.
    let passes = commune.unit("bang").street.shown.len();
    assert!(passes >= 30, "{passes} passes");
    assert!(commune.unit("loa-dau").street.heard.len() == 4);
    for (id, said) in &commune.said {
        assert!(*said <= 16, "`{id}` told its state {said} times");
    }
}

/// Whoever owns the broker may send without a pause: the device still looks at its clock, else no
/// cue would begin, none would end and no hold would be over.
#[tokio::test]
async fn a_flood_from_the_broker_does_not_stop_a_device_from_looking_at_its_clock() {
    let mut commune = commune().await;
    commune.kill("loa-dau").await;
    let unit = commune.unit("loa-dau");
    let (dir, id, clock) = (unit.dir.clone(), unit.id.clone(), unit.clock.clone());
    let device = commune.open(&dir, &id, ClockMode::System, &clock);
    let (link, events, mut transport) = channel(Lag { events: 1_024, bytes: 16 << 20 });
    let flood = tokio::spawn(async move {
        transport.events.tell(LinkEvent::Connected, None).unwrap();
        loop {
            let (topic, payload) = ("loa/1/keys".to_owned(), bytes::Bytes::from_static(b"{}"));
            let garbage = LinkEvent::Message { topic, payload, retain: false };
            while transport.events.tell(garbage.clone(), None).is_ok() {}
            while transport.requests.try_recv().is_ok() {}
            tokio::task::yield_now().await;
        }
    });
    let (hardware, outputs, _stage) = Hardware::elsewhere(SPEAKER);
    let stop = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(device.run(hardware, outputs, link, events, stop));
    for _ in 0..5 {
        within("it looks at its clock", async {
            while clock.waits().first().is_none_or(|until| *until <= clock.mono_ms()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        clock.pass(200);
    }
    task.abort();
    flood.abort();
}

/// How many records of each device the server holds.
async fn stored(commune: &Commune) -> BTreeMap<DeviceId, usize> {
    let mut counts = BTreeMap::new();
    for unit in &commune.units {
        counts.insert(unit.id.clone(), commune.stored(&unit.id).await.len());
    }
    counts
}

fn read(jws: &str, key: &loa::wire::jws::PublicKey) -> Record {
    record::open(jws, &OneKey { key: key.clone(), role: Role::Device }).unwrap().claims
}

/// The server holds exactly what the device signed, byte for byte, in one unbroken chain.
async fn everything_arrived_once(commune: &Commune, n: usize) {
    let unit = &commune.units[n];
    let config = LedgerConfig {
        device: unit.id.clone(),
        key: unit.key.clone(),
        most_bytes: 16 << 20,
        attestor: Attestor::Device,
    };
    let ledger = Ledger::open(&unit.dir.join("ledger"), config).unwrap();
    let (chain, mut from, mut signed) = (ledger.chain(), 1, Vec::new());
    while let Some((body, last)) = ledger.batch(Wanted { chain, from, to: u64::MAX }).unwrap() {
        let lines = record::lines(&body).unwrap();
        signed.extend(lines.into_iter().map(str::to_owned));
        from = last + 1;
    }
    let stored = commune.stored(&unit.id).await;
    let held: Vec<&str> = stored.iter().map(|record| record.jws.as_ref()).collect();
    assert!(signed.len() > 700, "{} of `{}`: beats alone are 672", signed.len(), unit.id);
    assert_eq!(held, signed, "`{}`", unit.id);
    let seqs: Vec<u64> = stored.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=stored.len() as u64).collect::<Vec<_>>());
    assert!(stored.iter().all(|record| record.fault.is_none() && record.chain == chain));
    // Every start has its end, every cue its one word.
    let key = unit.key.public();
    let mut open: BTreeSet<CueId> = BTreeSet::new();
    for stored in &stored {
        match read(&stored.jws, &key).body {
            Body::Start { subject: Subject::Cue { cue }, .. } => assert!(open.insert(cue)),
            Body::Play(play) => {
                let Subject::Cue { cue } = play.subject else { panic!("{play:?}") };
                assert_eq!(open.remove(&cue), play.started_ms.is_some(), "{play:?}");
            }
            _ => {}
        }
    }
    assert_eq!(open, BTreeSet::new());
}

fn nothing_sounded_twice_or_in_the_night(heard: &[street::Heard]) {
    for (i, one) in heard.iter().enumerate() {
        let local = (one.from.0 + 7 * HOUR).rem_euclid(DAY);
        assert!((4 * HOUR + 45 * MINUTE..21 * HOUR + 30 * MINUTE).contains(&local), "{one:?}");
        if let Some(next) = heard.get(i + 1) {
            assert!(one.to <= next.from, "{one:?} over {next:?}");
        }
    }
}

/// Every cue was played whole, but for those named; those that were moved too late for the
/// devices to know have the outcome that says so.
fn judged(outcomes: &[Outcome], moved: UtcMs, others: &[(UtcMs, Verdict, &str)]) {
    let mut counts: BTreeMap<(Plan, Verdict), u32> = BTreeMap::new();
    for outcome in outcomes {
        let verdict = outcome.result.unwrap();
        let other = others.iter().find(|(at, ..)| *at == outcome.at_ms);
        if let Some((_, expected, cause)) = other {
            let told = (verdict, outcome.reason.to_string());
            assert_eq!(told, (*expected, format!("`{cause}`")), "{outcome:?}");
            continue;
        }
        *counts.entry((outcome.plan, verdict)).or_default() += 1;
        let hour = (outcome.at_ms.0 + 7 * HOUR).rem_euclid(DAY) / HOUR;
        let expected = match (outcome.at_ms > moved, hour) {
            (true, 17) => (Plan::Superseded, Verdict::Played),
            (true, 18) => (Plan::Planned, Verdict::Missing),
            _ => (Plan::Planned, Verdict::Played),
        };
        assert_eq!((outcome.plan, verdict), expected, "{outcome:?}");
    }
    let others = u32::try_from(others.len()).unwrap();
    let expected = [
        // Fourteen days of four times two clips, and the first bulletin of the fifteenth.
        ((Plan::Planned, Verdict::Played), 14 * 8 + 2 - 4 - others),
        ((Plan::Planned, Verdict::Missing), 4),
        ((Plan::Superseded, Verdict::Played), 4),
    ];
    assert_eq!(counts, expected.into());
}
