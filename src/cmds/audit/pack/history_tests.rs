//! Outcomes from a pack are those of the server, for histories made up whole: registers, schedules,
//! orders, records, delivery, log, pack, verdict. Nothing in between is a model: publisher, ingest,
//! store, scribe and the writer of packs are those of the product.
//!
//! `LOA_SEED` repeats a history, `LOA_HISTORIES` sets how many.

mod device;
mod station;

use super::*;
use crate::app::ingest::Ingest;
use crate::app::ingest::tests::server_keys;
use crate::app::keyring::Keyring;
use crate::app::outcome::Outcomes;
use crate::app::ports::{Enrolled, Enrolment, EnrolmentCode, NoticeKind, Store};
use crate::app::publish::{Publisher, Settings};
use crate::app::rollup::Rollup;
use crate::app::scribe::{Scribe, Step};
use crate::audit::{FaultKind, Options, Policy, verify};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::outcome::{Plan, Verdict};
use crate::domain::time::Span;
use crate::log::pace::Pace;
use crate::report::period::{Period, day_of, midnight};
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{Name, VerifierKey};
use crate::wire::topic::Topics;
use chrono::NaiveDate;
use device::Loa;
use station::Town;
use std::sync::Arc;

pub(super) const ZONE: Tz = chrono_tz::Asia::Ho_Chi_Minh;
pub(super) const MINUTE: i64 = 60_000;

/// A small generator: the same seed gives the same history.
#[derive(Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from).unwrap())).unwrap()
    }
}

/// What became of all cues of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cells {
    played: [u64; 7],
    partial: u64,
    explained: u64,
    missing: u64,
    pending: u64,
    superseded: u64,
    unplanned: u64,
}

/// A province under way.
struct History {
    draw: Draw,
    dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    publisher: Publisher<dyn Store>,
    ingest: Ingest,
    place: Arc<LogPlace>,
    scribe: Scribe,
    town: Town,
    loas: Vec<Loa>,
    first: NaiveDate,
    days: u32,
    keys: u8,
    /// Whether a device that is gone ever spoke of a cue a day before or after.
    far: bool,
}

