use super::*;
use proptest::prelude::*;

#[test]
fn amounts_are_read_with_or_without_dots_between_thousands() {
    let read = |text: &str| text.parse::<Dong>().map(|dong| dong.0).map_err(|e| e.to_string());
    assert_eq!(read("742.000.000"), Ok(742_000_000));
    assert_eq!(read("742000000"), Ok(742_000_000));
    assert_eq!(read("17.310.000 đ"), Ok(17_310_000));
    assert_eq!(read("0"), Ok(0));
    // 70.5 million, a decimal comma, a sign, other digits, more than there is.
    for wrong in [
        "70.5",
        "1538.620",
        "7,5",
        "-1",
        "+1",
        "",
        "đ",
        ".000",
        "1..000",
        "٣",
        "1e6",
        "9999999999999999999",
    ] {
        assert_eq!(read(wrong), Err(format!("`{wrong}` is not an amount of đồng")));
    }
    assert_eq!(Dong(1_538_620_000).to_string(), "1.538.620.000 đ");
    assert_eq!((Dong(0).to_string(), Dong(999).to_string()), ("0 đ".into(), "999 đ".into()));
}

#[test]
fn months_are_read_counted_and_parted_by_year() {
    let span = months("2021-07", "2025-12");
    assert_eq!(span.count(), 54);
    let years: Vec<String> = span.by_year().map(|year| year.to_string()).collect();
    assert_eq!(years[0], "2021-07/2021-12");
    assert_eq!(years[4], "2025-01/2025-12");
    assert_eq!(years.len(), 5);
    assert_eq!(month("2021-12").next(), month("2022-01"));
    assert_eq!(month("2199-12").next(), month("2199-12"), "the end of time");
    assert_eq!(months("2021-07", "2021-07").to_string(), "2021-07");
    assert_eq!(Months::new(month("2021-08"), month("2021-07")), None);
    assert_eq!(months("2021-01", "2021-05").shared(months("2021-06", "2021-07")), None);
    for wrong in [
        "2021-13",
        "2021-00",
        "2021-7",
        "21-07",
        "2021/07",
        "1899-12",
        "2200-01",
        "",
        "2021-07-01",
        "+021-07",
    ] {
        assert!(wrong.parse::<Month>().is_err(), "{wrong}");
    }
}

#[test]
fn a_year_begun_in_the_midst_orders_its_part_rounded_up() {
    let yearly = |count| Least { count, per: Per::Year };
    assert_eq!(yearly(2).of(6), 1);
    assert_eq!(yearly(2).of(12), 2);
    assert_eq!(yearly(1).of(1), 1);
    assert_eq!(yearly(12).of(5), 5);
    assert_eq!(Least { count: 2, per: Per::Month }.of(54), 108);
}

#[test]
fn lines_are_found_by_their_ids_or_in_the_plans_own_words() {
    let cited = |id: &str, citation: &str, also: &[&str]| {
        let also_cited = also.iter().map(ToString::to_string).collect();
        PlanLine { id: id.parse().unwrap(), citation: citation.into(), also_cited, ..line() }
    };
    let plan = plan(vec![
        cited("ii", "mục II", &[]),
        cited("ii-1", "Phụ lục 01, mục II.1", &["III.1.3.b"]),
        cited("ii-10", "mục II.10", &["III.1.3.c"]),
        cited("text", "mục II.1", &["3.c"]),
    ]);
    let named = |text: &str| {
        plan.named(text).iter().map(|line| line.id.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(named("kon-tum-3630/ii-1"), "ii-1");
    assert_eq!(named("kon-tum-3630/text, kon-tum-3630/ii; quang-ngai-103/ii-1"), "ii text");
    assert_eq!(named("kon-tum-3631/ii-1"), "");
    assert_eq!(named("kon-tum-3630/iv-1"), "");
    let words = "KH 3630/KH-UBND ngày 08/10/2021, ";
    let said = |text: &str| named(&format!("{words}{text}"));
    assert_eq!(said("Phụ lục 01, mục II.1"), "ii-1", "the longer one holds the shorter");
    assert_eq!(said("mục II.1"), "text");
    assert_eq!(said("mục II.10"), "ii-10");
    assert_eq!(said("mục III.1.3.b và III.1.3.c"), "ii-1 ii-10", "and `3.c` is a part of one");
    assert_eq!(said("mục II.2"), "", "`mục II` is not named by `mục II.2`");
    assert_eq!(said("mục II."), "ii", "a full stop ends it");
    assert_eq!(named("KH 103/KH-UBND, Phụ lục 01, mục II.1"), "", "of another plan");
}

#[test]
fn a_topic_is_found_by_the_code_before_its_title() {
    let topic = |code: &str| Topic {
        code: code.parse().unwrap(),
        title: "Nguy cơ".into(),
        english: None,
        also: Vec::new(),
    };
    let list = TopicList {
        id: "an-toan-thong-tin".parse().unwrap(),
        title: "Chủ đề".into(),
        version: 1,
        valid_from: date("2021-01-01"),
        source: "KH 3630/KH-UBND".into(),
        topics: vec![topic("T1"), topic("T10")],
    };
    let named = |text: &str| list.named(text).map(|topic| topic.code.to_string());
    assert_eq!(named("T10 Cảnh báo nguy cơ").as_deref(), Some("T10"));
    assert_eq!(named("t1: Chủ trương").as_deref(), Some("T1"));
    assert_eq!(named("T4 Nguy cơ"), None);
    assert_eq!(named("Chủ trương"), None);
    assert_eq!(named(""), None);
}

proptest! {
    #[test]
    fn amounts_read_back_as_they_were_written(amount in 0..=Dong::MAX.0) {
        prop_assert_eq!(Dong(amount).to_string().parse(), Ok(Dong(amount)));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,40}") {
        let _ = text.parse::<Dong>();
        let _ = text.parse::<Month>();
        let _ = text.parse::<TopicCode>();
        let _ = text.parse::<LineRef>();
        let _ = plan(vec![line()]).named(&format!("3630/KH-UBND{text}mục II.1{text}"));
    }

    #[test]
    fn months_keep_their_order_and_number(count in 0_u32..3_600) {
        let year = 1900 + i32::try_from(count / 12).unwrap();
        let month = Month::new(year, count % 12 + 1).unwrap();
        prop_assert_eq!(Months::new(Month::new(1900, 1).unwrap(), month).unwrap().count(), count + 1);
        prop_assert_eq!(month.to_string().parse(), Ok(month));
    }
}
