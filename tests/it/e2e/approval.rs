//! A file is saved, somebody stands for it, another person approves over the API, it sounds, and
//! the cue in the device's day sheet names the approval.

use super::commune::{CLIP_S, Commune, claims, in_seconds};
use super::process::wait_for;
use loa::app::ports::Plans as _;
use loa::store::SqliteStore;
use serde_json::Value;

fn token(commune: &Commune, person: &str, role: &str) -> String {
    let made = commune.json(&["user", "add", person, "--name", person, "--role", role, "--token"]);
    made["token"].as_str().unwrap().to_owned()
}

/// The cues of a stored day sheet.
fn cues_of(commune: &Commune, sheet: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sheets = runtime.block_on(async {
        let store = SqliteStore::open(&commune.path("data/store.db")).await.unwrap();
        let sheets = store.sheets(&[sheet.parse().unwrap()]).await.unwrap();
        store.close().await;
        sheets
    });
    let sheet: Value = serde_json::from_slice(&sheets[0].bytes).unwrap();
    sheet["cues"].as_array().unwrap().clone()
}

#[test]
fn what_is_saved_sounds_only_after_a_second_person_approved_it() {
    let mut commune = Commune::new();
    commune.init_with_approval();
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let mut device = commune.device("loa-dinh-lang");
    let (lan, minh) = (token(&commune, "lan", "operator"), token(&commune, "minh", "approver"));

    let due = in_seconds(16);
    commune.playlist(&[due]);
    let open = wait_for("a proposal", 15, || {
        let (_, said) = commune.api("GET", "proposals", &lan, "");
        said["proposals"].get(0).cloned()
    });
    let hash = open["hash"].as_str().unwrap().to_owned();
    assert_eq!((&open["state"], &open["lacks"]), (&Value::from("open"), &Value::from(2)));
    assert!(open["changes"][0]["what"] == "new", "{open}");
    let (_, lists) = commune.api("GET", "playlists", &lan, "");
    assert_eq!(lists["playlists"].as_array().unwrap().len(), 0, "not in force: {lists}");
    let (_, page) = commune.get("/").unwrap();
    assert!(
        page.contains(&hash[..12]) && page.contains("loa approve"),
        "the page says what to type"
    );

    let proposed = commune.path("playlists").display().to_string();
    let said = commune.json(&["propose", "--token", &lan, "--playlists", &proposed]);
    assert_eq!(said["author"], "lan");
    let approve = format!("proposals/{hash}/approve");
    let (status, refused) = commune.api("POST", &approve, &lan, "");
    assert_eq!((status, &refused["code"]), (403, &Value::from("forbidden")));
    let (status, said) = commune.api("POST", &approve, &minh, "");
    assert_eq!((status, &said["decided"]), (200, &Value::from("in-force")), "{said}");

    let play = wait_for("a record of the play", 40, || {
        device.assert_alive();
        commune.records_of("loa-dinh-lang", "play").into_iter().next()
    });
    let play = claims(&play);
    assert_eq!(play["outcome"], "played");
    assert!(play["played_ms"].as_i64().unwrap() >= CLIP_S * 980);
    let cues = cues_of(&commune, play["sheet"].as_str().unwrap());
    let cue =
        cues.iter().find(|cue| cue["id"] == play["cue"]).expect("the cue stands in its sheet");
    assert_eq!(cue["approval"], hash, "the evidence leads to the approval");
    let trail = commune.json(&["trail", "--after", "0"]);
    let acts: Vec<_> = trail
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["subject"] == *hash)
        .map(|entry| {
            format!("{} {}", entry["who"].as_str().unwrap(), entry["action"].as_str().unwrap())
        })
        .collect();
    assert_eq!(acts, ["server see-proposal", "lan propose", "minh approve"]);
}
