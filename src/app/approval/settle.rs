//! What of a change comes into force at once, and what waits.

use super::group::groups;
use super::{Bench, ChangeSet, Manifest, Naming, Proposal, Together};
use crate::config;
use crate::domain::approval::{self, Ground, Preview};
use crate::domain::ids::{Digest, UnitId};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};

/// How long a judgement of the same change over the same version is taken as it is.
const FRESH_MS: i64 = 3_600_000;

/// A change that waits, and what it would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub change: ChangeSet,
    pub together: Together,
    pub preview: Preview,
    /// The units that it addresses, on whatever date.
    pub reach: BTreeSet<UnitId>,
    /// When it was judged.
    pub judged_ms: UtcMs,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What is in force now.
    pub manifest: Manifest,
    /// The station that it means.
    pub station: Station,
    /// The files that came into force because they only silence.
    pub silenced: Vec<String>,
    /// What waits, each by itself.
    pub waits: Vec<Waiting>,
    /// How many pieces have no place among what waits.
    pub beyond: usize,
}

/// Returns what a station that never had anything in force begins with: everything but what
/// sounds.
pub fn baseline(target: &Manifest) -> Manifest {
    let silent = |name: &str| config::playlist_id(name).is_none() && name != "skips.toml";
    let files = target.files.iter().filter(|(name, _)| silent(name));
    Manifest {
        files: files.map(|(name, entry)| (name.clone(), *entry)).collect(),
        clips: target.clips.clone(),
    }
}

/// Returns what is in force where no approval is asked: everything. What is as it was keeps the
/// approval it has.
pub fn unapproved(in_force: &Manifest, target: &Manifest, candidate: &Station) -> Manifest {
    let naming = Naming::of_stations([(candidate, target), (candidate, in_force)]);
    let change = in_force.change_to(target, &naming);
    let mut made = target.clone();
    for (name, entry) in &mut made.files {
        let same = !change.files.contains_key(name) && !change.touched.contains(name);
        let known = in_force.files.get(name).filter(|_| same);
        entry.approval = known.and_then(|known| known.approval);
    }
    made
}

/// The number of the version in force, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    pub number: i64,
    pub manifest: &'a Manifest,
}

/// Brings into force what only silences, and says what waits. `pending`: the proposals that wait
/// already, so that what belongs together stays together and is not judged anew each time.
/// `None` when what is in force cannot be built any more.
pub fn settle(
    bench: &Bench,
    over: Over<'_>,
    target: &Manifest,
    candidate: &Station,
    pending: &[Proposal],
    now: UtcMs,
) -> Option<Settled> {
    let station = bench.station(over.manifest)?;
    let naming = Naming::of_stations([(candidate, target), (&station, over.manifest)]);
    let mut work = Work {
        bench,
        target,
        naming,
        manifest: over.manifest.clone(),
        silenced: Vec::new(),
        ground: None,
        station,
        now,
    };
    let change = work.change();
    let pieces = change.pieces(&work.naming);
    let known = Known::of(pending, &change, &work.naming, over.number, now);
    if pieces.iter().any(|piece| !known.fresh.contains(piece)) {
        work.silence(&pieces, &known.fresh);
    }
    // Whatever comes into force moves the ground under all that was judged before it: each turn
    // takes some pieces out of the change, or is the last.
    let (waits, beyond) = loop {
        let over = over.number + i64::from(!work.silenced.is_empty());
        if let Some(parted) = work.part(pending, over) {
            break parted;
        }
    };
    let Work { manifest, station, silenced, .. } = work;
    Some(Settled { manifest, station, silenced, waits, beyond })
}

/// A settlement in the making.
struct Work<'a> {
    bench: &'a Bench,
    target: &'a Manifest,
    naming: Naming,
    manifest: Manifest,
    silenced: Vec<String>,
    /// What is in force, compiled when it is first asked for.
    ground: Option<Ground>,
    station: Station,
    now: UtcMs,
}

