//! Memory of a server that carries a large district: a thousand devices, enrolled by code,
//! connected to the embedded broker, fetching two clips and proving themselves, all at once.
//!
//! The server is a process of its own (this program, `serve`); the devices are [`super::devices`]
//! in this one.

use super::Row;
use super::devices::{Fleet, Progress, Simulated};
use crate::app::registry::{Reach, Register};
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::cmds::data::DataFolder;
use crate::cmds::{runtime, sample};
use crate::wire::topic::Topics;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DEVICES: usize = 1_000;
/// Longest that a step may take.
const PATIENCE: Duration = Duration::from_mins(5);

const PLAYLIST: &str = r#"title = "An toàn thông tin"
topic = "An toàn thông tin"

[targets]
units = ["90001"]

[[items]]
id = "mo-dau"
title = "Mở đầu"
clip = "clips/mo-dau.wav"

[[items]]
id = "noi-dung"
title = "Nội dung"
clip = "clips/noi-dung.wav"

[[slots]]
id = "sang-chieu"
at = ["05:00", "17:00"]
longest = "5m"
items = ["mo-dau", "noi-dung"]
"#;

/// Measures it.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let root = std::env::temp_dir().join(format!("loa-bench-{:08x}", getrandom::u32()?));
    let measured = measure(&root);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("removing `{}`", root.display()))?;
    }
    measured
}

