//! The server under measurement: this very program in a process of its own, with a district of
//! loudspeakers in a temporary folder.

use super::simulated::Simulated;
use crate::app::keyring::Keyring;
use crate::app::registry::{Reach, Register};
use crate::app::{access, people};
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::cmds::data::DataFolder;
use crate::cmds::{Answer, sample, serve};
use crate::store::SqliteStore;
use crate::wire::topic::Topics;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// In a second, as Linux counts them for programs on every machine.
const TICKS: f64 = 100.0;
/// How long a server may take to be ready.
const READY_MS: i64 = 60_000;

const PLAYLIST: &str = r#"title = "An toàn thông tin"
topic = "An toàn thông tin"

[targets]
units = ["90001"]

[[slots]]
id = "sang-chieu"
at = ["05:00", "17:00"]
longest = "5m"
"#;

/// A clip of the district's playlist: a tone.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    pub name: &'static str,
    pub hertz: u32,
    pub seconds: u32,
}

/// A folder with a station and its server's data; removed when dropped.
pub struct Host {
    root: PathBuf,
    program: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Host {
    /// Returns a host whose folder is still to be made.
    pub fn new() -> anyhow::Result<Self> {
        let root = std::env::temp_dir().join(format!("loa-bench-{:08x}", getrandom::u32()?));
        let program = std::env::current_exe().context("finding this program")?;
        Ok(Self { root, program })
    }

    /// Makes a district of so many loudspeakers, with one playlist of these clips twice a day.
    pub fn district(devices: usize, clips: &[Tone]) -> anyhow::Result<Self> {
        let host = Self::new()?;
        let playlists = host.root.join("playlists");
        sample::copy_station(&playlists)?;
        sample::copy_profiles(&host.root.join("device-profiles"))?;
        let mut csv = "id,name,unit,tags,profile,volume_cap,trim_ms\n".to_owned();
        for n in 0..devices {
            let unit = if n % 2 == 0 { "90001-thon1" } else { "90001-thon2" };
            writeln!(csv, "{},Cụm loa số {n},{unit},loa,loa-ip,100,0", device(n))?;
        }
        fs::write(playlists.join("devices.csv"), csv)?;
        let names: Vec<String> = clips.iter().map(|clip| format!("\"{}\"", clip.name)).collect();
        let mut playlist = format!("{PLAYLIST}items = [{}]\n", names.join(", "));
        for Tone { name, hertz, seconds } in clips {
            write!(
                playlist,
                "\n[[items]]\nid = \"{name}\"\ntitle = \"{name}\"\nclip = \"clips/{name}.wav\"\n"
            )?;
            fs::write(playlists.join(format!("clips/{name}.wav")), tone(*hertz, *seconds))?;
        }
        fs::write(playlists.join("an-toan.toml"), playlist)?;
        fs::remove_file(playlists.join("bang-chao-mung.toml"))?;
        host.init()?;
        Ok(host)
    }

    /// Adds a standby clip, for the notices of floods.
    pub fn add_standby(&self) -> anyhow::Result<()> {
        let playlists = self.root.join("playlists");
        fs::write(playlists.join("clips/lu-lut.wav"), tone(660, 10))?;
        let file = playlists.join("station.toml");
        let standby = "\n[standby.flood]\nclip = \"clips/lu-lut.wav\"\ntext = \"LŨ LỤT\"\n";
        let station = fs::read_to_string(&file)? + standby;
        fs::write(file, station).context("adding a standby clip")
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes keys and store.
    pub fn init(&self) -> anyhow::Result<()> {
        let made = self
            .command("init")
            .args(["--approval", "off"])
            .output()
            .context("running `loa init`")?;
        let said = String::from_utf8_lossy(&made.stderr);
        anyhow::ensure!(made.status.success(), "`loa init` failed: {said}");
        Ok(())
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
            .arg(self.profiles());
        command
    }

    /// Returns the folder of device profiles.
    pub fn profiles(&self) -> PathBuf {
        self.root.join("device-profiles")
    }

    /// Starts the server and waits until it is ready.
    pub fn serve(&self) -> anyhow::Result<Server> {
        self.serve_at(free_port()?, free_port()?)
    }

    /// The same on given ports, as after a restart.
    pub fn serve_at(&self, http: u16, mqtt: u16) -> anyhow::Result<Server> {
        let mut command = self.command("serve");
        command.args([
            "--http",
            &format!("127.0.0.1:{http}"),
            "--mqtt",
            &format!("127.0.0.1:{mqtt}"),
        ]);
        self.started(command, http, mqtt)
    }

    /// The same with a server that leaves the log out.
    pub fn serve_unlogged(&self, http: u16, mqtt: u16) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.program);
        command.args(["bench", "server"]);
        command
            .env("LOA_DATA", self.root.join("data"))
            .env("LOA_PLAYLISTS", self.root.join("playlists"))
            .env("LOA_PROFILES", self.profiles())
            .env("LOA_HTTP", format!("127.0.0.1:{http}"))
            .env("LOA_MQTT", format!("127.0.0.1:{mqtt}"));
        self.started(command, http, mqtt)
    }

