//! Administrative plans, topic lists and evidence by hand: at the command line and over the API.

use super::http::{Front, front, json as read_json};
use super::support::cli::{json, keys, loa, root, text};
use loa::app::access;
use loa::app::people::{Grant, Person, Role};
use loa::app::ports::People as _;
use loa::app::trail::Actor;
use loa::domain::ids::Digest;
use loa::domain::time::UtcMs;
use serde_json::Value;
use std::fs;

use std::process::Output;

const NOW: UtcMs = UtcMs(1_795_219_200_000);

fn sample(name: &str) -> String {
    fs::read_to_string(root().join("playlists").join(name)).unwrap()
}

/// A data folder with two units and the sample's topic list.
fn office() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(&loa(at, &["init", "--json"]));
    fs::write(at.join("units.csv"), "id,name,parent\n51,T,\n99901,X,51\n").unwrap();
    json(&loa(at, &["unit", "import", "--json", "units.csv"]));
    fs::write(at.join("topics.toml"), sample("topics/an-toan-thong-tin-1.toml")).unwrap();
    fs::write(at.join("quang-ngai-103.toml"), sample("plans/quang-ngai-103.toml")).unwrap();
    let done = json(&loa(at, &["plan", "import", "--json", "quang-ngai-103.toml", "topics.toml"]));
    assert_eq!(done[0]["kind"], "topics", "lists before plans");
    assert_eq!((&done[1]["version"], &done[1]["state"]), (&1.into(), &"new".into()));
    dir
}

#[track_caller]
fn refused(output: &Output, code: i32, says: &[&str]) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for part in says {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

#[test]
fn the_contradictions_of_the_sample_plans_are_told_at_their_lines() {
    let seen = loa(&root(), &["plan", "check", "playlists/plans"]);
    let (out, said) = (text(&seen.stdout), text(&seen.stderr));
    assert_eq!(seen.status.code(), Some(0), "{said}");
    let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("    hint: ")).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(said.contains("2 plans with") && said.contains("0 errors"), "{said}");
    let all = json(&loa(&root(), &["plan", "check", "--json"]));
    let names = ["errors", "faults", "lines", "ok", "plans", "topic_lists", "warnings"];
    assert_eq!(keys(&all), names);
    assert_eq!((&all["plans"], &all["warnings"]), (&2.into(), &lines.len().into()));
}

#[test]
fn the_same_again_changes_nothing_and_another_version_is_asked_for() {
    let dir = office();
    let at = dir.path();
    let again = json(&loa(at, &["plan", "import", "--json", "quang-ngai-103.toml", "topics.toml"]));
    assert_eq!(
        (&again[0]["state"], &again[1]["state"]),
        (&"unchanged".into(), &"unchanged".into())
    );
    let changed = sample("plans/quang-ngai-103.toml").replace("issuer = \"", "issuer = \"Y ");
    fs::write(at.join("quang-ngai-103.toml"), changed).unwrap();
    let asked = loa(at, &["plan", "import", "quang-ngai-103.toml"]);
    refused(&asked, 2, &["version 1 stands: the head changed", "--yes"]);
    let done = json(&loa(at, &["plan", "import", "--yes", "--json", "quang-ngai-103.toml"]));
    assert_eq!((&done[0]["version"], &done[0]["replaces"]), (&2.into(), &1.into()));
    let list = json(&loa(at, &["plan", "list", "--json"]));
    assert_eq!((&list[0]["version"], list.as_array().unwrap().len()), (&2.into(), 1));
    let source = loa(at, &["plan", "show", "quang-ngai-103", "--version", "1", "--source"]);
    assert_eq!(text(&source.stdout), sample("plans/quang-ngai-103.toml"), "byte for byte");

    let gone = json(&loa(at, &["plan", "withdraw", "quang-ngai-103", "--reason", "x", "--json"]));
    assert_eq!(gone["withdrawn"]["reason"], "x");
    assert_eq!(json(&loa(at, &["plan", "list", "--json"])), Value::Array(Vec::new()));
    assert_eq!(json(&loa(at, &["plan", "list", "--all", "--json"])).as_array().unwrap().len(), 1);
    refused(
        &loa(at, &["plan", "withdraw", "quang-ngai-103", "--reason", "x"]),
        2,
        &["is withdrawn", "import it again"],
    );
    refused(&loa(at, &["plan", "show", "khong-co"]), 2, &["no plan `khong-co`", "loa plan list"]);
}

