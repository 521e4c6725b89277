//! Evidence: what sounded, once, for two years, whatever is deleted.

use super::super::support::cli;
use super::village::{DAWN, DAY, FIVE, HOUR, MINUTE, Village, playlist};
use loa::app::ports::Registry as _;
use loa::app::retention;
use loa::clock::Clock as _;
use loa::domain::ids::{CueId, Digest};
use loa::domain::proof::outcome::{Plan, Verdict};
use loa::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use loa::domain::time::UtcMs;
use loa::wire::jws::{self, Typ};
use loa::wire::record;
use std::fs;

/// LibreTime 1486: the history listed what was planned.
#[tokio::test]
async fn history_tells_what_sounded_and_not_what_was_planned() {
    let mut village = Village::new().await;
    village.write(
        "ban-tin.toml",
        &playlist("at = [\"05:00\", \"06:00\", \"07:00\"]\nlongest = \"10m\"", &["a.mp3"]),
    );
    village.publish().await;
    // The first sounds whole; the second is stopped by hand; the third falls into a power cut.
    village.pass_until(FIVE.plus(HOUR + 20_000));
    village.loa.tell(loa::device::executor::Event::Command {
        jti: "dung".into(),
        order: loa::device::executor::Order::Stop,
    });
    village.pass_until(FIVE.plus(HOUR + 30 * MINUTE));
    village.deliver().await;
    village.clock.set(FIVE.plus(4 * HOUR));
    let outcomes = village.outcomes(DAWN, DAWN.plus(4 * HOUR)).await;
    let told: Vec<_> = outcomes.iter().map(|o| (o.result, o.due_ms, o.played_ms)).collect();
    assert_eq!(
        told,
        [
            (Some(Verdict::Played), 60_000, 60_000),
            (Some(Verdict::Partial), 60_000, 20_000),
            (Some(Verdict::Offline), 60_000, 0),
        ],
        "three were planned alike"
    );
    let heard: i64 = village.loa.heard.iter().map(|(from, to, _)| to.since(*from)).sum();
    assert_eq!(heard, 80_000, "and that is what the street heard");
}

/// LibreTime 1163, AzuraCast 5141, Xibo 1711: who deleted the file deleted its proof.
#[tokio::test]
async fn deleting_clip_playlist_and_device_leaves_the_proof_whole() {
    let mut village = Village::new().await;
    village.publish().await;
    village.pass_until(FIVE.plus(5 * MINUTE));
    village.deliver().await;
    let before = (village.stored().await, village.outcomes(DAWN, DAWN.plus(DAY)).await);
    assert_eq!(before.1[0].result, Some(Verdict::Played));
    fs::remove_file(village.path("clips/a.mp3")).unwrap();
    fs::remove_file(village.path("ban-tin.toml")).unwrap();
    village.publish().await;
    village
        .store
        .remove_devices(std::slice::from_ref(&village.loa.id), village.clock.now())
        .await
        .unwrap();
    assert_eq!((village.stored().await, village.outcomes(DAWN, DAWN.plus(DAY)).await), before);
    let play = &village.loa.plays()[0];
    assert_eq!(
        (play.title.as_str(), play.lufs_cb),
        ("Tin a.mp3", Some(-160)),
        "it needs no library"
    );
    assert_eq!(play.asset, Some(Digest::of(b"a.mp3")));
}

/// Xibo 3210, 2545: a repeated delivery counted twice.
#[tokio::test]
async fn what_comes_twice_and_in_any_order_counts_once() {
    let mut village = Village::new().await;
    village.publish().await;
    village.pass_until(FIVE.plus(5 * MINUTE));
    let lines = village.loa.lines();
    let all: Vec<&str> = lines.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = all.iter().rev().copied().collect();
    for batch in [&backwards[..], &all, &all[..1], &backwards, &[all.clone(), all.clone()].concat()]
    {
        village.arrive(batch).await;
    }
    let stored: Vec<_> = village.stored().await.iter().map(|r| r.jws.to_string()).collect();
    assert_eq!(stored, lines);
    let outcomes = village.outcomes(DAWN, DAWN.plus(HOUR)).await;
    assert_eq!((outcomes.len(), outcomes[0].played_ms), (1, 60_000));
}

