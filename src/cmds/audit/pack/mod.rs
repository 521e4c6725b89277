//! `loa audit pack`: everything that shows what devices did within a window, in one file.
//!
//! Reads the log and the store beside a running server and changes neither. What a pack holds and
//! why is told on the page of [`crate::audit`]; what is needed and not here is left for the auditor
//! to find, and named.

mod said;
mod shard;

use super::super::backup::place::give_name;
use super::super::data::{DataFolder, DataOption};
use super::super::log::policy_text;
use super::super::records::instant;
use super::super::{Advise as _, Answer, failed, print_json, print_text, runtime, wrong_use};
use super::bar::Bar;
use crate::app::ports::{Orders as _, Plans as _, Registry as _};
use crate::app::registry::lineage;
use crate::app::scribe::LogPlace;
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::pack::{About, AboutLog, Tiles, Writer};
use crate::store::SqliteStore;
use anyhow::Context as _;
use chrono_tz::Tz;
use said::{Asked, Said};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shard::Shard;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// So long before the window nothing is left out: timetables reach 16 days ahead, and devices may
/// be without a line for a fortnight.
const LEAD_MS: i64 = 31 * 86_400_000;
/// Timetables and sheets of a pack; an auditor's tool reads no more.
const DOCUMENTS: usize = 1_200_000;

/// Writes a pack of evidence for an auditor, while the server runs
///
/// Log, checkpoints with cosignatures, time stamps, schedules with titles and hashes, keys: one
/// archive that anybody checks with `loa audit verify`, offline.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataOption,
    /// First day (or instant, RFC 3339) whose cues are asked about
    #[arg(long, value_name = "WHEN")]
    from: String,
    /// Last day whose cues are asked about, or the instant before which they start
    #[arg(long, value_name = "WHEN")]
    to: String,
    /// Only the devices of this unit and of those below it; the log goes along whole
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// The file to write; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Zone in which dates are meant
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
    /// Print `{file, bytes, sha256, from_ms, to_ms, unit, logs, timetables, sheets, notes}`
    #[arg(long)]
    json: bool,
}

/// What was written, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
    bytes: u64,
    /// SHA-256 of the file.
    sha256: String,
    from_ms: i64,
    to_ms: i64,
    unit: Option<UnitId>,
    logs: Vec<WrittenLog>,
    timetables: usize,
    sheets: usize,
    /// What the auditor will miss or should know.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct WrittenLog {
    origin: String,
    size: u64,
    first: u64,
}

/// What goes into a pack.
struct Content<'a> {
    window: (UtcMs, UtcMs),
    unit: Option<&'a UnitId>,
    policy: String,
    keys: Vec<u8>,
    shards: Vec<Shard>,
    said: Said,
}

/// Does it.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let from = instant("from", &args.from, args.zone, false)?;
    let to = instant("to", &args.to, args.zone, true)?;
    if from >= to || from < UtcMs(0) {
        let text = format!("from `{}` to `{}` is no window", args.from, args.to);
        return Err(wrong_use(text, "`--to` is the last day, or an instant after `--from`"));
    }
    if args.out.symlink_metadata().is_ok() {
        let text = format!("`{}` is there already", args.out.display());
        return Err(wrong_use(text, "nothing was written; give each pack a name of its own"));
    }
    let place = folder.log_place(None)?;
    let mut bar = Bar::new();
    let mut shards = open(&place, from.plus(-LEAD_MS))?;
    let written = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let packed = async {
            let known = below(&store, args.unit.as_ref()).await?;
            let mut asked = Asked { unit: args.unit.as_ref(), known };
            let said = said::read(&mut shards, &mut asked, &mut bar)?;
            let content = Content {
                window: (from, to),
                unit: args.unit.as_ref(),
                policy: policy_text(&folder, &place)?,
                keys: fs::read(folder.epochs())
                    .with_context(|| format!("reading `{}`", folder.epochs().display()))?,
                shards,
                said,
            };
            write(&args.out, &content, &store, &mut bar).await
        };
        let packed = packed.await;
        store.close().await;
        packed
    })?;
    drop(bar);
    for note in &written.notes {
        eprintln!("note: {note}");
    }
    if args.json {
        print_json(&written)?;
    } else {
        print_text(&told(&written))?;
    }
    Ok(Answer::Yes)
}

