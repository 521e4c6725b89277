//! §8: fetching in chunks: exact topics, a small window, nothing twice, nothing wrong.

use crate::conform::lab::{AGAIN, Asset, Lab, SOON, Step};
use crate::conform::rows::Check;
use crate::conform::trace::{Seen, What, asked};
use crate::domain::ids::Digest;
use crate::wire::chunk::ChunkSize;
use crate::wire::limits;
use crate::wire::topic::Topic;
use std::collections::BTreeSet;

pub const CHECKS: &[Check] = &[
    Check {
        id: "asset-order",
        place: "§8",
        says: "asks for the sums before the chunks, in one size of chunks, at most 16 unanswered",
    },
    Check {
        id: "asset-resume",
        place: "§8",
        says: "keeps what it has when the line breaks, and asks only for what is missing",
    },
    Check {
        id: "asset-hash",
        place: "§8",
        says: "drops a chunk of wrong bytes, and asks until it has the right one",
    },
    Check { id: "asset-done", place: "§8", says: "asks no more once it has all" },
];

pub async fn run(lab: &mut Lab) -> Step {
    lab.begin("asset-order");
    // Between nine and ten chunks of 16 KiB, so five of 32 and three of 64.
    let asset = Asset::tone(9_200, 8_000, 330.0);
    let mark = lab.trace.mark();
    for size in ChunkSize::ALL {
        let sums = Topic::Sums { sha256: asset.name, size };
        lab.publish(&sums, asset.sums(size), true).await?;
        for n in 0..asset.count(size) - 2 {
            lab.chunk(&asset, size, n, asset.chunk(size, n).to_vec()).await?;
        }
    }
    let mut plan = lab.plan();
    plan.assets.insert(asset.name.to_string(), asset.entry.clone());
    if lab.board.is_none() {
        // Something must need it: an hour from now.
        let item = serde_json::json!({"kind": "clip", "title": "Sau", "asset": asset.name});
        let at = lab.now() + 3_600_000;
        lab.cue_of(&mut plan, at, at + 8_000, item)?;
    }
    lab.install(&plan).await?;
    let wait = if lab.board.is_some() { 3_000 } else { SOON };
    let name = asset.name;
    let size = lab.trace.until(mark, wait, |seen| size_asked(lab, seen, &name)).await;
    let Some(size) = size else {
        let boards = lab.board.is_some();
        for check in CHECKS {
            lab.begin(check.id);
            if boards {
                lab.skip("a board that fetches no sound");
            } else {
                lab.fail("it did not ask for the clip of a cue an hour from now");
            }
        }
        return Ok(());
    };
    let last = asset.count(size) - 1;
    let held: Vec<usize> = (0..last - 1).collect();
    for n in &held {
        if !sent(lab, mark, &asset, size, *n, SOON).await {
            lab.fail(format!("it did not ask for chunk {n} of {} KiB", size.kib()));
            return Ok(());
        }
    }
    let wrong = lab.trace.look(mark, |seen| disorder(lab, seen, &name));
    lab.judge(&wrong, format!("{} KiB", size.kib()));
    resume(lab, &asset, size, &held).await?;
    hash(lab, &asset, size, last).await?;
    Ok(())
}

async fn resume(lab: &mut Lab, asset: &Asset, size: ChunkSize, held: &[usize]) -> Step {
    lab.begin("asset-resume");
    // The pieces under way have arrived when the device has answered.
    lab.rest(500).await;
    let mark = lab.trace.mark();
    lab.interrupt(500).await?;
    let n = held.len();
    lab.chunk(asset, size, n, asset.chunk(size, n).to_vec()).await?;
    if !sent(lab, mark, asset, size, n, AGAIN).await {
        lab.fail("after the line came back it did not ask for what was missing");
        return Ok(());
    }
    let again: Vec<String> = held
        .iter()
        .filter(|n| lab.trace.look(mark, |seen| asked(seen, &lab.topic(&chunk(asset, size, **n)))))
        .map(ToString::to_string)
        .collect();
    if again.is_empty() {
        lab.pass(format!("{n} chunks were kept"));
    } else {
        lab.fail(format!("it asked again for chunks it had: {}", again.join(", ")));
    }
    Ok(())
}