/// Xibo `Soap.php`: records of an unknown widget, of equal start and end, or older than the
/// retention were dropped and acknowledged all the same.
#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_kept() {
    let mut village = Village::new().await;
    village.publish().await;
    village.pass_until(FIVE.plus(5 * MINUTE));
    village.deliver().await;
    let head = |village: &Village| village.loa.lines().len() as u64;
    let (five_years, odd) = (DAWN.plus(-5 * 365 * DAY), CueId([0xEE; 16]));
    let play = |cue: CueId, started: UtcMs, ended: UtcMs| {
        Body::Play(Play {
            subject: Subject::Cue { cue },
            n: 1,
            sheet: None,
            item: "chua-tung-co/khong-ai-biet".into(),
            asset: None,
            title: "Không ai biết".into(),
            lufs_cb: None,
            gain_cb: None,
            due_ms: started,
            due_len_ms: 60_000,
            started_ms: Some(started),
            ended_ms: Some(ended),
            played_ms: ended.since(started),
            outcome: Said::Partial,
            cause: "stop".into(),
            by: None,
            volume: 80,
            skew_ms: Some(0),
            grade: 3,
            method: "samples".into(),
            score_permille: None,
        })
    };
    let before = head(&village);
    village.loa.write(&[
        play(odd, FIVE.plus(HOUR), FIVE.plus(HOUR + 1_000)),
        play(odd, FIVE.plus(2 * HOUR), FIVE.plus(2 * HOUR)),
        play(odd, five_years, five_years.plus(30_000)),
    ]);
    // And one that contradicts itself: an end before its start.
    let lines = village.loa.lines();
    let at = village.clock.now();
    let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) };
    let wrong = Record {
        head: Head {
            v: 1,
            dev: village.loa.id.clone(),
            chain: village.loa.ledger.chain(),
            boot: 1,
            seq: before + 4,
            prev: lines.last().map(|line| record::digest(line)),
            at_ms: five_years,
            mono_ms: 0,
            clock,
            seen: None,
            attestor: Attestor::Device,
        },
        body: play(odd, FIVE.plus(HOUR), FIVE),
    };
    let wrong = jws::sign(&village.loa.key, Typ::Record, &wrong);
    let mut batch: Vec<&str> = lines.iter().map(String::as_str).collect();
    batch.push(&wrong);
    let taken = village.arrive(&batch).await;
    assert_eq!(taken.tally.stored, 4);
    let receipt = village.receipt(&taken);
    assert_eq!(receipt.upto, before + 4);
    let stored = village.stored().await;
    assert_eq!(stored.len() as u64, receipt.upto, "what is acknowledged is there, all of it");
    assert_eq!(&*stored.last().unwrap().jws, wrong, "byte for byte");
    assert_eq!(receipt.head, Some(record::digest(&wrong)));
    // Not even the sweep of that very hour takes the old one: the day of receipt counts.
    let swept = retention::sweep(&*village.store, at, 24).await.unwrap();
    assert_eq!(swept, retention::Swept::default());
    let outcomes = village.outcomes(FIVE.plus(HOUR), FIVE.plus(2 * HOUR)).await;
    assert_eq!((outcomes[0].cue, outcomes[0].plan), (odd, Plan::Unplanned), "and it is shown");
}

/// Xibo: evidence is off unless switched on, and kept for 30 days.
#[tokio::test]
async fn evidence_is_on_by_itself_and_kept_for_24_months() {
    let mut village = Village::new().await;
    assert_eq!(village.load().config.unwrap().retention.evidence_months, 24);
    for key in ["evidence = false", "proof = \"off\"", "[retention]\nevidence_months = 0"] {
        village.write("station.toml", &format!("name = \"Đài\"\napproval = \"off\"\n{key}\n"));
        assert!(village.load().faults.iter().any(|fault| fault.refuses), "`{key}` turns it off");
    }
    village.write("station.toml", "name = \"Đài xã\"\napproval = \"off\"\n");
    village.publish().await;
    village.pass_until(FIVE.plus(5 * MINUTE));
    village.deliver().await;
    let kept = village.stored().await;
    assert!(kept.iter().any(|record| record.kind == "play"));
    // A later record, so that the clock is believed.
    village.clock.set(FIVE.plus(729 * DAY));
    village.loa.write(&[Body::Beat { head: None, pending: 0, stored: 0 }]);
    village.deliver().await;
    retention::sweep(&*village.store, village.clock.now(), 24).await.unwrap();
    assert_eq!(village.stored().await.len(), kept.len() + 1, "two years less a day");
}

