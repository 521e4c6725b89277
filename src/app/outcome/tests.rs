//! From a station to records to outcomes, over both stores.

use crate::app::keyring::Keyring;
use crate::store::{SqliteStore, memory::MemoryStore};

use super::*;
use crate::app::ingest::tests::{Signer, server_keys};
use crate::app::ingest::{Arrived, Ingest};
use crate::app::publish::tests::{item, playlist, station};
use crate::app::publish::{Publisher, Settings};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::ids::ChainId;
use crate::domain::proof::outcome::{Plan, Reason, Stage, Verdict};
use crate::domain::proof::record::{
    Attestor, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use crate::domain::station::Station;
use crate::wire::topic::Topics;
use crate::wire::{jws, record};

pub(in crate::app) const HOUR: i64 = 3_600_000;
/// 2026-12-01 03:00 in Hà Nội; the clips sound at 05:00 and 05:01.
pub(in crate::app) const NOW: UtcMs = UtcMs(1_796_068_800_000);
pub(in crate::app) const FIVE: UtcMs = UtcMs(NOW.0 + 2 * HOUR);

pub(in crate::app) struct Town {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    publisher: Publisher<dyn Store>,
    ingest: Ingest,
    pub loa: Signer,
    records: Vec<Record>,
}

impl Town {
    pub async fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let publisher = Publisher::new(
            Arc::clone(&store),
            Settings::default(),
            server_keys().schedule.clone(),
            Arc::<ManualClock>::clone(&clock),
        );
        let ingest = Ingest::new(
            Arc::clone(&store),
            Keyring::rooted(&server_keys()),
            Topics::default(),
            "Đài xã".into(),
            Arc::<ManualClock>::clone(&clock),
        );
        let loa = Signer::new("loa-doai-1", 1);
        loa.enrol(&*store).await;
        Self { store, clock, publisher, ingest, loa, records: vec![] }
    }

    pub async fn publish(&mut self, station: &Station) {
        let round = self.publisher.plan(&Arc::new(station.clone())).await.unwrap();
        let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
        self.publisher.published(&versions).await.unwrap();
    }

    pub fn until(&self, at: UtcMs) {
        self.clock.set(at);
    }

    /// Writes a record at the device.
    fn write(&mut self, at_ms: UtcMs, boot: u64, body: Body) {
        let prev = self.loa.lines.last().map(|line| record::digest(line));
        let head = Head {
            v: 1,
            dev: self.loa.id.clone(),
            chain: self.loa.chain,
            boot,
            seq: self.loa.lines.len() as u64 + 1,
            prev,
            at_ms,
            mono_ms: 0,
            clock: ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) },
            seen: None,
            attestor: Attestor::Device,
        };
        let record = Record { head, body };
        self.loa.lines.push(record::sign(&self.loa.key, &record).unwrap());
        self.records.push(record);
    }

    pub fn beat(&mut self, at_ms: UtcMs) {
        self.write(at_ms, 1, Body::Beat { head: None, pending: 0, stored: 0 });
    }

    pub fn play(
        &mut self,
        at: UtcMs,
        cue: CueId,
        due_ms: UtcMs,
        played_ms: i64,
        outcome: Said,
        cause: &str,
    ) {
        let body = Body::Play(Play {
            subject: Subject::Cue { cue },
            n: 1,
            sheet: None,
            item: "ban-tin/m1".into(),
            asset: None,
            title: "Tin m1".into(),
            lufs_cb: None,
            gain_cb: None,
            due_ms,
            due_len_ms: 60_000,
            started_ms: Some(due_ms),
            ended_ms: Some(due_ms.plus(played_ms)),
            played_ms,
            outcome,
            cause: cause.into(),
            by: None,
            volume: 80,
            skew_ms: Some(2),
            grade: 3,
            method: "samples".into(),
            score_permille: None,
        });
        self.write(at, 1, body);
    }

    pub async fn report(&mut self) {
        let arrived: Vec<Arrived> =
            self.loa.lines.chunks(3).rev().map(|part| self.loa.raw(&part.join("\n"))).collect();
        self.ingest.take(&arrived).await.unwrap();
    }

    pub async fn outcomes(&self) -> Vec<Outcome> {
        let period = Span::new(NOW, NOW.plus(12 * HOUR)).unwrap();
        let outcomes = Outcomes::new(Arc::clone(&self.store));
        outcomes.of_device(&self.loa.id, period, self.clock.now()).await.unwrap()
    }
}

fn results(outcomes: &[Outcome]) -> Vec<(Option<Verdict>, Stage)> {
    outcomes.iter().map(|outcome| (outcome.result, outcome.stage)).collect()
}

