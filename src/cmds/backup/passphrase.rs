//! The passphrase of a backup: from a file, the environment or a prompt, never from the command
//! line, which every user of the machine can read.

use super::super::{Advise as _, wrong_use};
use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Stdin};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Fewest characters of a new passphrase: somebody with the file may try for years.
const FEWEST: usize = 12;
const MOST_BYTES: u64 = 4_096;
const VARIABLE: &str = "LOA_BACKUP_PASSPHRASE";

/// Where the passphrase comes from.
#[derive(Debug, clap::Args)]
pub struct PassphraseOption {
    /// File whose first line is the passphrase; without it `LOA_BACKUP_PASSPHRASE` is used, or it
    /// is asked for
    #[arg(long, value_name = "FILE", env = "LOA_BACKUP_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

/// What a passphrase is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To seal something: asked for twice, and not too short.
    New,
    /// To open something.
    Open,
}

impl PassphraseOption {
    /// Returns the passphrase, asked for at the terminal when no other place has it.
    pub fn read(&self, purpose: Purpose) -> anyhow::Result<Zeroizing<String>> {
        let found = match self.given()? {
            Some(found) => found,
            None => ask(purpose)?,
        };
        if purpose == Purpose::New && found.chars().count() < FEWEST {
            return Err(wrong_use(
                format!("a passphrase of {} characters", found.chars().count()),
                format!("at least {FEWEST}: four or five words that nobody would guess"),
            ));
        }
        Ok(found)
    }

    /// Returns the passphrase of file or environment, if there is one.
    pub fn given(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let Some(path) = &self.passphrase_file else {
            let found = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
            return Ok(found.map(Zeroizing::new));
        };
        let mut text = Zeroizing::new(String::new());
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
            .with_context(|| format!("reading `{}`", path.display()))
            .map_err(|error| super::super::failed(error, "name a file that you can read"))?;
        let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
        if line.is_empty() {
            return Err(wrong_use(
                format!("`{}` has no passphrase in its first line", path.display()),
                "write it there, and nothing else",
            ));
        }
        Ok(Some(line))
    }
}

fn ask(purpose: Purpose) -> anyhow::Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(wrong_use(
            "no passphrase, and no terminal to ask for it",
            format!("`--passphrase-file FILE` names a file that holds it, or `{VARIABLE}`"),
        ));
    }
    let first = hidden(&stdin, "Passphrase: ")?;
    if purpose == Purpose::New && *hidden(&stdin, "Again: ")? != *first {
        return Err(wrong_use("the two are not the same", "nothing was written; try again"));
    }
    Ok(first)
}

/// Shows what is typed again, however asking ends.
struct Hidden<'a>(&'a Stdin, Termios);

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.0, OptionalActions::Now, &self.1);
        eprintln!();
    }
}

fn hidden(stdin: &Stdin, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let shown = tcgetattr(stdin).context("asking at the terminal")?;
    let mut silent = shown.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    eprint!("{prompt}");
    let _hidden = Hidden(stdin, shown);
    tcsetattr(stdin, OptionalActions::Now, &silent).context("asking at the terminal")?;
    let mut line = Zeroizing::new(String::new());
    stdin
        .lock()
        .take(MOST_BYTES)
        .read_line(&mut line)
        .advise("type it at the terminal, or name a file by `--passphrase-file`")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
