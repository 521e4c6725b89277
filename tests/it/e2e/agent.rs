//! A loudspeaker in a process of its own, made of the same parts as `loa speaker`, whose wall clock
//! this test sets: the file `clock` in its folder says by how many milliseconds it is wrong.
//!
//! The test binary runs itself; the device dies by `kill -9` as the real one does.

use super::process::Running;
use loa::clock::{Clock, SharedClock, SystemClock};
use loa::device::hardware::Hardware;
use loa::device::identity::Home;
use loa::device::player::SinkSpec;
use loa::device::run::{Device, Settings};
use loa::device::trust::ClockMode;
use loa::domain::ids::ProfileId;
use loa::domain::profile::{Profile, SpeakerProfile};
use loa::domain::time::UtcMs;
use loa::mqtt::{self, MqttConfig, Password};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FOLDER: &str = "LOA_TEST_DEVICE";
const BROKER: &str = "LOA_TEST_BROKER";
const STREET: &str = "LOA_TEST_STREET";

/// Starts the device of an enrolled folder; it reaches the broker by that port of the loopback.
pub fn start(folder: &Path, port: u16, street: &Path, log: &Path) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg("e2e::agent::is_a_loudspeaker_until_it_is_killed")
        .env(FOLDER, folder)
        .env(BROKER, format!("mqtt://127.0.0.1:{port}"))
        .env(STREET, street);
    Running::start(command, log)
}

/// Sets the wall clock of a device, running or not, wrong by so much.
pub fn set_clock(folder: &Path, wrong_by_ms: i64) {
    // Renamed into place: the device never reads half a number.
    let beside = folder.join("clock.new");
    std::fs::write(&beside, wrong_by_ms.to_string()).unwrap();
    std::fs::rename(beside, folder.join("clock")).unwrap();
}

/// The machine's clock, set by somebody now and then.
struct SetClock {
    machine: SystemClock,
    wrong_by_ms: AtomicI64,
}

impl Clock for SetClock {
    fn now(&self) -> UtcMs {
        self.machine.now().plus(self.wrong_by_ms.load(Ordering::Relaxed))
    }

    fn mono_ms(&self) -> i64 {
        self.machine.mono_ms()
    }

    fn mono_us(&self) -> i64 {
        self.machine.mono_us()
    }

    fn uptime_ms(&self) -> Option<i64> {
        self.machine.uptime_ms()
    }

    fn sleep(&self, ms: i64) -> loa::clock::Sleep {
        self.machine.sleep(ms)
    }
}

fn wrong_by(folder: &Path) -> i64 {
    std::fs::read_to_string(folder.join("clock")).map_or(0, |text| text.parse().unwrap())
}

fn clock(folder: &Path) -> SharedClock {
    let wrong_by_ms = AtomicI64::new(wrong_by(folder));
    let clock = Arc::new(SetClock { machine: SystemClock::new(), wrong_by_ms });
    let (set, folder) = (Arc::clone(&clock), folder.to_owned());
    std::thread::spawn(move || {
        loop {
            set.wrong_by_ms.store(wrong_by(&folder), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    clock
}

#[test]
#[ignore = "the device that other tests start and kill"]
fn is_a_loudspeaker_until_it_is_killed() {
    let given = |name| PathBuf::from(std::env::var_os(name).expect("started by another test"));
    let (folder, street) = (given(FOLDER), given(STREET));
    let broker = std::env::var(BROKER).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let home = Home::open(&folder).unwrap();
        let id = home.identity.id.to_string();
        let password = Password::new(home.identity.password.clone());
        let config = MqttConfig::device(broker.parse().unwrap(), &id, password);
        let codecs = vec!["audio/wav".to_owned()];
        let profile = Profile {
            id: ProfileId::new("thu").unwrap(),
            title: "Thử".into(),
            speaker: Some(SpeakerProfile { codecs, longest_ms: 3_600_000 }),
            board: None,
            storage_bytes: 64 << 20,
            sheet_bytes: 65_536,
            chunk_kib: 32,
            clock_ppm: 50,
        };
        let fw = "test".to_owned();
        let settings = Settings { clock: ClockMode::Server, profile, ledger_bytes: 64 << 20, fw };
        let device = Device::open(home, settings, clock(&folder)).unwrap();
        let (hardware, outputs) = Hardware::speaker(SinkSpec::Wav(street), device.clock()).unwrap();
        let (link, messages, driver) = mqtt::prepare(config, device.wills()).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(driver.run(stop.clone()));
        device.run(hardware, outputs, link, messages, stop).await.unwrap();
    });
}
