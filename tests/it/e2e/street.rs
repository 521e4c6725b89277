//! A day on the street while everything is killed: two loudspeakers and a board follow a day of
//! cues, couriers deliver records; server, broker (which forgets everything) and devices are cut
//! off at random, a device's clock is set wrong by up to three days, running or not, and its line
//! repeats and reorders.
//!
//! In the end every record is there once, every chain is whole, no stretch of a clip has sounded
//! twice and nothing has sounded outside its time: by the records, by what the street heard, and by
//! a clock that no device can touch.
//!
//! `LOA_CHAOS_CUES` says how long the day is; a long one has quiet hours in its midst.
//! `LOA_CHAOS_RECORDS` is shared with the other runs. The choices come from `LOA_SEED`.

use super::agent;
use super::chance::Chance;
use super::chaos::{exported, size};
use super::commune::{CLIP_S, Commune, claims, in_seconds, local_time};
use super::courier::{Fleet, read_ledger};
use super::listener::Ear;
use super::mosquitto::Mosquitto;
use super::process::{Running, wait_for, wait_while_it_moves};
use super::relay::Relay;
use super::sound::{Recording, write_rise};
use loa::clock::{Clock as _, SystemClock};
use loa::device::enrol::{self, Dates};
use loa::device::ledger::frame;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const EVERY_MS: i64 = 6_000;
const CLIP_MS: i64 = CLIP_S * 1000;
const MINUTE: i64 = 60_000;
/// Each clip rises through a band of its own, so that what is heard says which clip it is and
/// which stretch of it.
const BANDS: usize = 12;
const RISE: f64 = 300.0;
/// The real agent, and one of the same parts whose clock is set.
const SPEAKERS: [&str; 2] = ["loa-dinh-lang", "loa-cho"];
const BOARD: &str = "bang-cong";
const COURIERS: [&str; 2] = ["loa-chuyen-1", "loa-chuyen-2"];
/// How far a sound may lie beside its time on a machine that does much else.
const LATE_MS: i64 = 2_000;

fn low(band: usize) -> f64 {
    500.0 + 450.0 * band as f64
}

/// The cues of the day, and a minute among them in which nothing may sound.
struct Day {
    cues: Vec<i64>,
    quiet: Option<(i64, i64)>,
}

impl Day {
    /// Begins when the schedule can have come, by how long this machine took to set up the street.
    fn after(setup_ms: i64) -> Self {
        let number = size("LOA_CHAOS_CUES", 5);
        let first = in_seconds(16 + setup_ms / 1_000);
        let mut day = Self { cues: Vec::new(), quiet: None };
        if number >= 20 {
            let from = (first + 40_000) / MINUTE * MINUTE + MINUTE;
            day.quiet = Some((from, from + MINUTE));
        }
        let mut at = first;
        while (day.cues.len() as u64) < number {
            if let Some((from, to)) = day.quiet
                && at + CLIP_MS > from
                && at < to
            {
                // One ends with the last instant before, one begins with the first after.
                day.cues.push(from - CLIP_MS);
                at = to;
            }
            day.cues.push(at);
            at += EVERY_MS;
        }
        day.cues.dedup_by(|later, before| *later - *before < CLIP_MS + 500);
        day
    }

    fn end(&self) -> i64 {
        self.cues[self.cues.len() - 1] + CLIP_MS
    }

