//! What the log says that a pack needs to know: whose key stands where, and what was published.

use super::super::bar::Bar;
use super::shard::Shard;
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::log::leaf::{Format, ServerBody};
use crate::wire::tlog::TILE;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub struct Said {
    /// Timetables by their hash: device and version.
    pub timetables: BTreeMap<Digest, (DeviceId, i64)>,
    /// Their days.
    pub sheets: BTreeSet<Digest>,
    /// Urgent notices by the hash of what was signed.
    pub notices: BTreeMap<Digest, String>,
    /// When the newest leaf was logged.
    pub end: Option<UtcMs>,
}

/// Whom a question is about: all, or those that are known to stand below a unit.
pub struct Asked<'a> {
    pub unit: Option<&'a UnitId>,
    pub known: BTreeSet<DeviceId>,
}

impl Asked<'_> {
    fn has(&self, device: &DeviceId) -> bool {
        self.unit.is_none() || self.known.contains(device)
    }
}

/// Reads every leaf of the shards, and notes which bundles before what is whole must be kept.
pub fn read(shards: &mut [Shard], asked: &mut Asked<'_>, bar: &mut Bar) -> anyhow::Result<Said> {
    let mut said = Said::default();
    let total: u64 = shards.iter().map(Shard::bundles).sum();
    let mut done = 0;
    for shard in shards {
        for bundle in 0..shard.bundles() {
            bar.show("reading the log", done, total);
            done += 1;
            let left_out = bundle < shard.first / u64::from(TILE);
            for leaf in shard.leaves(bundle)? {
                said.end = said.end.max(Some(leaf.received_ms()));
                if leaf.format() != Format::Server {
                    continue;
                }
                // A kind that cannot be read is the auditor's to find.
                let Some(Ok(statement)) = leaf.statement() else { continue };
                match statement.body {
                    ServerBody::Enrol { dev, units, .. } => {
                        if asked.unit.is_some_and(|unit| units.contains(unit)) {
                            asked.known.insert(dev);
                        }
                        if left_out {
                            shard.kept.insert(bundle);
                        }
                    }
                    // What was approved long ago may sound today.
                    ServerBody::Revoke { .. } | ServerBody::Approval { .. } if left_out => {
                        shard.kept.insert(bundle);
                    }
                    ServerBody::Urgent { jti, document, .. } if !left_out => {
                        said.notices.insert(document, jti);
                    }
                    ServerBody::TimetablePublished { dev, ver, timetable, sheets, .. }
                        if !left_out && asked.has(&dev) =>
                    {
                        said.timetables.insert(timetable, (dev, ver));
                        said.sheets.extend(sheets);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(said)
}
