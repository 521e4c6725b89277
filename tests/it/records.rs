//! `loa records`: what was signed comes out byte for byte, and goes in once.

use loa::app::ports::{Enrolment, EnrolmentCode, Evidence as _, Registry as _, Via};
use loa::domain::ids::{CueId, DeviceId, Digest};
use loa::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use loa::domain::station::Device;
use loa::domain::time::UtcMs;
use loa::store::SqliteStore;
use loa::wire::jws::SecretKey;
use loa::wire::record;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// 2026-12-01 05:00 in Hà Nội.
const FIVE: i64 = 1_796_076_000_000;

fn loa(args: &[&str], data: &Path, input: Option<&str>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loa"))
        .args(args)
        .arg("--data")
        .arg(data)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(text) = input {
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn signed(key: &SecretKey, device: &DeviceId) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for seq in 1..=700_u64 {
        let body = if seq == 2 {
            Body::Play(Play {
                subject: Subject::Cue { cue: CueId([5; 16]) },
                n: 1,
                sheet: None,
                item: "ban-tin-sang/lua-dao".into(),
                asset: None,
                title: "Cảnh báo lừa đảo qua điện thoại".into(),
                lufs_cb: None,
                gain_cb: None,
                due_ms: UtcMs(FIVE),
                due_len_ms: 60_000,
                started_ms: Some(UtcMs(FIVE)),
                ended_ms: Some(UtcMs(FIVE + 60_000)),
                played_ms: 60_000,
                outcome: Said::Played,
                cause: "end".into(),
                by: None,
                volume: 80,
                skew_ms: Some(1),
                grade: 3,
                method: "samples".into(),
                score_permille: None,
            })
        } else {
            Body::Beat { head: None, pending: 0, stored: 0 }
        };
        let head = Head {
            v: 1,
            dev: device.clone(),
            chain: loa::domain::ids::ChainId([1; 16]),
            boot: 1,
            seq,
            prev: lines.last().map(|line| record::digest(line)),
            at_ms: UtcMs(FIVE + i64::try_from(seq).unwrap() * 60_000),
            mono_ms: 0,
            clock: ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(1) },
            seen: None,
            attestor: Attestor::Device,
        };
        lines.push(record::sign(key, &Record { head, body }).unwrap());
    }
    lines
}

async fn register(store: &SqliteStore, id: &DeviceId, key: &SecretKey) {
    let device = Device {
        id: id.clone(),
        name: "Cụm loa thôn Đoài".into(),
        unit: "10363".parse().unwrap(),
        tags: vec![],
        profile: "loa".parse().unwrap(),
        volume_cap: 100,
        trim_ms: 0,
        behind: None,
    };
    store.put_devices(&[device], UtcMs(0)).await.unwrap();
    let code = Digest([1; 32]);
    let made = EnrolmentCode {
        id: code,
        device: id.clone(),
        secret: vec![1],
        made_ms: UtcMs(0),
        expires_ms: UtcMs(9),
        used: None,
        refused: 0,
        last_refusal: None,
    };
    store.put_code(&made).await.unwrap();
    let enrolment = Enrolment {
        code,
        device: id.clone(),
        kid: key.kid().to_string(),
        key: key.public().to_bytes(),
        password: Digest([0; 32]),
        at_ms: UtcMs(1),
    };
    store.enrol(&enrolment).await.unwrap();
}

#[test]
fn records_go_in_once_and_come_out_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("dữ liệu");
    let playlists = dir.path().join("playlists");
    let made = Command::new(env!("CARGO_BIN_EXE_loa"))
        .args(["init", "--data"])
        .arg(&data)
        .arg("--playlists")
        .arg(&playlists)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (id, key): (DeviceId, _) = ("loa-doai-1".parse().unwrap(), SecretKey::from_seed(&[9; 32]));
    let lines = signed(&key, &id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&data.join("store.db")).await.unwrap();
        register(&store, &id, &key).await;
        store.revoke(&id, "mất trộm", "lan", UtcMs(5)).await.unwrap();
        store.close().await;
    });
    let ledger = dir.path().join("sổ.jws");
    std::fs::write(&ledger, lines.join("\n")).unwrap();
    let ledger = ledger.to_str().unwrap();

    let first = loa(&["records", "import", ledger, "--json"], &data, None);
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(json(&first)["stored"], 700);
    let again = loa(&["records", "import", "-", "--json"], &data, Some(&lines.join("\r\n")));
    assert_eq!((&json(&again)["stored"], &json(&again)["duplicates"]), (&0.into(), &700.into()));

    let exported = loa(&["records", "export"], &data, None);
    let text = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines, "in order, byte for byte");

    let plays = loa(&["records", "--kind", "play", "--json"], &data, None);
    let plays = json(&plays);
    assert_eq!(plays.as_array().unwrap().len(), 1);
    let play = &plays[0];
    assert_eq!(play["jws"], lines[1]);
    assert_eq!(play["claims"]["title"], "Cảnh báo lừa đảo qua điện thoại");
    assert_eq!((&play["via"], &play["fault"]), (&"import".into(), &"revoked".into()));
    assert_eq!(play["at"], "2026-12-01T05:02:00.000+07:00");

    let day = ["records", "--device", "loa-doai-1", "--to", "2026-12-01T05:10:30+07:00", "--json"];
    assert_eq!(json(&loa(&day, &data, None)).as_array().unwrap().len(), 10);
    let day = ["records", "--from", "2026-12-01", "--to", "2026-12-01", "--limit", "5", "--json"];
    let newest = json(&loa(&day, &data, None));
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["seq"]), (5, &700.into()));
    let none = ["records", "--from", "2026-12-02", "--json"];
    assert_eq!(json(&loa(&none, &data, None)), serde_json::json!([]));
    let table = loa(&["records", "--kind", "play"], &data, None);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("Cảnh báo lừa đảo") && table.contains("played (end), 60.0 s"),
        "{table}"
    );

    let wrong = loa(&["records", "--from", "hôm qua"], &data, None);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("hôm qua"));

    let bad = format!("rác\n{}\n{}", "x".repeat(200_000), lines[0].replace('a', "b"));
    let refused = loa(&["records", "import", "-", "--json"], &data, Some(&bad));
    assert_eq!(refused.status.code(), Some(1), "the answer is no");
    let said: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["stored"], 0);
    assert!(said["rejects"].as_u64().unwrap() >= 3, "{said}");
    runtime.block_on(async {
        let store = SqliteStore::open(&data.join("store.db")).await.unwrap();
        assert_eq!(store.evidence_counts().await.unwrap().records, 700, "nothing was touched");
        let filter = loa::app::ports::RecordFilter::default();
        let page = loa::app::ports::Page::Newest { limit: 1 };
        let newest = store.records(&filter, page).await.unwrap();
        assert_eq!(newest[0].record.via, Via::Import);
    });
}
