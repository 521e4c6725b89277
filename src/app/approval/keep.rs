//! What the server stores when it has looked at the folder.

use super::moved::same_on_air;
use super::{Bench, ChangeSet, Manifest, Over, Proposal, Settled, Stand, Version, Waiting};
use crate::app::ports::{ApprovalStep, Fence, Store, StoreError};
use crate::app::trail::Actor;
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stores what came into force by itself and what waits, in one step and under the lease of
/// whoever looked; returns what waits.
pub async fn keep(
    store: &dyn Store,
    bench: &Bench,
    over: Over<'_>,
    settled: Settled,
    pending: Vec<Proposal>,
    now: UtcMs,
    fence: Option<Fence>,
) -> Result<Vec<Proposal>, StoreError> {
    let mut step = ApprovalStep { over: over.number, ..ApprovalStep::default() };
    let mut base = over.number;
    if settled.manifest != *over.manifest {
        step = put_in_force(bench, over.number, settled.manifest.clone(), now);
        let entry = Actor::server().did(now, "silence", "station folder");
        step.entries.push(entry.after(settled.silenced.join(", ")));
        base += 1;
    }
    let newest = Version { number: base, at_ms: now, approval: None, manifest: settled.manifest };
    let moved = moved(store, bench, &settled.waits, &pending, &newest, now).await?;
    let mut waits = Vec::new();
    for waiting in settled.waits {
        let one = proposal(store, waiting, &pending, &newest, &moved, &mut step, now).await?;
        for hash in one.change.blobs() {
            if let Some(bytes) = bench.blobs.get(&hash) {
                step.blobs.insert(hash, Arc::clone(bytes));
            }
        }
        waits.push(one);
    }
    supersede(pending, &waits, &mut step, now);
    step.fence = fence;
    if step.version.is_some() || !step.proposals.is_empty() {
        store.approval_step(&step).await?;
    }
    Ok(waits)
}

/// Returns those that somebody stands for and that would now do something else on air.
async fn moved(
    store: &dyn Store,
    bench: &Bench,
    waits: &[Waiting],
    pending: &[Proposal],
    newest: &Version,
    now: UtcMs,
) -> Result<BTreeSet<Digest>, StoreError> {
    let waits: BTreeSet<Digest> = waits.iter().map(|waiting| waiting.change.hash()).collect();
    let engaged = |one: &&Proposal| one.author.is_some() || !one.votes.is_empty();
    let open = |one: &&Proposal| one.stand == Stand::Open && one.base != newest.number;
    let pending = pending.iter().filter(|one| waits.contains(&one.hash));
    let pending: Vec<&Proposal> = pending.filter(engaged).filter(open).collect();
    if pending.is_empty() {
        return Ok(BTreeSet::new());
    }
    let seen: Vec<(i64, ChangeSet)> =
        pending.iter().map(|one| (one.base, one.change.clone())).collect();
    let same = same_on_air(store, bench.clone(), seen, newest, now).await?;
    let moved = pending.iter().zip(same).filter(|(_, same)| same.is_none());
    Ok(moved.map(|(one, _)| one.hash).collect())
}

/// Returns the proposal of a change: as people left it, or new.
async fn proposal(
    store: &dyn Store,
    waiting: Waiting,
    pending: &[Proposal],
    newest: &Version,
    moved: &BTreeSet<Digest>,
    step: &mut ApprovalStep,
    now: UtcMs,
) -> Result<Proposal, StoreError> {
    let Waiting { change, together, preview, reach, judged_ms } = waiting;
    let hash = change.hash();
    let mut one = Proposal {
        hash,
        revision: 0,
        made_ms: now,
        base: newest.number,
        author: None,
        stand: Stand::Open,
        votes: Vec::new(),
        change,
        together,
        preview,
        reach,
        judged_ms,
    };
    let Some(known) = pending.iter().find(|known| known.hash == hash) else {
        // Also what came into force once and was rolled back: it needs its approvals again.
        one.revision = store.proposal(&hash).await?.map_or(0, |known| known.revision);
        let entry = Actor::server().did(now, "see-proposal", hash);
        step.entries.push(entry.after(one.names().join(", ")));
        step.proposals.push(one.clone());
        return Ok(one);
    };
    one.revision = known.revision;
    one.made_ms = known.made_ms;
    one.stand = known.stand.clone();
    one.author.clone_from(&known.author);
    one.votes.clone_from(&known.votes);
    if moved.contains(&hash) {
        one.stand = Stand::Stale { at_ms: now };
        one.votes.clear();
        let entry = Actor::server().did(now, "stale-proposal", hash);
        let entry = entry.before(format!("over version {}", known.base));
        step.entries.push(entry.after(format!("over version {}", newest.number)));
    }
    if *known != one {
        step.proposals.push(one.clone());
    }
    Ok(one)
}

/// Closes what no longer is what the folder holds.
pub fn supersede(pending: Vec<Proposal>, but: &[Proposal], step: &mut ApprovalStep, now: UtcMs) {
    for mut other in pending {
        if but.iter().all(|one| one.hash != other.hash) {
            if other.author.is_some() || !other.votes.is_empty() {
                // What somebody has stood for does not go without a word.
                let entry = Actor::server().did(now, "supersede-proposal", other.hash);
                step.entries.push(entry.before(told(&other)));
            }
            other.stand = Stand::Superseded { at_ms: now };
            step.proposals.push(other);
        }
    }
}

/// Tells whose it was, who had approved it, and its files.
fn told(one: &Proposal) -> String {
    let author = one.author.as_ref().map_or("nobody".to_owned(), ToString::to_string);
    let votes: Vec<_> = one.votes.iter().map(ToString::to_string).collect();
    let votes = if votes.is_empty() { "nobody".to_owned() } else { votes.join(", ") };
    format!("proposed by {author}, approved by {votes}: {}", one.names().join(", "))
}

/// Returns the step that puts a version into force by no approval, with its bytes.
pub fn put_in_force(bench: &Bench, over: i64, manifest: Manifest, now: UtcMs) -> ApprovalStep {
    let hashes = manifest.files.values().map(|entry| entry.sha256);
    let blobs = hashes.filter_map(|hash| Some((hash, bench.blobs.get(&hash)?.clone())));
    ApprovalStep {
        over,
        blobs: blobs.collect(),
        version: Some(Version { number: 0, at_ms: now, approval: None, manifest }),
        ..ApprovalStep::default()
    }
}