/// Opens the shards, those before the beginning as far as their keys go.
fn open(place: &LogPlace, begin: UtcMs) -> anyhow::Result<Vec<Shard>> {
    let names = place.shards().with_context(|| format!("reading `{}`", place.folder.display()))?;
    let mut shards = Vec::new();
    for (at, name) in names.iter().enumerate() {
        shards.extend(Shard::open(place, *name, at + 1 == names.len())?);
    }
    if shards.is_empty() {
        return Err(wrong_use("there is no log yet", "`loa serve` begins it within seconds"));
    }
    // The last shard that had begun by then: what lies before it is left out, and its own
    // beginning.
    let mut last = 0;
    for (at, shard) in shards.iter().enumerate() {
        if shard.begun()?.is_some_and(|begun| begun <= begin) {
            last = at;
        }
    }
    for shard in &mut shards[..last] {
        shard.first = shard.size;
    }
    if shards[last].begun()?.is_some_and(|begun| begun <= begin) {
        shards[last].begin_at(begin)?;
    }
    Ok(shards)
}

/// Returns the devices that stand below a unit today.
async fn below(store: &SqliteStore, unit: Option<&UnitId>) -> anyhow::Result<BTreeSet<DeviceId>> {
    let Some(unit) = unit else { return Ok(BTreeSet::new()) };
    let units = store.units().await?;
    if !units.iter().any(|known| known.id == *unit) {
        return Err(wrong_use(
            format!("the register has no unit `{unit}`"),
            "`loa unit export` lists them",
        ));
    }
    let devices = store.devices().await?.into_iter().map(|known| known.device);
    let inside = devices.filter(|device| lineage(&device.unit, &units).contains(unit));
    Ok(inside.map(|device| device.id).collect())
}

/// A file that goes when its work is over, however that ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Renamed into place by then, or nobody's.
        let _ = fs::remove_file(&self.0);
    }
}

/// Counts and hashes what passes.
struct Counted<W> {
    out: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

async fn write(
    out: &Path,
    content: &Content<'_>,
    store: &SqliteStore,
    bar: &mut Bar,
) -> anyhow::Result<Written> {
    let name = out.file_name().context("`--out` names no file")?.to_string_lossy();
    let part = Scratch(out.with_file_name(format!(".{name}.{}.part", std::process::id())));
    let full = "free some space or name a file on another disk; nothing was written";
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&part.0)
        .advise("name a file in a folder that is there and can be written to")?;
    let hash = Sha256::new();
    let counted = Counted { out: BufWriter::with_capacity(1 << 20, file), bytes: 0, hash };
    let (from, to) = content.window;
    let logs: Vec<AboutLog> = content
        .shards
        .iter()
        .map(|shard| AboutLog { origin: shard.origin.clone(), first: shard.first })
        .collect();
    let about = About::new(from.0, to.0, content.unit.map(UnitId::to_string), logs);
    let mut pack = Writer::new(counted, &about).advise(full)?;
    pack.add("policy", content.policy.as_bytes()).advise(full)?;
    pack.add("keys.json", &content.keys).advise(full)?;
    let mut written = Written {
        file: out.to_owned(),
        bytes: 0,
        sha256: String::new(),
        from_ms: from.0,
        to_ms: to.0,
        unit: content.unit.cloned(),
        logs: Vec::new(),
        timetables: 0,
        sheets: 0,
        notes: Vec::new(),
    };
    documents(&mut pack, content, store, &mut written, bar).await?;
    let total: u64 = content.shards.iter().map(Shard::bundles).sum();
    let mut done = 0;
    for (number, shard) in (1..).zip(&content.shards) {
        let log = |name: &str| format!("logs/{number}/{name}");
        pack.add(&log("checkpoint"), shard.note().as_bytes()).advise(full)?;
        for (name, bytes) in shard.cosigned()?.into_iter().chain(shard.tokens()?) {
            pack.add(&log(&name), &bytes).advise(full)?;
        }
        let (size, first) = (shard.size, shard.first);
        let tiles = Tiles { size, first, kept: shard.kept.clone(), hashes: BTreeSet::new() };
        let packed = pack.tiles(number, &tiles, |path| {
            if path.starts_with("tile/entries/") {
                bar.show("writing the log", done, total);
                done += 1;
            }
            shard.read(path)
        });
        packed.map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("packing `{}`", shard.origin));
            failed(error, "look at the log (`loa log check`) and at the disk of the pack")
        })?;
        written.logs.push(WrittenLog { origin: shard.origin.clone(), size, first });
        if shard.beyond > 0 {
            written.notes.push(format!(
                "`{}`: {} leaves that witnesses have not vouched for yet are left out",
                shard.origin, shard.beyond
            ));
        }
    }
    if content.said.end.is_none_or(|end| end < to) {
        written.notes.push("the log ends before the window does: what is later is pending".into());
    }
    let mut counted = pack.finish().advise(full)?;
    counted.flush().advise(full)?;
    counted.out.get_ref().sync_all().advise(full)?;
    (written.bytes, written.sha256) = (counted.bytes, hex(&counted.hash.finalize()));
    give_name(&part.0, out)?;
    Ok(written)
}

