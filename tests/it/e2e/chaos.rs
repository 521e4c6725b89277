//! Server, broker and devices killed at random while records flow: in the end every record is
//! there exactly once and every chain is whole.
//!
//! The choices come from `LOA_SEED`, which is printed. `LOA_CHAOS_RECORDS` says how many records
//! flow; without it few, so that the tests take seconds.

use super::chance::Chance;
use super::commune::Commune;
use super::courier::Fleet;
use super::mosquitto::Mosquitto;
use super::process::{Running, binary, wait_for, wait_while_it_moves};
use loa::clock::{Clock as _, SystemClock};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead as _;
use std::process::Command;

const COURIERS: u64 = 4;

fn records() -> u64 {
    size("LOA_CHAOS_RECORDS", 3_000)
}

/// How large a run is: what the environment says, or what takes seconds.
pub fn size(variable: &str, small: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(small, |text| text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}

fn courier(n: u64) -> String {
    format!("loa-chuyen-{n}")
}

/// A commune with couriers, enrolled.
struct World {
    commune: Commune,
    broker: Option<Mosquitto>,
    fleet: Fleet,
    chance: Chance,
    /// The most memory that any server of the run took.
    peak_kib: u64,
}

impl World {
    fn new(with_mosquitto: bool) -> Self {
        let mut chance = Chance::new();
        let mut commune = Commune::new();
        let mut rows = String::new();
        for n in 1..=COURIERS {
            writeln!(rows, "{},Loa {n},99901-dinh,,loa-thu", courier(n)).unwrap();
        }
        commune.write("playlists/devices.csv", &format!("id,name,unit,tags,profile\n{rows}"));
        commune.init();
        let broker = with_mosquitto.then(|| Mosquitto::install(&commune));
        commune.serve();
        let codes = (1..=COURIERS).map(|n| {
            let device = courier(n);
            (commune.path(&device), commune.code(&device))
        });
        let mut fleet = Fleet::enrol(codes.collect(), chance.split());
        if let Some(broker) = &broker {
            (1..=COURIERS).for_each(|n| broker.admit(&commune, &courier(n)));
        }
        fleet.start();
        Self { commune, broker, fleet, chance, peak_kib: 0 }
    }

    fn kill_server(&mut self) {
        self.take_server().kill();
        self.commune.serve();
    }

    fn take_server(&mut self) -> Running {
        let server = self.commune.server.take().unwrap();
        self.peak_kib = self.peak_kib.max(server.peak_kib());
        server
    }

    /// Waits until all records are made and have a receipt, then compares what the server has.
    fn settle(&mut self) {
        let fleet = &self.fleet;
        wait_while_it_moves("a receipt for every record", 60, || match fleet.standing() {
            (true, 0) => Ok(()),
            way => Err(way),
        });
        let ledgers = self.fleet.ledgers();
        let stored = exported(&self.commune);
        let mut count = 0;
        for (device, mut lines) in ledgers {
            count += lines.len();
            let mut found = stored.get(device.as_str()).cloned().unwrap_or_default();
            found.sort_unstable();
            lines.sort_unstable();
            assert_eq!(
                found.len(),
                lines.len(),
                "{device}: records of the server and of the ledger"
            );
            assert!(found == lines, "{device}: byte for byte, each once");
        }
        assert_eq!(stored.values().map(Vec::len).sum::<usize>(), count, "nobody else's records");
        self.take_server().terminate(10);
        eprintln!("{count} records, each once; servers took {} KiB at most", self.peak_kib);
    }
}

/// What `loa records export` writes, by device, having checked that a second import finds
/// nothing new and nothing wrong in it.
pub fn exported(commune: &Commune) -> BTreeMap<String, Vec<String>> {
    let data = commune.path("data");
    let file = commune.path("export.txt");
    let out = std::fs::File::create(&file).unwrap();
    let done = Command::new(binary())
        .args(["records", "export", "--data"])
        .arg(&data)
        .stdout(out)
        .status()
        .unwrap();
    assert!(done.success());
    let lines: Vec<String> = std::io::BufReader::new(std::fs::File::open(&file).unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    let again = commune.json(&["records", "import", &file.display().to_string()]);
    assert_eq!(again["duplicates"].as_u64(), Some(lines.len() as u64), "{again}");
    for none in ["stored", "conflicts", "rejects", "deferred"] {
        assert_eq!(again[none], 0, "{again}");
    }
    let mut by_device: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let payload = loa::wire::b64::decode(line.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        by_device.entry(claims["dev"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    by_device
}

/// Kills somebody, over and over, while records flow.
fn chaos(with_mosquitto: bool) {
    let records = records();
    let kills = 12 + records / 1_000;
    let mut world = World::new(with_mosquitto);
    let clock = SystemClock::new();
    for kill in 1..=kills {
        world.fleet.allow(records * kill / kills / COURIERS);
        let moment = clock.mono_ms() + i64::try_from(world.chance.below(600)).unwrap();
        wait_for("the next kill", 10, || (clock.mono_ms() >= moment).then_some(()));
        let what = match (world.chance.below(4), &mut world.broker) {
            (0, _) => {
                world.kill_server();
                "server"
            }
            (1, Some(broker)) => {
                broker.cut();
                "broker"
            }
            _ => {
                world.fleet.kill();
                "courier"
            }
        };
        eprintln!("{} ms: {what} killed and back", clock.mono_ms());
    }
    world.settle();
    eprintln!("{} ms in all", clock.mono_ms());
}

#[test]
fn chaos_behind_a_mosquitto_leaves_every_record_once() {
    chaos(true);
}

#[test]
fn chaos_on_the_embedded_broker_leaves_every_record_once() {
    chaos(false);
}

/// By turns in order and as a power failure would. `LOA_CHAOS_RESTARTS` says how often.
#[test]
fn many_restarts_in_a_row_under_load_leave_every_record_once() {
    let restarts = size("LOA_CHAOS_RESTARTS", 8);
    let mut world = World::new(true);
    for n in 1..=restarts {
        world.fleet.allow(n * 100);
        if n % 2 == 0 {
            world.kill_server();
        } else {
            world.take_server().terminate(10);
            world.commune.serve();
        }
    }
    world.settle();
}