    /// Writes clips, playlist and policy.
    fn save(&self, commune: &Commune) {
        let clips = commune.path("playlists/clips");
        let mut text = "title = \"Ngày thử\"\n[targets]\nunits = [\"99901\"]\n".to_owned();
        for band in 0..BANDS.min(self.cues.len()) {
            let file = format!("còi {band}.wav");
            write_rise(&clips.join(&file), CLIP_S as f64, low(band), low(band) + RISE);
            let times = self.cues.iter().skip(band).step_by(BANDS);
            let times: Vec<_> = times.map(|at| format!("\"{}\"", local_time(*at))).collect();
            let _ = write!(
                text,
                "[[items]]\nid = \"coi-{band}\"\ntitle = \"Còi {band}\"\nclip = \"clips/{file}\"\n\
                 origin = \"xã\"\n[[slots]]\nid = \"loa-{band}\"\nat = [{}]\nlongest = \"10s\"\n\
                 items = [\"coi-{band}\"]\n",
                times.join(", ")
            );
        }
        let boards = self.cues.iter().step_by(4);
        let boards: Vec<_> = boards.map(|at| format!("\"{}\"", local_time(*at))).collect();
        let _ = write!(
            text,
            "[[items]]\nid = \"chu\"\ntitle = \"Chữ\"\n[[items.pages]]\ntext = \"Kính chào bà con\"\n\
             dwell = \"2s\"\n[[slots]]\nid = \"bang\"\nat = [{}]\nlongest = \"10s\"\n\
             items = [\"chu\"]\n",
            boards.join(", ")
        );
        if let Some((from, to)) = self.quiet {
            std::fs::create_dir_all(commune.path("playlists/policies")).unwrap();
            let hours = [from, to].map(|at| local_time(at)[..5].to_owned()).join("-");
            let policy = format!("title = \"Giờ yên tĩnh\"\nquiet = [\"{hours}\"]\n");
            commune.write("playlists/policies/yen-tinh.toml", &policy);
        }
        commune.write("playlists/ngay.toml", &text);
    }

    /// Asserts that a sound lies within a cue and outside the quiet hours, but for `slack`.
    fn allows(&self, from: i64, to: i64, slack: i64, what: &str) {
        let within = |cue: &&i64| from >= **cue - slack && to <= **cue + CLIP_MS + slack;
        assert!(self.cues.iter().any(|cue| within(&cue)), "{what}: {from} to {to} is in no cue");
        if let Some((begin, end)) = self.quiet {
            let quiet = to > begin + slack && from < end - slack;
            assert!(!quiet, "{what}: {from} to {to} lies in the quiet hours from {begin}");
        }
    }
}

/// The street and everybody on it.
struct Street {
    commune: Commune,
    broker: Mosquitto,
    line: Relay,
    fleet: Fleet,
    running: BTreeMap<&'static str, Running>,
    chance: Chance,
    peak_kib: u64,
}

impl Street {
    fn new() -> Self {
        let mut chance = Chance::new();
        let mut commune = Commune::new();
        let mut rows =
            "id,name,unit,tags,profile\nbang-cong,Bảng cổng,99901,,bang-thu\n".to_owned();
        for id in SPEAKERS.iter().chain(&COURIERS) {
            writeln!(rows, "{id},Loa {id},{},,loa-thu", unit(id)).unwrap();
        }
        commune.write("playlists/devices.csv", &rows);
        commune.write(
            "playlists/units.csv",
            "id,name,parent\n51,Tỉnh Quảng Ngãi,\n99901,Xã Đông Hoà,51\n99902,Xã Khác,51\n",
        );
        commune.init();
        let broker = Mosquitto::install(&commune);
        commune.serve();
        let at = std::net::SocketAddr::from(([127, 0, 0, 1], broker.port()));
        let line = Relay::to(at, chance.below(u64::MAX));
        for device in [SPEAKERS[0], BOARD] {
            commune.enrol(device);
        }
        let set = commune.path(SPEAKERS[1]);
        let now = SystemClock::new().now();
        let code = commune.code(SPEAKERS[1]).parse().unwrap();
        enrol::enrol(&set, &code, false, "test", now, Dates::Judged).unwrap();
        let couriers = COURIERS.map(|id| (commune.path(id), commune.code(id)));
        let mut fleet = Fleet::enrol(couriers.to_vec(), chance.split());
        let (running, peak_kib) = (BTreeMap::new(), 0);
        fleet.start();
        let mut street = Self { commune, broker, line, fleet, running, chance, peak_kib };
        for id in [SPEAKERS[0], SPEAKERS[1], BOARD] {
            street.wake(id);
        }
        for id in SPEAKERS.iter().chain(&COURIERS).chain(&[BOARD]) {
            street.broker.admit(&street.commune, id);
        }
        street
    }

