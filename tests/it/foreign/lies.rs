//! Devices that do not keep to their document: nothing is proved by them that did not happen, and
//! what comes after them goes well.

use super::rig::{OpenBroker, Plan, Played, Rig, URL};
use super::sims::{Answer, Memory, SONOS, Say, Sim, say};
use crate::support::wait;
use loa::device::executor::{Action, Ended, Event, PlayFault};
use serde_json::{Value, json};

const PLAYER: &str = "sonos/RINCON_000E5000000001400";
const CONTROL: &str = "sonos/RINCON_000E5000000001400/control";
const CLIP_MS: i64 = 1_500;

fn status(after_ms: u64, state: &str, uri: &str) -> Say {
    let body = json!({ "currentTrack": { "TrackUri": uri }, "transportState": state, "ts": 1 });
    say(after_ms, PLAYER, body.to_string())
}

fn is_notify(payload: &[u8]) -> bool {
    serde_json::from_slice::<Value>(payload).unwrap()["command"] == "notify"
}

fn plan() -> Plan {
    let mut plan = Plan::shipped("sonos2mqtt");
    plan.dialect.timing.start_ms = 1_000;
    plan
}

/// Plays on a device that answers so; returns how it went and the first commands it was told.
async fn lied(answer: Answer, wanted: usize) -> (Played, Vec<String>) {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = Sim { answer, ..SONOS }.start(&broker, CLIP_MS.unsigned_abs()).await;
    let (_, mut heard, _ear) = broker.client("ear", &[CONTROL.to_owned()]).await;
    let mut rig = Rig::start(plan(), Some(exchange));
    rig.online().await;
    let played = rig.play(CLIP_MS).await;
    rig.finish().await;
    let mut told = Vec::new();
    for _ in 0..wanted {
        let (_, payload) = wait::within("the command", heard.recv()).await.unwrap();
        let command = serde_json::from_slice::<Value>(&payload).unwrap();
        told.push(command["command"].as_str().unwrap().to_owned());
    }
    (played, told)
}

#[tokio::test]
async fn a_play_that_nobody_confirms_fails_and_is_stopped() {
    let silent: Answer = |_, _, _| Vec::new();
    let other: Answer =
        |_, _, _| vec![status(30, "PLAYING", "http://192.168.1.2:8080/a/other.mp3")];
    let late: Answer = |_, _, payload| {
        let late = is_notify(payload).then(|| status(1_200, "PLAYING", URL));
        late.into_iter().collect()
    };
    for (what, answer) in [("silent", silent), ("another clip", other), ("too late", late)] {
        let (played, told) = lied(answer, 2).await;
        assert_eq!((played.end, played.skew_ms), (Err(PlayFault::Output), None), "{what}");
        assert_eq!(told, ["notify", "stop"], "{what}: nothing sounds that failed");
    }
}

#[tokio::test]
async fn noise_and_huge_messages_neither_prove_nor_disturb() {
    let noisy: Answer = |memory, topic, payload| {
        let mut said = vec![
            say(5, PLAYER, vec![b'x'; 100_000]),
            say(6, PLAYER, &b"{\"transportState\":"[..]),
            say(7, PLAYER, "[".repeat(60_000)),
            say(8, PLAYER, ""),
            status(9, "PLAYING", "http://192.168.1.2:8080/a/clip.mp3?x"),
        ];
        said.extend((0..500).map(|_| say(10, "sonos/RINCON_000E5000000001400/error", "{}")));
        said.extend((SONOS.answer)(memory, topic, payload));
        said
    };
    let (played, _) = lied(noisy, 1).await;
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), 2));
    assert!((played.played_ms - CLIP_MS).abs() < 500, "{}", played.played_ms);
}

#[tokio::test]
async fn a_word_kept_by_the_broker_is_of_yesterday() {
    let broker = OpenBroker::start().await;
    let silent = Sim { answer: |_: &mut Memory, _, _| Vec::new(), ..SONOS };
    let _device = silent.start(&broker, 0).await;
    let (ghost, _, _ghost) = broker.client("ghost", &[]).await;
    let kept = status(0, "PLAYING", URL);
    ghost.publish(kept.topic, kept.payload, true).await.unwrap();
    let (exchange, _gateway) = broker.exchange();
    let mut rig = Rig::start(plan(), Some(exchange));
    rig.online().await;
    let played = rig.play(CLIP_MS).await;
    assert_eq!((played.end, played.skew_ms), (Err(PlayFault::Output), None));
}

#[tokio::test]
async fn a_play_that_ends_early_is_as_long_as_it_was() {
    let early: Answer = |_, _, payload| {
        if is_notify(payload) {
            return vec![status(30, "PLAYING", URL), status(430, "STOPPED", URL)];
        }
        Vec::new()
    };
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = Sim { answer: early, ..SONOS }.start(&broker, 0).await;
    let mut rig = Rig::start(plan(), Some(exchange));
    rig.online().await;
    let played = rig.play(3_000).await;
    assert_eq!(played.end, Ok(Ended::Clip));
    assert!((200..900).contains(&played.played_ms), "{}", played.played_ms);
}

#[tokio::test]
async fn a_halt_reaches_the_device_and_an_offline_device_ends_its_play() {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = SONOS.start(&broker, 60_000).await;
    let (other, mut heard, _ear) = broker.client("ear", &[CONTROL.to_owned()]).await;
    let mut rig = Rig::start(plan(), Some(exchange));
    rig.online().await;
    let due = rig.clock.now().plus(300);
    let token = rig.order(60_000);
    while !matches!(rig.event().await, Event::Started { .. }) {}
    rig.obey(&Action::Halt { token, fade_ms: 500 });
    let halted = rig.outcome(token, due).await;
    assert_eq!(halted.end, Ok(Ended::Halted));
    for wanted in ["notify", "stop"] {
        let (_, payload) = wait::within("the command", heard.recv()).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["command"], wanted);
    }
    let due = rig.clock.now().plus(300);
    let token = rig.order(60_000);
    while !matches!(rig.event().await, Event::Started { .. }) {}
    other.publish("sonos/connected", "0", true).await.unwrap();
    let gone = rig.outcome(token, due).await;
    assert_eq!(gone.end, Ok(Ended::Output), "the device went away");
    let refused = rig.play(CLIP_MS).await;
    assert_eq!(refused.end, Err(PlayFault::Output));
    assert_eq!(rig.seen.borrow().trouble.as_deref(), Some("the device is not there"));
}

#[tokio::test]
async fn a_broker_that_was_killed_costs_no_play_that_sounds_and_none_after_it() {
    let mut broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = SONOS.start(&broker, CLIP_MS.unsigned_abs()).await;
    let mut rig = Rig::start(plan(), Some(exchange));
    rig.online().await;
    let due = rig.clock.now().plus(300);
    let token = rig.order(CLIP_MS);
    while !matches!(rig.event().await, Event::Started { .. }) {}
    broker.restart().await;
    let through = rig.outcome(token, due).await;
    assert_eq!(through.end, Ok(Ended::Clip), "only the line was gone");
    assert!(through.played_ms >= CLIP_MS - 400, "{}", through.played_ms);
    // The broker came back empty: the device tells again that it is there.
    let (device, _, _again) = broker.client("again", &[]).await;
    device.publish("sonos/connected", "2", true).await.unwrap();
    rig.online().await;
    let next = rig.play(CLIP_MS).await;
    assert_eq!((next.end, next.grade), (Ok(Ended::Clip), 2));
}
