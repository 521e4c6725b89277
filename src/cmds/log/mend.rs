//! The ways on after a loss: rebuild what the store holds, begin anew, adopt what is there.

use super::super::trail::command_line;
use super::super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use super::{Begin, Place};
use crate::app::ports::{Logbook as _, Loss, Trail as _};
use crate::app::scribe::LogPlace;
use crate::clock::{Clock as _, SystemClock};
use crate::log::disk::RealDisk;
use crate::log::sequencer::{Adopt, Sequencer};
use crate::log::shard::ShardName;
use anyhow::Context as _;
use serde_json::json;

/// Characters of the longest reason.
const REASON: usize = 200;

/// Returns the newest shard of data or heads.
fn newest(place: &LogPlace) -> anyhow::Result<ShardName> {
    let data = place.shards().with_context(|| format!("reading `{}`", place.folder.display()))?;
    let heads = place.known().with_context(|| format!("reading `{}`", place.heads.display()))?;
    data.into_iter().chain(heads).max().ok_or_else(|| {
        wrong_use("there is no log yet", "`loa serve` begins it, nothing is to be mended")
    })
}

fn told(place: &Place, shard: ShardName, size: u64, what: &str) -> anyhow::Result<Answer> {
    if place.json {
        print_json(&json!({ "shard": shard.to_string(), "size": size }))?;
    } else {
        print_text(&format!("{shard}: {what}, {size} leaves\n"))?;
    }
    Ok(Answer::Yes)
}

/// Writes tiles again from the store.
pub fn rebuild(args: &Place) -> anyhow::Result<Answer> {
    let (folder, place) = (args.folder()?, args.log()?);
    let shard = newest(&place)?;
    let runtime = runtime()?;
    let store = runtime.block_on(folder.open_store())?;
    let shards = runtime.block_on(store.shards())?;
    let known = shards.into_iter().find(|known| known.name == shard.to_string());
    let known = known.ok_or_else(|| {
        failed(
            anyhow::anyhow!("the store does not know shard `{shard}`"),
            "the store is older than the log, or another's: copy tiles from a mirror or an audit \
             pack, or go on with `loa log begin`",
        )
    })?;
    let setup = place.setup(shard, Vec::new(), Adopt::Refuse)?;
    let leaves = |first: u64, most: usize| {
        let number = known.first.saturating_add(i64::try_from(first).unwrap_or(i64::MAX));
        runtime.block_on(store.leaves(number, u32::try_from(most).unwrap_or(u32::MAX)))
    };
    let log = Sequencer::rebuild(RealDisk, setup, None, leaves).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    let size = log.size();
    let entry = command_line().did(SystemClock::new().now(), "rebuild-log", shard);
    runtime.block_on(store.append(&entry.after(format!("{size} leaves"))))?;
    runtime.block_on(store.close());
    told(args, shard, size, "rebuilt")
}

/// Says that leaves are lost for good.
pub fn begin(args: &Begin) -> anyhow::Result<Answer> {
    let reason = args.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON {
        return Err(wrong_use(
            "a loss needs a reason of 1 to 200 characters",
            "say what happened: `--reason \"disk lost, restored the backup of 3 May\"`",
        ));
    }
    let folder = args.place.folder()?;
    let loss = Loss { reason: reason.to_owned(), by: command_line().who };
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        store.tell_loss(Some(&loss)).await?;
        let entry = command_line().did(SystemClock::new().now(), "begin-log", "log");
        store.append(&entry.after(reason)).await?;
        store.close().await;
        anyhow::Ok(())
    })?;
    if args.place.json {
        print_json(&json!({ "told": true, "reason": reason }))?;
    } else {
        print_text(
            "If the log cannot go on where it stood, the server begins a new shard, whose first \
             leaf says this; if it can, or goes on already, nothing changes and this is \
             forgotten.\n",
        )?;
    }
    Ok(Answer::Yes)
}

/// Takes the log as it stands.
pub fn adopt(args: &Place) -> anyhow::Result<Answer> {
    let (folder, place) = (args.folder()?, args.log()?);
    let shard = newest(&place)?;
    let setup = place.setup(shard, Vec::new(), Adopt::AsItStands)?;
    let log = Sequencer::open(RealDisk, setup).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    let size = log.size();
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let entry = command_line().did(SystemClock::new().now(), "adopt-log", shard);
        store.append(&entry.after(format!("{size} leaves"))).await?;
        store.close().await;
        anyhow::Ok(())
    })?;
    told(args, shard, size, "adopted")
}