fn measure(root: &Path) -> anyhow::Result<Vec<Row>> {
    let district = District::make(root)?;
    let server = district.serve()?;
    let empty = server.memory()?.now;
    let runtime = runtime()?;
    let devices = runtime.block_on(district.enrol(&server))?;
    let clock = SystemClock::new();
    let begun = clock.mono_ms();
    let fleet = runtime.block_on(async { Fleet::start(devices) })?;
    let all = DEVICES as u64;
    let done = |progress: &Progress| {
        [&progress.connected, &progress.planned, &progress.ready, &progress.receipted]
            .iter()
            .all(|counter| counter.load(Ordering::Relaxed) == all)
    };
    while !done(&fleet.progress) {
        anyhow::ensure!(
            clock.mono_ms() - begun < i64::try_from(PATIENCE.as_millis())?,
            "not every device is served: {:?}",
            fleet.progress
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let taken_s = (clock.mono_ms() - begun) as f64 / 1_000.0;
    let chunks = fleet.progress.chunks.load(Ordering::Relaxed);
    // Calm again: what stays when everybody holds everything.
    std::thread::sleep(Duration::from_secs(10));
    let memory = server.memory()?;
    drop(fleet);
    runtime.shutdown_background();
    Ok(vec![Row::at_most("memory of a server with 1,000 devices", memory.now, 150.0, "MB").note(
        format!(
            "resident once all hold two clips; {:.0} MB at the most while {chunks} chunks went \
                 out in {taken_s:.0} s, {empty:.0} MB without devices",
            memory.most
        ),
    )])
}

/// A station with a thousand loudspeakers.
struct District {
    root: PathBuf,
    program: PathBuf,
}

impl District {
    fn make(root: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let district = Self { root: root.to_owned(), program };
        let playlists = root.join("playlists");
        sample::copy_station(&playlists)?;
        sample::copy_profiles(&root.join("device-profiles"))?;
        let mut csv = "id,name,unit,tags,profile,volume_cap,trim_ms\n".to_owned();
        for n in 0..DEVICES {
            let unit = if n % 2 == 0 { "90001-thon1" } else { "90001-thon2" };
            writeln!(csv, "loa-{n:04},Cụm loa số {n},{unit},loa,loa-ip,100,0")?;
        }
        fs::write(playlists.join("devices.csv"), csv)?;
        fs::write(playlists.join("an-toan.toml"), PLAYLIST)?;
        fs::remove_file(playlists.join("bang-chao-mung.toml"))?;
        for (name, hertz) in [("mo-dau", 440), ("noi-dung", 523)] {
            fs::write(playlists.join(format!("clips/{name}.wav")), tone(hertz, 10))?;
        }
        let made = district.command("init").output().context("running `loa init`")?;
        anyhow::ensure!(
            made.status.success(),
            "`loa init` failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(district)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(name)
            .arg("--data")
            .arg(self.root.join("data"))
            .arg("--playlists")
            .arg(self.root.join("playlists"))
            .arg("--profiles")
            .arg(self.root.join("device-profiles"));
        command
    }

    /// Starts the server and waits until it is ready.
    fn serve(&self) -> anyhow::Result<Server> {
        let (http, mqtt) = (free_port()?, free_port()?);
        let log = fs::File::create(self.root.join("server.log"))?;
        let child = self
            .command("serve")
            .args(["--http", &format!("127.0.0.1:{http}"), "--mqtt", &format!("127.0.0.1:{mqtt}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting the server")?;
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
        let agent: ureq::Agent = config.build().into();
        let url = format!("http://127.0.0.1:{http}");
        let mut server = Server { child, url, broker: format!("mqtt://127.0.0.1:{mqtt}") };
        let clock = SystemClock::new();
        let begun = clock.mono_ms();
        while agent.get(format!("{}/readyz", server.url)).call().is_err() {
            let said = || fs::read_to_string(self.root.join("server.log")).unwrap_or_default();
            if let Some(status) = server.child.try_wait()? {
                anyhow::bail!("the server ended ({status}):\n{}", said());
            }
            let waited = clock.mono_ms() - begun < 60_000;
            anyhow::ensure!(waited, "the server is not ready:\n{}", said());
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }

    /// Enrols every device in the store on which the server runs; it notices by itself.
    async fn enrol(&self, server: &Server) -> anyhow::Result<Vec<Simulated>> {
        let data = DataFolder::existing(&self.root.join("data"))?;
        let keys = Arc::new(data.read_keys()?);
        let epochs = Arc::new(data.read_epochs(&keys)?);
        let store = Arc::new(data.open_store().await?);
        let reach = Reach {
            name: "bench".to_owned(),
            url: server.url.clone(),
            ca: None,
            broker: server.broker.clone(),
            broker_ca: None,
            topics: Topics::default(),
            offset_min: 420,
        };
        let clock: SharedClock = Arc::new(SystemClock::new());
        let register = Register::new(store.clone(), keys, epochs, clock, reach);
        let mut devices = Vec::with_capacity(DEVICES);
        for n in 0..DEVICES {
            devices.push(Simulated::enrol(&register, &format!("loa-{n:04}").parse()?).await?);
        }
        drop(register);
        store.close().await;
        Ok(devices)
    }
}

/// A running server; killed when dropped.
struct Server {
    child: Child,
    url: String,
    broker: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory in MB.
struct Memory {
    now: f64,
    most: f64,
}

impl Server {
    fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading `{path}`"))?;
        let figure = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kib: f64 =
                kib.context("this system does not say how much memory is used")?.parse()?;
            Ok(kib * 1_024.0 / 1e6)
        };
        Ok(Memory { now: figure("VmRSS:")?, most: figure("VmHWM:")? })
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A WAV file of a tone that comes and goes, 16 bits, mono, 44.1 kHz.
fn tone(hertz: u32, seconds: u32) -> Vec<u8> {
    const RATE: u32 = 44_100;
    let data = 2 * RATE * seconds;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(RATE.to_le_bytes());
    wav.extend((2 * RATE).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(data.to_le_bytes());
    for n in 0..RATE * seconds {
        let t = f64::from(n) / f64::from(RATE);
        let swell = 0.6 + 0.4 * (t * 0.7).sin();
        let sample = (t * f64::from(hertz) * std::f64::consts::TAU).sin() * swell * 8_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "at most 8,000 either way")]
        let sample = sample as i16;
        wav.extend(sample.to_le_bytes());
    }
    wav
}