    fn wake(&mut self, id: &'static str) {
        let commune = &self.commune;
        let device = if id == SPEAKERS[1] {
            let log = commune.path(&format!("{id}.log"));
            agent::start(&commune.path(id), self.line.port(), &wav(commune, id), &log)
        } else {
            commune.device(id)
        };
        self.running.insert(id, device);
    }

    /// Does harm to somebody and says what.
    fn harm(&mut self) -> String {
        let device =
            [SPEAKERS[0], SPEAKERS[1], BOARD][usize::try_from(self.chance.below(3)).unwrap()];
        match self.chance.below(8) {
            0 => {
                let server = self.commune.server.take().unwrap();
                self.peak_kib = self.peak_kib.max(server.peak_kib());
                server.kill();
                self.commune.serve();
                "server killed".to_owned()
            }
            1 => {
                self.broker.cut();
                "broker killed; it forgot everything".to_owned()
            }
            2 => {
                self.fleet.kill();
                "courier killed".to_owned()
            }
            3 => {
                let wrong = self.step();
                format!("clock of {} wrong by {wrong} ms", SPEAKERS[1])
            }
            4 => {
                self.running.remove(SPEAKERS[1]).unwrap().kill();
                let wrong = self.step();
                self.wake(SPEAKERS[1]);
                format!("{} killed, meanwhile its clock wrong by {wrong} ms", SPEAKERS[1])
            }
            _ => {
                self.running.remove(device).unwrap().kill();
                self.wake(device);
                format!("{device} killed")
            }
        }
    }

    /// Sets the clock by seconds, minutes or days, forward or back, or right again.
    fn step(&mut self) -> i64 {
        let most =
            [1, 5_000, 600_000, 3 * 86_400_000][usize::try_from(self.chance.below(4)).unwrap()];
        let wrong = i64::try_from(self.chance.below(2 * most)).unwrap() - most.cast_signed();
        agent::set_clock(&self.commune.path(SPEAKERS[1]), wrong);
        wrong
    }

    /// Waits until the server has what each device had recorded when the harm was over.
    fn settle(&self) {
        for device in SPEAKERS.iter().chain(&[BOARD]) {
            let made = recorded(&self.commune.path(device)).min(10_000);
            wait_while_it_moves("what a device has recorded", 60, || {
                let stored =
                    self.commune.json(&["records", "--device", device, "--limit", "10000"]);
                let stored = stored.as_array().unwrap().len();
                if stored >= made { Ok(()) } else { Err((*device, stored, made)) }
            });
        }
    }

    /// Waits until both loudspeakers have told of every cue; returns what they told.
    fn plays(&self, day: &Day) -> BTreeMap<&'static str, Vec<Value>> {
        wait_while_it_moves("a record of every cue", 60, || {
            let mut plays: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            let mut missing = 0;
            for id in SPEAKERS {
                let told = self
                    .commune
                    .json(&["records", "--device", id, "--kind", "play", "--limit", "10000"]);
                let told: Vec<_> =
                    told.as_array().unwrap().iter().map(|r| claims(r).clone()).collect();
                let due: BTreeSet<_> = told.iter().filter_map(|p| p["due_ms"].as_i64()).collect();
                missing += day.cues.iter().filter(|at| !due.contains(at)).count();
                plays.insert(id, told);
            }
            if missing == 0 { Ok(plays) } else { Err(missing) }
        })
    }
}

/// How many records a device that runs has written.
fn recorded(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("ledger")).unwrap();
    let logs = files.map(|file| file.unwrap().path());
    let logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    logs.map(|path| frame::scan(&std::fs::read(path).unwrap()).entries.len()).sum()
}

