//! Faults of dialects: every one told at once, with place, value and remedy.

use crate::config::device_profile;
use crate::dialect::model::Dialect;

/// A dialect without a fault, to spoil.
const GOOD: &str = r#"title = "Loa"
[speaker]
codecs = ["mp3"]
[dialect]
version = 1
[dialect.settings]
host = "a"
[dialect.transport]
kind = "mqtt"
[dialect.topics]
set = "${host}/set"
now = "${host}/now"
[dialect.clips]
by = "url"
[[dialect.actions.play_clip]]
topic = "set"
json = '{"play":${url}}'
[[dialect.actions.stop]]
topic = "set"
[[dialect.events]]
topic = "now"
means = "started"
when = [{ at = "/url", is = ["${url}"] }]
[dialect.limits]
max_payload = 2048
"#;

fn told(text: &str) -> String {
    let (described, faults) = device_profile("loa-la", text.as_bytes());
    let line = |fault: &crate::config::Fault| {
        format!("{fault}\n    {}\n", fault.hint.as_deref().unwrap_or("-"))
    };
    let dialect = described.is_some_and(|d| d.dialect.is_some());
    assert_ne!(dialect, faults.iter().any(|f| f.refuses), "read or refused: {faults:?}");
    faults.iter().map(line).collect()
}

fn read(text: &str) -> Dialect {
    assert_eq!(told(text), "");
    device_profile("loa-la", text.as_bytes()).0.unwrap().dialect.unwrap()
}

#[test]
fn what_is_not_said_has_its_default() {
    let dialect = read(GOOD);
    assert_eq!(dialect.timing.answer_ms, 5_000);
    assert_eq!(dialect.limits.per_minute, 60);
    assert!(dialect.events[0].names_item());
}

