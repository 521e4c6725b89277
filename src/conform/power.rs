//! Cuts and gives power, and hands over enrolment codes: by a command, or by asking the person.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// A command that hangs must not hang the run.
const COMMAND: Duration = Duration::from_mins(1);

/// Who has a hand on the device.
#[derive(Clone, Debug)]
pub struct Rig {
    /// Run by the shell with `on` or `off` behind it.
    pub power: Option<String>,
    /// Run by the shell with the code in `LOA_ENROL`.
    pub enrol: Option<String>,
    /// Whether a person may be asked.
    pub ask: bool,
}

/// Why the device could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    #[error("nobody can switch the device")]
    Nobody,
    #[error("cannot run `{command}`")]
    Run {
        command: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{command}` ended with {status}")]
    Ended { command: String, status: std::process::ExitStatus },
    #[error("`{command}` did not end within {} s", COMMAND.as_secs())]
    Hung { command: String },
    #[error("nobody answered")]
    Silent,
}

impl Rig {
    /// Says whether there is anybody to ask at the terminal.
    pub fn at_terminal() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Says whether power can be cut.
    pub fn cuts(&self) -> bool {
        self.power.is_some() || self.ask
    }

    /// Cuts the power.
    pub async fn off(&self) -> Result<(), RigError> {
        self.switch("off", "Cut the power of the device now (no proper shutdown)").await
    }

    /// Gives power.
    pub async fn on(&self) -> Result<(), RigError> {
        self.switch("on", "Give power to the device now").await
    }

    async fn switch(&self, word: &str, please: &str) -> Result<(), RigError> {
        match &self.power {
            Some(command) => run(&format!("{command} {word}"), None).await?.ok(),
            None if self.ask => ask(please).await,
            None => Err(RigError::Nobody),
        }
    }

    /// Lets the device enrol; says whether the device took the code, where that is known.
    pub async fn enrol(&self, code: &str, note: &str) -> Result<Option<bool>, RigError> {
        let Some(command) = &self.enrol else {
            said(&format!("{note}\n\n    {code}\n"));
            return Ok(None);
        };
        Ok(Some(run(command, Some(code)).await?.status.success()))
    }
}

/// How a command ended.
struct Done {
    command: String,
    status: std::process::ExitStatus,
}

impl Done {
    fn ok(self) -> Result<(), RigError> {
        if self.status.success() {
            Ok(())
        } else {
            Err(RigError::Ended { command: self.command, status: self.status })
        }
    }
}

async fn run(command: &str, code: Option<&str>) -> Result<Done, RigError> {
    let failed = |source| RigError::Run { command: command.to_owned(), source };
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(code) = code {
        shell.env("LOA_ENROL", code);
    }
    let mut child = shell.kill_on_drop(true).spawn().map_err(failed)?;
    let ended = tokio::time::timeout(COMMAND, child.wait()).await;
    let status = ended.map_err(|_| RigError::Hung { command: command.to_owned() })?;
    Ok(Done { command: command.to_owned(), status: status.map_err(failed)? })
}

/// Tells the person something; who does not read it misses nothing but that.
pub fn said(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

async fn ask(please: &str) -> Result<(), RigError> {
    said(&format!("→ {please}, then press Enter"));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)
    });
    match line.await {
        Ok(Ok(n)) if n > 0 => Ok(()),
        _ => Err(RigError::Silent),
    }
}