async fn a_day_of_a_loudspeaker(store: Arc<dyn Store>) {
    let mut town = Town::over(store).await;
    town.publish(&station(1)).await;
    let before = town.outcomes().await;
    assert_eq!(results(&before), [(None, Stage::Pending); 2]);
    let at: Vec<_> = before.iter().map(|outcome| outcome.at_ms).collect();
    assert_eq!(at, [FIVE, FIVE.plus(60_000)]);
    assert_eq!((&*before[0].title, &*before[0].item), ("Tin m1", "ban-tin/m1"));
    let cue = before[0].cue;

    town.beat(NOW);
    for half in 1..4 {
        town.beat(NOW.plus(half * HOUR / 2));
    }
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.until(FIVE.plus(180_000));
    town.report().await;
    let now = town.outcomes().await;
    assert_eq!(now[0].result, Some(Verdict::Played));
    assert_eq!((now[0].grade, now[0].plan), (3, Plan::Planned));
    assert_eq!(now[1].result, Some(Verdict::Offline), "nothing of it has been heard yet");
    assert_eq!((now[0].stage, now[1].stage), (Stage::Final, Stage::Provisional));

    town.beat(FIVE.plus(HOUR / 2));
    town.until(FIVE.plus(HOUR));
    town.report().await;
    let then = town.outcomes().await;
    assert_eq!(then[0], now[0]);
    assert_eq!((then[1].result, &then[1].reason), (Some(Verdict::Missing), &Reason::NoPlay));
    assert_eq!(then[1].stage, Stage::Final, "a receipt passes it");
    let again = town.outcomes().await;
    town.report().await;
    assert_eq!(town.outcomes().await, again, "doubled batches change nothing");
}

#[tokio::test]
async fn a_day_of_a_loudspeaker_in_memory() {
    a_day_of_a_loudspeaker(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn a_day_of_a_loudspeaker_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("loa.db")).await.unwrap();
    a_day_of_a_loudspeaker(Arc::new(store)).await;
}

#[tokio::test]
async fn deleting_a_playlist_leaves_the_evidence_whole() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.beat(NOW);
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.until(FIVE.plus(HOUR));
    town.report().await;
    let before = town.outcomes().await;
    let mut empty = station(1);
    empty.playlists.clear();
    empty.library.clips.clear();
    town.publish(&empty).await;
    assert_eq!(town.outcomes().await, before);
    town.store.remove_devices(std::slice::from_ref(&town.loa.id), town.clock.now()).await.unwrap();
    assert_eq!(town.outcomes().await, before, "nor does removing the device");
}

#[tokio::test]
async fn a_cue_withdrawn_in_time_is_not_missed_and_played_all_the_same_it_is_superseded() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.until(NOW.plus(HOUR));
    let mut other = station(1);
    other.playlists.clear();
    let evening = playlist("chieu", &["10363"], &["06:00"], vec![item("c", "c.mp3")]);
    other.playlists.insert(evening.id.clone(), evening);
    town.publish(&other).await;
    town.until(FIVE.plus(3 * HOUR));
    let outcomes = town.outcomes().await;
    assert_eq!(outcomes.len(), 1, "only the new one is due");
    assert_eq!((outcomes[0].at_ms, outcomes[0].plan), (FIVE.plus(HOUR), Plan::Planned));

    town.beat(NOW);
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.report().await;
    let outcomes = town.outcomes().await;
    assert_eq!((outcomes[0].plan, outcomes[0].result), (Plan::Superseded, Some(Verdict::Played)));
    assert_eq!(outcomes[0].reason, Reason::Superseded { withdrawn_ms: NOW.plus(HOUR) });
}

#[tokio::test]
async fn a_schedule_counts_from_its_signature_whenever_the_broker_takes_it() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    let round = town.publisher.plan(&Arc::new(station(1))).await.unwrap();
    town.until(FIVE.plus(HOUR));
    let signed = town.outcomes().await;
    assert_eq!(signed.len(), 2, "the log knows when it was signed, and nothing of the broker");
    let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
    town.publisher.published(&versions).await.unwrap();
    assert_eq!(town.outcomes().await, signed);
}

#[tokio::test]
async fn what_was_withdrawn_before_the_period_began_is_superseded_and_no_surprise() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    for minutes in [10, 20] {
        town.until(NOW.plus(minutes * 60_000));
        let mut other = station(1);
        other.playlists.clear();
        let at = format!("06:{minutes}");
        let evening = playlist("chieu", &["10363"], &[&at], vec![item("c", "c.mp3")]);
        other.playlists.insert(evening.id.clone(), evening);
        town.publish(&other).await;
    }
    town.beat(NOW);
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.report().await;
    town.until(FIVE.plus(3 * HOUR));
    let outcomes = Outcomes::new(Arc::clone(&town.store));
    // In force when the period begins: the third version alone.
    let period = Span::new(NOW.plus(HOUR), NOW.plus(12 * HOUR)).unwrap();
    let told = outcomes.of_device(&town.loa.id, period, town.clock.now()).await.unwrap();
    assert_eq!((told.len(), told[0].cue, told[0].plan), (2, cue, Plan::Superseded));
}

