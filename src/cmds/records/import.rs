//! Records brought in by hand, line by line.

use super::super::data::{DataFolder, DataOption};
use super::super::trail::command_line;
use super::super::{Advise as _, Answer, print_json, print_text, runtime};
use super::PAGE;
use crate::app::ingest::{Arrived, Ingest, Tally};
use crate::app::keyring::Keyring;
use crate::app::ports::Trail as _;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::DeviceId;
use crate::store::SqliteStore;
use crate::wire::{b64, limits, record, topic::Topics};
use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// What an import did.
#[derive(Serialize)]
struct Imported {
    lines: u64,
    stored: u64,
    duplicates: u64,
    conflicts: u64,
    rejects: u64,
    deferred: u64,
}

/// Whose record a line says it is; the signature is judged when it is taken in.
fn device_of(line: &str) -> Option<DeviceId> {
    #[derive(Deserialize)]
    struct Whose {
        dev: DeviceId,
    }
    let payload = b64::decode(line.split('.').nth(1)?)?;
    serde_json::from_slice::<Whose>(&payload).ok().map(|whose| whose.dev)
}

pub(super) fn import(data: &DataOption, file: &Path, json: bool) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&data.data)?;
    let keys = folder.read_keys()?;
    let chain = folder.read_epochs(&keys)?;
    let keys = Keyring::new(keys, chain);
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let opened = std::fs::File::open(file);
        Box::new(opened.with_context(|| format!("reading `{}`", file.display()))?)
    };
    let mut lines = Lines { reader: BufReader::new(input), number: 0 };
    let (tally, refused) = runtime()?.block_on(async {
        let store: Arc<SqliteStore> = Arc::new(folder.open_store().await?);
        let clock = Arc::new(SystemClock::new());
        let topics = Topics::default();
        let mut ingest = Ingest::new(store.clone(), keys, topics, String::new(), clock);
        let mut tally = Tally::default();
        let mut refused = 0_u64;
        let mut batch: Vec<(DeviceId, String)> = Vec::new();
        while let Some(line) =
            lines.next().with_context(|| format!("reading `{}`", file.display()))?
        {
            if let Some(device) = device_of(&line) {
                batch.push((device, line));
            } else {
                eprintln!("{}:{}: not a record of a device", file.display(), lines.number);
                refused += 1;
            }
            if batch.len() >= PAGE as usize {
                tally += take(&mut ingest, std::mem::take(&mut batch)).await?;
            }
        }
        tally += take(&mut ingest, batch).await?;
        drop(ingest);
        let said = format!("{} lines, {} stored", tally.lines + refused, tally.stored);
        let entry = command_line().did(SystemClock::new().now(), "import-records", file.display());
        store.append(&entry.after(said)).await?;
        store.close().await;
        anyhow::Ok((tally, refused))
    })?;
    let imported = Imported {
        lines: tally.lines + refused,
        stored: tally.stored,
        duplicates: tally.duplicates,
        conflicts: tally.conflicts,
        rejects: tally.rejects + refused,
        deferred: tally.deferred,
    };
    if json {
        print_json(&imported)?;
    } else {
        let Imported { lines, stored, duplicates, conflicts, rejects, deferred } = &imported;
        print_text(&format!(
            "{lines} lines: {stored} stored, {duplicates} known, {conflicts} conflicts, \
             {rejects} refused, {deferred} too far beyond a gap\n"
        ))?;
    }
    let all = imported.rejects == 0 && imported.deferred == 0;
    Ok(if all { Answer::Yes } else { Answer::No })
}

/// Takes lines in by device, in batches within the contract's limits.
async fn take(ingest: &mut Ingest, lines: Vec<(DeviceId, String)>) -> anyhow::Result<Tally> {
    let mut of: std::collections::BTreeMap<DeviceId, Vec<String>> =
        std::collections::BTreeMap::new();
    for (device, line) in lines {
        of.entry(device).or_default().push(line);
    }
    let mut tally = Tally::default();
    for (device, lines) in of {
        let mut rest: &[String] = &lines;
        while !rest.is_empty() {
            let (body, taken) = record::batch(rest.iter().map(String::as_str));
            // A line beyond its limit goes alone and is refused with its reason.
            let (body, taken) =
                if taken == 0 { (rest[0].clone().into_bytes(), 1) } else { (body, taken) };
            let arrived = Arrived { device: device.clone(), lines: Bytes::from(body) };
            tally += ingest
                .import(&[arrived])
                .await
                .advise("what came before is stored; import again, nothing is stored twice")?;
            rest = &rest[taken..];
        }
    }
    Ok(tally)
}

/// Lines of a file, each bounded.
struct Lines {
    reader: BufReader<Box<dyn Read>>,
    number: u64,
}

impl Lines {
    /// Returns the next line that is not empty.
    fn next(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let mut bytes = Vec::new();
            let most = limits::BATCH_BYTES as u64;
            let n = self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
}
