//! The server is cut off between an approval and its publication, and between the steps of
//! publishing: what was approved is published once, as one version of each timetable.

use super::commune::{Commune, in_seconds};
use super::gate::{Fall, Gate};
use super::mosquitto::Mosquitto;
use super::process::wait_for;
use super::two::{listen, version};
use loa::app::ports::{Plans as _, StoredTimetable};
use loa::clock::{Clock as _, SystemClock};
use loa::device::enrol::{self, Dates};
use loa::store::SqliteStore;
use std::collections::{BTreeMap, BTreeSet};

const DEVICES: [&str; 2] = ["loa-dinh-lang", "bang-cong"];

fn token(commune: &Commune, person: &str, role: &str) -> String {
    let made = commune.json(&["user", "add", person, "--name", person, "--role", role, "--token"]);
    made["token"].as_str().unwrap().to_owned()
}

/// Approves the change that lies in the folder; done when the answer says that it is in force.
fn approve(commune: &Commune, author: &str, approver: &str, but: &BTreeSet<String>) -> String {
    let hash = wait_for("a proposal", 30, || {
        let (_, said) = commune.api("GET", "proposals", author, "");
        let open = said["proposals"]
            .as_array()?
            .iter()
            .find(|one| one["state"] == "open" && !but.contains(one["hash"].as_str().unwrap()))?;
        Some(open["hash"].as_str()?.to_owned())
    });
    let folder = commune.path("playlists").display().to_string();
    commune.json(&["propose", "--token", author, "--playlists", &folder]);
    let (status, said) = commune.api("POST", &format!("proposals/{hash}/approve"), approver, "");
    assert_eq!((status, said["decided"].as_str()), (200, Some("in-force")), "{said}");
    hash
}

/// The newest timetable of each device, if all of them are published and follow the approval.
fn published(commune: &Commune, hash: &str) -> Option<BTreeMap<String, StoredTimetable>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&commune.path("data/store.db")).await.unwrap();
        let newest = store.newest_timetables().await.unwrap();
        let mut found = BTreeMap::new();
        for timetable in newest {
            let sheets: Vec<_> = timetable.days.iter().map(|day| day.sheet).collect();
            let sheets = store.sheets(&sheets).await.unwrap();
            let follows = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(hash);
            if timetable.published_ms.is_some() && sheets.iter().any(|s| follows(&s.bytes)) {
                found.insert(timetable.device.to_string(), timetable);
            }
        }
        store.close().await;
        (found.len() == DEVICES.len()).then_some(found)
    })
}

#[test]
fn a_kill_between_approval_and_publishing_publishes_the_approved_once() {
    let mut commune = Commune::new();
    commune.init_with_approval();
    let broker = Mosquitto::install_for(&commune, &["loa.server", "loa.test"]);
    let gate = Gate::to(([127, 0, 0, 1], broker.port()).into());
    let through = ["--broker".to_owned(), format!("mqtt://127.0.0.1:{}", gate.port())];
    let through = through.each_ref().map(String::as_str);
    commune.serve_with(&through);
    for device in DEVICES {
        let (now, code) = (SystemClock::new().now(), commune.code(device).parse().unwrap());
        enrol::enrol(&commune.path(device), &code, false, "test", now, Dates::Judged).unwrap();
    }
    let (lan, minh) = (token(&commune, "lan", "operator"), token(&commune, "minh", "approver"));
    let heard = listen(broker.port());
    let mut versions: BTreeMap<&str, u64> = DEVICES.map(|device| (device, 0)).into();
    let mut known = BTreeSet::new();

    let steps = [
        // Right behind the answer to the approver.
        None,
        // Stored; nobody has been told a word.
        Some(Fall::Before("/s/", 1)),
        // In the midst of the sheets.
        Some(Fall::After("/s/", 2)),
        // All sheets are out, no timetable.
        Some(Fall::Before("/timetable", 1)),
        // One device is told, the other is not.
        Some(Fall::After("/timetable", 1)),
        // Both are told; the server does not hear that the broker has it.
        Some(Fall::After("/timetable", 2)),
    ];
    for (n, step) in (1..).zip(steps) {
        commune.playlist(&[in_seconds(1_200 + 60 * n)]);
        if let Some(fall) = step {
            gate.fall(fall);
        }
        let hash = approve(&commune, &lan, &minh, &known);
        if step.is_some() {
            wait_for("the message at which the gate falls", 40, || gate.is_shut().then_some(()));
        }
        commune.server.take().unwrap().kill();
        gate.open();
        commune.serve_with(&through);

        let stored =
            wait_for("the approved schedule, published", 40, || published(&commune, &hash));
        let heard = heard.lock().unwrap().clone();
        for (device, before) in &mut versions {
            let told = &heard[&format!("loa/1/d/{device}/timetable")];
            let new: BTreeSet<_> = told.iter().filter(|jws| version(jws) > *before).collect();
            assert_eq!(new.len(), 1, "{step:?}: {device} was told {} new versions", new.len());
            let new = *new.first().unwrap();
            assert_eq!(new, stored[*device].jws.as_bytes(), "{step:?}: what is stored was told");
            *before = version(new);
        }
        let trail = commune.json(&["trail", "--after", "0"]);
        let approved = trail.as_array().unwrap().iter().filter(|entry| {
            entry["subject"] == *hash && entry["action"] == "approve" && entry["who"] == "minh"
        });
        assert_eq!(approved.count(), 1, "{step:?}: approved once");
        known.insert(hash);
    }
}
