//! A PulseAudio of the test's own: a null sink whose monitor can be recorded.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Runs until dropped.
#[derive(Debug)]
pub struct Pulse {
    folder: TempDir,
    server: Child,
}

impl Pulse {
    /// Starts the server and waits until it answers.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let server = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--system=false", "--exit-idle-time=-1"])
            .args(["--use-pid-file=no", "--disable-shm=yes", "--log-level=error"])
            .arg("--load=module-null-sink sink_name=street rate=48000 channels=2")
            .arg(format!("--load=module-native-protocol-unix socket={at}/native auth-anonymous=1"))
            .envs([("HOME", folder.path()), ("XDG_RUNTIME_DIR", folder.path())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PulseAudio is installed by `make setup`");
        let pulse = Self { folder, server };
        super::wait::until("PulseAudio answers", || {
            let mut info = pulse.client("pactl");
            info.arg("info").stdout(Stdio::null()).stderr(Stdio::null());
            info.status().is_ok_and(|status| status.success())
        })
        .await;
        pulse
    }

    /// Returns a command whose sound goes to this server.
    pub fn client(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("PULSE_SERVER", format!("unix:{}/native", self.folder.path().display()))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path());
        command
    }

    /// Records what the street hears: 16 bit, stereo, 48 kHz.
    pub fn record(&self) -> Recording {
        let path = self.folder.path().join("street.raw");
        let program = self
            .client("parec")
            .args(["--device=street.monitor", "--rate=48000", "--channels=2", "--format=s16le"])
            .args(["--latency-msec=200", "--raw"])
            .stdout(File::create(&path).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Recording { path, program }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.server.kill(); // gone already: fine
        let _ = self.server.wait();
    }
}

/// A recording under way.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    program: Child,
}

impl Recording {
    /// Returns how many seconds are recorded.
    pub fn seconds(&self) -> f64 {
        std::fs::metadata(&self.path).unwrap().len() as f64 / (48_000.0 * 4.0)
    }

    /// Ends it and returns the left channel.
    pub fn finish(mut self) -> Vec<f32> {
        let _ = self.program.kill(); // ends only this way
        self.program.wait().unwrap();
        let bytes = std::fs::read(&self.path).unwrap();
        let left = |frame: &[u8]| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0;
        bytes.chunks_exact(4).map(left).collect()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.program.kill(); // ended already: fine
        let _ = self.program.wait();
    }
}
