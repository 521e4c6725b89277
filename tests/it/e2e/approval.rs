//! A file is saved, somebody stands for it, another person approves over the API, it sounds, and
//! the cue in the device's day sheet names the approval.

use super::commune::{CLIP_S, Commune, claims, in_seconds};
use super::process::{run, wait_for};
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

/// A person with a role over one commune; returns the token.
fn of_commune(commune: &Commune, person: &str, role: &str, unit: &str) -> String {
    let args = ["user", "add", person, "--name", person, "--role", role, "--unit", unit, "--token"];
    commune.json(&args)["token"].as_str().unwrap().to_owned()
}

/// What waits: the first file of each proposal, with its state.
fn waiting(commune: &Commune, token: &str) -> Vec<(String, String)> {
    let (_, said) = commune.api("GET", "proposals", token, "");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = said["proposals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["files"][0]), text(&one["state"])))
        .collect();
    all.sort();
    all
}

fn in_force(commune: &Commune, token: &str) -> Vec<String> {
    let (_, said) = commune.api("GET", "playlists", token, "");
    let lists = said["playlists"].as_array().unwrap().iter();
    lists.map(|list| list["id"].as_str().unwrap().to_owned()).collect()
}

fn hash_of(commune: &Commune, token: &str, file: &str) -> String {
    let (_, said) = commune.api("GET", "proposals", token, "");
    let all = said["proposals"].as_array().unwrap();
    let one = all.iter().find(|one| one["files"][0] == file);
    one.unwrap_or_else(|| panic!("{said}"))["hash"].as_str().unwrap().to_owned()
}

#[test]
fn two_communes_approve_return_and_withdraw_each_for_itself() {
    let mut commune = Commune::new();
    commune.write(
        "playlists/units.csv",
        "id,name,parent\n51,Tỉnh,\n99901,Xã Đông Hoà,51\n99902,Xã Tây Hoà,51\n",
    );
    commune.write(
        "playlists/devices.csv",
        "id,name,unit,tags,profile\n\
         loa-dong,Loa đông,99901,loa,loa-thu\nloa-tay,Loa tây,99902,loa,loa-thu\n",
    );
    commune.init_with_approval();
    commune.serve();
    let lan = of_commune(&commune, "lan", "operator", "99901");
    let tam = of_commune(&commune, "tam", "operator", "99902");
    let minh = of_commune(&commune, "minh", "approver", "99901");
    let hoa = of_commune(&commune, "hoa", "approver", "99902");

    commune.playlist(&[in_seconds(3_600)]);
    let east = std::fs::read_to_string(commune.path("playlists/thu.toml")).unwrap();
    let west = east.replace("99901", "99902").replace("Bản tin thử", "Bản tin tây");
    commune.write("playlists/tay.toml", &west);
    let open = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    wait_for("both proposals", 20, || {
        let all = waiting(&commune, &lan);
        (all == open(&[("tay.toml", "open"), ("thu.toml", "open")])).then_some(())
    });

    // Each operator stands for his own file; the other one's is not his to propose.
    let folder = commune.path("playlists").display().to_string();
    let said = commune.json(&["propose", "thu.toml", "--token", &lan, "--playlists", &folder]);
    assert_eq!((&said["author"], &said["lacks"]), (&Value::from("lan"), &Value::from(1)));
    let (status, said) = commune.api("POST", "proposals", &lan, r#"{"files": ["tay.toml"]}"#);
    assert_eq!((status, &said["code"]), (403, &Value::from("forbidden")), "{said}");
    let (status, said) = commune.api("POST", "proposals", &tam, r#"{"files": ["tay.toml"]}"#);
    assert_eq!((status, &said["author"]), (200, &Value::from("tam")), "{said}");

    // The returned one holds up nobody.
    let back = format!("proposals/{}/return", hash_of(&commune, &hoa, "tay.toml"));
    let because = r#"{"reason": "sai tiêu đề"}"#;
    assert_eq!(commune.api("POST", &back, &minh, because).0, 403);
    assert_eq!(commune.api("POST", &back, &hoa, because).0, 200);
    let approve = format!("proposals/{}/approve", hash_of(&commune, &minh, "thu.toml"));
    assert_eq!(commune.api("POST", &approve, &hoa, "").0, 403);
    let (status, said) = commune.api("POST", &approve, &minh, "");
    assert_eq!((status, &said["decided"]), (200, &Value::from("in-force")), "{said}");
    wait_for("the eastern list in force", 15, || {
        (in_force(&commune, &lan) == ["thu"]).then_some(())
    });
    assert_eq!(waiting(&commune, &lan), open(&[("tay.toml", "returned")]));
    let (_, page) = commune.get("/").unwrap();
    assert!(page.contains("tay.toml") && page.contains("sai tiêu đề"), "{page}");

    // A file with a fault: what counts instead of it is said as it is.
    commune.write("playlists/thu.toml", &east.replace("longest", "longst"));
    commune.write("playlists/moi.toml", "title = 3\n");
    let instead = wait_for("the faults of both", 20, || {
        let (_, said) = commune.api("GET", "station/faults", &lan, "");
        let faults = said["faults"].as_array().unwrap().clone();
        let of = |name: &str| {
            let mut of = faults.iter().filter(|f| f["file"].as_str().unwrap().ends_with(name));
            of.find(|fault| fault["refuses"] == true).map(|fault| fault["in_force"].clone())
        };
        Some((of("thu.toml")?, of("moi.toml")?))
    });
    assert_eq!(instead, (Value::from(true), Value::from(false)));
    commune.write("playlists/thu.toml", &east);
    std::fs::remove_file(commune.path("playlists/moi.toml")).unwrap();

    // Mended, proposed, approved.
    commune.write("playlists/tay.toml", &west.replace("Bản tin tây", "Bản tin Tây Hoà"));
    wait_for("the mended one", 20, || {
        (waiting(&commune, &lan) == open(&[("tay.toml", "open")])).then_some(())
    });
    let hash = commune.json(&["propose", "--token", &tam, "--playlists", &folder])["hash"].clone();
    commune.json(&["approve", hash.as_str().unwrap(), "--token", &hoa]);
    wait_for("both lists in force", 15, || {
        (in_force(&commune, &lan) == ["tay", "thu"]).then_some(())
    });

    // Out again by the commune's own approver, shown first.
    let data = commune.path("data").display().to_string();
    let withdraw = |token: &str, more: &[&str]| {
        let mut args = vec!["approve", "--withdraw", "thu", "--reason", "Quốc tang"];
        args.extend(["--token", token, "--data", &data]);
        args.extend(more);
        run(&args)
    };
    let (code, out, _) = withdraw(&minh, &["--dry-run"]);
    assert!(
        code == 0 && out.contains("no longer at") && out.contains("Nothing was changed"),
        "{out}"
    );
    assert_eq!(in_force(&commune, &lan), ["tay", "thu"]);
    let (code, _, err) = withdraw(&hoa, &[]);
    assert!(code == 2 && err.contains("99901"), "{err}");
    assert_eq!(withdraw(&minh, &[]).0, 0);
    wait_for("the eastern list out of force", 15, || {
        (in_force(&commune, &lan) == ["tay"]).then_some(())
    });
    let (_, out, _) = run(&["proposals", "--data", &data]);
    assert!(out.contains("thu.toml") && out.contains("99901"), "{out}");
}