async fn hash(lab: &mut Lab, asset: &Asset, size: ChunkSize, last: usize) -> Step {
    lab.begin("asset-hash");
    let right = asset.chunk(size, last).to_vec();
    let mut wrong = right.clone();
    wrong[0] ^= 0xff;
    let mark = lab.trace.mark();
    let bad = Digest::of(&wrong);
    lab.chunk(asset, size, last, wrong).await?;
    let topic = chunk(asset, size, last);
    if !lab.trace.sent(mark, &lab.topic(&topic), &bad, AGAIN).await {
        lab.fail("it did not ask for the last chunk");
        return Ok(());
    }
    lab.rest(1_500).await;
    lab.chunk(asset, size, last, right.clone()).await?;
    if lab.trace.sent(mark, &lab.topic(&topic), &Digest::of(&right), AGAIN).await {
        lab.pass("it kept asking until the right bytes came");
    } else {
        lab.fail("it stopped asking after the wrong bytes");
        return Ok(());
    }
    lab.begin("asset-done");
    lab.rest(1_500).await;
    let mark = lab.trace.mark();
    lab.interrupt(300).await?;
    lab.rest(2_000).await;
    let again = lab.trace.look(mark, |seen| size_asked(lab, seen, &asset.name).is_some());
    if again {
        lab.fail("it asks for pieces of it again");
    } else {
        lab.pass("");
    }
    Ok(())
}

fn chunk(asset: &Asset, size: ChunkSize, n: usize) -> Topic {
    Topic::Chunk { sha256: asset.name, size, n: u32::try_from(n).unwrap_or(u32::MAX) }
}

async fn sent(lab: &Lab, mark: usize, asset: &Asset, size: ChunkSize, n: usize, ms: u64) -> bool {
    let digest = Digest::of(asset.chunk(size, n));
    lab.trace.sent(mark, &lab.topic(&chunk(asset, size, n)), &digest, ms).await
}

/// In which size the device asks for an asset.
fn size_asked(lab: &Lab, seen: &[Seen], name: &Digest) -> Option<ChunkSize> {
    seen.iter().find_map(|one| match &one.what {
        What::Subscribed(filters) => {
            filters.iter().find_map(|(filter, _)| match lab.author.topics.parse(filter)? {
                Topic::Sums { sha256, size } | Topic::Chunk { sha256, size, .. } => {
                    (sha256 == *name).then_some(size)
                }
                _ => None,
            })
        }
        _ => None,
    })
}

/// What is wrong with how an asset was asked for.
fn disorder(lab: &Lab, seen: &[Seen], name: &Digest) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    let (mut sums, mut sizes) = (false, BTreeSet::new());
    let mut open: BTreeSet<String> = BTreeSet::new();
    for one in seen {
        match &one.what {
            What::Sent { topic, .. } => {
                open.remove(topic);
                if let Some(Topic::Sums { sha256, .. }) = lab.author.topics.parse(topic) {
                    sums |= sha256 == *name;
                }
            }
            What::Unsubscribed(filters) => {
                for filter in filters {
                    open.remove(filter);
                }
            }
            What::Closed => open.clear(),
            What::Subscribed(filters) => {
                for (filter, _) in filters {
                    match lab.author.topics.parse(filter) {
                        Some(Topic::Sums { sha256, size }) if sha256 == *name => {
                            sizes.insert(size.kib());
                        }
                        Some(Topic::Chunk { sha256, size, .. }) if sha256 == *name => {
                            sizes.insert(size.kib());
                            if !sums {
                                wrong.insert("asks for a chunk before it has the sums".to_owned());
                            }
                        }
                        _ => {}
                    }
                    if matches!(
                        lab.author.topics.parse(filter),
                        Some(Topic::Sums { .. } | Topic::Chunk { .. } | Topic::Sheet(_))
                    ) {
                        open.insert(filter.clone());
                    }
                }
                if open.len() > limits::CHUNK_WINDOW {
                    wrong.insert(format!("{} pieces unanswered at a time", open.len()));
                }
            }
            _ => {}
        }
    }
    if sizes.len() > 1 {
        wrong.insert(format!("asks in several sizes: {sizes:?} KiB"));
    }
    wrong.into_iter().collect()
}