fn unit(device: &str) -> &'static str {
    if device.starts_with("loa-chuyen") { "99902" } else { "99901" }
}

fn wav(commune: &Commune, id: &str) -> PathBuf {
    if id == SPEAKERS[0] { commune.street() } else { commune.path(&format!("{id}.wav")) }
}

/// By the records: each stretch of each cue once, and in its time.
fn judge_plays(day: &Day, device: &str, plays: &[Value]) -> (usize, i64) {
    let mut by_cue: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for play in plays {
        by_cue.entry(play["due_ms"].as_i64().unwrap()).or_default().push(play);
    }
    let (mut whole, mut sum) = (0, 0);
    for (due, plays) in &by_cue {
        assert!(day.cues.contains(due), "{device}: {due} was not planned");
        let played: i64 = plays.iter().map(|p| p["played_ms"].as_i64().unwrap()).sum();
        assert!(
            played <= CLIP_MS + 50,
            "{device}: {played} ms of a clip of {CLIP_MS} ms: {plays:?}"
        );
        let mut spans = Vec::new();
        for play in plays {
            let outcome = play["outcome"].as_str().unwrap();
            assert!(["played", "partial", "failed"].contains(&outcome), "{device}: {play}");
            whole += usize::from(outcome == "played");
            if let (Some(from), Some(to)) = (play["started_ms"].as_i64(), play["ended_ms"].as_i64())
            {
                // The clock may be set by so much between two stretches, as the record says.
                let error = play["clock"]["err_ms"].as_i64().unwrap_or(0);
                day.allows(from, to, 1_000 + error, device);
                spans.push((from, to, error));
            }
        }
        spans.sort_unstable();
        let slack = |pair: &[(i64, i64, i64)]| 50 + pair[0].2 + pair[1].2;
        let apart = spans.windows(2).all(|pair| pair[1].0 >= pair[0].1 - slack(pair));
        assert!(apart, "{device}: stretches of {due} overlap: {spans:?}");
        sum += played;
    }
    (whole, sum)
}

/// By what the street heard: in each band the pitch only rises, but for a fall from one cue to the
/// next of the same clip.
fn judge_street(day: &Day, device: &str, street: &Recording) -> f64 {
    let window = street.rate as usize / 10;
    let mut last = [0.0; BANDS];
    let mut falls = [const { Vec::new() }; BANDS];
    let mut heard = 0.0;
    for stretch in street.stretches() {
        let (mut at, to) = stretch;
        while at + window <= to {
            let samples = &street.samples[at..at + window];
            // Silence in a part of the window would lower what is counted in it.
            let sounds = samples.chunks(window / 50).all(|c| c.iter().any(|s| s.abs() > 0.01));
            let pitch = street.pitch_of(samples);
            at += window / 2;
            let band =
                (0..BANDS).find(|b| (low(*b) - 30.0..low(*b) + RISE + 30.0).contains(&pitch));
            let Some(band) = band.filter(|_| sounds) else { continue };
            heard += 0.05;
            // 15 Hz are 150 ms of the clip.
            if pitch < last[band] - 15.0 {
                // Where it fell, by how much, where the stretch began.
                let ms = |at: usize| at * 1_000 / street.rate as usize;
                falls[band].push((ms(at - window / 2), last[band] - pitch, ms(stretch.0)));
                last[band] = pitch;
            }
            last[band] = pitch.max(last[band]);
        }
    }
    for (band, falls) in falls.into_iter().enumerate() {
        let cues = day.cues.iter().skip(band).step_by(BANDS).count();
        assert!(falls.len() < cues.max(1), "{device}: clip {band}, {cues} cues, falls {falls:?}");
    }
    heard
}