#[test]
fn every_fault_of_a_dialect_is_told_at_once() {
    let text = r#"title = "Loa lạ"
[board]
width_px = 64
height_px = 32
[dialect]
version = 0
fallback = "pixels"
[dialect.settings]
Host = "a"
text = "b"
[dialect.transport]
kind = "mqtt"
qos = 0
baud = 9600
[dialect.topics]
set = "${prefix}/set"
clip = "x/${slot}"
now = "x/now"
[dialect.scales.bri]
points = ["0:0"]
[dialect.scales.vol]
points = ["0:0", "100:1.5"]
[dialect.actions]
play = []
[[dialect.actions.play_clip]]
topic = "stt"
json = '{"play":${text}}'
retain = true
qos = 1
[[dialect.actions.show_text]]
topic = "now"
json = '{"t":${text},"c":${colour|map:colour}'
raw = "x"
[[dialect.actions.show_text]]
topic = "now"
json = '{"t":${text}'
[[dialect.actions.clear]]
path = "/clear"
[[dialect.events]]
topic = "clip"
means = "began"
when = [{ at = "url", is = ["${url}"], has = "x" }, { has = "${text}" }, { least = "1e3" }]
[[dialect.events]]
means = "finished"
when = []
[dialect.correlation]
by = "order"
[dialect.limits]
max_payload = 32
text_max = 0
letters = ["ascii", "7E-20"]
per_minute = 4
[dialect.timing]
answer = "1h"
[dialect.pixels]
protocol = "e131"
host = "${host}"
universe = 0
"#;
    insta::assert_snapshot!(told(text));
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let swap = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        told(&GOOD.replacen(from, to, 1))
    };
    let all = [
        swap("[[dialect.actions.stop]]\ntopic = \"set\"\n", ""),
        swap("[dialect.clips]\nby = \"url\"\n", ""),
        swap("means = \"started\"", "means = \"finished\""),
        swap("[speaker]\ncodecs = [\"mp3\"]", "[board]\nwidth_px = 32\nheight_px = 8"),
        swap("[dialect]\n", "[board]\nwidth_px = 32\nheight_px = 8\n[dialect]\n"),
        swap("by = \"url\"", "by = \"file\""),
        swap("by = \"url\"", "by = \"url\"\npath = \"/x\""),
        swap("now = \"${host}/now\"", "now = \"${host}/#\""),
        swap("version = 1", "version = 1\nfallback = \"frame\""),
        swap("kind = \"mqtt\"", "kind = \"http\""),
        swap("max_payload = 2048", "max_payload = 512"),
        swap(
            "[[dialect.actions.stop]]\ntopic = \"set\"",
            "[[dialect.actions.stop]]\ntopic = \"set\"\nretain = true\nqos = 1",
        ),
        swap("max_payload = 2048", "max_payload = 2048\nper_minute = 4\ngap = \"2m\""),
        told(
            &(GOOD.to_owned()
                + "per_minute = 4\n[[dialect.actions.volume]]\ntopic = \"set\"\nraw = \"${volume}\"\n"),
        ),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_protocol_that_cannot_address_all_pixels_is_refused() {
    let board = |protocol: &str| {
        format!(
            "title = \"B\"\n[board]\nwidth_px = 128\nheight_px = 64\n[dialect]\nversion = 1\n\
             [dialect.settings]\nhost = \"a\"\n[dialect.transport]\nkind = \"udp\"\n\
             [[dialect.actions.show_frame]]\nsend = \"pixels\"\n[dialect.limits]\n\
             max_payload = 1500\n[dialect.pixels]\nprotocol = \"{protocol}\"\nhost = \"${{host}}\"\n"
        )
    };
    assert_eq!(told(&board("ddp")), "");
    assert_eq!(told(&board("e131")), "");
    assert!(told(&board("wled-drgb")).contains("8192 pixels, more than the 490 of `wled-drgb`"));
    let last = board("e131") + "universe = 63990\n";
    assert!(told(&last).contains("8192 pixels, more than the 1700 of `e131`"));
}

/// A board over MQTT or HTTP, with these steps.
fn board(transport: &str, steps: &str) -> String {
    told(&format!(
        "title = \"B\"\n[board]\nwidth_px = 32\nheight_px = 8\n[dialect]\nversion = 1\n\
         [dialect.transport]\n{transport}\n[dialect.topics]\na = \"a\"\nb = \"b\"\n{steps}\
         [dialect.limits]\nmax_payload = 1500\n"
    ))
}

#[test]
fn a_page_that_the_broker_keeps_must_be_taken_back() {
    let step = |action: &str, topic: &str| {
        format!("[[dialect.actions.{action}]]\ntopic = \"{topic}\"\nraw = \"x\"\nretain = true\n")
    };
    let told = |steps: &[String]| board("kind = \"mqtt\"", &steps.concat());
    assert!(told(&[step("show_text", "a")]).contains("nothing takes it back"));
    assert!(told(&[step("show_text", "a"), step("clear", "b")]).contains("nothing takes it back"));
    assert_eq!(told(&[step("show_text", "a"), step("clear", "a")]), "");
}

#[test]
fn a_path_begins_at_the_root_of_its_host() {
    let told = |path: &str| {
        let steps = format!("[[dialect.actions.show_text]]\npath = \"{path}\"\nraw = \"x\"\n");
        board("kind = \"http\"\nbase = \"http://10.0.0.1\"", &steps)
    };
    assert_eq!(told("/a?t=${text}"), "");
    assert!(told("${text}/a").contains("does not begin with `/`"));
    assert!(told("evil.example/a").contains("does not begin with `/`"));
    assert!(told("/a b").contains("a path with a space"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::prelude::any::<Vec<u8>>()) {
        let _ = device_profile("loa-la", &bytes);
    }

    #[test]
    fn no_change_of_a_good_profile_makes_the_reader_panic(
        at in 0..GOOD.len(),
        length in 0..20_usize,
        instead in r#"[\$\{\}a-z"'\[\]=/~\n0-9|:.]{0,12}"#,
    ) {
        let mut text: Vec<u8> = GOOD.bytes().collect();
        let end = (at + length).min(text.len());
        text.splice(at..end, instead.bytes());
        if let Ok(text) = String::from_utf8(text) {
            let _ = told(&text);
        }
    }
}
