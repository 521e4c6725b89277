//! What is kept, sent and awaited stays bounded; settings are judged before anything is sent.

use super::conversation::{picture, shipped};
use loa::config::device_profile;
use loa::dialect::machine::{Action, Device, EndedBy, Event, Order, PlayOrder, ShowOrder, Told};
use loa::domain::ids::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

fn play(token: u64, length_ms: i64) -> Event {
    Event::Order(Order::Play(PlayOrder {
        token,
        item: "0a1b2c3d4e5f".to_owned(),
        sha256: Digest::of(b"clip"),
        url: Some("http://10.0.0.2/c.mp3".to_owned()),
        slot: Some("bell".to_owned()),
        volume: 80,
        offset_ms: 0,
        length_ms,
        end_ms: 10_000_000,
    }))
}

fn show(token: u64) -> Event {
    Event::Order(Order::Show(ShowOrder {
        token,
        item: "0a1b2c3d4e5f".to_owned(),
        text: Some("ABC".to_owned()),
        frame: Some(picture(32, 8)),
        colour: None,
        dwell_ms: 60_000,
        until_ms: 10_000_000,
    }))
}

fn hear(topic: &str, payload: &str) -> Event {
    let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
    Event::Message { topic, payload, retained: false }
}

fn pieces(actions: &[Action]) -> usize {
    actions.iter().filter(|a| matches!(a, Action::Evidence(_))).count()
}

#[test]
fn a_chatty_device_does_not_fill_the_disk_with_evidence_but_a_better_grade_is_always_kept() {
    let (mut device, _) = shipped("shelly-amp");
    device.step(0, Event::Connected);
    device.step(1, play(1, 3_600_000));
    device.step(2, hear("loa-cong-noi/rpc", "{\"id\":1,\"result\":{}}"));
    device.step(2_000, Event::Tick);
    let started = loa::dialect::machine::SinkSays::Started { grade: 1 };
    device.step(2_100, Event::Sink { token: 1, says: started });
    let status = "shellyplus1pm-a8032ab12345/status/switch:0";
    let power = "{\"output\":true,\"apower\":41.5}";
    let kept: usize =
        (0..1_000).map(|n| pieces(&device.step(3_000 + n, hear(status, power)))).sum();
    assert!((2..=40).contains(&kept), "{kept} pieces");
    let mut ended = device.step(9_000, Event::Order(Order::Stop { token: 1 }));
    ended.retain(|a| matches!(a, Action::Ended { .. }));
    let [Action::Ended { grade: 4, by: EndedBy::Halted, .. }] = ended[..] else {
        panic!("{ended:?}")
    };
}

#[test]
fn a_grade_is_raised_after_any_number_of_lesser_pieces() {
    let (mut device, _) = shipped("awtrix3");
    device.step(0, Event::Connected);
    device.step(1, show(1));
    device.step(200, Event::Tick);
    for n in 0..200 {
        device.step(300 + n, hear("awtrix_a4f2c8/stats/currentApp", "0a1b2c3d4e5f"));
    }
    let list = picture(32, 8).colours().map(|c| c.to_string()).collect::<Vec<_>>().join(",");
    let told = device.step(600, hear("awtrix_a4f2c8/screen", &format!("[{list}]")));
    assert!(
        matches!(&told[..], [Action::Evidence(e), ..] if e.what == Told::Screen && e.grade == 3)
    );
}

#[test]
fn a_large_answer_is_kept_as_its_hash_and_its_beginning() {
    let (mut device, _) = shipped("http-speaker");
    device.step(0, play(1, 5_000));
    let body = vec![b'x'; 1_000_000];
    let told = device.step(1, Event::Answer { request: 1, answer: Some((200, body.clone())) });
    let kept = told.iter().find_map(|a| if let Action::Evidence(e) = a { Some(e) } else { None });
    let kept = kept.unwrap();
    assert_eq!((kept.head.len(), kept.length, kept.sha256), (256, 1_000_000, Digest::of(&body)));
}

#[test]
fn a_refusal_in_a_good_answer_never_counts_as_a_start() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/device-profiles/http-speaker.toml");
    let rule = "[[dialect.events]]\nfrom = \"answer\"\nmeans = \"failed\"\n\
                when = [{ at = \"/ok\", is = [\"false\"] }]\n";
    let text = std::fs::read_to_string(path).unwrap() + rule;
    let (described, faults) = device_profile("http", text.as_bytes());
    assert_eq!(faults, []);
    let dialect = described.unwrap().dialect.unwrap();
    let settings = dialect.settings.clone();
    let mut device = Device::new(Arc::new(dialect), settings, [0; 16]).unwrap();
    device.step(0, play(1, 5_000));
    let body = b"{\"ok\":false}".to_vec();
    let told = device.step(1, Event::Answer { request: 1, answer: Some((200, body)) });
    assert!(!told.iter().any(|a| matches!(a, Action::Started { .. })), "{told:?}");
    assert!(told.iter().any(|a| matches!(a, Action::Failed { token: 1, grade: 0, .. })));
}

