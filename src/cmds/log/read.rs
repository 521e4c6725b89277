//! Reading the log: heads, leaves, whether it is whole, proofs.

use super::super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use super::{Check, Place, Prove, Show};
use crate::app::ports::{Logbook as _, StoredShard};
use crate::app::scribe::LogPlace;
use crate::log::check::check_growth;
use crate::log::disk::DiskError;
use crate::log::edge::Edge;
use crate::log::folder::FolderError;
use crate::log::leaf::{Format, Leaf};
use crate::log::prove::proof_file;
use crate::log::shard::ShardName;
use crate::log::tokens;
use crate::stamp;
use crate::wire::tlog::{SignedCheckpoint, TreeHash};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// A shard, as `--json` shows it.
#[derive(Serialize)]
struct Row {
    shard: String,
    origin: String,
    /// What verifiers are configured with.
    vkey: String,
    size: u64,
    root: Option<String>,
    /// Signature lines under the head: the log's own and those of witnesses.
    signatures: usize,
    /// Heads that an authority stamped, oldest first.
    tokens: Vec<Token>,
}

/// A time stamp that is kept: `tokens/SIZE.tsr` below the shard's folder.
#[derive(Serialize)]
struct Token {
    size: u64,
    /// The time that it states; whether it is right, `loa audit verify` judges.
    at: Option<String>,
}

fn tokens_of(place: &LogPlace, shard: ShardName) -> anyhow::Result<Vec<Token>> {
    let folder = place.shard(shard);
    let token = |size| {
        let read = tokens::read(&folder, size)?;
        let stated = read.and_then(|read| stamp::Token::parse(&read.stamp).ok()?.stated_at().ok());
        let at = stated.map(|at| at.datetime().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        Ok(Token { size, at })
    };
    let sizes = tokens::sizes(&folder);
    let found = sizes.and_then(|sizes| sizes.into_iter().map(token).collect());
    found.map_err(|error: DiskError| {
        let hint = error.hint();
        failed(error, hint)
    })
}

fn advised(error: FolderError) -> anyhow::Error {
    let hint = error.hint();
    failed(error, hint)
}

fn row(place: &LogPlace, shard: ShardName) -> anyhow::Result<Row> {
    let head = place.checkpoint(shard).map_err(advised)?;
    let tree = head.as_ref().map(SignedCheckpoint::checkpoint);
    Ok(Row {
        shard: shard.to_string(),
        origin: place.origin(shard)?.to_string(),
        vkey: place.verifier(shard)?.to_string(),
        size: tree.map_or(0, |tree| tree.size),
        root: tree.map(|tree| tree.root.to_string()),
        signatures: head.as_ref().map_or(0, |head| head.note().lines().len()),
        tokens: tokens_of(place, shard)?,
    })
}

/// What the store knows: shards, and the number of the newest leaf.
type Stored = (Vec<StoredShard>, i64);

fn stored(place: &Place) -> anyhow::Result<Stored> {
    let folder = place.folder()?;
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let known = (store.shards().await?, store.newest_leaf().await?);
        store.close().await;
        Ok(known)
    })
}

/// Returns what the store knows, and the shards whose folders are here. The store first: a server
/// goes on meanwhile, and what the store says is logged has its folder and its head by then.
fn standing(
    place: &LogPlace,
    stored: impl FnOnce() -> anyhow::Result<Stored>,
) -> anyhow::Result<(Stored, Vec<ShardName>)> {
    let stored = stored()?;
    let shards = place.shards().with_context(|| format!("reading `{}`", place.folder.display()))?;
    Ok((stored, shards))
}

/// Returns the named shard with its head, or the newest.
fn head_of(
    place: &LogPlace,
    shard: Option<ShardName>,
) -> anyhow::Result<(ShardName, SignedCheckpoint)> {
    let shards = place.shards().with_context(|| format!("reading `{}`", place.folder.display()))?;
    let none = || wrong_use("the log has no such shard", "`loa log show` lists them");
    let shard = match shard {
        Some(named) if !shards.contains(&named) => return Err(none()),
        Some(named) => named,
        None => shards.last().copied().ok_or_else(none)?,
    };
    let head = place.checkpoint(shard).map_err(advised)?.ok_or_else(none)?;
    Ok((shard, head))
}

