//! The folder of a witness.
//!
//! ```text
//! key.json   its name and signing key, 0600
//! logs       verifier keys of the logs it watches, one a line
//! memory/    what it cosigned last of each log, and contradictions it was shown
//! ```

use super::super::data::{replace_private, write_private};
use super::super::init::seed;
use super::super::{failed, wrong_use};
use crate::log::disk::RealDisk;
use crate::log::witness::{Memory, Witness, WitnessError, WitnessedLog, remembered};
use crate::wire::jws::SecretKey;
use crate::wire::server_keys::{secret_from_text, secret_text};
use crate::wire::tlog::{Cosigner, Name, NameError, SignedCheckpoint, VerifierKey};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the longest list of logs.
const LIST_BYTES: u64 = 1 << 20;
/// Bytes of the longest key file.
const KEY_BYTES: u64 = 4_096;
/// What a new list says.
const LIST: &str = "# Verifier keys of the logs that this witness watches, one a line.\n";

/// `--data` of a witness.
#[derive(Debug, clap::Args)]
pub struct FolderOption {
    /// Folder of the witness: its key, its memory, the list of logs
    #[arg(long = "data", value_name = "DIR", default_value = "witness", env = "LOA_WITNESS")]
    pub path: PathBuf,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    v: u8,
    name: String,
    seed: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl Folder {
    /// Makes a witness of that name in a folder that holds none.
    pub fn make(path: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = Self { path: path.to_owned() };
        if folder.key_file().exists() {
            return Err(wrong_use(
                format!("`{}` already holds the key of a witness", path.display()),
                "nothing was changed; go on with it, or name another folder by `--data`",
            ));
        }
        let name = Name::new(name).map_err(|error: NameError| wrong_use(&error, error.hint()))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.memory())
            .with_context(|| format!("making `{}`", path.display()))?;
        let secret = SecretKey::from_seed(&*seed()?);
        let file = KeyFile { v: 1, name: name.to_string(), seed: secret_text(&secret) };
        let text = Zeroizing::new(serde_json::to_string_pretty(&file)?);
        if !folder.list().exists() {
            fs::write(folder.list(), LIST)
                .with_context(|| format!("writing `{}`", folder.list().display()))?;
        }
        // The memory first: without a key nobody asks it, and a broken-off attempt is begun anew.
        let memory = Cosigner::new(name, secret);
        if folder.memory().join("key").exists() {
            return Err(wrong_use(
                format!("`{}` holds the memory of a witness without its key", path.display()),
                "bring the key back from a copy, or begin in another folder",
            ));
        }
        write_private(&folder.key_file(), &text)?;
        drop(folder.open(memory, Vec::new(), Memory::Begin).map_err(told)?);
        Ok(folder)
    }

    /// Names the folder of a witness that was made before.
    pub fn existing(path: &Path) -> anyhow::Result<Self> {
        let folder = Self { path: path.to_owned() };
        if folder.key_file().exists() {
            return Ok(folder);
        }
        Err(wrong_use(
            format!("`{}` is not the folder of a witness", path.display()),
            format!("make one: `loa witness init NAME --data {}`", path.display()),
        ))
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn key_file(&self) -> PathBuf {
        self.path.join("key.json")
    }

    /// Returns the list of logs.
    pub fn list(&self) -> PathBuf {
        self.path.join("logs")
    }

    fn memory(&self) -> PathBuf {
        self.path.join("memory")
    }

    /// Reads the key.
    pub fn cosigner(&self) -> anyhow::Result<Cosigner> {
        let path = self.key_file();
        let damaged = || {
            let error = anyhow::anyhow!("`{}` is not the key of a witness", path.display());
            failed(error, "bring the file back from a copy; a new key is a new witness")
        };
        let text = Zeroizing::new(read(&path, KEY_BYTES)?);
        let file: KeyFile = serde_json::from_str(&text).map_err(|_| damaged())?;
        let name = Name::new(file.name.as_str()).map_err(|_| damaged())?;
        let secret = secret_from_text(&file.seed).filter(|_| file.v == 1).ok_or_else(damaged)?;
        Ok(Cosigner::new(name, secret))
    }

    /// Reads the list of logs; refuses with every line that is no key.
    pub fn logs(&self) -> anyhow::Result<Vec<WitnessedLog>> {
        let path = self.list();
        parse(&read(&path, LIST_BYTES)?).map_err(|faults| {
            let lines: Vec<String> = faults
                .iter()
                .map(|(line, why)| format!("{}:{line}: {why}", path.display()))
                .collect();
            wrong_use(lines.join("\n"), "one verifier key a line, as `loa log show` prints it")
        })
    }

    /// Puts a log's key on the list; one that is there already is left alone.
    pub fn watch(&self, key: &str) -> anyhow::Result<()> {
        let key: VerifierKey = log_key(key.trim()).map_err(|why| {
            wrong_use(why, "the verifier key of a log, as `loa log show` prints it")
        })?;
        if key.key_bytes() == self.cosigner()?.verifier().key_bytes() {
            return Err(wrong_use(
                "this is the witness's own key",
                "name the key of the log: nobody vouches for himself",
            ));
        }
        let known = self.logs()?;
        if known.iter().any(|log| log.keys.contains(&key)) {
            return Ok(());
        }
        let mut text = read(&self.list(), LIST_BYTES)?;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&key.to_string());
        text.push('\n');
        replace_private(&self.list(), &text)
    }