impl History {
    async fn new(seed: u64) -> Self {
        let mut draw = Draw(seed);
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("loa.db")).await.unwrap());
        let first = NaiveDate::from_ymd_opt(2026, 12, 29).unwrap();
        let clock = Arc::new(ManualClock::new(midnight(first, ZONE).plus(-5 * 60 * MINUTE)));
        let ports: Arc<dyn Store> = store.clone();
        let schedule = server_keys().schedule.clone();
        let publisher = Publisher::new(ports.clone(), Settings::default(), schedule, clock.clone());
        let keyring = Keyring::rooted(&server_keys());
        let ingest = Ingest::new(
            ports.clone(),
            keyring,
            Topics::default(),
            "Đài tỉnh".into(),
            clock.clone(),
        );
        let place = Arc::new(LogPlace {
            folder: dir.path().join("log"),
            heads: dir.path().join("heads"),
            base: Name::new("loa/test").unwrap(),
            key: SecretKey::from_seed(&[1; 32]),
        });
        let pace = Pace { wait_ms: 0, gap_ms: 0, ..Pace::default() };
        let scribe = Scribe::new(ports, place.clone(), clock.clone()).at(pace);
        let (devices, days) = (2 + draw.below(3), 2 + u32::try_from(draw.below(4)).unwrap());
        let town = Town::new(usize::try_from(devices).unwrap());
        let loas = Vec::new();
        let mut history = Self {
            draw,
            dir,
            store,
            clock,
            publisher,
            ingest,
            place,
            scribe,
            town,
            loas,
            first,
            days,
            keys: 0,
            far: false,
        };
        history.register().await;
        for id in history.town.devices() {
            let loa = history.enrol(id).await;
            history.loas.push(loa);
        }
        history.publish(true).await;
        history
    }

    fn now(&self) -> UtcMs {
        self.clock.now()
    }

    async fn register(&self) {
        let station = self.town.station();
        let units: Vec<_> = station.units.values().cloned().collect();
        self.store.put_units(&units).await.unwrap();
        let devices: Vec<_> = station.devices.values().cloned().collect();
        self.store.put_devices(&devices, self.now()).await.unwrap();
    }

    /// Gives a device a key of its own.
    async fn enrol(&mut self, id: DeviceId) -> Loa {
        self.keys += 1;
        let key = SecretKey::from_seed(&[self.keys; 32]);
        let code = Digest::of(&[self.keys]);
        let now = self.now();
        let known = EnrolmentCode {
            id: code,
            device: id.clone(),
            secret: vec![1],
            made_ms: now,
            expires_ms: now.plus(MINUTE),
            used: None,
            refused: 0,
            last_refusal: None,
        };
        self.store.put_code(&known).await.unwrap();
        let enrolment = Enrolment {
            code,
            device: id.clone(),
            kid: key.kid().to_string(),
            key: key.public().to_bytes(),
            password: Digest([0; 32]),
            at_ms: now,
        };
        assert_eq!(self.store.enrol(&enrolment).await.unwrap(), Enrolled::Done);
        Loa::new(id, key, self.keys)
    }

    /// Signs what is new; the broker takes it or does not, the devices hear of it or do not.
    async fn publish(&mut self, taken: bool) {
        let round = self.publisher.plan(&Arc::new(self.town.station())).await.unwrap();
        assert!(round.faults.is_empty(), "{:?}", round.faults);
        if taken {
            let versions: Vec<_> =
                round.timetables.iter().map(|one| (one.device.clone(), one.ver)).collect();
            self.publisher.published(&versions).await.unwrap();
        }
        for loa in &mut self.loas {
            let now = self.clock.now();
            let from = now.plus(-40 * 24 * 60 * MINUTE);
            let known = self.store.timetables_of(&loa.id, from, now.plus(1)).await.unwrap();
            let Some(newest) = known.last() else { continue };
            let sheets: Vec<Digest> = newest.days.iter().map(|day| day.sheet).collect();
            loa.plan(&self.store.sheets(&sheets).await.unwrap());
        }
    }

    /// Something happens at the station.
    async fn order(&mut self) {
        match self.draw.below(12) {
            0..=4 => {
                self.town.edit(&mut self.draw);
                let taken = !self.draw.one_in(4);
                self.publish(taken).await;
            }
            5 => self.publish(true).await,
            6 => {
                self.town.moves(&mut self.draw);
                self.register().await;
                self.publish(true).await;
            }
            7 => {
                self.town.merge(day_of(self.now(), ZONE));
                self.register().await;
                self.publish(true).await;
            }
            8 => {
                let (hold, document, entry) = self.town.hold(self.now(), &mut self.draw);
                self.store.put_hold(&hold, &document, &entry).await.unwrap();
            }
            9 => {
                let (notice, sent, entry) = self.town.notice(self.now(), &mut self.draw);
                self.store.put_notice(&notice, &entry).await.unwrap();
                self.store.send_notice(&notice.jti, &sent, &[], &entry).await.unwrap();
                // A drill neither sounds nor shows.
                let sounds = |loa: &&mut Loa| {
                    notice.kind == NoticeKind::Urgent && sent.reached.contains(&loa.id)
                };
                for loa in self.loas.iter_mut().filter(sounds) {
                    loa.notices.push(notice.jti.clone());
                }
            }
            10 => {
                // Replaced by another one under its name.
                let at = usize::try_from(self.draw.below(self.loas.len() as u64)).unwrap();
                let mut new = self.enrol(self.loas[at].id.clone()).await;
                new.cues = self.loas[at].cues.clone();
                let old = std::mem::replace(&mut self.loas[at], new);
                self.far |= old.far;
                if self.draw.one_in(2) {
                    // What it still had comes in all the same.
                    self.ingest.take(&[old.rest()]).await.unwrap();
                }
            }
            _ if self.draw.one_in(3) => {
                let at = usize::try_from(self.draw.below(self.loas.len() as u64)).unwrap();
                let id = self.loas[at].id.clone();
                self.store.revoke(&id, "mất trộm", "lan", self.now()).await.unwrap();
                let old = self.loas[at].rest();
                self.ingest.import(&[old]).await.unwrap();
                if self.draw.one_in(2) {
                    let mut new = self.enrol(id).await;
                    new.cues = self.loas[at].cues.clone();
                    self.far |= self.loas[at].far;
                    self.loas[at] = new;
                }
            }
            _ => {}
        }
    }

    /// Lives through all days.
    async fn run(&mut self) {
        let end = midnight(self.first, ZONE).plus(i64::from(self.days) * 24 * 60 * MINUTE);
        while self.now() < end {
            self.clock.pass(self.draw.between(4, 50) * MINUTE + self.draw.between(0, MINUTE));
            if self.draw.one_in(24) {
                self.order().await;
            }
            let now = self.now();
            for loa in &mut self.loas {
                loa.live(now, &mut self.draw);
                if self.draw.one_in(8) {
                    let arrived = loa.deliver(&mut self.draw);
                    self.ingest.take(&arrived).await.unwrap();
                }
            }
            if self.draw.one_in(30) {
                self.log().await;
            }
        }
        self.clock.pass(self.draw.between(1, 30 * 60) * MINUTE);
        for loa in &mut self.loas {
            if !self.draw.one_in(4) {
                self.ingest.take(&[loa.rest()]).await.unwrap();
            }
        }
        self.log().await;
    }

    async fn log(&mut self) {
        for _ in 0..200 {
            let step = self.scribe.step(None).await.unwrap();
            if matches!(step, Step::Wait { .. }) && self.scribe.waiting() == 0 {
                return;
            }
        }
        panic!("something waits without end");
    }

    /// Judges a day as an auditor does; returns when the log ends as well.
    async fn audited(&self, day: NaiveDate) -> (Cells, UtcMs) {
        let window = (midnight(day, ZONE), midnight(day.succ_opt().unwrap(), ZONE));
        let mut shards = open(&self.place, window.0.plus(-LEAD_MS)).unwrap();
        let mut asked = Asked { unit: None, known: BTreeSet::new() };
        let mut bar = Bar::new();
        let said = said::read(&mut shards, &mut asked, &mut bar).unwrap();
        let end = said.end.unwrap();
        let key = VerifierKey::log(self.place.base.clone(), self.place.key.public());
        let policy = format!("log {key}\nquorum none\n");
        let content = Content {
            window,
            unit: None,
            policy: policy.clone(),
            keys: b"{}".to_vec(),
            shards,
            said,
        };
        let out = self.dir.path().join(format!("{day}.pack"));
        write(&out, &content, &self.store, &mut bar).await.unwrap();
        let pack = fs::read(&out).unwrap();
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let options = Options { workers: 1, ..Options::default() };
        let verdict = verify(&pack[..], &policy, &options, &mut |_| {}).unwrap();
        let count = |kind| verdict.faults.iter().filter(|fault| fault.kind == kind).count() as u64;
        for fault in &verdict.faults {
            let honest = matches!(
                fault.kind,
                FaultKind::Gap
                    | FaultKind::Chain
                    | FaultKind::Conflict
                    | FaultKind::Revoked
                    | FaultKind::Unplanned
                    | FaultKind::Premature
            );
            assert!(honest, "{fault:?}");
        }
        let outcomes = &verdict.outcomes;
        let superseded = verdict.notes.iter().find_map(|note| {
            let note = note.strip_suffix(" cues were played although withdrawn")?;
            note.parse().ok()
        });
        let mut played = [0; 7];
        for (grade, count) in &outcomes.played {
            played[usize::from(*grade)] = *count;
        }
        let cells = Cells {
            played,
            partial: outcomes.partial,
            explained: outcomes.explained,
            missing: outcomes.missing,
            pending: outcomes.pending,
            superseded: superseded.unwrap_or(0),
            unplanned: count(FaultKind::Unplanned),
        };
        (cells, end)
    }

    /// Judges a day as the server does.
    async fn served(&self, day: NaiveDate, now: UtcMs) -> (Cells, Vec<String>) {
        let outcomes = Outcomes::new(self.store.clone());
        let span = Span::new(midnight(day, ZONE), midnight(day.succ_opt().unwrap(), ZONE));
        let span = span.unwrap();
        let (mut cells, mut told) = (Cells::default(), Vec::new());
        for id in self.town.devices() {
            for one in outcomes.of_device(&id, span, now).await.unwrap() {
                told.push(format!("{id} {one:?}"));
                match (one.plan, one.result) {
                    (Plan::Superseded, _) => cells.superseded += 1,
                    (Plan::Unplanned, _) => cells.unplanned += u64::from(one.played_ms > 0),
                    (Plan::Planned, _) if now < one.end_ms => cells.pending += 1,
                    (Plan::Planned, result) => match result.unwrap() {
                        Verdict::Played => cells.played[usize::from(one.grade)] += 1,
                        Verdict::Partial => cells.partial += 1,
                        Verdict::Missing => cells.missing += 1,
                        verdict => {
                            assert!(verdict.is_explained());
                            cells.explained += 1;
                        }
                    },
                }
            }
        }
        (cells, told)
    }

    /// Adds up what reports count of a day.
    async fn reported(&self, rollup: &Rollup, day: NaiveDate) -> Cells {
        let mut cells = Cells::default();
        for page in rollup.store().pages(day, day, None).await.unwrap() {
            for broadcast in page.broadcasts {
                let tally = broadcast.tally;
                for (sum, count) in cells.played.iter_mut().zip(tally.played) {
                    *sum += count;
                }
                cells.partial += tally.partial;
                cells.explained += tally.failed + tally.pre_empted + tally.refused + tally.offline;
                cells.missing += tally.missing;
                cells.pending += tally.pending;
                cells.superseded += tally.superseded;
                cells.unplanned += tally.unplanned;
            }
        }
        cells
    }
}

