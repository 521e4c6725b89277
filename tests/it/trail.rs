//! Nothing changes without a word in the trail: every command and every changing route has a row
//! here, and what the row says is tried.
//!
//! A new command or route fails until it has one.

use super::http::{Front, front, json as read_json};
use super::support::cli::{json, loa, loa_reading, root, text};
use clap::CommandFactory as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a command leaves in the trail of the data folder.
enum Leaves {
    /// An entry of this action, when run with these arguments.
    Entry(&'static str, &'static [&'static str]),
    /// Changes nothing of a server: reads, or works on files that the server judges when it sees
    /// them (then as a proposal).
    Nothing,
    /// Asks the API, whose routes have rows of their own.
    Api,
    /// A server or a device; what people do with it goes by the other rows.
    Runs,
    /// Tried elsewhere: needs a proposal or a lost disk.
    Elsewhere,
}

use Leaves::{Api, Elsewhere, Entry, Nothing, Runs};

/// In an order in which they can be run one after the other.
const COMMANDS: &[(&str, Leaves)] = &[
    ("init", Entry("init", &["--json"])),
    ("unit import", Entry("import-units", &["units.csv"])),
    ("device import", Entry("import-devices", &["devices.csv"])),
    (
        "device add",
        Entry(
            "add-device",
            &["loa-3", "--name", "Loa 3", "--unit", "99901", "--profile", "loa-ip"],
        ),
    ),
    ("device enrol", Entry("issue-code", &["loa-1"])),
    ("device revoke", Entry("revoke-device", &["loa-1", "--reason", "mất"])),
    ("device replace", Elsewhere),
    ("device delete", Entry("delete-device", &["loa-2"])),
    ("user add", Entry("add-person", &["lan", "--name", "Lan"])),
    ("user grant", Entry("grant-role", &["lan", "approver"])),
    ("user revoke", Entry("revoke-role", &["lan", "approver"])),
    ("user token", Entry("make-token", &["lan"])),
    ("user end", Entry("end-person", &["lan"])),
    ("approval", Entry("set-approval", &["off"])),
    ("link", Entry("issue-link", &[])),
    ("tls make", Entry("make-certificate", &["loa.xa.vn"])),
    ("tls renew", Entry("renew-certificate", &[])),
    ("tls issue", Entry("issue-certificate", &["mqtt.xa.vn", "--out", "broker"])),
    ("keys rotate", Entry("rotate-keys", &["--root", "data/root-key.txt"])),
    (
        "keys revoke",
        Entry("revoke-key", &["time", "--reason", "thử", "--root", "data/root-key.txt"]),
    ),
    ("keys log", Entry("name-log", &["--root", "data/root-key.txt"])),
    ("plan import", Entry("import-plan", &["topics.toml", "quang-ngai-103.toml"])),
    (
        "evidence add",
        Entry(
            "add-evidence",
            &[
                "lines",
                "--id",
                "m-1",
                "--channel",
                "web",
                "--unit",
                "99901",
                "--title",
                "Trang",
                "--date",
                "2026-03-01",
                "--person",
                "lan",
            ],
        ),
    ),
    ("evidence import", Entry("add-evidence", &["evidence.csv", "--files", "."])),
    ("evidence correct", Entry("correct-evidence", &["m-1", "--reason", "sai", "--count", "2"])),
    ("evidence withdraw", Entry("withdraw-evidence", &["m-2", "--reason", "trùng"])),
    ("plan withdraw", Entry("withdraw-plan", &["quang-ngai-103", "--reason", "thay thế"])),
    ("records import", Entry("import-records", &["lines"])),
    (
        "report",
        Entry(
            "make-report",
            &["diary", "--unit", "99901", "--month", "2026-01", "--out", "so.xlsx"],
        ),
    ),
    (
        "heard",
        Entry("make-report", &["--place", "99901", "--at", "2026-01-05T05:00", "--out", "ph.pdf"]),
    ),
    ("backup", Entry("back-up", &["--out", "s.loa"])),
    ("restore", Elsewhere),
    ("audit pack", Nothing),
    ("audit verify", Nothing),
    ("audit faults", Nothing),
    ("log show", Nothing),
    ("log check", Nothing),
    ("log prove", Nothing),
    ("log policy", Nothing),
    ("log rebuild", Elsewhere),
    ("log begin", Entry("begin-log", &["--reason", "hỏng ổ đĩa"])),
    ("log adopt", Elsewhere),
    ("propose", Api),
    ("approve", Api),
    ("urgent send", Api),
    ("urgent withdraw", Api),
    ("hold", Api),
    // Tried with a draw that can be made, in the tests of the use case and end to end.
    ("audit sample", Elsewhere),
    ("audit findings", Elsewhere),
    ("witness init", Nothing),
    ("witness add", Nothing),
    ("witness serve", Runs),
    ("witness show", Nothing),
    ("serve", Runs),
    ("demo", Runs),
    ("speaker", Runs),
    ("board", Runs),
    ("play", Runs),
    ("bench", Runs),
    ("check", Nothing),
    ("conform", Nothing),
    ("timetable", Nothing),
    ("skip", Nothing),
    ("plan check", Nothing),
    ("plan list", Nothing),
    ("plan show", Nothing),
    ("plan topics", Nothing),
    ("evidence list", Nothing),
    ("evidence show", Nothing),
    ("urgent show", Nothing),
    ("urgent list", Nothing),
    ("inspect", Nothing),
    ("preview", Nothing),
    ("feed list", Nothing),
    ("feed try", Nothing),
    ("device list", Nothing),
    ("device export", Nothing),
    ("unit list", Nothing),
    ("unit export", Nothing),
    ("records", Nothing),
    ("records export", Nothing),
    ("records missing", Nothing),
    ("user list", Nothing),
    ("proposals", Nothing),
    ("proposal", Nothing),
    ("trail", Nothing),
    ("keys show", Nothing),
    ("broker acl", Nothing),
    ("tls show", Nothing),
];

/// Changing operations of the API by their ids.
const OPERATIONS: &[(&str, &str)] = &[
    ("register_device", "add-device"),
    ("issue_enrolment_code", "issue-code"),
    ("revoke_device", "revoke-device"),
    ("replace_device", "replace-device"),
    ("delete_device", "delete-device"),
    ("hold_unit", "hold-unit"),
    ("release_unit", "release-unit"),
    ("issue_link", "issue-link"),
    ("upload_notice_clip", "upload-clip"),
    // Tried by the tests of the use case, which write entry and change in one step.
    ("draw_plays", "draw-plays"),
    ("take_findings", "take-findings"),
    // A file that is handed out, as by `GET`.
    ("make_letter", "make-report"),
    ("propose", "propose"),
    ("approve", "approve"),
    ("return_proposal", "return-proposal"),
    ("roll_back", "roll-back"),
    ("withdraw_playlist", "withdraw-playlist"),
    ("withdraw_unit", "withdraw-unit"),
    ("propose_files", "propose"),
    ("take_back_proposal", "take-back-proposal"),
    ("prepare_notice", "prepare-urgent"),
    ("send_notice", "send-urgent"),
    ("withdraw_notice", "withdraw-urgent"),
    // Tried in `plans`.
    ("put_plan", "import-plan"),
    ("withdraw_plan", "withdraw-plan"),
    ("put_topics", "import-topics"),
    ("add_evidence", "add-evidence"),
    ("withdraw_evidence", "withdraw-evidence"),
];

/// Collects the names of commands that do something themselves.
fn leaves(command: &clap::Command, before: &str, found: &mut BTreeSet<String>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("{before}{}", sub.get_name());
        if !sub.has_subcommands() || !sub.is_subcommand_required_set() {
            found.insert(name.clone());
        }
        leaves(sub, &format!("{name} "), found);
    }
}

fn actions(at: &Path) -> Vec<String> {
    let listed = json(&loa(at, &["trail", "--json", "--limit", "1000"]));
    let entries = listed.as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_command_that_changes_something_leaves_an_entry() {
    let mut found = BTreeSet::new();
    leaves(&loa::cmds::Cli::command(), "", &mut found);
    found.retain(|name| !name.starts_with("bench "));
    found.insert("bench".to_owned());
    let known: BTreeSet<String> = COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "say what these leave in the trail: {unknown:?}");

    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("units.csv"), "id,name,parent\n51,T,\n99901,X,51\n").unwrap();
    let devices = "id,name,unit,profile\nloa-1,Loa,99901,loa-ip\nloa-2,Loa,99901,loa-ip\n";
    fs::write(at.join("devices.csv"), devices).unwrap();
    fs::write(at.join("lines"), "không phải bản ghi\n").unwrap();
    let sample = |name: &str| fs::read(root().join("playlists").join(name)).unwrap();
    fs::write(at.join("topics.toml"), sample("topics/an-toan-thong-tin-1.toml")).unwrap();
    fs::write(at.join("quang-ngai-103.toml"), sample("plans/quang-ngai-103.toml")).unwrap();
    let lines = fs::read(at.join("lines")).unwrap();
    let (sha256, bytes) = (loa::domain::ids::Digest::of(&lines), lines.len());
    let table = format!(
        "id,channel,unit,title,file,sha256,bytes,date,by\n\
         m-2,sms,99901,Tin nhắn,lines,{sha256},{bytes},2026-03-01,lan\n"
    );
    fs::write(at.join("evidence.csv"), table).unwrap();
    for (name, leaves) in COMMANDS {
        let Entry(action, args) = leaves else { continue };
        let before = if *name == "init" { Vec::new() } else { actions(at) };
        let all: Vec<&str> = name.split(' ').chain(args.iter().copied()).collect();
        let ran = loa(at, &all);
        let said = text(&ran.stderr);
        assert!(ran.status.code() <= Some(1), "{name}: {said}");
        let after = actions(at);
        let new = &after[..after.len() - before.len()];
        assert!(new.iter().any(|one| one == action), "{name}: {new:?}, not {action}");
    }
    for (name, args) in [("device list", &[][..]), ("keys show", &[]), ("trail", &[])] {
        let before = actions(at);
        let all: Vec<&str> = name.split(' ').chain(args.iter().copied()).collect();
        assert!(loa_reading(at, &all, b"").status.success());
        assert_eq!(actions(at), before, "{name} changes nothing");
    }
}

