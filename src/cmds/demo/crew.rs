//! The processes of the demo: started, watched, sent home in order.

use super::broke;
use super::commune::Commune;
use anyhow::Context as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a process may take to end by itself.
const LEAVE: Duration = Duration::from_secs(6);

/// Everybody who runs.
pub struct Crew {
    program: PathBuf,
    members: Vec<Member>,
}

struct Member {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Crew {
    /// Returns a crew of nobody.
    pub fn new(program: PathBuf) -> Self {
        Self { program, members: Vec::new() }
    }

    /// Makes the server's folder; returns the first token.
    pub async fn init(&self, commune: &Commune) -> anyhow::Result<String> {
        let made = Command::new(&self.program)
            .arg("init")
            // Nobody is there to approve: the page says so.
            .args(["--approval", "off", "--json"])
            .args(folders(commune))
            .output()
            .await
            .context("running `loa init`")?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        anyhow::ensure!(made.status.success(), "`loa init` failed: {}", said.trim());
        let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
        Ok(made["token"].as_str().context("`loa init` printed no token")?.to_owned())
    }

    /// Starts the server.
    pub fn serve(&mut self, commune: &Commune, http: u16, mqtt: u16) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(["--log", "info", "serve"])
            .args(folders(commune))
            .arg("--http")
            .arg(format!("127.0.0.1:{http}"))
            .arg("--mqtt")
            .arg(format!("127.0.0.1:{mqtt}"));
        self.start(commune, "server", command, Stdio::null())
    }

    /// Starts a loudspeaker.
    pub fn speaker(
        &mut self,
        commune: &Commune,
        device: &str,
        code: &str,
        sink: &str,
    ) -> anyhow::Result<()> {
        let mut command = self.device("speaker", commune, device, code);
        command.args(["--profile", "loa-ip", "--sink", sink]);
        self.start(commune, device, command, Stdio::null())
    }

    /// Starts a board.
    pub fn board(
        &mut self,
        commune: &Commune,
        device: &str,
        code: &str,
        output: &str,
    ) -> anyhow::Result<()> {
        let mut command = self.device("board", commune, device, code);
        command.args(["--profile", "bang-led-p10", "--output", output]);
        self.start(commune, device, command, Stdio::inherit())
    }

    fn device(&self, kind: &str, commune: &Commune, device: &str, code: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--log", "info", kind])
            .arg("--data")
            .arg(commune.root.join(device))
            .arg("--profiles")
            .arg(commune.profiles())
            // Not on the command line, where every user of this machine could read it.
            .env("LOA_ENROL", code);
        command
    }

    fn start(
        &mut self,
        commune: &Commune,
        name: &str,
        mut command: Command,
        out: Stdio,
    ) -> anyhow::Result<()> {
        let log = commune.root.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("making `{}`", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting `{name}`"))?;
        self.members.push(Member { name: name.to_owned(), child, log });
        Ok(())
    }

    /// Fails when somebody has ended who should run.
    pub fn check(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            if let Some(status) = member.child.try_wait()? {
                let what = format!("`{}` ended ({status})", member.name);
                return Err(broke(&what, &member.log));
            }
        }
        Ok(())
    }

    /// Returns the log of the server.
    pub fn server_log(&self) -> &Path {
        self.members.first().map_or(Path::new(""), |member| &member.log)
    }

    /// Sends everybody home, devices first so that their last records still arrive.
    pub async fn dismiss(&mut self) {
        while let Some(mut member) = self.members.pop() {
            if let Some(pid) = member.child.id() {
                // A terminal has already told the whole group; saying it again does no harm
                // before the end, since a process that is gone is not told.
                let _ = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
            }
            if tokio::time::timeout(LEAVE, member.child.wait()).await.is_err() {
                eprintln!("warning: `{}` did not end in time and was killed", member.name);
                let _ = member.child.kill().await;
            }
        }
    }
}

fn folders(commune: &Commune) -> Vec<std::ffi::OsString> {
    let mut all = Vec::new();
    for (option, path) in [
        ("--data", commune.data()),
        ("--playlists", commune.playlists()),
        ("--profiles", commune.profiles()),
    ] {
        all.push(option.into());
        all.push(path.into());
    }
    all
}
