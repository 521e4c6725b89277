//! Real processes of the real binary, ended with the test whatever happens.

use std::fmt::Debug;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use loa::clock::{Clock as _, SystemClock};

/// The binary under test: `LOA_BIN` (the release build in `make test`) or this build's own.
pub fn binary() -> PathBuf {
    std::env::var_os("LOA_BIN").map_or_else(|| env!("CARGO_BIN_EXE_loa").into(), PathBuf::from)
}

/// Asks until there is an answer; stops the test when there is none by the deadline.
pub fn wait_for<T>(what: &str, seconds: i64, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock.mono_ms() < seconds * 1000, "waited {seconds} s for {what}");
        thread::sleep(Duration::from_millis(40));
    }
}

/// Asks until there is an answer; stops the test when what the asking says of the way there has not
/// changed for so many seconds. For work whose length depends on its size.
pub fn wait_while_it_moves<T, P: PartialEq + Debug>(
    what: &str,
    seconds: i64,
    mut ask: impl FnMut() -> Result<T, P>,
) -> T {
    let clock = SystemClock::new();
    let mut last: Option<(P, i64)> = None;
    loop {
        let now = clock.mono_ms();
        match (ask(), &last) {
            (Ok(answer), _) => return answer,
            (Err(way), Some((before, since))) if way == *before => assert!(
                now - since < seconds * 1000,
                "waited for {what}: nothing has moved for {seconds} s since {way:?}"
            ),
            (Err(way), _) => last = Some((way, now)),
        }
        thread::sleep(Duration::from_millis(40));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a command to its end; returns exit code, stdout and stderr.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(binary()).args(args).stdin(Stdio::null()).output().unwrap();
    (
        out.status.code().unwrap_or(-1),
        String::from_utf8(out.stdout).unwrap(),
        String::from_utf8(out.stderr).unwrap(),
    )
}

/// Runs a command that must succeed and prints JSON.
pub fn json(args: &[&str]) -> serde_json::Value {
    let (code, out, err) = run(args);
    assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}"))
}

/// A process in the background; killed on drop.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts any command; what it says is added to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, log: log.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever took, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
    }

    /// Stops the test when the process has ended by itself.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("ended with {status}:\n{}", self.said());
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Cuts it off as a power failure would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and waits; returns how long that took in milliseconds.
    pub fn terminate(mut self, seconds: i64) -> i64 {
        let clock = SystemClock::new();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = wait_for("a clean end", seconds, || self.child.try_wait().unwrap());
        assert!(status.success(), "ended with {status}:\n{}", self.said());
        clock.mono_ms()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(60).collect();
            eprintln!("--- {}", self.log.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
