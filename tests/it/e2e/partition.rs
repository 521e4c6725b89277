//! Devices beyond a bad line: loss, delay, another order, repetitions, cuts, and a device that is
//! alone for a while. It plays what it was given, and everything it did arrives, once.

use super::commune::{CLIP_S, Commune, claims, in_seconds, zone};
use super::process::{Running, binary, wait_for};
use super::relay::{Relay, seed};
use loa::clock::{Clock as _, SystemClock};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

const DEVICE: &str = "loa-dinh-lang";

/// Asserts that the device has one chain, each number once, each link right; returns its plays.
fn plays_of_one_whole_chain(commune: &Commune) -> Vec<Value> {
    let records = commune.records();
    let mut mine: Vec<&Value> = records.iter().filter(|r| r["device"] == DEVICE).collect();
    mine.sort_by_key(|record| record["seq"].as_u64());
    for (i, record) in mine.iter().enumerate() {
        assert_eq!(record["chain"], mine[0]["chain"], "one chain");
        assert_eq!(record["seq"], i as u64 + 1, "numbers follow each other, none twice");
        assert!(record["fault"].is_null(), "{record}");
        if i > 0 {
            assert_eq!(claims(record)["prev"], mine[i - 1]["sha256"]);
        }
    }
    mine.into_iter().filter(|r| r["kind"] == "play").map(|r| claims(r).clone()).collect()
}

/// Waits until each cue has its play and asserts that each was played whole, once, in time.
fn each_cue_is_played_once(commune: &Commune, instants: &[i64]) {
    let plays = wait_for("a record of every cue", 120, || {
        let plays = plays_of_one_whole_chain(commune);
        instants.iter().all(|at| plays.iter().any(|p| p["due_ms"] == *at)).then_some(plays)
    });
    assert_eq!(plays.len(), instants.len(), "{plays:?}");
    for play in &plays {
        assert_eq!(play["outcome"], "played", "{play}");
        let late = play["started_ms"].as_i64().unwrap() - play["due_ms"].as_i64().unwrap();
        assert!(late.abs() < 1_000, "the record says it started {late} ms off");
    }
}

fn until(instant: i64) {
    let clock = SystemClock::new();
    wait_for("its moment", 120, || (clock.now().0 >= instant).then_some(()));
}

#[test]
fn behind_a_bad_line_a_device_plays_its_day_and_everything_arrives_once() {
    let mut commune = Commune::new();
    let (_, mqtt) = commune.ports();
    let relay = Relay::to(SocketAddr::from(([127, 0, 0, 1], mqtt)), seed());
    relay.delay(40);
    commune.station(&format!("public_mqtt = \"127.0.0.1:{}\"\n", relay.port()));
    commune.init();
    commune.serve();
    commune.enrol(DEVICE);
    let _speaker = commune.device(DEVICE);
    let first = in_seconds(16);
    let instants: Vec<i64> = (0..4).map(|i| first + i * 5_000).collect();
    commune.playlist(&instants);
    wait_for("the first start", 40, || commune.records_of(DEVICE, "start").pop());

    // The line breaks in the middle of a play, is back for a moment, and breaks again.
    relay.cut();
    until(instants[1] + 1_000);
    relay.mend();
    until(instants[2] - 500);
    relay.cut();
    until(instants[3] + CLIP_S * 1_000);
    relay.mend();

    each_cue_is_played_once(&commune, &instants);
    let (swapped, _) = relay.harm();
    assert!(swapped > 0, "the line was bad in name only");
}

/// A host of its own: a network namespace behind a pair of virtual cables.
struct Host {
    name: String,
    near: String,
}