#[test]
fn a_table_of_lines_makes_the_same_plan_whatever_a_spreadsheet_did_to_it() {
    let dir = office();
    let at = dir.path();
    let table = text(&loa(at, &["plan", "show", "quang-ngai-103", "--csv"]).stdout);
    let import = |bytes: &[u8], args: &[&str]| {
        fs::write(at.join("bảng.csv"), bytes).unwrap();
        let all = ["plan", "import", "--json", "--plan", "quang-ngai-103", "bảng.csv"];
        loa(at, &[&all[..], args].concat())
    };
    let nfd: String = {
        use unicode_normalization::UnicodeNormalization as _;
        table.nfd().collect()
    };
    assert_ne!(nfd, table);
    for bytes in [table.clone(), format!("\u{feff}{}", table.replace('\n', "\r\n")), nfd] {
        let done = json(&import(bytes.as_bytes(), &[]));
        assert_eq!((&done[0]["state"], &done[0]["version"]), (&"unchanged".into(), &1.into()));
    }
    let utf16: Vec<u8> = table.encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&import(&[&[0xff, 0xfe][..], &utf16].concat(), &[]), 1, &["UTF-16", "nothing was"]);
    refused(&import(b"id|task\n1|x\n", &[]), 1, &["bảng.csv:1:1", "nothing was changed"]);
    let head = "id,citation,task,scope,from,until\n";
    let formula = format!("{head}a,mục I,\"=HYPERLINK(\"\"x\"\")\",whole,2026-01,2026-12\n");
    refused(&import(formula.as_bytes(), &[]), 1, &["bảng.csv:2:", "formula", "begin with a word"]);
    let many = format!(
        "{head}A b,,x,everywhere,2026-13,2025-01\na,I,x,whole,2026-01,2026-12\na,I,x,whole,2026-01,2026-12\n"
    );
    refused(
        &import(many.as_bytes(), &[]),
        1,
        &["`A b`", "`everywhere`", "`2026-13`", "first in line 3", "nothing was changed"],
    );
    // A plan that is not there needs a head.
    let own = format!("{head}a,mục I,Phát,whole,2026-01,2026-12\n");
    fs::write(at.join("xa-12.csv"), &own).unwrap();
    refused(&loa(at, &["plan", "import", "xa-12.csv"]), 2, &["its title is missing", "--title"]);
    let args = [
        "plan",
        "import",
        "--json",
        "xa-12.csv",
        "--title",
        "Kế hoạch xã",
        "--number",
        "12/KH-UBND",
        "--issuer",
        "UBND xã",
        "--date",
        "2026-01-05",
        "--topics",
        "an-toan-thong-tin",
    ];
    let done = json(&loa(at, &args));
    assert_eq!((&done[0]["id"], &done[0]["lines"]), (&"xa-12".into(), &1.into()));
}

#[test]
fn a_playlist_that_names_no_known_line_or_topic_is_told() {
    let dir = office();
    let at = dir.path();
    let station = at.join("playlists");
    assert!(station.join("station.toml").is_file());
    let list = "title = \"Thử\"\ntopic = \"T99 Lạ\"\nplan_line = \"quang-ngai-103/ix-9\"\n\
                [targets]\nunits = [\"99901\"]\n\
                [[items]]\nid = \"mot\"\ntitle = \"Một\"\nclip = \"clips/x.wav\"\n\
                topic = \"T4\"\nplan_line = \"KH 103/KH-UBND, mục III.1.3.b\"\n\
                [[slots]]\nid = \"s\"\nat = [\"05:00\"]\nitems = [\"mot\"]\n";
    fs::write(station.join("thu.toml"), list).unwrap();
    let told = |args: &[&str]| {
        let seen = loa(at, &[&["check", "--json", "playlists"], args].concat());
        let report: Value = serde_json::from_slice(&seen.stdout).unwrap();
        let faults = report["faults"].as_array().unwrap().clone();
        let named = |fault: &&Value| {
            let message = fault["message"].as_str().unwrap();
            message.starts_with("`plan_line`") || message.starts_with("`topic`")
        };
        let line = |fault: &Value| format!("{}: {}", fault["line"], fault["message"]);
        faults.iter().filter(named).map(line).collect::<Vec<_>>()
    };
    assert_eq!(told(&[]), [""; 0], "who keeps no plans is not asked for them");
    let of_server = told(&["--data", "data"]);
    insta::assert_snapshot!(of_server.join("\n"), @r#"
    2: "`topic` names `T99 Lạ`, which is in no topic list that is known"
    3: "`plan_line` names `quang-ngai-103/ix-9`, which is no line of a plan that is known"
    "#);
    for (folder, name) in [("plans", "quang-ngai-103.toml"), ("topics", "topics.toml")] {
        fs::create_dir(station.join(folder)).unwrap();
        fs::copy(at.join(name), station.join(folder).join(name)).unwrap();
    }
    assert_eq!(told(&[]), of_server, "the folder's own plans count as well");
}

fn add<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = [
        "evidence",
        "add",
        file,
        "--json",
        "--channel",
        "web",
        "--unit",
        "99901",
        "--title",
        "Trang xã",
        "--date",
        "2026-03-01",
        "--person",
        "le-thi-hoa",
    ];
    [&all[..], more].concat()
}