async fn one_history(seed: u64) -> Cells {
    let mut history = History::new(seed).await;
    history.run().await;
    let rollup = Rollup::new(history.store.clone());
    let mut all = Cells::default();
    for day in history.first.iter_days().take(history.days as usize) {
        let (audited, end) = history.audited(day).await;
        let (mut served, told) = history.served(day, end).await;
        let lines = told.join("\n");
        let beside = |cells: &Cells| cells.superseded + cells.unplanned;
        if history.far || history.loas.iter().any(|loa| loa.far) {
            // What sounded beside the schedule and is told of a day later the auditor alone finds.
            assert!(beside(&served) <= beside(&audited), "LOA_SEED={seed}, {day}\n{lines}");
            (served.superseded, served.unplanned) = (audited.superseded, audited.unplanned);
        }
        assert_eq!(audited, served, "LOA_SEED={seed}, {day}: auditor and server\n{lines}");
        let places = rollup.places(ZONE).await.unwrap();
        let period = Period::new(day, day).unwrap();
        rollup.settle(&places, ZONE, period, |_| true, end).await.unwrap();
        let reported = history.reported(&rollup, day).await;
        served.superseded = reported.superseded;
        served.unplanned = reported.unplanned;
        assert_eq!(reported, served, "LOA_SEED={seed}, {day}: reports and server\n{lines}");
        all.played[3] += served.played.iter().sum::<u64>();
        all.explained += served.explained;
        all.missing += served.missing;
        all.unplanned += served.unplanned;
    }
    all
}

#[tokio::test]
async fn outcomes_from_a_pack_are_those_of_the_server_for_whole_histories() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("LOA_SEED");
    let first = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20);
    let many = number("LOA_HISTORIES").unwrap_or(if seed.is_some() { 1 } else { 6 });
    let mut played = 0;
    for seed in first..first + many {
        println!("LOA_SEED={seed}");
        let all = one_history(seed).await;
        println!("{all:?}");
        played += all.played[3];
    }
    assert!(played > 0, "histories in which nothing is ever played prove nothing");
}
