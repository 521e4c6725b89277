//! A page of the server's store is overwritten on the disk: the server says so, goes on as far as it
//! can, makes no backup of it, and the last good backup brings everything back, since devices send
//! again what came after it.

use super::commune::{Commune, claims, in_seconds};
use super::process::{json, run, wait_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

const LOA: &str = "loa-dinh-lang";
const PAGE: usize = 4_096;

fn jws(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["jws"].as_str().unwrap().to_owned()).collect()
}

fn played(commune: &Commune, cue: i64) {
    wait_for("the play of a cue", 60, || {
        let plays = commune.records_of(LOA, "play");
        plays.iter().any(|play| claims(play)["due_ms"] == cue).then_some(())
    });
}

/// Overwrites the page on which a record lies.
fn damage(commune: &Commune, record: &Value) {
    let file = commune.path("data/store.db");
    let mut bytes = fs::read(&file).unwrap();
    let text = record["jws"].as_str().unwrap().as_bytes();
    let at = bytes.windows(60).position(|w| w == &text[..60]).expect("the record is in the file");
    let page = at / PAGE * PAGE;
    assert!(page > 0, "the first page makes it no store at all");
    bytes[page..page + PAGE].fill(0x5a);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_page_is_named_and_an_older_backup_brings_every_record_back() {
    let mut commune = Commune::new();
    commune.init();
    commune.serve();
    commune.enrol(LOA);
    let _device = commune.device(LOA);
    let first = in_seconds(10);
    commune.playlist(&[first]);
    wait_for("the first start", 40, || commune.records_of(LOA, "start").pop());
    let folders = ["data", "playlists", "profiles"].map(|f| commune.path(f).display().to_string());
    let [data, lists, profiles] = folders.each_ref().map(String::as_str);
    let folders = ["--data", data, "--playlists", lists, "--profiles", profiles];
    let (file, bad) = (commune.path("tốt.loa"), commune.path("hỏng.loa"));
    let (file, bad) = (file.display().to_string(), bad.display().to_string());
    commune.write("pw", "bốn từ không ai đoán");
    let pw = commune.path("pw").display().to_string();
    let keys = ["--with-keys", "--passphrase-file", &pw];
    let args = [&["backup", "--json", "--out", &file], &keys[..], &folders[..]].concat();
    let good = json(&args);
    played(&commune, first);
    let before = commune.records();
    assert!(before.len() as u64 > good["records"].as_u64().unwrap());

    commune.server.take().unwrap().terminate(10);
    damage(&commune, before.iter().find(|record| record["kind"] == "start").unwrap());
    let (code, _, error) = run(&[&["backup", "--out", &bad], &keys[..], &folders[..]].concat());
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("the store's file is damaged") && error.contains("restore"), "{error}");
    assert!(!fs::exists(&bad).unwrap());

    let mut server = commune.start_server("damaged.log", &[]);
    let said = wait_for("the name of the damage", 30, || {
        server.assert_alive();
        Some(server.said()).filter(|said| said.contains("The store does not pass its check"))
    });
    assert!(said.contains("restore the last backup into a new folder"), "{said}");
    let page = wait_for("the page that says it too", 20, || {
        let (_, page) = commune.get("/")?;
        page.contains("cần khôi phục từ bản sao lưu").then_some(page)
    });
    assert!(page.contains("Tệp dữ liệu"), "{page}");
    server.kill();

    fs::rename(commune.path("data"), commune.path("data-hỏng")).unwrap();
    for folder in [lists, profiles] {
        fs::remove_dir_all(folder).unwrap();
    }
    json(&[&["restore", &file, "--json"], &keys[1..], &folders[..]].concat());
    commune.serve();
    let second = in_seconds(10);
    commune.playlist(&[first, second]);
    played(&commune, second);
    let lost = jws(&before);
    let after = wait_for("the records that the backup did not have", 60, || {
        let records = commune.records();
        lost.is_subset(&jws(&records)).then_some(records)
    });
    assert_eq!(jws(&after).len(), after.len(), "none twice");
    let numbers: BTreeSet<_> = after.iter().map(|r| r["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=after.len() as u64).collect(), "one chain without a gap");
}
