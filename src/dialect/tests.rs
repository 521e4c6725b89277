//! Templates and matchers: what they make, what they refuse, what no value breaks.

use super::field::{Scope, Verb};
use super::frame::Frame;
use super::limits::{Bounds, Limits, Unit};
use super::matching::{Condition, Heard, Pointer, Test};
use super::render::Values;
use super::scale::{Scale, WordMap};
use super::template::{Context, Names, Template};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn names() -> Names {
    let settings = [("prefix", "loa/1"), ("host", "10.0.0.2")];
    let owned = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
    let scale = Scale::new(["0:0", "100:1"], 2).unwrap();
    let words = [("red", "#F00")].map(owned).into_iter().collect();
    Names {
        settings: settings.into_iter().map(owned).collect(),
        scales: [("unit".to_owned(), Arc::new(scale))].into_iter().collect(),
        maps: [("colour".to_owned(), Arc::new(WordMap::new(words)))].into_iter().collect(),
    }
}

const BOUNDS: Bounds = Bounds { text_bytes: 64, pixels: 4 };

fn made(text: &str, context: Context, verb: Verb) -> Result<Template, String> {
    let scope = Scope::Verb(verb);
    Template::new(text, context, scope, &names(), &BOUNDS, 2_000).map_err(|e| e.to_string())
}