#[test]
fn a_stop_does_not_wait_for_a_request_that_hangs() {
    let (mut device, _) = shipped("http-speaker");
    device.step(0, Event::Order(Order::Probe));
    let told = device.step(10, play(1, 5_000));
    assert!(!told.iter().any(|a| matches!(a, Action::Http { .. })), "a start waits for its turn");
    device.step(20, Event::Answer { request: 1, answer: Some((200, Vec::new())) });
    device.step(30, Event::Order(Order::Probe));
    let told = device.step(40, Event::Order(Order::Stop { token: 1 }));
    let stops = |a: &Action| matches!(a, Action::Http { url, .. } if url.ends_with("/api/stop"));
    assert!(told.iter().any(stops), "{told:?}");
}

#[test]
fn an_end_that_is_moved_holds() {
    let (mut device, _) = shipped("tasmota-i2s");
    device.step(0, Event::Connected);
    device.step(0, play(1, 60_000));
    device.step(1_000, Event::Order(Order::Until { token: 1, end_ms: 5_000 }));
    assert!(!device.step(4_999, Event::Tick).iter().any(|a| matches!(a, Action::Ended { .. })));
    let told = device.step(5_000, Event::Tick);
    let ended = |a: &Action| matches!(a, Action::Ended { by: EndedBy::Time, played_ms: 5_000, .. });
    assert!(told.iter().any(ended), "{told:?}");
    let stops =
        |a: &Action| matches!(a, Action::Publish { topic, .. } if topic.ends_with("I2SStop"));
    assert!(told.iter().any(stops), "{told:?}");
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let (mut device, _) = shipped("mopidy");
    device.step(50_000, Event::Connected);
    device.step(50_000, play(1, 8_000));
    device.step(50_100, hear("mopidy/stat/trk_uri", "http://10.0.0.2/c.mp3"));
    device.step(53_100, Event::Tick);
    let told = device.step(10, hear("mopidy/stat/plstate", "stopped"));
    let ended = |a: &Action| matches!(a, Action::Ended { played_ms: 3_000, grade: 2, .. });
    assert!(told.iter().any(ended), "{told:?}");
}

#[test]
fn answers_that_never_come_are_given_up() {
    let (mut device, _) = shipped("shelly-amp");
    device.step(0, Event::Connected);
    let mut sent = 0;
    for n in 0..200_u32 {
        let told = device.step(i64::from(n) * 10, play(u64::from(n), 8_000));
        sent += told.iter().filter(|a| matches!(a, Action::Publish { .. })).count();
    }
    assert!(sent <= 60, "{sent} messages within two seconds");
    let mut now = 2_000;
    let mut last = 0;
    for _ in 0..2_000 {
        now += 500;
        let told = device.step(now, Event::Tick);
        if told.iter().any(|a| matches!(a, Action::Publish { .. })) {
            last = now;
        }
    }
    assert!(last < 600_000, "it still repeats itself at {last}");
}

#[test]
fn answers_awaited_at_once_are_few_and_what_gives_way_is_not_repeated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/device-profiles/shelly-amp.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("per_minute = 60", "per_minute = 6000");
    let (described, faults) = device_profile("shelly-amp", text.as_bytes());
    assert_eq!(faults, []);
    let dialect = described.unwrap().dialect.unwrap();
    let settings = dialect.settings.clone();
    let mut device = Device::new(Arc::new(dialect), settings, [0; 16]).unwrap();
    device.step(0, Event::Connected);
    let (mut sent, mut given_up) = (0, 0);
    for token in 0..100 {
        for action in device.step(1, play(token, 8_000)) {
            sent += u32::from(matches!(action, Action::Publish { .. }));
            given_up +=
                u32::from(matches!(action, Action::Evidence(e) if e.what == Told::EndUnanswered));
        }
    }
    assert_eq!(sent, 199, "an on for each play, an off between them");
    assert!((60..99).contains(&given_up), "{given_up} given up");
}

#[test]
fn settings_are_judged_all_at_once() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/device-profiles/wled-2d.toml");
    let (described, _) = device_profile("wled-2d", &std::fs::read(path).unwrap());
    let dialect = Arc::new(described.unwrap().dialect.unwrap());
    let told = |settings: &[(&str, &str)]| {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let settings: BTreeMap<String, String> = settings.iter().map(owned).collect();
        let faults = Device::new(dialect.clone(), settings, [0; 16]).unwrap_err();
        faults.iter().map(|f| format!("{f} ({})", f.hint())).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&[("topic", "wled/#"), ("hots", "x")]),
        [
            "no setting `host` (as in `192.168.1.50`)",
            "setting `topic` is `wled/#` (1 to 128 bytes, no control characters, no `+` or `#`)",
            "unknown setting `hots` (known: host, topic)",
        ]
    );
    let long = "x".repeat(129);
    assert_eq!(told(&[("topic", &long), ("host", "")]).len(), 2);
}

#[test]
fn an_address_with_a_path_or_a_password_is_refused() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/device-profiles/http-speaker.toml");
    let (described, _) = device_profile("http-speaker", &std::fs::read(path).unwrap());
    let dialect = Arc::new(described.unwrap().dialect.unwrap());
    for host in ["10.0.0.1/x", "a@10.0.0.1", "10.0.0.1?x", "10.0.0.1 x"] {
        let settings = [("host".to_owned(), host.to_owned())].into();
        assert!(Device::new(dialect.clone(), settings, [0; 16]).is_err(), "{host}");
    }
    let settings = [("host".to_owned(), "[fe80::1]:80".to_owned())].into();
    assert!(Device::new(dialect, settings, [0; 16]).is_ok());
}