async fn trail(front: &Front) -> Vec<Value> {
    let listed = read_json(front.ask_as_token("GET", "/api/v1/trail?limit=200", "").await);
    listed["entries"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_changing_route_leaves_an_entry_with_who_and_from_where() {
    let front = front().await;
    let document = read_json(front.ask_as_token("GET", "/api/v1/openapi.json", "").await);
    let known: BTreeSet<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
    // Asked with a body, and changes nothing.
    const ASKED: [&str; 1] = ["preview_pages"];
    let mut changing = BTreeSet::new();
    for operations in document["paths"].as_object().unwrap().values() {
        for (method, operation) in operations.as_object().unwrap() {
            if ["put", "post", "patch", "delete"].contains(&method.as_str()) {
                changing.insert(operation["operationId"].as_str().unwrap());
            }
        }
    }
    changing.retain(|id| !ASKED.contains(id));
    let unknown: Vec<_> = changing.difference(&known).collect();
    assert!(unknown.is_empty(), "say what these leave in the trail: {unknown:?}");

    let hold = r#"{"minutes": 10, "reason": "thử"}"#;
    let reason = r#"{"reason": "thử"}"#;
    for (id, method, path, body) in [
        ("issue_enrolment_code", "POST", "devices/loa-thon-1/enrolment-codes", "{}"),
        ("hold_unit", "PUT", "holds/90001", hold),
        ("release_unit", "POST", "holds/90001/release", reason),
        ("issue_link", "POST", "links", ""),
        ("revoke_device", "POST", "devices/loa-thon-1/revocation", reason),
    ] {
        let action = OPERATIONS.iter().find(|(known, _)| *known == id).unwrap().1;
        let path = format!("/api/v1/{path}");
        let before = trail(&front).await.len();
        let json_type = ("content-type", "application/json");
        let nobody = front.ask(method, &path, &[json_type], body).await;
        assert_eq!(nobody.status(), 401, "{id}");
        assert_eq!(trail(&front).await.len(), before, "{id}: what was refused left an entry");
        let bearer = format!("Bearer {}", front.token);
        let headers = [("authorization", bearer.as_str()), json_type];
        let done = front.ask(method, &path, &headers, body).await;
        assert!(done.status().is_success(), "{id}: {}", done.status());
        let after = trail(&front).await;
        let new: Vec<_> = after.iter().filter(|entry| entry["action"] == action).collect();
        assert!(after.len() > before && !new.is_empty(), "{id}: {after:?}");
        assert_eq!((&new[0]["who"], &new[0]["from"]), (&"admin".into(), &"127.0.0.1".into()));
    }
}
