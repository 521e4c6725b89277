//! Two servers on one store and a real mosquitto: one publishes, both take records in, and when
//! one is cut off the other goes on; when that one wakes, it changes nothing any more.

use super::commune::{CLIP_S, Commune, claims, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::{Running, free_port, run, wait_for};
use loa::clock::{Clock as _, SystemClock};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Everything published live (not handed out as retained), by topic.
pub type Heard = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// Listens at the broker as the server may, which reads everything.
pub fn listen(port: u16) -> Heard {
    let heard = Heard::default();
    let mut options = MqttOptions::new("loa.test", "127.0.0.1", port);
    options.set_credentials("loa.test", super::mosquitto::PASSWORD);
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut events) = Client::new(options, 64);
    client.subscribe("loa/1/d/+/timetable", QoS::AtLeastOnce).unwrap();
    client.subscribe("loa/1/s/+", QoS::AtLeastOnce).unwrap();
    let (told, ready) = std::sync::mpsc::channel();
    let noted = heard.clone();
    std::thread::spawn(move || {
        let _client = client;
        for event in events.iter() {
            match event {
                Ok(Event::Incoming(Packet::SubAck(_))) => drop(told.send(())),
                Ok(Event::Incoming(Packet::Publish(message))) if !message.retain => {
                    let mut heard = noted.lock().unwrap();
                    heard.entry(message.topic).or_default().push(message.payload.to_vec());
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    ready.recv().unwrap();
    ready.recv().unwrap();
    heard
}

/// The version of a signed timetable.
pub fn version(jws: &[u8]) -> u64 {
    use base64::Engine as _;
    let text = std::str::from_utf8(jws).unwrap();
    let payload = text.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<serde_json::Value>(&json).unwrap()["ver"].as_u64().unwrap()
}

fn signal(server: &Running, which: &str) {
    let id = server.id().to_string();
    assert!(Command::new("kill").args([which, &id]).status().unwrap().success());
}

fn second(commune: &Commune) -> Running {
    let address = format!("127.0.0.1:{}", free_port());
    commune.start_server("second.log", &["--http", &address, "--broker-user", "loa.server-2"])
}

#[test]
fn of_two_servers_one_publishes_and_the_other_goes_on_when_it_is_cut_off() {
    let clock = SystemClock::new();
    let seed = std::env::var("LOA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: i64 = seed.unwrap_or(clock.now().0);
    eprintln!("LOA_SEED={seed}");
    let mut commune = Commune::new();
    commune.init();
    let broker = Mosquitto::install_for(&commune, &["loa.server", "loa.server-2", "loa.test"]);
    let heard = listen(broker.port());
    commune.serve();
    let mut other = second(&commune);
    wait_for("a second server that stands by", 20, || {
        other.assert_alive();
        other.said().contains("Standing by").then_some(())
    });
    commune.enrol("loa-dinh-lang");
    let _speaker = commune.device("loa-dinh-lang");
    broker.admit(&commune, "loa-dinh-lang");
    // The file changes after the cut too: the other one must go on planning, not only stand there.
    let first = in_seconds(6);
    commune.playlist(&[first]);
    let cut = first - 1_500 + seed.rem_euclid(5_000);
    wait_for("the moment of the cut", 20, || (clock.now().0 >= cut).then_some(()));
    // Stopped in its tracks, not ended: it will wake and believe that it still leads.
    let mut first_server = commune.server.take().unwrap();
    signal(&first_server, "-STOP");
    let since = clock.mono_ms();
    wait_for("the other one to lead", 30, || {
        other.assert_alive();
        other.said().contains("This server leads").then_some(())
    });
    let took = clock.mono_ms() - since;
    // 12 s of lease and a second of looking, and what a busy machine adds.
    assert!(took < 20_000, "it took {took} ms");
    let later = in_seconds(8);
    commune.playlist(&[first, later]);
    let plays = wait_for("a record of both plays", 60, || {
        let plays = commune.records_of("loa-dinh-lang", "play");
        let due: BTreeSet<_> =
            plays.iter().map(|p| claims(p)["due_ms"].as_i64().unwrap()).collect();
        due.is_superset(&[first, later].into()).then_some(plays)
    });
    for at in [first, later] {
        let played = plays.iter().filter(|p| claims(p)["due_ms"] == at);
        let played: i64 = played.map(|p| claims(p)["played_ms"].as_i64().unwrap()).sum();
        assert!((1..=CLIP_S * 1000 + 50).contains(&played), "{at}: {played} ms");
    }
    // No record lost or doubled.
    let mut seqs: Vec<u64> = commune
        .records()
        .iter()
        .filter(|record| record["device"] == "loa-dinh-lang")
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());

    // It wakes, finds its lease taken, writes and publishes nothing, and ends with the reason.
    let told = heard.lock().unwrap().clone();
    signal(&first_server, "-CONT");
    let ended = wait_for("the end of the one that slept", 20, || first_server.ended());
    assert_eq!(ended.code(), Some(3), "{}", first_server.said());
    assert!(first_server.said().contains("another server has taken over"));
    other.assert_alive();

    // Each version once. What the one that was cut off had sent but not yet noted as sent may be
    // told once more, with the very same bytes: nobody can know.
    let heard = heard.lock().unwrap();
    let late = heard.iter().filter(|(topic, bodies)| told.get(*topic) != Some(*bodies));
    let late: Vec<_> = late.map(|(topic, _)| topic).collect();
    assert!(late.is_empty(), "published by the one that slept: {late:?}");
    let mut twice = 0;
    let mut versions = 0;
    for (topic, bodies) in heard.iter() {
        let different: BTreeSet<&Vec<u8>> = bodies.iter().filter(|b| !b.is_empty()).collect();
        twice += bodies.iter().filter(|body| !body.is_empty()).count() - different.len();
        if topic.ends_with("/timetable") {
            let vers: BTreeSet<u64> = different.iter().map(|jws| version(jws)).collect();
            assert_eq!(vers.len(), different.len(), "one version, one document: {topic}");
            let order: Vec<u64> = bodies.iter().map(|jws| version(jws)).collect();
            assert!(order.is_sorted(), "never an older one after a newer: {order:?}");
            versions += vers.len();
        }
    }
    assert!(versions >= 4, "two devices, twice planned: {versions}");
    assert!(twice <= 4, "{twice} documents were published twice");
    let noted = other.said();
    assert!(!noted.contains("Publishing everything"), "it published everything again:\n{noted}");
}

#[test]
fn a_second_server_beside_an_embedded_broker_is_refused_with_the_remedy() {
    let mut commune = Commune::new();
    commune.init();
    commune.serve();
    let [data, playlists, profiles] =
        ["data", "playlists", "profiles"].map(|below| commune.path(below).display().to_string());
    let http = format!("127.0.0.1:{}", free_port());
    let args = ["serve", "--data", &data, "--playlists", &playlists, "--profiles", &profiles];
    let (code, _, said) = run(&[&args[..], &["--http", &http]].concat());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("another `loa serve` uses"), "{said}");
    assert!(said.contains("--broker mqtt(s)://HOST:PORT"), "{said}");
}

#[test]
fn a_server_whose_broker_does_not_answer_says_so_once_with_the_remedy() {
    let commune = Commune::new();
    commune.init();
    let at = format!("127.0.0.1:{}", free_port());
    let mut server = commune.start_server("alone.log", &["--broker", &format!("mqtt://{at}")]);
    let said = wait_for("three attempts", 20, || {
        server.assert_alive();
        let said = server.said();
        (said.matches("No connection to the broker").count() >= 3).then_some(said)
    });
    let told: Vec<_> = said.lines().filter(|line| line.contains("No broker answers")).collect();
    assert_eq!(told.len(), 1, "{said}");
    assert!(told[0].contains("WARN") && told[0].contains(&at), "{}", told[0]);
    assert!(told[0].contains("correct `--broker`"), "{}", told[0]);
}