/// Lists the shards, or shows a leaf.
pub fn show(args: &Show) -> anyhow::Result<Answer> {
    let place = args.place.log()?;
    if let Some(index) = args.leaf {
        return leaf(args, &place, index);
    }
    let ((stored, newest), shards) = standing(&place, || stored(&args.place))?;
    let rows: Vec<Row> =
        shards.into_iter().map(|shard| row(&place, shard)).collect::<anyhow::Result<_>>()?;
    let waiting = newest - stored.last().map_or(0, |last| last.logged);
    if args.place.json {
        print_json(&json!({ "shards": rows, "waiting": waiting }))?;
        return Ok(Answer::Yes);
    }
    let cells = |row: &Row| {
        let root = row.root.clone().unwrap_or_else(|| "–".to_owned());
        let (shard, origin) = (row.shard.clone(), row.origin.clone());
        let (signatures, tokens) = (row.signatures.to_string(), row.tokens.len().to_string());
        vec![shard, row.size.to_string(), signatures, tokens, root, origin]
    };
    let cells: Vec<_> = rows.iter().map(cells).collect();
    let mut text = table(&["SHARD", "LEAVES", "SIGNATURES", "STAMPS", "ROOT", "ORIGIN"], &cells);
    let stamped = |row: &Row| {
        Some((row.shard.clone(), row.tokens.last()?.size, row.tokens.last()?.at.clone()?))
    };
    if let Some((shard, size, at)) = rows.iter().rev().find_map(stamped) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "stamped: {at}, {shard} at {size} leaves");
    }
    if let Some(newest) = rows.last() {
        let _ = writeln!(text, "key: {}", newest.vkey);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "waiting: {waiting}");
    print_text(&text)?;
    Ok(Answer::Yes)
}

fn leaf(args: &Show, place: &LogPlace, index: u64) -> anyhow::Result<Answer> {
    let (shard, head) = head_of(place, args.shard)?;
    let bytes = place.shard(shard).entry(index, head.checkpoint().size).map_err(advised)?;
    let hash = TreeHash::leaf(&bytes);
    let leaf = Leaf::parse(bytes)?;
    let content = String::from_utf8_lossy(leaf.content()).into_owned();
    let format = match leaf.format() {
        Format::Record => "record",
        Format::Server => "server",
        Format::Imported => "imported",
    };
    let at = leaf.received_ms().datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    if args.place.json {
        let said: Value = serde_json::from_str(&content).unwrap_or(Value::String(content));
        print_json(&json!({
            "shard": shard.to_string(), "index": index, "format": format, "received": at,
            "hash": hash.to_string(), "content": said,
        }))?;
    } else {
        print_text(&format!("{shard} {index} {format} {at} {hash}\n{content}\n"))?;
    }
    Ok(Answer::Yes)
}

/// Checks shards whole.
pub fn check(args: &Check) -> anyhow::Result<Answer> {
    let place = args.place.log()?;
    let ((stored, _), shards) = standing(&place, || stored(&args.place))?;
    let mut rows = Vec::new();
    for shard in shards.into_iter().filter(|shard| args.shard.is_none_or(|only| only == *shard)) {
        let known = stored.iter().find(|known| known.name == shard.to_string());
        let (size, faults) = faults(&place, shard, known);
        rows.push(json!({ "shard": shard.to_string(), "size": size, "faults": faults }));
    }
    for lost in stored.iter().filter(|known| known.size() > 0) {
        let there = rows.iter().any(|row| row["shard"] == lost.name.as_str());
        if !there && args.shard.is_none() {
            let fault =
                format!("the store knows {} leaves of it, its folder is not here", lost.size());
            rows.push(json!({ "shard": lost.name, "size": 0, "faults": [fault] }));
        }
    }
    let ok = rows.iter().all(|row| row["faults"].as_array().is_some_and(Vec::is_empty));
    if args.place.json {
        print_json(&json!({ "ok": ok, "shards": rows }))?;
    } else {
        for row in &rows {
            let (shard, size) = (row["shard"].as_str().unwrap_or_default(), &row["size"]);
            let faults = row["faults"].as_array().cloned().unwrap_or_default();
            let mut text = format!("{shard}: {size} leaves");
            text.push_str(if faults.is_empty() { ", whole\n" } else { "\n" });
            for fault in faults {
                let _ = writeln!(text, "  {}", fault.as_str().unwrap_or_default());
            }
            print_text(&text)?;
        }
    }
    if !ok {
        eprintln!("hint: `loa log rebuild` writes files again from the store; keep a copy first");
    }
    Ok(if ok { Answer::Yes } else { Answer::No })
}