    fn started(&self, mut command: Command, http: u16, mqtt: u16) -> anyhow::Result<Server> {
        let log = self.root.join("server.log");
        let clock = SystemClock::new();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("starting the server")?;
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
        let agent: ureq::Agent = config.build().into();
        let url = format!("http://127.0.0.1:{http}");
        let broker = format!("mqtt://127.0.0.1:{mqtt}");
        let mut process = Process { child };
        while agent.get(format!("{url}/readyz")).call().is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.child.try_wait()? {
                anyhow::bail!("the server ended ({status}):\n{}", said());
            }
            anyhow::ensure!(clock.mono_ms() < READY_MS, "the server is not ready:\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        let ready_s = clock.mono_ms() as f64 / 1_000.0;
        Ok(Server { process, url, broker, ports: (http, mqtt), ready_s })
    }

    /// Opens the store beside the server that runs on it.
    pub async fn store(&self) -> anyhow::Result<Arc<SqliteStore>> {
        Ok(Arc::new(DataFolder::existing(&self.root.join("data"))?.open_store().await?))
    }

    /// Returns the register on the store; a server that runs notices what is done there.
    pub fn register(&self, server: &Server, store: &Arc<SqliteStore>) -> anyhow::Result<Register> {
        let data = DataFolder::existing(&self.root.join("data"))?;
        let keys = data.read_keys()?;
        let chain = data.read_epochs(&keys)?;
        let keys = Keyring::new(keys, chain);
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
        Ok(Register::new(store.clone(), keys, clock, reach, data.read_password_seed()?))
    }

    /// Enrols so many devices.
    pub async fn enrol(
        &self,
        server: &Server,
        devices: usize,
    ) -> anyhow::Result<Vec<Arc<Simulated>>> {
        let store = self.store().await?;
        let register = self.register(server, &store)?;
        let mut enrolled = Vec::with_capacity(devices);
        for n in 0..devices {
            enrolled.push(Arc::new(Simulated::enrol(&register, &device(n).parse()?).await?));
        }
        drop(register);
        store.close().await;
        Ok(enrolled)
    }

    /// Returns a token of the first administrator.
    pub async fn token(&self) -> anyhow::Result<access::Secret> {
        let store = self.store().await?;
        let (person, now) = (people::FIRST.parse()?, SystemClock::new().now());
        let token = access::grant(&*store, "bench", Some(&person), access::API, now, None).await?;
        store.close().await;
        Ok(token)
    }

    /// Starts this program with other arguments; what it says on stderr goes to a file.
    pub fn start(&self, log: &str, args: &[&str], secret: &str) -> anyhow::Result<Process> {
        let child = Command::new(&self.program)
            .args(args)
            .env("LOA_ENROL", secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.root.join(log))?)
            .spawn()
            .context("starting this program again")?;
        Ok(Process { child })
    }
}

/// Serves as `loa serve` does with the options of the environment, but leaves the log out.
pub fn unlogged() -> anyhow::Result<Answer> {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: serve::Args,
    }
    let options =
        Line::try_parse_from(["loa"]).context("reading the environment")?.args.options()?;
    serve::run_with(&serve::Options { logging: serve::Logging::LeftOut, ..options })
}

fn device(n: usize) -> String {
    format!("loa-{n:04}")
}

/// A running server.
pub struct Server {
    pub process: Process,
    pub url: String,
    pub broker: String,
    /// Of HTTP and MQTT.
    pub ports: (u16, u16),
    /// From its start until it was ready.
    pub ready_s: f64,
}

/// A child; killed when dropped.
pub struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: f64,
    pub most: f64,
}

impl Process {
    /// Asks it to end, as an operator does, and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process without a number")?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process without a number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Returns how many seconds of processors' time it has taken.
    pub fn cpu_s(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("reading `{path}`"))?;
        // The name in brackets may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut ticks = fields.split_ascii_whitespace().skip(11);
        let mut next = || -> anyhow::Result<f64> {
            Ok(ticks.next().context("this system does not say how much time is taken")?.parse()?)
        };
        Ok((next()? + next()?) / TICKS)
    }

    /// Starts `loa bench broker`: the embedded broker and nothing else. Returns it with the line
    /// in which it says where it listens.
    pub fn broker() -> anyhow::Result<(Self, String)> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .args(["bench", "broker"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a broker")?;
        let out = child.stdout.take().context("a broker without output")?;
        let process = Self { child };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("asking a broker where it listens")?;
        Ok((process, line))
    }

    /// Says whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns how much memory is resident, and was at most.
    pub fn memory(&self) -> anyhow::Result<Memory> {
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

/// Picks a free port; the server listens there a moment later.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A WAV file of a tone that comes and goes, 16 bits, mono, 44.1 kHz.
pub fn tone(hertz: u32, seconds: u32) -> Vec<u8> {
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