fn filled(text: &str, context: Context, verb: Verb, values: &Values<'_>) -> Result<String, String> {
    let template = made(text, context, verb)?;
    let bytes = template.render(values).map_err(|error| error.to_string())?;
    assert!(bytes.len() <= template.most(), "{text}: more than reckoned with");
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn json_escapes_inside_and_outside_quotes() {
    let values = Values { text: Some("a\"b\\c\nĐ\u{7}"), ..Values::default() };
    let fill = |text: &str| filled(text, Context::Json, Verb::ShowText, &values).unwrap();
    assert_eq!(fill(r#"{"t":${text}}"#), r#"{"t":"a\"b\\c\nĐ"}"#);
    assert_eq!(fill(r#"{"t":"<${text}>"}"#), r#"{"t":"<a\"b\\c\nĐ>"}"#);
    assert_eq!(fill(r#"{"t":"\"${text}\"","u":1}"#), r#"{"t":"\"a\"b\\c\nĐ\"","u":1}"#);
    assert_eq!(fill(r#"{"t":${text|cut:3|ascii}, "p":"$$1"}"#), r#"{"t":"a\"b", "p":"$1"}"#);
}

#[test]
fn numbers_lists_and_bytes_stand_where_they_can() {
    let frame = Frame::new(2, 1, vec![1, 2, 3, 255, 0, 0]).unwrap();
    let values =
        Values { frame: Some(&frame), id: Some(7), dwell_ms: Some(1_500), ..Values::default() };
    let fill = |text, context| filled(text, context, Verb::ShowFrame, &values);
    let json =
        fill(r#"{"p":${pixels},"s":${dwell_s},"b":${rgb|base64},"i":"${id}"}"#, Context::Json);
    assert_eq!(json.unwrap(), r#"{"p":[66051,16711680],"s":2,"b":"AQID/wAA","i":"7"}"#);
    assert_eq!(fill("${pixels565}", Context::Raw).unwrap(), "[0,63488]");
    assert_eq!(fill("${rgb|hex}", Context::Line).unwrap(), "010203ff0000");
    assert_eq!(
        fill("${rgb}", Context::Json),
        Err("`rgb` is raw bytes, which cannot stand here".into())
    );
    let quoted = fill(r#"{"p":"${pixels}"}"#, Context::Json);
    assert_eq!(quoted, Err("`pixels` is a list of numbers, which cannot stand here".into()));
}

#[test]
fn a_line_has_bytes_and_checksums_and_no_value_breaks_out_of_it() {
    let values = Values { text: Some("A\r\n\u{3}B"), dwell_ms: Some(5_000), ..Values::default() };
    let line = "${byte:02}${mark}T${dwell_s|pad:3}${text}${xor8}${sum8}${byte:03}${cr}${lf}";
    let told = filled(line, Context::Line, Verb::ShowText, &values).unwrap();
    // The line break became a space, the control characters are gone.
    let inner = b"T005A B".iter().fold(0, |sum, byte| sum ^ byte);
    assert!(told.starts_with(&format!("\u{2}T005A B{inner:02X}")), "{told:?}");
    assert!(told.ends_with("\u{3}\r\n"));
}

#[test]
fn topics_and_paths_keep_their_shape_whatever_the_value() {
    for bad in ["a/b", "+", "#", "", "a\u{0}b"] {
        let values = Values { slot: Some(bad), ..Values::default() };
        let names = names();
        let template =
            Template::new("x/${slot}", Context::Topic, Scope::Topic, &names, &BOUNDS, 200).unwrap();
        let told = template.render_text(&values);
        assert!(told.is_err() || told == Ok("x/ab".to_owned()), "{bad:?}: {told:?}");
    }
    let values = Values { url: Some("http://a/b?c=d&e#f ộ"), ..Values::default() };
    let path = filled("/play?u=${url}", Context::Path, Verb::PlayClip, &values).unwrap();
    assert_eq!(path, "/play?u=http%3A%2F%2Fa%2Fb%3Fc%3Dd%26e%23f%20%E1%BB%99");
}

#[test]
fn what_could_go_wrong_is_refused_when_it_is_read() {
    let told = |text: &str, context| made(text, context, Verb::ShowText).unwrap_err();
    let cases = [
        told("$text", Context::Raw),
        told("${text", Context::Raw),
        told("${txet}", Context::Raw),
        told("${url}", Context::Raw),
        told("${text|upper}", Context::Raw),
        told("${text|cut:0}", Context::Raw),
        told("${text|scale:unit}", Context::Raw),
        told("${dwell_s|scale:none}", Context::Raw),
        told("${colour|map:none}", Context::Raw),
        told("${byte:2}", Context::Line),
        told("${text|cut:1|cut:1|cut:1|cut:1|cut:1}", Context::Raw),
        told(&"${text}".repeat(33), Context::Raw),
        told(&"x".repeat(4_097), Context::Raw),
        told(&"${text}".repeat(32), Context::Raw),
        told("{\"a\":${text}", Context::Json),
        told("{'a':${text}}", Context::Json),
        told("{\"a\":${text}${dwell_s}}", Context::Json),
        told("${byte:02}", Context::Json),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r"
    a single `$` before `$text`
    `${text` has no closing brace
    no field or setting `txet`
    `url` has no value in show_text
    no filter `upper`
    `0` is not a number from 1 to 1000 for `cut`
    `scale:unit` does not take a text
    no scale `none`
    no map `none`
    `2` is not a byte
    more than 4 filters on `text`
    more than 32 placeholders
    4097 bytes of template, more than the 4096 allowed
    it could produce 2048 bytes, more than the 2000 the device takes
    what it makes is not JSON: EOF while parsing an object at line 1 column 16
    what it makes is not JSON: key must be a string at line 1 column 2
    what it makes is not JSON: expected `,` or `}` at line 1 column 17
    no field or setting `byte:02`
    ");
}

fn limits(unit: Unit, letters: &[(char, char)]) -> Limits {
    Limits {
        max_payload: 1_000,
        text_max: 8,
        unit,
        letters: letters.to_vec(),
        refuse: vec!["{{".to_owned()],
        per_minute: 60,
        gap_ms: 0,
    }
}

#[test]
fn a_text_is_judged_by_letters_length_and_commands() {
    let told = |unit, letters: &[(char, char)], text| {
        limits(unit, letters).judge(text).map_err(|refused| refused.to_string())
    };
    assert_eq!(told(Unit::Chars, &[], "ộộộộộộộộ"), Ok(()));
    assert_eq!(
        told(Unit::Bytes, &[], "ộộộ"),
        Err("9 bytes of text on a device that takes 8".into())
    );
    let wide = Unit::Pixels { per_char: 6 };
    assert_eq!(told(wide, &[], "ab"), Err("12 pixels of text on a device that takes 8".into()));
    assert_eq!(told(Unit::Bytes, &[(' ', '~')], "xã ã"), Err("the device cannot draw `ã`".into()));
    assert_eq!(told(Unit::Bytes, &[], "{{a}}"), Err("the device takes `{{` for a command".into()));
    // One sign of many code points does not slip through by counting as one.
    let tower = format!("a{}", "\u{301}".repeat(100));
    assert!(told(Unit::Chars, &[], &tower).is_err());
}

fn condition(at: &str, test: Test) -> Condition {
    Condition { at: Pointer::new(at), test }
}

fn word(text: &str) -> Template {
    Template::new(text, Context::Word, Scope::Event, &names(), &BOUNDS, 2_000).unwrap()
}

#[test]
fn conditions_compare_values_of_json_and_whole_payloads() {
    let settings: BTreeMap<String, String> = names().settings;
    let values = Values {
        url: Some("http://a/c.mp3"),
        settings: Some(&settings),
        item: Some("ab"),
        slot: Some(""),
        ..Values::default()
    };
    let holds = |condition: Condition, payload: &str| {
        condition.holds(&Heard::new(payload.as_bytes()), &values)
    };
    let is = |text: &str| Test::OneOf(vec![word(text)]);
    assert!(holds(condition("/a/0/b", is("${url}")), r#"{"a":[{"b":"http://a/c.mp3"}]}"#));
    assert!(!holds(condition("/a", is("${url}")), r#"{"a":"http://a/c.mp3?x"}"#));
    assert!(holds(condition("/on", is("true")), r#"{"on":true}"#));
    assert!(!holds(condition("/on", is("true")), "not json"));
    assert!(holds(condition("", is("online")), "online\r\n"));
    assert!(!holds(condition("/a", is("${file}")), r#"{"a":""}"#), "a field without value");
    assert!(!holds(condition("/a", is("${slot}")), r#"{"a":""}"#), "an empty one");
    assert!(!holds(condition("/a", Test::NotOneOf(vec![word("${file}")])), r#"{"a":"x"}"#));
    assert!(holds(condition("/a", Test::NotOneOf(vec![word("${url}")])), r#"{"a":"x"}"#));
    assert!(
        !holds(condition("/b", Test::NotOneOf(vec![word("x")])), r#"{"a":"x"}"#),
        "nothing said"
    );
    assert!(holds(condition("", Test::Ends(word("/c.mp3"))), "(1/1) /c.mp3"));
    assert!(!holds(condition("", Test::Contains(word("${item}"))), "xxabxx"), "too short to name");
    let range = |least, most| Test::Range { least, most };
    assert!(holds(condition("/w", range(Some(20.0), None)), r#"{"w":20}"#));
    assert!(!holds(condition("/w", range(Some(20.0), Some(30.0))), r#"{"w":30.5}"#));
    assert!(!holds(condition("/w", range(None, Some(1.0))), r#"{"w":"NaN"}"#));
    assert!(!holds(condition("/w", range(Some(0.0), None)), r#"{"w":"inf"}"#));
    assert!(holds(condition("/a", Test::Present), r#"{"a":0}"#));
    assert!(!holds(condition("/a", Test::Present), r#"{"a":null}"#));
}

#[test]
fn pixels_read_back_must_all_be_ours() {
    let frame = Frame::new(2, 1, vec![0, 0, 1, 0, 0, 2]).unwrap();
    let values = Values { frame: Some(&frame), ..Values::default() };
    let pixels = Condition { at: None, test: Test::OurPixels };
    let shows = |payload: &str| pixels.holds(&Heard::new(payload.as_bytes()), &values);
    assert!(shows("[1,2]"));
    for other in ["[1,3]", "[1]", "[1,2,3]", "[]", "{}", "[1,\"2\"]", "[1,2.5]"] {
        assert!(!shows(other), "{other}");
    }
    let none = Values::default();
    assert!(!pixels.holds(&Heard::new(b"[1,2]"), &none), "nothing was drawn");
}

#[test]
fn pointers_are_short_and_well_formed() {
    for good in ["/", "/a/b", "/switch:0/apower", "/a~1b/~0c"] {
        assert!(Pointer::new(good).is_some(), "{good}");
    }
    let long = "/a".repeat(9);
    for bad in ["", "a", "a/b", "/~", "/~2", &long, &format!("/{}", "x".repeat(200))] {
        assert!(Pointer::new(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_message_that_is_too_large_or_too_deep_matches_nothing() {
    let large = format!("[{}]", "1,".repeat(40_000));
    assert!(Heard::new(large.as_bytes()).word(None).is_none());
    let large = format!("[1{}]", ",1".repeat(40_000));
    assert!(Heard::new(large.as_bytes()).value(None).is_none());
    assert!(Heard::new(b"[1]").value(None).is_some());
    let deep = "[".repeat(10_000);
    assert!(Heard::new(deep.as_bytes()).value(None).is_none());
}

proptest! {
    #[test]
    fn a_template_never_panics_and_never_makes_more_than_it_said(
        text in r#"([a-z"{}:,\[\]\\ ]|\$\{(text|item|dwell_s|colour|prefix|id|width)(\|(cut:[0-9]|ascii|base64|hex|pad:3|scale:unit|map:colour))?\}|\$){0,12}"#,
        value in any::<String>(),
        context in 0..4_usize,
    ) {
        let context = [Context::Json, Context::Raw, Context::Line, Context::Path][context];
        let value: String = value.chars().take(16).collect();
        let settings: BTreeMap<String, String> = [("prefix".to_owned(), value.clone())].into();
        let frame = Frame::dark(2, 2);
        let values = Values {
            settings: Some(&settings),
            text: Some(&value),
            item: Some("0a1b2c3d4e5f"),
            colour: Some("red"),
            id: Some(u32::MAX),
            dwell_ms: Some(u32::MAX),
            frame: Some(&frame),
            ..Values::default()
        };
        if let Ok(template) = made(&text, context, Verb::ShowText)
            && let Ok(bytes) = template.render(&values)
        {
            prop_assert!(bytes.len() <= template.most());
            if context == Context::Json {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(), "{text}");
            }
            if context == Context::Line {
                prop_assert!(!bytes.iter().any(u8::is_ascii_control), "{text}");
            }
            if context == Context::Path {
                prop_assert!(template_text_only(&text, &bytes));
            }
        }
    }

    #[test]
    fn no_bytes_and_no_pointer_make_a_matcher_panic(bytes in any::<Vec<u8>>(), at in "(/[a-z0-9~]{0,3}){0,4}") {
        let heard = Heard::new(&bytes);
        let condition = Condition { at: Pointer::new(&at), test: Test::OneOf(vec![word("${url}")]) };
        prop_assert!(!condition.holds(&heard, &Values::default()));
    }
}

/// Bytes of values in a path are all of the unreserved kind or percent signs.
fn template_text_only(text: &str, bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(b) || text.as_bytes().contains(b))
}