/// Finds what is wrong with a shard.
fn faults(place: &LogPlace, shard: ShardName, known: Option<&StoredShard>) -> (u64, Vec<String>) {
    let told = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let _ = write!(text, ": {cause}");
            next = cause.source();
        }
        text
    };
    let logged = known.map_or(0, StoredShard::size);
    let mut faults = Vec::new();
    let size = match place.checkpoint(shard) {
        Err(error) => {
            faults.push(told(&error));
            0
        }
        Ok(None) if logged == 0 => 0,
        Ok(None) => {
            faults.push("it has no checkpoint".to_owned());
            0
        }
        Ok(Some(head)) => {
            let tree = head.checkpoint();
            if let Err(error) = check_growth(&place.shard(shard), Edge::default(), tree) {
                faults.push(told(&error));
            }
            tree.size
        }
    };
    if size < logged && faults.is_empty() {
        faults.push(format!("the store knows {logged} leaves, the log has {size}"));
    }
    (size, faults)
}

/// Proves a leaf.
pub fn prove(args: &Prove) -> anyhow::Result<Answer> {
    let place = args.place.log()?;
    let (shard, index) = match (args.index, &args.device, args.chain, args.seq) {
        (Some(index), ..) => (args.shard, index),
        (None, Some(device), Some(chain), Some(seq)) => {
            let folder = args.place.folder()?;
            let (number, shards) = runtime()?.block_on(async {
                let store = folder.open_store().await?;
                let number = store.leaf_of(device, &chain, seq).await?;
                let shards = store.shards().await?;
                store.close().await;
                anyhow::Ok((number, shards))
            })?;
            let number = number.ok_or_else(|| {
                wrong_use(
                    format!("no record {seq} of `{device}` in chain {chain}"),
                    "`loa records export` lists what there is",
                )
            })?;
            let found = shards.iter().rev().find(|shard| shard.first <= number);
            let place = found.and_then(|shard| Some((shard, shard.index(number)?)));
            let (shard, index) =
                place.filter(|(shard, _)| number <= shard.logged).ok_or_else(|| {
                    failed(
                        anyhow::anyhow!("the record is not logged yet"),
                        "a running server logs within seconds; `loa log show` tells what waits",
                    )
                })?;
            (Some(shard.name.parse()?), index)
        }
        _ => return Err(wrong_use("no leaf is named", "an index, or `--device --chain --seq`")),
    };
    let (shard, head) = head_of(&place, shard)?;
    let proof = proof_file(&place.shard(shard), index, &head).map_err(advised)?;
    let text = proof.to_string();
    if let Some(out) = &args.out {
        let file = OpenOptions::new().write(true).create_new(true).open(out);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing `{}`", out.display()))?;
    }
    let tree = head.checkpoint();
    if args.place.json {
        let path: Vec<String> = proof.path.iter().map(TreeHash::to_string).collect();
        print_json(&json!({
            "origin": tree.origin.to_string(), "index": index, "size": tree.size,
            "root": tree.root.to_string(), "path": path, "proof": text,
        }))?;
    } else if args.out.is_none() {
        print_text(&text)?;
    }
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UtcMs;
    use crate::log::disk::RealDisk;
    use crate::log::leaf::ServerBody;
    use crate::log::sequencer::{Adopt, Sequencer};
    use crate::wire::jws::SecretKey;
    use crate::wire::tlog::Name;

    #[test]
    fn a_shard_that_a_server_begins_meanwhile_is_shown_and_not_taken_for_lost() {
        let dir = tempfile::tempdir().unwrap();
        let place = LogPlace {
            folder: dir.path().join("data/log"),
            heads: dir.path().join("heads"),
            base: Name::new("loa/test").unwrap(),
            key: SecretKey::from_seed(&[1; 32]),
        };
        let name: ShardName = "2027".parse().unwrap();
        // Until it is asked, the store knows of no shard; its answer comes after the first round.
        let begun = || {
            let setup = place.setup(name, Vec::new(), Adopt::Refuse)?;
            let leaf = Leaf::server(UtcMs(1), &ServerBody::Shard { previous: None })?;
            Sequencer::open(RealDisk, setup)?.append(0, &[leaf])?;
            Ok((vec![StoredShard { name: name.to_string(), first: 1, logged: 1 }], 1))
        };
        let ((stored, _), shards) = standing(&place, begun).unwrap();
        assert_eq!(shards, [name]);
        assert_eq!(faults(&place, name, stored.first()), (1, Vec::new()));
    }
}
