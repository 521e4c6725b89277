//! What the server stores when it has looked at the folder.

use super::{Bench, Manifest, Over, Proposal, Settled, Stand, Version, Waiting, same_on_air};
use crate::app::ports::{ApprovalStep, Fence, Store, StoreError};
use crate::app::trail::Actor;
use crate::domain::time::UtcMs;
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
    let mut waits = Vec::new();
    for waiting in settled.waits {
        let one = proposal(store, bench, waiting, &pending, &newest, &mut step, now).await?;
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

/// Returns the proposal of a change: as people left it, or new.
async fn proposal(
    store: &dyn Store,
    bench: &Bench,
    waiting: Waiting,
    pending: &[Proposal],
    newest: &Version,
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
    let engaged = one.author.is_some() || !one.votes.is_empty();
    if known.base != newest.number && known.stand == Stand::Open && engaged {
        let same = same_on_air(store, bench.clone(), known, known.base, newest, now).await?;
        if same.is_none() {
            one.stand = Stand::Stale { at_ms: now };
            one.votes.clear();
            let entry = Actor::server().did(now, "stale-proposal", hash);
            let entry = entry.before(format!("over version {}", known.base));
            step.entries.push(entry.after(format!("over version {}", newest.number)));
        }
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
