//! The evidence log under a server that is killed: what was answered is in it, once, in one tree.

use super::chance::Chance;
use super::commune::Commune;
use super::process::wait_for;
use serde_json::Value;

fn statements(commune: &Commune, size: u64) -> Vec<Value> {
    let leaf = |index: u64| commune.json(&["log", "show", "--leaf", &index.to_string()]);
    (0..size).map(leaf).map(|leaf| leaf["content"].clone()).collect()
}

#[test]
fn a_server_that_is_killed_at_any_moment_logs_what_it_answered_once_and_never_forks() {
    let mut chance = Chance::new();
    let mut commune = Commune::new();
    commune.init();
    let (mut heads, mut ordered): (Vec<Value>, Vec<u64>) = (Vec::new(), Vec::new());
    for round in 0..4 {
        commune.serve();
        let reason = format!("lần {round}");
        let args = ["hold", "99901", "--until", "2h", "--wait", "0", "--reason", reason.as_str()];
        let held = commune.ordered(&args);
        ordered.push(held["hold"]["ver"].as_u64().unwrap_or(round));
        // A round of the log begins within one and a half seconds.
        std::thread::sleep(std::time::Duration::from_millis(chance.below(2_200)));
        commune.server.take().unwrap().kill();
        heads.extend(commune.json(&["log", "show"])["shards"].as_array().unwrap().clone());
    }
    commune.serve();
    let told = wait_for("the log to hold all that waits", 30, || {
        let told = commune.json(&["log", "show"]);
        (told["waiting"] == 0).then_some(told)
    });
    assert_eq!(told["shards"].as_array().unwrap().len(), 1, "{told}");
    let checked = commune.json(&["log", "check"]);
    assert_eq!(checked["ok"], true, "{checked}");
    let size = told["shards"][0]["size"].as_u64().unwrap();
    let leaves = statements(&commune, size);
    let held: Vec<_> = leaves.iter().filter(|leaf| leaf["kind"] == "hold").collect();
    let reasons: Vec<_> = held.iter().map(|leaf| leaf["reason"].as_str().unwrap()).collect();
    let wanted: Vec<_> = (0..ordered.len()).map(|round| format!("lần {round}")).collect();
    assert_eq!(reasons, wanted);
    // What was published before is the beginning of what is published now.
    let shard = told["shards"][0]["shard"].as_str().unwrap();
    let path = format!("/log/{shard}/checkpoint");
    let (status, note) = commune.get(&path).unwrap();
    assert!(status == 200 && note.starts_with(told["shards"][0]["origin"].as_str().unwrap()));
    let sizes: Vec<_> = heads.iter().map(|head| head["size"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted() && sizes.iter().all(|old| *old <= size), "{sizes:?}");
}
