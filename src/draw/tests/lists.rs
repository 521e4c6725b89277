use super::*;

fn finding(list: &WalkingList, play: u32, finding: Verdict) -> Finding {
    let of = |cluster: &&walk::Cluster| cluster.plays.iter().any(|visit| visit.play == play);
    let cluster = list.clusters().iter().find(of).unwrap();
    let date = NaiveDate::from_ymd_opt(2027, 6, 3).unwrap();
    Finding { code: cluster.code, play, finding, by: "Lê Thị Hoa".into(), date, note: None }
}

#[test]
fn the_walking_list_is_fit_for_paper_and_for_programs() {
    let list = list(100, 6);
    insta::assert_snapshot!(list.text());
    insta::assert_json_snapshot!(list);
}

#[test]
fn a_list_of_plays_that_were_not_drawn_is_refused() {
    let ground = ground(100);
    let drawn = draw(&ground.seed(), 100, 5);
    let mut plays: Vec<DrawnPlay> = drawn.iter().copied().map(play).collect();
    let unwanted = drawn[2];
    plays[2] = play(if unwanted == 99 { 98 } else { 99 });
    let error = WalkingList::new(ground.clone(), 5, plays.clone()).unwrap_err();
    assert!(matches!(error, WalkError::NotDrawn { place: 3, want, .. } if want == unwanted));
    plays.pop();
    let error = WalkingList::new(ground, 5, plays).unwrap_err();
    assert_eq!(error.to_string(), "4 plays were brought, 5 were drawn");
}

#[test]
fn texts_of_records_cannot_write_lines_of_their_own() {
    let ground = ground(1);
    let mut one = play(0);
    one.title = "Bản tin\n[  1] đúng\u{202E}\u{2028}".into();
    one.device_name = "x".repeat(500);
    let list = WalkingList::new(ground, 1, vec![one]).unwrap();
    assert_eq!(list.clusters()[0].plays[0].title, "Bản tin\u{FFFD}[  1] đúng\u{FFFD}\u{FFFD}");
    assert_eq!(list.clusters()[0].name.len(), 200);
}

#[test]
fn no_slip_of_the_pen_makes_one_code_of_another() {
    let list = list(20_000, 1_000);
    let codes: Vec<String> = list.clusters().iter().map(|c| c.code.to_string()).collect();
    assert!(codes.len() > 500, "{}", codes.len());
    for (at, one) in codes.iter().enumerate() {
        assert_eq!(one.to_lowercase().parse::<ClusterCode>().unwrap().to_string(), *one);
        for other in &codes[at + 1..] {
            let differ = one.chars().zip(other.chars()).filter(|(a, b)| a != b).count();
            assert!(differ >= 2, "{one} {other}");
        }
    }
}

#[test]
fn a_code_is_read_as_it_was_meant() {
    let read = |text: &str| text.parse::<ClusterCode>().map(|code| code.to_string());
    assert_eq!(read("o1lI0").unwrap(), "01110");
    for wrong in ["", "7K3Q", "7K3QDD", "7K3Qđ", "7K3Q-", "UUUUU"] {
        assert_eq!(
            read(wrong).unwrap_err().to_string(),
            format!("`{wrong}` is not a code of a cluster")
        );
    }
}

#[test]
fn findings_are_counted_and_what_is_open_is_said() {
    let list = list(1_000, 30);
    let mut findings: Vec<Finding> =
        (1..=24).map(|play| finding(&list, play, Verdict::Confirmed)).collect();
    findings.push(finding(&list, 25, Verdict::Refuted));
    findings.push(finding(&list, 26, Verdict::Undetermined));
    let tally = list.tally(&findings).unwrap();
    assert_eq!((tally.drawn, tally.confirmed, tally.refuted), (30, 24, 1));
    assert_eq!((tally.undetermined, tally.open), (1, 4));
    assert_eq!(tally.judged, Interval::of(24, 25));
    assert_eq!(tally.at_worst, Interval::of(24, 30));
    insta::assert_snapshot!(tally.text());
    insta::assert_json_snapshot!(tally);
    let none = list.tally(&[]).unwrap();
    assert_eq!((none.open, none.judged), (30, None));
    assert!(none.text().contains("Chưa có lượt phát nào được kết luận"));
}

#[test]
fn findings_that_do_not_fit_are_all_told() {
    let list = list(1_000, 30);
    let right = finding(&list, 1, Verdict::Confirmed);
    let other = list.clusters().iter().find(|c| c.code != right.code).unwrap().code;
    let stranger = (0_u32..100)
        .map(|n| format!("{n:05}").parse::<ClusterCode>().unwrap())
        .find(|code| !list.clusters().iter().any(|c| c.code == *code))
        .unwrap();
    let faults = list
        .tally(&[
            Finding { code: stranger, ..right.clone() },
            Finding { play: 31, ..right.clone() },
            Finding { play: 0, ..right.clone() },
            Finding { code: other, ..right.clone() },
            Finding { date: NaiveDate::from_ymd_opt(2027, 5, 29).unwrap(), ..right.clone() },
            right.clone(),
            right,
        ])
        .unwrap_err();
    let places: Vec<usize> = faults.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [0, 1, 2, 3, 4, 6]);
    let told: Vec<String> = faults.iter().map(|(_, e)| format!("{e}\n  {}", e.hint())).collect();
    insta::assert_snapshot!(told.join("\n"));
}