/// Xibo XMR: commands pushed to players were lost, and nobody could tell.
#[tokio::test]
async fn a_command_that_is_lost_is_seen_and_given_again() {
    let mut village = Village::new().await;
    village.publish().await;
    village.pass_until(FIVE.plus(2 * HOUR));
    let lines = village.loa.lines();
    assert!(lines.len() >= 5);
    let without: Vec<&str> =
        lines.iter().enumerate().filter(|(n, _)| *n != 2).map(|(_, line)| line.as_str()).collect();
    let taken = village.arrive(&without).await;
    assert_eq!(village.receipt(&taken).upto, 2, "the receipt stops at the gap");
    let asked = taken.publications.iter().filter(|p| p.topic.ends_with("/command")).count();
    assert_eq!(asked, 1);
    // The order never arrives. It is given again, each time anew, until the gap is closed.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        village.clock.pass(15 * MINUTE);
        let again = village.ingest.ask();
        assert_eq!(again.len(), 1);
        assert!(!again[0].retain && seen.insert(again[0].payload.clone()));
    }
    let kept = village.stored().await.len();
    assert_eq!(kept, lines.len() - 1, "what came out of order waits, kept");
    let taken = village.arrive(&[lines[2].as_str()]).await;
    assert_eq!(village.receipt(&taken).upto, lines.len() as u64);
    village.clock.pass(DAY);
    assert_eq!(village.ingest.ask(), []);
    // And an order that did arrive is answered in signed words.
    let stop = loa::device::executor::Order::Stop;
    village.loa.tell(loa::device::executor::Event::Command { jti: "x1".into(), order: stop });
    village.deliver().await;
    let answered = village.stored().await.iter().any(|record| record.kind == "did");
    assert!(answered);
}

/// Xibo: after 48 hours without the server a player had no schedule left.
#[tokio::test]
async fn fourteen_days_without_a_line_play_in_full_and_are_told_afterwards() {
    let mut village = Village::new().await;
    village.publish().await;
    // The line goes down now: nothing more is heard or sent.
    village.pass_until(DAWN.plus(14 * DAY));
    assert_eq!(village.loa.heard.len(), 14, "every morning");
    for (day, (from, to, _)) in (0..).zip(&village.loa.heard) {
        assert_eq!((*from, to.since(*from)), (FIVE.plus(day * DAY), 60_000));
    }
    let lines = village.loa.lines();
    assert!(lines.len() > 14 * 48, "and a beat every half hour");
    assert_eq!(village.stored().await.len(), 0);
    let then = village.clock.now();
    village.deliver().await;
    let stored: Vec<_> = village.stored().await.iter().map(|r| r.jws.to_string()).collect();
    assert_eq!(stored, lines, "all of it, once, in order");
    let outcomes = village.outcomes(DAWN, then).await;
    assert_eq!(outcomes.len(), 14);
    assert!(outcomes.iter().all(|o| o.result == Some(Verdict::Played) && o.played_ms == 60_000));
}

/// LibreTime 1224, AzuraCast 6106: a full disk stopped the station.
#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let mut village = Village::new().await;
    village.publish().await;
    village.pass_until(FIVE.plus(5 * MINUTE));
    let lines = village.loa.lines();
    let ledger = village.dir.path().join("so.jws");
    fs::write(&ledger, lines.join("\n")).unwrap();
    let made = cli::loa(village.dir.path(), &["init", "--data", "data"]);
    assert!(made.status.success());
    village.store.close().await;
    fs::copy(village.dir.path().join("store.db"), village.dir.path().join("data/store.db"))
        .unwrap();
    // A file may grow no further: what a disk without space does to every write.
    let import = |blocks: &str| {
        let line = format!(
            "ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" records import --data data --json so.jws"
        );
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_loa")]).current_dir(village.dir.path());
        command.output().unwrap()
    };
    let refused = import("1");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("hint: ") && refused.stdout.is_empty(), "{told}");
    let resumed = cli::json(&import("unlimited"));
    assert_eq!(resumed["stored"], lines.len());
    let again = cli::json(&import("unlimited"));
    assert_eq!((&again["stored"], &again["duplicates"]), (&0.into(), &lines.len().into()));
}
