use super::*;
use proptest::prelude::*;

const NOW: UtcMs = UtcMs(1_800_000_000_000);

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn water() -> Feed {
    Feed {
        id: "muc-nuoc".parse().unwrap(),
        title: "Mực nước".into(),
        unit: Some("cm".into()),
        kind: Kind::Number {
            scale: decimal("100"),
            decimals: 0,
            least: decimal("-50"),
            most: decimal("2500"),
            step: Some(decimal("150")),
        },
        stale_after_s: 1_800,
        source: Source::Http(HttpSource {
            url: "http://127.0.0.1/x".into(),
            pick: Pick::default(),
            every_s: 60,
            timeout_ms: 1_000,
            most_bytes: 1_000,
            headers: BTreeMap::new(),
            from_file: None,
            ca_file: None,
        }),
    }
}

fn words_of(longest: usize) -> Feed {
    Feed { unit: None, kind: Kind::Words { longest }, ..water() }
}

#[test]
fn numbers_are_exact_and_written_as_vietnamese_do() {
    for (text, decimals, shown) in [
        ("31.45", 1, "31,5"),
        ("-31.45", 1, "-31,5"),
        ("31.449999999999999", 1, "31,4"),
        ("0.1e2", 0, "10"),
        ("12e-1", 2, "1,20"),
        ("1234567.891", 2, "1.234.567,89"),
        ("-0.04", 1, "0,0"),
        ("1e12", 0, "1.000.000.000.000"),
    ] {
        assert_eq!(decimal(text).shown(decimals).as_deref(), Some(shown), "{text}");
    }
    for text in ["", "-", "1.", ".5", "+1", "1,5", "NaN", "1e", "1e400", "1e-400", "0x1", "١"] {
        assert_eq!(Decimal::parse(text), None, "{text}");
    }
    assert!(decimal("1.10") == decimal("1.1") && decimal("-2") < decimal("1e-20"));
}

#[test]
fn a_reading_is_scaled_and_bears_its_unit() {
    let mut course = Course::default();
    let value = course.read(&water(), " 3.1249 ", None, NOW).unwrap();
    assert_eq!(value, Value { text: "312 cm".into(), at: NOW });
    assert_eq!(water().widest(), ["-50 cm", "2.500 cm"]);
    assert_eq!(words_of(3).widest(), ["MMM"]);
}

#[test]
fn what_is_not_plausible_is_refused_and_named() {
    let mut course = Course::default();
    let mut read = |raw: &str| course.read(&water(), raw, None, NOW).unwrap_err().to_string();
    assert_eq!(read("25.01"), "2.501 is outside -50 to 2.500");
    assert_eq!(read("-999"), "-99.900 is outside -50 to 2.500");
    assert_eq!(read("n/a"), "`n/a` is not a number");
    assert_eq!(read(&"9".repeat(500)).len(), 40 + "`` is not a number".len());
}

#[test]
fn a_leap_counts_once_three_readings_in_a_row_agree() {
    let (feed, mut course) = (water(), Course::default());
    let mut read = |raw: &str| course.read(&feed, raw, None, NOW).map(|value| value.text);
    assert_eq!(read("3.00").unwrap(), "300 cm");
    assert_eq!(read("9.00").unwrap_err().to_string(), "a leap from 300 to 900, wider than 150");
    assert_eq!(read("3.10").unwrap(), "310 cm", "one wrong reading is forgotten");
    assert!(read("9.00").is_err() && read("9.10").is_err());
    assert_eq!(read("9.20").unwrap(), "920 cm", "a flood is believed");
    assert!(read("2.00").is_err() && read("6.00").is_err() && read("2.00").is_err());
}

#[test]
fn an_old_measurement_is_never_a_new_value() {
    let (feed, mut course) = (water(), Course::default());
    let ago = |s: i64| Some(NOW.plus(-s * 1_000));
    let mut read = |at| course.read(&feed, "1", at, NOW);
    assert!(matches!(read(ago(1_800)), Err(ReadingError::Old { .. })));
    assert!(matches!(read(ago(-121)), Err(ReadingError::Ahead { .. })));
    assert_eq!(read(ago(60)).unwrap().at, NOW.plus(-60_000));
    assert!(matches!(read(ago(61)), Err(ReadingError::Back)));
    let mut restarted = Course::after(Some(NOW));
    assert!(matches!(restarted.read(&feed, "1", ago(1), NOW), Err(ReadingError::Back)));
}

#[test]
fn words_are_bounded_and_plain() {
    let (feed, mut course) = (words_of(9), Course::default());
    let mut read = |raw: &str| course.read(&feed, raw, None, NOW).map(|value| value.text);
    assert_eq!(
        read("  Báo \n động 2").unwrap_err().to_string(),
        "words of 10 characters, more than 9"
    );
    assert_eq!(read(" Lũ \u{309}n ").unwrap(), "Lũ \u{309}n");
    assert_eq!(read("Lu\u{303}").unwrap(), "Lũ", "NFC");
    assert_eq!(read(" \n"), Err(ReadingError::NotWords));
    assert_eq!(read("a\u{7}"), Err(ReadingError::NotWords));
}

#[test]
fn instants_are_seconds_milliseconds_or_rfc_3339() {
    assert_eq!(instant("1800000000"), Some(NOW));
    assert_eq!(instant("1800000000000"), Some(NOW));
    assert_eq!(instant("2027-01-15T15:00:00+07:00"), Some(NOW));
    for text in ["", "yesterday", "1.5", "2027-01-15", "9e9"] {
        assert_eq!(instant(text), None, "{text}");
    }
    assert!(instant("9223372036854775807").is_some());
}

proptest! {
    #[test]
    fn no_text_panics_and_what_counts_is_within_bounds(
        raws in proptest::collection::vec("-?[0-9]{0,33}(\\.[0-9]{0,33})?(e-?[0-9]{1,4})?|\\PC{0,12}", 1..8),
        at in any::<i64>(),
        scale in "-?[0-9]{1,12}(\\.[0-9]{1,12})?",
    ) {
        let mut feed = water();
        if let Kind::Number { scale: known, .. } = &mut feed.kind {
            *known = decimal(&scale);
        }
        let mut course = Course::default();
        for raw in &raws {
            let _ = course.read(&feed, raw, Some(UtcMs(at)), NOW);
            if let Ok(value) = course.read(&feed, raw, None, NOW) {
                let digits = value.text.replace('.', "");
                let number: i64 = digits.strip_suffix(" cm").unwrap().parse().unwrap();
                prop_assert!((-50..=2_500).contains(&number), "{raw}: {}", value.text);
            }
            let _ = instant(raw);
            let _ = words(raw, 5);
            if let Some(number) = Decimal::parse(raw) {
                prop_assert_eq!(number, number);
                let _ = (number.shown(6), number.cmp(&decimal("-1e-30")), number.apart(decimal(&scale)));
            }
        }
    }
}
