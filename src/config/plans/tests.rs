use super::*;
use crate::config::Severity;
use crate::domain::ids::{CueId, DeviceId, Digest, PlanId};
use crate::domain::time::UtcMs;
use crate::draw::ground::{Head, Period};
use crate::draw::{DrawnPlay, Ground, Population, WalkingList, draw};
use crate::plan::manual::Found;
use crate::plan::{Duty, Months, Plan, TopicList, TopicRef, compare, doubts};
use chrono::NaiveDate;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists").join(name)).unwrap()
}

fn lists() -> Vec<TopicList> {
    ["an-toan-thong-tin-1", "nd-49-2024-dieu-6-1"]
        .map(|name| {
            let told = topics_from_toml(name, &sample(&format!("topics/{name}.toml"))).unwrap();
            assert_eq!(told.warnings, []);
            told.value
        })
        .into()
}

fn read(name: &str, text: &[u8]) -> Result<Told<Plan>, Vec<Fault>> {
    let id: PlanId = name.parse().unwrap();
    plan_from_toml(&format!("plans/{name}.toml"), &id, text, &lists())
}

fn plan(name: &str) -> Told<Plan> {
    read(name, &sample(&format!("plans/{name}.toml"))).unwrap()
}

fn shown(faults: &[Fault]) -> String {
    let one = |fault: &Fault| {
        let hint = fault.hint.as_deref().unwrap_or("no hint");
        format!("{fault}\n  {hint}")
    };
    faults.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_kon_tum_plan_contradicts_itself_in_these_places() {
    let told = plan("kon-tum-3630");
    assert!(told.warnings.iter().all(|w| w.severity == Severity::Warning && !w.refuses));
    insta::assert_snapshot!(shown(&told.warnings));
}

#[test]
fn the_quang_ngai_plan_names_one_decision_with_two_dates_and_orders_no_number() {
    let told = plan("quang-ngai-103");
    insta::assert_snapshot!(shown(&told.warnings), @r"
    plans/quang-ngai-103.toml:1:1: warning: `21/QĐ-TTg` is of 2022-01-06 in phần mở đầu, of 2021-01-06 in tên kế hoạch và tên Phụ lục
      look the document up and cite its true date in reports
    ");
    assert_eq!(told.value.lines.len(), 20);
    assert_eq!(doubts(&told.value).iter().filter(|doubt| !doubt.is_contradiction()).count(), 20);
}

#[test]
fn the_sample_plans_are_whole() {
    let kon_tum = plan("kon-tum-3630").value;
    assert_eq!(kon_tum.lines.len(), 10);
    let sum: crate::plan::Dong =
        kon_tum.lines.iter().filter_map(|line| line.budget.as_ref()?.dong).sum();
    assert_eq!(sum.to_string(), "1.538.620.000 đ", "as the annex adds up");
    let named = "KH 103/KH-UBND ngày 23/6/2022, Phụ lục, mục III.2";
    let quang_ngai = plan("quang-ngai-103").value;
    let line = quang_ngai.named(named)[0];
    assert_eq!(
        line.task,
        "Tuyên truyền trên hệ thống truyền thanh cấp huyện và đài truyền thanh cấp xã"
    );
    let lists = lists();
    assert_eq!((lists[0].topics.len(), lists[1].topics.len()), (13, 8));
    for topic in &lists[0].topics {
        assert!(!topic.also.is_empty(), "{}", topic.code);
        for TopicRef { list, code } in &topic.also {
            assert_eq!(*list, lists[1].id);
            assert!(lists[1].topic(code).is_some(), "{code}");
        }
    }
}

#[test]
fn lines_read_back_from_a_table_as_they_were_written() {
    for name in ["kon-tum-3630", "quang-ngai-103"] {
        let lines = plan(name).value.lines;
        let table = plan_lines_to_csv(&lines);
        let again = plan_lines_from_csv("lines.csv", table.as_bytes(), &lists()[0]).unwrap();
        assert_eq!(again.value, lines);
        assert_eq!(plan_lines_to_csv(&again.value), table);
    }
}

#[test]
fn all_faults_of_a_plan_are_told_at_once() {
    let text = r#"
        title = "Kế hoạch"
        id = "khac"
        nomber = "3630/KH-UBND"
        issuer = "UBND tỉnh"
        date = 2021-13-08
        topics = "an-toan-thong-tim"
        [[totals]]
        dong = -1
        citation = "V"
        [[bases]]
        number = "21/QĐ-TTg"
        [[lines]]
        id = "I.1"
        citation = "I.1"
        task = "Việc"
        scope = "tinh"
        from = "2021-13"
        until = "2021-12"
        [[lines]]
        id = "i-2"
        citation = "I.2"
        task = "Việc"
        topics = ["T4", "Đ1"]
        means = ["loudspeakers"]
        scope = "whole"
        counted = "programmes"
        least = 0
        per = "week"
        from = "2022-01"
        until = "2021-12"
        budget_dong = 742000000
        [[lines]]
        id = "i-2"
        citation = ""
        task = "Việc"
        scope = "commune"
        per = "month"
        from = 2022
        until = "2022-12"
    "#;
    // The date is no TOML: the first reader already says so, and the rest waits.
    assert_eq!(shown(&read("ke-hoach", text.as_bytes()).unwrap_err()).lines().count(), 2);
    let text = text.replace("2021-13-08", "\"08/10/2021\"");
    insta::assert_snapshot!(shown(&read("ke-hoach", text.as_bytes()).unwrap_err()));
}

#[test]
fn plans_and_comparisons_keep_their_names_in_json() {
    let plan = plan("kon-tum-3630").value;
    let line = plan.line(&"ii-1".parse().unwrap()).unwrap();
    insta::assert_json_snapshot!("line", line);
    let all = Months::of_year(2025).unwrap();
    let units = [("51".parse().unwrap(), all)].into();
    let window = Months::new(all.from(), all.from()).unwrap();
    let duty = Duty { line, units: &units, window, complete: None };
    insta::assert_json_snapshot!("comparison", compare(&duty, &BTreeMap::new()));
    insta::assert_json_snapshot!("list", lists()[0].topics[1]);
    let entries = entries_from_csv("x", ENTRIES.as_bytes()).unwrap().value;
    insta::assert_json_snapshot!("entries", entries);
}

#[test]
fn a_topic_that_is_in_no_list_is_refused_with_its_neighbour() {
    let text = String::from_utf8(sample("plans/kon-tum-3630.toml")).unwrap();
    let wrong = text.replace("topics = [\"T12\"]", "topics = [\"T14\"]");
    let faults = read("kon-tum-3630", wrong.as_bytes()).unwrap_err();
    let refused: Vec<Fault> = faults.into_iter().filter(|fault| fault.refuses).collect();
    insta::assert_snapshot!(shown(&refused), @r"
    plans/kon-tum-3630.toml:202:11: no topic `T14`
      did you mean `T1`?
    ");
}

#[test]
fn all_faults_of_a_table_of_lines_are_told_at_once() {
    let text = "id;citation;task;scope;from;until;least;per;budget_dong;each_dong;source;deadline;topics\n\
        i-1;I.1;Việc;whole;2021-07;2025-12;2;month;742.000.000;7.000.000;tỉnh;;T1|T2\n\
        i-1;I.1;Việc;whole;2021-07;2025-12;2;;70.5;0;tỉnh;31/12/2021;T 1\n\
        ;;;;;;;;;;;;\n\
        i-3;I.3;Việc;huyen;2021-7;2025-12;0;month;;;;;\n\
        i-4;I.4;Việc;whole;2021-07;2025-12;;;;;;;T99\n";
    insta::assert_snapshot!(shown(
        &plan_lines_from_csv("dong.csv", text.as_bytes(), &lists()[0]).unwrap_err()
    ));
    let right: String = text.lines().take(2).collect::<Vec<_>>().join("\r\n");
    let read = plan_lines_from_csv("dong.csv", right.as_bytes(), &lists()[0]).unwrap().value;
    assert_eq!(read[0].topics.len(), 2);
    assert_eq!(read[0].budget.as_ref().unwrap().dong, Some(crate::plan::Dong(742_000_000)));
}

const ENTRIES: &str = "id,channel,unit,line,topic,title,file,sha256,bytes,date,by,count,note\n\
    to-roi-1,tờ rơi,99901,quang-ngai-103/iii-1,T5,Phát tờ rơi tại chợ,anh/to-roi.jpg,\
    2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824,5,2023-03-01,le-thi-hoa,300,\n";

#[test]
fn entries_read_back_as_they_were_written() {
    let entries = entries_from_csv("minh-chung.csv", ENTRIES.as_bytes()).unwrap().value;
    assert_eq!((entries.len(), entries[0].count), (1, 300));
    let table = entries_to_csv(&entries);
    assert_eq!(entries_from_csv("minh-chung.csv", table.as_bytes()).unwrap().value, entries);
}

#[test]
fn all_faults_of_entries_are_told_at_once() {
    let text = "id,channel,unit,title,file,sha256,bytes,date,by,line,count\n\
        A,tờ rơi,99901,Tờ rơi,../bi-mat,00,0,01/03/2023,Lê Thị Hoa,iii-1,0\n\
        b,leaflets,x,,/etc/passwd,,50000001,,,quang-ngai-103/,\n\
        c,web,99901,Trang,a.pdf,2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824,5,2023-03-01,le-thi-hoa,,\n\
        c,web,99901,Trang,a.pdf,2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824,5,2023-03-01,le-thi-hoa,,\n";
    insta::assert_snapshot!(shown(
        &entries_from_csv("minh-chung.csv", text.as_bytes()).unwrap_err()
    ));
}

#[test]
fn an_entry_is_judged_against_its_file_its_day_and_its_line() {
    let plan = plan("quang-ngai-103").value;
    let mut entry = entries_from_csv("x", ENTRIES.as_bytes()).unwrap().value.remove(0);
    let today = NaiveDate::from_ymd_opt(2023, 3, 2).unwrap();
    let file = Some(Found { sha256: Digest::of(b"hello"), bytes: 5 });
    let judge = |entry: &crate::plan::manual::Entry, found, today| {
        let faults = entry.check(found, today, |line| plan.line(&line.line));
        faults.iter().map(|f| format!("{f}\n  {}", f.hint())).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        judge(&entry, file, today).lines().next(),
        Some("entry `to-roi-1`: line `quang-ngai-103/iii-1` does not go out by `leaflet`")
    );
    entry.channel = crate::plan::manual::Channel::Wifi;
    assert_eq!(judge(&entry, file, today), "");
    let mut all = Vec::new();
    for found in [
        None,
        Some(Found { sha256: Digest::of(b"hello"), bytes: 0 }),
        Some(Found { sha256: Digest::of(b"hello"), bytes: 6 }),
        Some(Found { sha256: Digest::of(b"hallo"), bytes: 5 }),
    ] {
        all.push(judge(&entry, found, today));
    }
    all.push(judge(&entry, file, NaiveDate::from_ymd_opt(2023, 2, 28).unwrap()));
    entry.on = NaiveDate::from_ymd_opt(2022, 5, 31).unwrap();
    all.push(judge(&entry, file, today));
    entry.line = Some("quang-ngai-103/ix-9".parse().unwrap());
    all.push(judge(&entry, file, today));
    insta::assert_snapshot!(all.join("\n"));
}

fn walking_list() -> WalkingList {
    let device = |number: u8| DeviceId::new(format!("loa-{number}")).unwrap();
    let mut population = Population::default();
    for number in 0..10 {
        population.push(&device(number), CueId([number; 16])).unwrap();
    }
    let origin = "loa.example.vn/log/2027".to_owned();
    let head = Head {
        origin,
        size: 100,
        before: 0,
        root: "AAAA".into(),
        vouched_ms: UtcMs(1_811_782_860_000),
    };
    let (from_ms, to_ms) = (UtcMs(1_809_104_400_000), UtcMs(1_811_782_800_000));
    let period = Period { from_ms, to_ms, scope: None };
    let ground = Ground::new(head, period, &population, "").unwrap();
    let plays = draw(&ground.seed(), 10, 4).into_iter().map(|number| DrawnPlay {
        number,
        device: device(u8::try_from(number).unwrap()),
        device_name: format!("Cụm {number}"),
        place: "Thôn An Phú".into(),
        cue: CueId([u8::try_from(number).unwrap(); 16]),
        began: NaiveDate::from_ymd_opt(2027, 5, 3).unwrap().and_hms_opt(5, 0, 0).unwrap(),
        title: "Bản tin".into(),
        index: number,
    });
    let plays = plays.collect();
    WalkingList::new(ground, 4, plays).unwrap()
}

#[test]
fn findings_are_read_by_the_codes_of_the_walking_list() {
    let list = walking_list();
    let line = |play: u32, finding: &str, date: &str| {
        let of = |cluster: &&crate::draw::walk::Cluster| cluster.plays[0].play == play;
        let code = list.clusters().iter().find(of).unwrap().code;
        format!("{code},{play},{finding},Lê Thị Hoa,{date},\n")
    };
    let head = "code,play,finding,by,date,note\n";
    let text = [
        head,
        &line(1, "đúng", "2027-06-03").to_lowercase(),
        &line(2, "Không đúng", "2027-06-03"),
        &line(3, "", ""),
        &line(4, "undetermined", "2027-06-04"),
    ]
    .concat();
    let findings = findings_from_csv("ket-qua.csv", text.as_bytes(), &list).unwrap().value;
    let tally = list.tally(&findings).unwrap();
    assert_eq!((tally.confirmed, tally.refuted, tally.undetermined, tally.open), (1, 1, 1, 1));

    let other = list.clusters().iter().find(|cluster| cluster.plays[0].play == 2).unwrap().code;
    let wrong = [
        head,
        &line(1, "đúng", "2027-06-03"),
        &line(1, "sai", "03/06/2027"),
        &line(1, "đúng", "2027-06-03"),
        &format!("{other},3,đúng,Hoa,2027-06-03,\n"),
        "12,x,đúng,,,\n",
        &line(4, "đúng", "2027-05-01"),
    ]
    .concat();
    let faults = findings_from_csv("ket-qua.csv", wrong.as_bytes(), &list).unwrap_err();
    insta::assert_snapshot!(shown(&faults));
}

#[test]
fn files_that_are_no_text_or_too_long_are_refused() {
    let told = |bytes: &[u8]| shown(&plan_lines_from_csv("x.csv", bytes, &lists()[0]).unwrap_err());
    assert!(told(&[0xff, 0xfe, 0, 0]).contains("UTF-16"));
    assert!(told(b"id,\xff").contains("not UTF-8"));
    assert!(told(b"").contains("no header line"));
    assert!(told(&vec![b'a'; 4_194_305]).contains("4194305 bytes, more than the 4194304 allowed"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let id: PlanId = "a".parse().unwrap();
        let _ = plan_from_toml("a", &id, &bytes, &[]);
        let _ = topics_from_toml("a", &bytes);
        let _ = plan_lines_from_csv("a", &bytes, &lists()[0]);
        let _ = entries_from_csv("a", &bytes);
    }

    #[test]
    fn no_changed_plan_makes_the_reader_panic(at in 0_usize..12_000, byte: u8, cut in 0_usize..12_000) {
        let mut bytes = sample("plans/kon-tum-3630.toml");
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = read("kon-tum-3630", &bytes);
        bytes.truncate(cut % length);
        let _ = read("kon-tum-3630", &bytes);
    }
}

#[test]
fn the_sample_folder_holds_two_plans_and_two_lists() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists");
    let folder = plan_folder(&dir);
    assert!(folder.faults.iter().all(|fault| !fault.refuses), "{}", shown(&folder.faults));
    let ids: Vec<&str> = folder.plans.iter().map(|plan| plan.id.as_str()).collect();
    assert_eq!(ids, ["kon-tum-3630", "quang-ngai-103"]);
    assert_eq!(folder.topics.len(), 2);
    let named = |text: &str| {
        let lines = folder.named(text);
        lines.iter().map(|(plan, line)| format!("{}/{}", plan.id, line.id)).collect::<Vec<_>>()
    };
    assert_eq!(named("quang-ngai-103/iii-3"), ["quang-ngai-103/iii-3"]);
    // As the sample playlists name them.
    let text = "KH 103/KH-UBND ngày 23/6/2022, mục III.1.3.b và III.1.3.c";
    assert_eq!(named(text), ["quang-ngai-103/iii-2", "quang-ngai-103/iii-3"]);
    assert_eq!(folder.line(&"kon-tum-3630/ii-1".parse().unwrap()).unwrap().id.as_str(), "ii-1");
    assert_eq!(named("quang-ngai-104/iii-3"), [""; 0]);
}

#[test]
fn a_faulty_plan_is_left_out_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    for below in ["plans", "topics"] {
        fs::create_dir(dir.path().join(below)).unwrap();
    }
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    let topics = sample("topics/an-toan-thong-tin-1.toml");
    write("topics/a.toml", &topics);
    write("topics/b.toml", &topics);
    write("topics/c.toml", b"title = 1");
    let plan = sample("plans/quang-ngai-103.toml");
    write("plans/Quảng Ngãi 103.toml", &plan);
    write("plans/quang-ngai-103.toml", &plan);
    write("plans/***.toml", &plan);
    write("plans/hong.toml", b"title = \"x\"\nlines = 3\n");
    write("plans/ghi-chu.txt", b"not a plan");
    let folder = plan_folder(dir.path());
    let ids: Vec<&str> = folder.plans.iter().map(|plan| plan.id.as_str()).collect();
    assert_eq!((ids, folder.topics.len()), (vec!["quang-ngai-103"], 1));
    let here = dir.path().display().to_string();
    insta::assert_snapshot!(shown(&folder.faults).replace(&here, ""));
    assert_eq!(plan_folder(&dir.path().join("nowhere")), PlanFolder::default());
}

#[test]
fn committed_schemas_of_plans_equal_what_reading_checks() {
    for kind in ["plan", "topics"] {
        let committed = sample(&format!(".schema/{kind}.json"));
        let committed: serde_json::Value = serde_json::from_slice(&committed).unwrap();
        assert_eq!(Some(committed), crate::config::schema(kind), "{kind}");
    }
}
