//! Whether changes still do what they did when the ground under them has moved.
//!
//! # Invariant
//! What is compiled for one change serves the others too: a hundred that wait are compared over two
//! grounds, not over two hundred.

use super::desk::aside;
use super::{Bench, ChangeSet, Version};
use crate::app::ports::{Store, StoreError};
use crate::domain::approval::{Ground, Preview, reach, same_effect};
use crate::domain::ids::{Digest, UnitId};
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};

/// What a change does over the newest version, which is what it did.
#[derive(Clone, Debug)]
pub struct Same {
    pub preview: Preview,
    pub reach: BTreeSet<UnitId>,
}

/// Says of each change, with the number of the version over which it was seen, what it would do
/// over the newest one, if that is the same on air and concerns the same units. The bench may hold
/// what is not stored yet.
pub async fn same_on_air(
    store: &dyn Store,
    mut bench: Bench,
    seen: Vec<(i64, ChangeSet)>,
    newest: &Version,
    now: UtcMs,
) -> Result<Vec<Option<Same>>, StoreError> {
    let mut versions = BTreeMap::new();
    for (number, _) in &seen {
        if !versions.contains_key(number) {
            versions.insert(*number, store.version(*number).await?.map(|was| was.manifest));
        }
    }
    let newest = newest.manifest.clone();
    let manifests = versions.values().flatten().chain([&newest]);
    let mut lacks: BTreeSet<Digest> = manifests.flat_map(|one| bench.lacks(one)).collect();
    lacks.extend(seen.iter().flat_map(|(_, change)| change.blobs()));
    lacks.retain(|hash| !bench.blobs.contains_key(hash));
    bench.blobs.extend(store.blobs(&Vec::from_iter(lacks)).await?);
    let none = vec![None; seen.len()];
    let judged = aside(move || {
        let mut ground = Ground::new(bench.station(&newest)?, now);
        let mut grounds = BTreeMap::new();
        for (number, manifest) in &versions {
            let station = manifest.as_ref().and_then(|manifest| bench.station(manifest));
            grounds.insert(number, station.map(|station| Ground::new(station, now)));
        }
        let one = |(number, change): &(i64, ChangeSet)| {
            let was = grounds.get_mut(number)?.as_mut()?;
            let old = versions.get(number)?.as_ref()?.with(change, None);
            let (old, new) = (bench.station(&old)?, bench.station(&newest.with(change, None))?);
            let same = same_effect((was, &old), (&mut ground, &new));
            same.then(|| Same {
                preview: ground.preview(&new),
                reach: reach(ground.station(), &new),
            })
        };
        Some(seen.iter().map(one).collect())
    });
    Ok(judged.await.unwrap_or(none))
}