impl Work<'_> {
    fn change(&self) -> ChangeSet {
        self.manifest.change_to(self.target, &self.naming)
    }

    /// Parts what is left into what waits, each judged over version `over`, and says how many
    /// pieces have no place. `None` when a part of it only silences and came into force.
    fn part(&mut self, pending: &[Proposal], over: i64) -> Option<(Vec<Waiting>, usize)> {
        let change = self.change();
        let known = Known::of(pending, &change, &self.naming, over, self.now);
        let (bench, now) = (self.bench, self.now);
        let mut fits = |pieces: &BTreeSet<String>| {
            let change = change.only(pieces, &self.naming);
            bench.station(&self.manifest.with(&change, None)).is_some()
        };
        let pieces = change.pieces(&self.naming);
        let (found, mut beyond) = groups(&pieces, &known.groups, &mut fits);
        let mut waits = Vec::new();
        for (pieces, together) in found {
            let part = change.only(&pieces, &self.naming);
            if let Some(judged) = known.judged.get(&part.hash()) {
                let (preview, reach) = (judged.preview.clone(), judged.reach.clone());
                let judged_ms = judged.judged_ms;
                waits.push(Waiting { change: part, together, preview, reach, judged_ms });
                continue;
            }
            let Some(new) = bench.station(&self.manifest.with(&part, None)) else {
                beyond += pieces.len();
                continue;
            };
            let (silent, preview) = self.ground().judge(&new);
            if silent && together != Together::Person {
                // None of them fits alone, but all together only silence.
                self.take(&part, new);
                self.silenced.extend(pieces);
                return None;
            }
            let reach = approval::reach(&self.station, &new);
            waits.push(Waiting { change: part, together, preview, reach, judged_ms: now });
        }
        Some((waits, beyond))
    }

    fn ground(&mut self) -> &mut Ground {
        self.ground.get_or_insert_with(|| Ground::new(self.station.clone(), self.now))
    }

    fn take(&mut self, change: &ChangeSet, station: Station) {
        self.manifest = self.manifest.with(change, None);
        if let Some(ground) = &mut self.ground {
            ground.move_to(station.clone());
        }
        self.station = station;
    }

    /// Brings into force what only silences: all together, or piece by piece.
    fn silence(&mut self, pieces: &BTreeSet<String>, judged: &BTreeSet<String>) {
        let whole = self.change();
        if judged.is_empty() && self.try_silence(&whole) {
            self.silenced.extend(pieces.iter().cloned());
            return;
        }
        for piece in pieces.iter().filter(|piece| !judged.contains(*piece)) {
            let part = self.change().only(&BTreeSet::from([piece.clone()]), &self.naming);
            if self.try_silence(&part) {
                self.silenced.push(piece.clone());
            }
        }
    }

    fn try_silence(&mut self, change: &ChangeSet) -> bool {
        let Some(new) = self.bench.station(&self.manifest.with(change, None)) else {
            return false;
        };
        // The cheap half of the judgement first.
        let silent = approval::narrows(&self.station, &new) && self.ground().judge(&new).0;
        if silent {
            self.take(change, new);
        }
        silent
    }
}

/// What is known of the pieces from the proposals that wait already.
struct Known<'a> {
    /// Proposals whose files are still the same, by their pieces.
    groups: Vec<(BTreeSet<String>, Together)>,
    /// Those that were judged over this version a short while ago.
    judged: BTreeMap<Digest, &'a Proposal>,
    /// Their pieces.
    fresh: BTreeSet<String>,
}

impl<'a> Known<'a> {
    fn of(
        pending: &'a [Proposal],
        change: &ChangeSet,
        naming: &Naming,
        over: i64,
        now: UtcMs,
    ) -> Self {
        let mut known =
            Self { groups: Vec::new(), judged: BTreeMap::new(), fresh: BTreeSet::new() };
        for one in pending {
            let pieces = one.change.pieces(naming);
            if change.only(&pieces, naming).hash() != one.hash {
                continue;
            }
            let age_ms = now.since(one.judged_ms);
            let fresh = one.base == over && (0..FRESH_MS).contains(&age_ms);
            if fresh {
                known.judged.insert(one.hash, one);
                known.fresh.extend(pieces.iter().cloned());
            }
            if fresh || one.together == Together::Person {
                known.groups.push((pieces, one.together));
            }
        }
        known
    }
}
