//! What the evidence log costs on disk: its files against the bytes of the records in it.

use super::Row;
use crate::cmds::failed;
use crate::domain::time::UtcMs;
use crate::log::disk::{Disk as _, RealDisk, settle};
use crate::log::leaf::{Leaf, ServerBody};
use crate::log::sequencer::{Adopt, Sequencer, Setup};
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{LogSigner, Name};
use std::fmt::Write as _;
use std::path::Path;

/// Records in the log: past the end of a tile of the second level.
const RECORDS: u64 = 70_000;
/// Leaves of a round.
const ROUND: u64 = 1_024;
/// Bytes that the tree may take for each record beside a tenth of the record.
const HASH_BYTES: f64 = 32.0;

/// Logs records of usual lengths in a folder of its own and counts what lies there.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let root = std::env::temp_dir().join(format!("loa-bench-log-{:08x}", getrandom::u32()?));
    let measured = measure(&root);
    let _ = std::fs::remove_dir_all(&root);
    let (records, log) = measured?;
    let beyond = HASH_BYTES.mul_add(-(RECORDS as f64), log as f64);
    let ours = beyond / records as f64;
    let work =
        format!("evidence log, {RECORDS} records: its bytes, less 32 a record, a record byte");
    let note = format!(
        "{:.1} MB of files over {:.1} MB of records, {:.1} bytes more a record; the store keeps each \
         record once and names it",
        log as f64 / 1e6,
        records as f64 / 1e6,
        (log as f64 - records as f64) / RECORDS as f64
    );
    Ok(vec![Row::at_most(work, ours, 1.1, "×").note(note)])
}

/// Returns the bytes of the records and those of the files.
fn measure(root: &Path) -> anyhow::Result<(u64, u64)> {
    let origin = Name::new("bench.example/log/2027")?;
    let setup = Setup {
        folder: root.join("2027"),
        head_file: root.join("heads/2027.head"),
        signers: vec![LogSigner::new(origin.clone(), SecretKey::from_seed(&[1; 32]))],
        origin,
        claims: Vec::new(),
        adopt: Adopt::Refuse,
    };
    settle(&RealDisk, root)?;
    let folder = setup.folder.clone();
    let mut log = Sequencer::open(RealDisk, setup).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    let (mut first, mut records) = (0, 0);
    while first <= RECORDS {
        let last = (first + ROUND).min(RECORDS + 1);
        let leaves = (first..last).map(leaf).collect::<anyhow::Result<Vec<Leaf>>>()?;
        let bytes = |leaf: &Leaf| leaf.content().len() as u64;
        records += leaves.iter().map(bytes).sum::<u64>();
        log = log.append(first, &leaves).map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        first = last;
    }
    Ok((records, size_of_all(&folder)?))
}

/// The leaf at a place: a heartbeat or the end of a play, by their lengths on the wire.
fn leaf(index: u64) -> anyhow::Result<Leaf> {
    let at = UtcMs(1_800_000_000_000);
    if index == 0 {
        return Ok(Leaf::server(at, &ServerBody::Shard { previous: None })?);
    }
    let bytes = if index.is_multiple_of(3) { 560 } else { 925 };
    let mut jws = String::with_capacity(bytes);
    write!(jws, "{index}.")?;
    jws.extend(std::iter::repeat_n('x', bytes - jws.len()));
    Ok(Leaf::record(at, &jws)?)
}

fn size_of_all(folder: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for name in RealDisk.list(folder)? {
        let path = folder.join(name);
        size += if path.is_dir() { size_of_all(&path)? } else { path.metadata()?.len() };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_log_stays_within_its_goal() {
        let rows = super::rows().unwrap();
        assert!(rows[0].ratio < 1.0 && rows[0].figure > 1.0, "{rows:?}");
    }
}