#[test]
fn evidence_is_entered_shown_corrected_and_survives_a_backup() {
    let dir = office();
    let at = dir.path();
    fs::write(at.join("trang.html"), "<p>Cảnh báo</p>").unwrap();
    let first = json(&loa(at, &add("trang.html", &["--topic", "T4", "--count", "3"])));
    assert_eq!(json(&loa(at, &add("trang.html", &["--topic", "T4", "--count", "3"]))), first);
    assert_eq!(first["sha256"], Digest::of("<p>Cảnh báo</p>".as_bytes()).to_string());
    let id = first["id"].as_str().unwrap();
    let args =
        ["evidence", "correct", id, "--reason", "sai ngày", "--date", "2026-02-28", "--json"];
    let second = json(&loa(at, &args));
    assert_eq!((&second["corrects"], &second["count"]), (&first["id"], &3.into()));
    assert_eq!(json(&loa(at, &args)), second, "the same correction again is the same");
    let other = ["evidence", "correct", id, "--reason", "nữa", "--date", "2026-02-27"];
    refused(&loa(at, &other), 2, &["was corrected before"]);
    let listed = json(&loa(at, &["evidence", "list", "--json"]));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let listed = json(&loa(at, &["evidence", "list", "--json", "--all", "--unit", "51"]));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["corrected"]["entry"], second["id"]);
    for (args, says) in [
        (add("nowhere.html", &[]), "reading `nowhere.html`"),
        (add(".", &[]), "not a file"),
        (add("trang.html", &["--line", "khong-co/i-1"]), "in no plan"),
        (add("trang.html", &["--date=2199-01-01"]), "cannot be used multiple times"),
        (add("trang.html", &["--count", "0"]), "a count of 0"),
    ] {
        let seen = loa(at, &args);
        assert!(text(&seen.stderr).contains(says), "{says}: {}", text(&seen.stderr));
        assert!(matches!(seen.status.code(), Some(2 | 3)), "{says}");
    }
    // The file is found by its hash, and what was changed on disk is not handed out.
    let new = second["id"].as_str().unwrap();
    json(&loa(at, &["evidence", "show", new, "--json", "--out", "lấy ra.html"]));
    assert_eq!(fs::read(at.join("lấy ra.html")).unwrap(), "<p>Cảnh báo</p>".as_bytes());
    let backup = loa(at, &["backup", "--out", "s.loa", "--profiles", "device-profiles"]);
    assert!(backup.status.success(), "{}", text(&backup.stderr));
    let held = at.join("data/evidence").join(first["sha256"].as_str().unwrap());
    fs::write(&held, "khác").unwrap();
    let seen = loa(at, &["evidence", "show", new, "--out", "nữa.html"]);
    refused(&seen, 3, &["hashes to", "restore it from a backup"]);
    assert!(!at.join("nữa.html").exists());
    let bytes = fs::read(at.join("s.loa")).unwrap();
    let name = format!("data/evidence/{}", first["sha256"].as_str().unwrap());
    assert!(
        bytes.windows(name.len()).any(|part| part == name.as_bytes()),
        "the file is in the backup"
    );
}