    /// Takes up the memory; another process that has it is refused.
    pub fn open(
        &self,
        cosigner: Cosigner,
        logs: Vec<WitnessedLog>,
        memory: Memory,
    ) -> Result<Witness<RealDisk>, WitnessError> {
        Witness::open(RealDisk, &self.memory(), cosigner, logs, memory)
    }

    /// Returns the newest checkpoints that were cosigned, also while the witness runs.
    pub fn remembered(&self) -> Result<Vec<SignedCheckpoint>, WitnessError> {
        remembered(&RealDisk, &self.memory())
    }
}

/// Tells a witness's failure with its remedy.
pub fn told(error: WitnessError) -> anyhow::Error {
    let hint = error.hint();
    failed(error, hint)
}

fn read(path: &Path, most: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(most + 1).read_to_string(&mut text))
        .with_context(|| format!("reading `{}`", path.display()))?;
    if text.len() as u64 > most {
        return Err(wrong_use(
            format!("`{}` has more than {most} bytes", path.display()),
            "this is no file of a witness",
        ));
    }
    Ok(text)
}

fn log_key(text: &str) -> Result<VerifierKey, String> {
    let key: VerifierKey = text
        .parse()
        .map_err(|error: crate::wire::tlog::KeyError| format!("{error}: {}", error.hint()))?;
    match (key.signs_checkpoints(), key.is_checkable()) {
        (true, true) => Ok(key),
        (false, _) => Err(format!("key `{}` is a witness's, not a log's", key.name())),
        (true, false) => Err(format!("key `{}` cannot be checked by this version", key.name())),
    }
}

/// Reads a list; the keys of one origin belong to one log.
fn parse(text: &str) -> Result<Vec<WitnessedLog>, Vec<(usize, String)>> {
    let mut logs: Vec<WitnessedLog> = Vec::new();
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match log_key(line) {
            Err(why) => faults.push((number, why)),
            Ok(key) => match logs.iter_mut().find(|log| log.origin == *key.name()) {
                Some(log) if log.keys.contains(&key) => {
                    faults.push((number, format!("key `{}` stands here twice", key.name())));
                }
                Some(log) => log.keys.push(key),
                None => {
                    logs.push(WitnessedLog { origin: key.name().clone(), keys: vec![key] });
                }
            },
        }
    }
    if faults.is_empty() { Ok(logs) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tlog::LogSigner;

    fn key(origin: &str, n: u8) -> VerifierKey {
        let secret = SecretKey::from_seed(&[n; 32]);
        LogSigner::new(Name::new(origin).unwrap(), secret).verifier().clone()
    }

    #[test]
    fn a_list_gathers_the_keys_of_each_log_and_names_every_bad_line() {
        let (a, b, c) = (key("a/2027", 1), key("a/2027", 2), key("b/2027", 3));
        let logs = parse(&format!("# logs\n\n{a}\n  {b}\n{c}\n")).unwrap();
        assert_eq!(logs.len(), 2);
        assert_eq!((logs[0].keys.len(), logs[1].keys.len()), (2, 1));
        let witness = Cosigner::new(Name::new("w").unwrap(), SecretKey::from_seed(&[9; 32]));
        let faults = parse(&format!("{a}\nx\n{a}\n{}\n", witness.verifier())).unwrap_err();
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn a_witness_is_made_once_and_keeps_key_and_list() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("w");
        let made = Folder::make(&path, "audit.example/w1").unwrap();
        let verifier = made.cosigner().unwrap().verifier().to_string();
        assert!(Folder::make(&path, "audit.example/w2").is_err(), "not twice");
        let again = Folder::existing(&path).unwrap();
        assert_eq!(again.cosigner().unwrap().verifier().to_string(), verifier);
        let log = key("a/2027", 1);
        again.watch(&log.to_string()).unwrap();
        again.watch(&log.to_string()).unwrap();
        assert_eq!(again.logs().unwrap().len(), 1);
        assert_eq!(again.logs().unwrap()[0].keys, [log]);
        assert!(again.watch(&verifier).is_err(), "a witness is no log");
        assert!(Folder::make(&root.path().join("x"), "two words").is_err());
        assert!(!root.path().join("x").exists(), "nothing is made under a wrong name");
    }
}