#[tokio::test]
async fn a_revoked_key_and_a_foreign_name_count_for_nothing() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.beat(FIVE.plus(-60_000));
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.beat(FIVE.plus(HOUR / 4));
    let mut foreign = town.records[1].clone();
    foreign.head.dev = "loa-dong-1".parse().unwrap();
    town.loa.lines[1] = jws::sign(&town.loa.key, jws::Typ::Record, &foreign);
    town.report().await;
    town.until(FIVE.plus(HOUR));
    assert_eq!(town.outcomes().await[0].result, Some(Verdict::Offline), "its number tells nothing");

    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    town.beat(FIVE.plus(-60_000));
    town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    town.store.revoke(&town.loa.id, "mất trộm", "lan", FIVE).await.unwrap();
    let arrived = town.loa.raw(&town.loa.lines.join("\n"));
    assert_eq!(town.ingest.import(&[arrived]).await.unwrap().stored, 2);
    town.until(FIVE.plus(HOUR));
    assert_eq!(town.outcomes().await[0].result, Some(Verdict::Offline));
}

#[tokio::test]
async fn a_play_that_no_schedule_orders_is_unplanned() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.until(FIVE.plus(HOUR));
    town.beat(NOW);
    town.play(FIVE.plus(60_010), CueId([9; 16]), FIVE, 60_000, Said::Played, "end");
    town.report().await;
    let outcomes = town.outcomes().await;
    assert_eq!((outcomes[0].plan, outcomes[0].result), (Plan::Unplanned, Some(Verdict::Played)));
}

#[tokio::test]
async fn a_play_cut_by_a_power_failure_and_closed_days_later_counts() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.beat(NOW);
    let subject = Subject::Cue { cue };
    town.write(FIVE.plus(10), 1, Body::Start { subject, n: 1, started_ms: FIVE.plus(10) });
    town.until(FIVE.plus(HOUR));
    town.report().await;
    let now = town.outcomes().await;
    assert_eq!((now[0].result, &now[0].reason), (Some(Verdict::Partial), &Reason::NoEnd));
    let later = FIVE.plus(5 * 24 * HOUR);
    town.play(later, cue, FIVE, 12_000, Said::Partial, "power");
    town.until(later);
    town.report().await;
    let then = town.outcomes().await;
    let power = Reason::Device { cause: "power".into(), by: None };
    assert_eq!((then[0].result, &then[0].reason), (Some(Verdict::Partial), &power));
    assert_eq!(then[0].played_ms, 12_000);
}

#[tokio::test]
async fn a_play_told_by_a_clock_that_was_hours_behind_is_found_by_its_cue() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.play(NOW.plus(-5 * HOUR), cue, FIVE, 60_000, Said::Played, "end");
    town.report().await;
    town.until(FIVE.plus(HOUR));
    let period = Span::new(NOW, NOW.plus(12 * HOUR)).unwrap();
    let all = Outcomes::new(Arc::clone(&town.store));
    for outcomes in [all.clone(), all.clone().up_to(1)] {
        let told = outcomes.of_device(&town.loa.id, period, town.clock.now()).await.unwrap();
        assert_eq!(told[0].result, Some(Verdict::Played));
    }
    let before = all.up_to(0).of_device(&town.loa.id, period, town.clock.now()).await.unwrap();
    assert_eq!(before[0].result, Some(Verdict::Offline), "that head did not hold it");
}

#[tokio::test]
async fn the_same_record_on_two_chains_is_not_counted_above_what_was_due() {
    let mut town = Town::over(Arc::new(MemoryStore::default())).await;
    town.publish(&station(1)).await;
    let cue = town.outcomes().await[0].cue;
    town.play(FIVE.plus(60_010), cue, FIVE, 40_000, Said::Partial, "stop");
    town.report().await;
    let mut copy = town.records[0].clone();
    copy.head.chain = ChainId([9; 16]);
    let line = jws::sign(&town.loa.key, jws::Typ::Record, &copy);
    let arrived = town.loa.raw(&line);
    town.ingest.take(&[arrived]).await.unwrap();
    town.until(FIVE.plus(HOUR));
    let outcomes = town.outcomes().await;
    assert_eq!((outcomes[0].played_ms, outcomes[0].due_ms), (60_000, 60_000));
}