#[test]
fn a_table_of_evidence_never_reaches_beyond_its_folder_and_is_taken_whole() {
    let dir = office();
    let at = dir.path();
    fs::create_dir(at.join("ảnh")).unwrap();
    fs::write(at.join("ảnh/a.jpg"), "a").unwrap();
    fs::write(at.join("secret"), "s").unwrap();
    std::os::unix::fs::symlink(at.join("secret"), at.join("ảnh/b.jpg")).unwrap();
    let head = "id,channel,unit,title,file,sha256,bytes,date,by\n";
    let row = |id: &str, file: &str, content: &str, title: &str| {
        let (sha256, bytes) = (Digest::of(content.as_bytes()), content.len());
        format!("{id},sms,99901,{title},{file},{sha256},{bytes},2026-03-01,hoa\n")
    };
    let import = |rows: &[String]| {
        fs::write(at.join("m.csv"), format!("{head}{}", rows.concat())).unwrap();
        loa(at, &["evidence", "import", "m.csv", "--files", "ảnh", "--json"])
    };
    let good = row("m-1", "a.jpg", "a", "Tin");
    refused(&import(&[good.clone(), row("m-2", "../secret", "s", "Tin")]), 1, &["m.csv:3:", ".."]);
    refused(
        &import(&[good.clone(), row("m-2", "b.jpg", "s", "Tin"), row("m-3", "a.jpg", "b", "x")]),
        1,
        &["there is no file `b.jpg`", "`a.jpg` hashes to", "2 faults; nothing was changed"],
    );
    refused(&import(&[row("m-1", "a.jpg", "a", "=1+1")]), 1, &["formula"]);
    assert_eq!(json(&loa(at, &["evidence", "list", "--json"])), Value::Array(Vec::new()));
    assert_eq!(json(&import(std::slice::from_ref(&good)))[0]["id"], "m-1");
    assert_eq!(json(&import(&[good]))[0]["position"], 1, "the same again is the same");
    refused(&import(&[row("m-1", "a.jpg", "a", "Khác")]), 1, &["other content", "correct"]);
}

/// Adds a person and returns the header of her token.
async fn join(front: &Front, id: &str, role: Role, unit: Option<&str>) -> String {
    let unit = unit.map(|unit| unit.parse().unwrap());
    let person = Person::new(id.parse().unwrap(), id, NOW, vec![Grant { role, unit }]);
    let entry = Actor::server().did(NOW, "add-person", id);
    front.store.put_person(&person, &entry).await.unwrap();
    let token = access::grant(&*front.store, "x", Some(&person.id), access::API, NOW, None);
    format!("Bearer {}", token.await.unwrap().reveal())
}

async fn ask(
    front: &Front,
    who: &str,
    method: &str,
    path: &str,
    (kind, body): (&str, &str),
) -> (u16, Value) {
    let headers = [("authorization", who), ("content-type", kind)];
    let got = front.ask(method, &format!("/api/v1/{path}"), &headers, body).await;
    (got.status().as_u16(), read_json(got))
}

fn toml(body: &str) -> (&str, &str) {
    ("application/toml", body)
}

