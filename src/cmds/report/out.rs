//! Where a file goes, and what is said of it.

use super::super::{Answer, print_json, print_text, wrong_use};
use crate::app::reports::Made;
use crate::domain::ids::Digest;
use crate::report::question::Standing;
use crate::report::render::{Format, FormatError};
use anyhow::Context as _;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use ureq::http::HeaderMap;

fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|error: FormatError| format!("{error}; {}", error.hint()))
}

/// Format and place of the file.
#[derive(Debug, clap::Args)]
pub struct Out {
    /// Format of the file: xlsx, csv, json or pdf
    #[arg(long, value_name = "FORMAT", default_value = "xlsx", value_parser = format)]
    pub format: Format,
    /// File to write, `-` for stdout; a name of its own in this folder unless given
    #[arg(long = "out", value_name = "FILE")]
    path: Option<PathBuf>,
    /// Replace a file that is there with other content
    #[arg(long)]
    force: bool,
    /// Print one JSON object about the file
    #[arg(long)]
    pub json: bool,
}

/// A file that was made.
pub struct Got {
    name: String,
    bytes: Vec<u8>,
    provisional: bool,
    /// Origin, size and root.
    checkpoint: Option<String>,
}

impl Got {
    /// Takes over what was made here.
    pub fn made(made: Made) -> Self {
        Self {
            name: made.rendered.file,
            bytes: made.rendered.bytes,
            provisional: made.standing != Standing::Final,
            checkpoint: made.head.map(|h| format!("{} {} {}", h.origin, h.size, h.root)),
        }
    }

    /// Takes over what a server sent; what arrived must be what it says.
    pub fn downloaded(headers: &HeaderMap, bytes: Vec<u8>, out: &Out) -> anyhow::Result<Self> {
        let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let digest = Digest::of(&bytes).to_string();
        if said("etag").map(|tag| tag.trim_matches('"')) != Some(digest.as_str()) {
            anyhow::bail!("the file arrived otherwise than the server named it");
        }
        // The name comes from outside: only a plain one is taken.
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let name = said("content-disposition").and_then(|text| text.split('"').nth(1));
        let name = name.filter(|name| plain(name)).map(str::to_owned);
        Ok(Self {
            name: name.unwrap_or_else(|| format!("report.{}", out.format.as_str())),
            bytes,
            provisional: said("loa-provisional") != Some("false"),
            checkpoint: said("loa-checkpoint").map(str::to_owned),
        })
    }
}

impl Out {
    /// Writes the file and tells of it.
    pub fn give(&self, got: Got) -> anyhow::Result<Answer> {
        let sha256 = Digest::of(&got.bytes);
        let path = self.path.clone().unwrap_or_else(|| PathBuf::from(&got.name));
        if path.as_os_str() == "-" {
            if self.json {
                return Err(wrong_use(
                    "stdout cannot hold both",
                    "leave `--json` or `--out -` out",
                ));
            }
            return match std::io::stdout().lock().write_all(&got.bytes) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(Answer::Yes),
            };
        }
        self.write(&path, &got.bytes)?;
        if self.json {
            print_json(&json!({
                "file": path,
                "sha256": sha256,
                "bytes": got.bytes.len(),
                "provisional": got.provisional,
                "checkpoint": got.checkpoint,
            }))?;
        } else {
            let shown = path.display();
            let mut text = format!("{shown}  {} bytes  SHA-256 {sha256}\n", got.bytes.len());
            match &got.checkpoint {
                Some(checkpoint) => {
                    text.push_str("made from checkpoint ");
                    text.push_str(checkpoint);
                    text.push('\n');
                }
                None => text.push_str("made before the log has a signed head: it is not logged\n"),
            }
            if got.provisional {
                text.push_str("provisional: later records may change its numbers\n");
            }
            print_text(&text)?;
        }
        Ok(Answer::Yes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let shown = path.display();
        match std::fs::read(path) {
            Ok(known) if known == bytes => return Ok(()),
            Ok(_) if !self.force => {
                return Err(wrong_use(
                    format!("`{shown}` is there with other content"),
                    "name another file with `--out`, or replace it with `--force`",
                ));
            }
            _ => {}
        }
        // Beside it first: a full disk must not leave half a report under its name.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)
            .with_context(|| format!("writing `{}`", beside.display()))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let done = written.and_then(|()| std::fs::rename(&beside, path));
        if done.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        done.with_context(|| format!("writing `{shown}`"))
    }
}