/// Adds timetables and sheets by their hashes.
async fn documents<W: Write>(
    pack: &mut Writer<W>,
    content: &Content<'_>,
    store: &SqliteStore,
    written: &mut Written,
    bar: &mut Bar,
) -> anyhow::Result<()> {
    let full = "free some space or name a file on another disk; nothing was written";
    let (from, to) = content.window;
    let inside = |begin: UtcMs, end: UtcMs| begin < to && from < end;
    let Said { timetables, sheets, .. } = &content.said;
    let total = (timetables.len() + sheets.len()) as u64;
    // Without some of the timetables it is not known which days of their sheets were meant.
    let mut whole = timetables.len() + sheets.len() <= DOCUMENTS;
    let mut lost = 0;
    for (done, (hash, (device, ver))) in (0_u64..).zip(timetables).take_while(|_| whole) {
        bar.show("writing schedules", done, total);
        let Some(text) = store.timetable_text(device, *ver).await? else {
            lost += 1;
            continue;
        };
        pack.add(&format!("timetables/{hash}"), text.as_bytes()).advise(full)?;
        written.timetables += 1;
    }
    if !whole {
        let note = "there are too many timetables for one pack: only their days go along";
        written.notes.push(note.to_owned());
    }
    if lost > 0 {
        let note = format!("{lost} timetables that the log names are not stored any more");
        written.notes.push(note);
        whole = false;
    }
    let mut lost = 0;
    for (done, hash) in (timetables.len() as u64..).zip(sheets) {
        bar.show("writing schedules", done, total);
        let Some(sheet) = store.sheets(&[*hash]).await?.pop() else {
            lost += 1;
            continue;
        };
        if !whole || inside(sheet.from_ms, sheet.to_ms) {
            pack.add(&format!("sheets/{hash}"), &sheet.bytes).advise(full)?;
            written.sheets += 1;
        }
    }
    if lost > 0 {
        let note = format!("{lost} day sheets that the log names are not stored any more");
        written.notes.push(note);
    }
    for (hash, jti) in &content.said.notices {
        let sent = store.notice(jti).await?.and_then(|notice| notice.sent);
        // One that was signed again with new keys is another document.
        if let Some(sent) = sent.filter(|sent| Digest::of(sent.jws.as_bytes()) == *hash) {
            pack.add(&format!("notices/{hash}"), sent.jws.as_bytes()).advise(full)?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn told(written: &Written) -> String {
    let Written { file, bytes, sha256, logs, timetables, sheets, .. } = written;
    let leaves: u64 = logs.iter().map(|log| log.size).sum();
    format!(
        "{}: {bytes} bytes, {leaves} leaves of {} logs, {timetables} timetables, {sheets} day sheets\n\
         sha256 {sha256}\n\
         check it elsewhere: loa audit verify {} --policy FILE\n",
        file.display(),
        logs.len(),
        file.display(),
    )
}

#[cfg(test)]
mod history_tests;