const JSON: (&str, &str) = ("application/json", "{}");

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_put_listed_and_withdrawn_over_the_api() {
    let front = front().await;
    let chief = join(&front, "chief", Role::Operator, None).await;
    let lan = join(&front, "lan", Role::Operator, Some("90001")).await;
    let topics = sample("topics/an-toan-thong-tin-1.toml");
    let plan = sample("plans/quang-ngai-103.toml");
    let path = "plans/quang-ngai-103";
    let (status, said) = ask(&front, &chief, "PUT", path, toml(&plan)).await;
    assert_eq!((status, said["code"].as_str()), (422, Some("invalid")), "no list yet: {said}");
    assert!(said["detail"].as_str().unwrap().contains("an-toan-thong-tin"), "{said}");
    assert_eq!(ask(&front, &lan, "POST", "topics", toml(&topics)).await.0, 403);
    assert_eq!(ask(&front, &chief, "POST", "topics", toml(&topics)).await.0, 201);
    assert_eq!(ask(&front, &chief, "POST", "topics", toml(&topics)).await.0, 200);
    let long = format!("{topics}#{}", "x".repeat(64 << 10));
    let (status, said) = ask(&front, &chief, "POST", "topics", toml(&long)).await;
    assert_eq!(status, 413, "{said}");
    assert!(said["hint"].as_str().unwrap().contains("65536"), "{said}");
    let other = topics.replace("T4", "T44");
    assert_eq!(ask(&front, &chief, "POST", "topics", toml(&other)).await.0, 409);
    assert_eq!(ask(&front, &lan, "PUT", path, toml(&plan)).await.0, 403);
    let (status, said) = ask(&front, &chief, "PUT", path, toml(&plan)).await;
    assert_eq!((status, &said["state"]), (201, &"new".into()), "{said}");
    assert!(!said["warnings"].as_array().unwrap().is_empty());
    let (status, said) = ask(&front, &chief, "PUT", path, toml(&plan)).await;
    assert_eq!((status, &said["state"]), (200, &"unchanged".into()));
    let changed = plan.replace("issuer = \"", "issuer = \"Y ");
    let (status, said) = ask(&front, &chief, "PUT", path, toml(&changed)).await;
    assert_eq!((status, said["code"].as_str()), (409, Some("replaces")), "{said}");
    assert!(said["detail"].as_str().unwrap().contains("the head changed"), "{said}");
    let following = format!("{path}?replaces=1");
    assert_eq!(ask(&front, &chief, "PUT", &following, toml(&changed)).await.0, 201);
    let (status, said) = ask(&front, &chief, "PUT", path, ("text/csv", "id,task\nA B,=x\n")).await;
    assert_eq!(status, 422, "{said}");

    let (_, listed) = ask(&front, &lan, "GET", "plans", JSON).await;
    assert_eq!(keys(&listed), ["next", "plans"]);
    assert_eq!(listed["plans"][0]["version"], 2);
    let (_, one) = ask(&front, &lan, "GET", path, JSON).await;
    assert_eq!(one["versions"].as_array().unwrap().len(), 2);
    assert!(!one["doubts"].as_array().unwrap().is_empty());
    let all = ask(&front, &lan, "GET", &format!("{path}/lines"), JSON).await.1;
    let all = all["lines"].as_array().unwrap().clone();
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = format!("{path}/lines?limit=3{next}");
        let page = ask(&front, &lan, "GET", &page, JSON).await.1;
        seen.extend(page["lines"].as_array().unwrap().clone());
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    assert_eq!(seen, all, "page by page the same lines");
    let count = async |filter: &str| {
        let (status, page) =
            ask(&front, &lan, "GET", &format!("{path}/lines?{filter}"), JSON).await;
        assert_eq!(status, 200, "{filter}: {page}");
        page["lines"].as_array().unwrap().len()
    };
    assert!((1..all.len()).contains(&count("means=loudspeaker").await));
    let ordered = all.iter().filter(|line| !line["least"].is_null()).count();
    assert_eq!(count("ordered=true").await, ordered);
    assert!(count("unit=90001").await <= all.len());
    for (wrong, status) in [
        ("plans/quang-ngai-103/lines?means=drum", 422),
        ("plans/quang-ngai-103/lines?topic=%3F", 422),
        ("plans/quang-ngai-103/lines?version=9", 404),
        ("plans/quang-ngai-104", 404),
        ("plans/Q!", 422),
        ("plans?nonsense=1", 400),
    ] {
        assert_eq!(ask(&front, &lan, "GET", wrong, JSON).await.0, status, "{wrong}");
    }
    let (_, lists) = ask(&front, &lan, "GET", "topics", JSON).await;
    assert_eq!(
        (&lists["lists"][0]["version"], &lists["lists"][0]["in_force"]),
        (&1.into(), &true.into())
    );

    let reason = ("application/json", r#"{"reason": "thay thế"}"#);
    let withdrawal = format!("{path}/withdrawal");
    assert_eq!(ask(&front, &lan, "POST", &withdrawal, reason).await.0, 403);
    let (status, gone) = ask(&front, &chief, "POST", &withdrawal, reason).await;
    assert_eq!((status, &gone["withdrawn"]["by"]), (200, &"chief".into()), "{gone}");
    assert_eq!(ask(&front, &chief, "POST", &withdrawal, reason).await.0, 409);
    let (_, listed) = ask(&front, &lan, "GET", "plans", JSON).await;
    assert!(listed["plans"].as_array().unwrap().is_empty());
    let actions = trail(&front).await;
    assert_eq!(
        actions,
        ["import-topics chief", "import-plan chief", "import-plan chief", "withdraw-plan chief"]
    );
}

/// What people did with plans and evidence, oldest first.
async fn trail(front: &Front) -> Vec<String> {
    let listed = read_json(front.ask_as_token("GET", "/api/v1/trail?after=0", "").await);
    let entries = listed["entries"].as_array().unwrap().clone();
    let ours = [
        "import-plan",
        "import-topics",
        "withdraw-plan",
        "add-evidence",
        "correct-evidence",
        "withdraw-evidence",
    ];
    let line = |one: &Value| {
        let (action, who) = (one["action"].as_str().unwrap(), one["who"].as_str().unwrap());
        ours.contains(&action).then(|| format!("{action} {who}"))
    };
    entries.iter().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_entered_below_ones_unit_and_read_by_the_auditor() {
    let front = front().await;
    let lan = join(&front, "lan", Role::Operator, Some("90001")).await;
    let minh = join(&front, "minh", Role::Auditor, None).await;
    let file = ("application/octet-stream", "<script>1</script>");
    let wanted = "evidence?channel=web&title=Trang&date=2026-03-01&person=hoa&file=t.html";
    let (status, kept) = ask(&front, &lan, "POST", &format!("{wanted}&unit=90001"), file).await;
    assert_eq!(status, 201, "{kept}");
    assert_eq!((&kept["bytes"], &kept["entered_by"]), (&18.into(), &"lan".into()));
    let again = ask(&front, &lan, "POST", &format!("{wanted}&unit=90001"), file).await.1;
    assert_eq!(again["id"], kept["id"]);
    for (more, status) in [
        ("unit=95", 403),
        ("unit=90001&count=0", 422),
        ("unit=90001&line=a/b", 422),
        ("unit=90001&line=ab", 422),
        ("unit=90001&topic=%3D", 422),
        ("unit=90001&corrects=m-9", 422),
        ("unit=90001&corrects=m-9&reason=x", 404),
        ("unit=90001&nonsense=1", 400),
    ] {
        let (got, said) = ask(&front, &lan, "POST", &format!("{wanted}&{more}"), file).await;
        assert_eq!(got, status, "{more}: {said}");
        assert!(said["hint"].is_string() || got == 404, "{said}");
    }
    let (status, _) = ask(&front, &minh, "POST", &format!("{wanted}&unit=90001"), file).await;
    assert_eq!(status, 403, "an auditor changes nothing");
    let empty = ("application/octet-stream", "");
    let (status, said) = ask(&front, &lan, "POST", &format!("{wanted}&unit=90001"), empty).await;
    assert_eq!(status, 422, "{said}");

    let id = kept["id"].as_str().unwrap().to_owned();
    let correct = format!("{wanted}&unit=90001&count=5&corrects={id}&reason=sai");
    let (status, second) = ask(&front, &lan, "POST", &correct, file).await;
    assert_eq!((status, &second["corrects"]), (201, &kept["id"]), "{second}");
    let (_, listed) = ask(&front, &minh, "GET", "evidence?unit=95", JSON).await;
    assert_eq!(keys(&listed), ["entries", "next"]);
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
    let (_, first) = ask(&front, &minh, "GET", "evidence?all=true&after=0&limit=1", JSON).await;
    assert_eq!((&first["entries"][0]["id"], &first["next"]), (&kept["id"], &1.into()));
    assert_eq!(first["entries"][0]["corrected"]["entry"], second["id"]);
    for filter in ["channel=sms", "from=2026-03-02", "to=2026-02-28", "plan=a", "line=a/b"] {
        let (status, none) = ask(&front, &lan, "GET", &format!("evidence?{filter}"), JSON).await;
        assert_eq!((status, none["entries"].as_array().unwrap().len()), (200, 0), "{filter}");
    }
    let other = join(&front, "tu", Role::Operator, Some("99999")).await;
    assert_eq!(ask(&front, &other, "GET", &format!("evidence/{id}"), JSON).await.0, 404);
    let headers = [("authorization", minh.as_str())];
    let mut got = front.ask("GET", &format!("/api/v1/evidence/{id}/file"), &headers, "").await;
    let header = |name: &str| got.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-disposition").starts_with("attachment"));
    assert_eq!(got.body_mut().read_to_string().unwrap(), "<script>1</script>");

    let reason = ("application/json", r#"{"reason": "trùng"}"#);
    let path = format!("evidence/{}/withdrawal", second["id"].as_str().unwrap());
    assert_eq!(ask(&front, &minh, "POST", &path, reason).await.0, 403);
    assert_eq!(ask(&front, &lan, "POST", &path, reason).await.0, 200);
    assert_eq!(ask(&front, &lan, "POST", &path, reason).await.0, 409);
    let actions = trail(&front).await;
    assert_eq!(actions, ["add-evidence lan", "correct-evidence lan", "withdraw-evidence lan"]);
}