/// Sorts what the server has as the ledger has it.
fn in_order(stored: &[String], ledger: &[String]) -> Vec<String> {
    let places: BTreeMap<&String, usize> = ledger.iter().zip(0..).collect();
    let mut stored = stored.to_vec();
    stored.sort_by_cached_key(|line| places.get(line).copied());
    stored
}

/// What the server has of a device is its chain from the first record on, each once; what it lacks
/// are the last words of one that was told to end.
fn judge_chain(commune: &Commune, device: &str, stored: &[String]) {
    let (_, ledger) = read_ledger(&commune.path(device));
    let stored = in_order(stored, &ledger);
    assert!(stored.len() <= ledger.len(), "{device}: more than it has");
    assert!(stored == ledger[..stored.len()], "{device}: byte for byte, each once");
    assert!(ledger.len() - stored.len() < 5, "{device}: {} lack", ledger.len() - stored.len());
}

#[test]
fn whoever_is_killed_nothing_is_lost_nothing_sounds_twice_or_outside_its_time() {
    let clock = SystemClock::new();
    let begun = clock.mono_ms();
    let mut street = Street::new();
    let day = Day::after(clock.mono_ms() - begun);
    day.save(&street.commune);
    let ears = SPEAKERS.map(|id| Ear::at(&wav(&street.commune, id)));
    let records = size("LOA_CHAOS_RECORDS", 1_000) / COURIERS.len() as u64;

    // The harm begins when both loudspeakers have their schedule.
    for id in SPEAKERS {
        wait_for("the first start", 60, || street.commune.records_of(id, "start").pop());
    }
    let begun = clock.now().0;
    let mut harms = 0;
    while clock.now().0 < day.end() {
        let (done, whole) = (clock.now().0 - begun, (day.end() - begun).max(1));
        street.fleet.allow(records * done.min(whole).unsigned_abs() / whole.unsigned_abs());
        let next = clock.now().0 + 400 + i64::try_from(street.chance.below(2_400)).unwrap();
        wait_for("the next harm", 10, || (clock.now().0 >= next).then_some(()));
        eprintln!("{} ms: {}", clock.mono_ms(), street.harm());
        harms += 1;
    }
    street.fleet.allow(records);

    let plays = street.plays(&day);
    let fleet = &street.fleet;
    wait_while_it_moves("a receipt for every record", 60, || match fleet.standing() {
        (true, 0) => Ok(()),
        way => Err(way),
    });
    street.settle();
    for (_, device) in std::mem::take(&mut street.running) {
        device.kill();
    }
    let stored = exported(&street.commune);
    let none = Vec::new();
    let of = |device: &str| stored.get(device).unwrap_or(&none);
    for device in SPEAKERS.iter().chain(&[BOARD]) {
        judge_chain(&street.commune, device, of(device));
    }
    let mut delivered = 0;
    for (courier, ledger) in street.fleet.ledgers() {
        let found = in_order(of(courier.as_str()), &ledger);
        assert!(found == ledger, "{courier}: {} of {}", found.len(), ledger.len());
        delivered += found.len();
    }
    let mut said = String::new();
    for (device, ear) in SPEAKERS.into_iter().zip(ears) {
        let (whole, played) = judge_plays(&day, device, &plays[device]);
        let recording = Recording::read(&wav(&street.commune, device));
        let heard = judge_street(&day, device, &recording);
        let spans = ear.heard();
        assert!(!spans.is_empty(), "{device}: nothing was heard");
        for (from, to) in spans {
            day.allows(from, to, LATE_MS, "by this machine's clock");
        }
        let _ = write!(said, "; {device}: {whole} whole, {played} ms told, {heard:.1} s heard");
    }
    let server = street.commune.server.take().unwrap();
    let peak = street.peak_kib.max(server.peak_kib());
    server.terminate(10);
    let (swapped, repeated) = street.line.harm();
    eprintln!(
        "{} cues, {harms} times harm, {swapped} swapped, {repeated} repeated, {delivered} records of \
         couriers{said}; server {peak} KiB at most",
        day.cues.len()
    );
}