impl Host {
    /// Makes a host at `10.251.n.2` that sees this machine as `10.251.n.1`.
    fn new(n: u8) -> Result<Self, String> {
        let name = format!("loa{}n{n}", std::process::id());
        let host = Self { near: format!("lo{}a{n}", std::process::id() % 100_000), name };
        let (name, near) = (&host.name, &host.near);
        for line in [
            format!("ip netns add {name}"),
            format!("ip link add {near} type veth peer name far netns {name}"),
            format!("ip addr add 10.251.{n}.1/24 dev {near}"),
            format!("ip link set {near} up"),
            format!("ip -n {name} addr add 10.251.{n}.2/24 dev far"),
            format!("ip -n {name} link set far up"),
            format!("ip -n {name} link set lo up"),
            format!("ip netns exec {name} nft add table inet line"),
            format!(
                "ip netns exec {name} nft add chain inet line in {{ type filter hook input \
                 priority 0 ; }}"
            ),
            format!(
                "ip netns exec {name} nft add chain inet line out {{ type filter hook output \
                 priority 0 ; }}"
            ),
        ] {
            shell(&line)?;
        }
        Ok(host)
    }

    /// Loses so many of a hundred packets each way; 100 is a cable pulled out.
    fn lose(&self, percent: u32) {
        let name = &self.name;
        shell(&format!("ip netns exec {name} nft flush table inet line")).unwrap();
        let rule = match percent {
            0 => return,
            1..100 => format!("numgen random mod 100 lt {percent} drop"),
            _ => "drop".to_owned(),
        };
        for way in ["in", "out"] {
            shell(&format!("ip netns exec {name} nft add rule inet line {way} {rule}")).unwrap();
        }
    }

    fn run(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(binary()).args(args);
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = shell(&format!("ip link del {}", self.near));
        let _ = shell(&format!("ip netns del {}", self.name));
    }
}

fn shell(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let out = Command::new(words[0])
        .args(&words[1..])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .map_err(|e| format!("{line}: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if out.status.success() { Ok(()) } else { Err(format!("{line}: {said}")) }
}

#[test]
fn a_host_that_loses_packets_and_then_its_cable_plays_on_and_proves_it() {
    let host = match Host::new(7) {
        Ok(host) => host,
        Err(why) => {
            eprintln!("LEFT OUT: network namespaces need root on this machine ({why})");
            return;
        }
    };
    let mut commune = Commune::new();
    let (http, mqtt) = commune.ports();
    commune.write(
        "playlists/station.toml",
        &format!(
            "name = \"Đài truyền thanh xã Đông Hoà\"\nzone = \"{}\"\napproval = \"off\"\n\
             insecure_lan = true\n[listen]\nhttp = \"0.0.0.0:{http}\"\nmqtt = \"0.0.0.0:{mqtt}\"\n\
             public_url = \"http://10.251.7.1:{http}\"\npublic_mqtt = \"10.251.7.1:{mqtt}\"\n",
            zone()
        ),
    );
    commune.init();
    commune.serve();
    commune.enrol(DEVICE);
    host.lose(15);
    let code = fs::read_to_string(commune.path(&format!("{DEVICE}.code"))).unwrap();
    let data = commune.path(DEVICE).display().to_string();
    let sink = format!("wav:{}", commune.street().display());
    let start = |more: &[&str]| {
        let args = ["--log", "info", "speaker", "--data", &data, "--sink", &sink];
        let command = host.run(&[&args, more].concat());
        Running::start(command, &commune.path("far.log"))
    };
    let _speaker = start(&["--enrol", &code, "--insecure-lan"]);
    let first = in_seconds(20);
    let instants: Vec<i64> = (0..3).map(|i| first + i * 5_000).collect();
    commune.playlist(&instants);
    wait_for("the first start", 60, || commune.records_of(DEVICE, "start").pop());
    host.lose(100);
    until(instants[2] + CLIP_S * 1_000);
    let known = plays_of_one_whole_chain(&commune);
    assert!(known.len() < instants.len(), "the cable was out in name only");
    host.lose(0);
    each_cue_is_played_once(&commune, &instants);
}
