//! `loa records missing`: ends of chains that devices tell of and that never came.

use super::row::shown;
use super::{Answer, print_json, print_text, runtime, table, told};
use crate::app::ports::{StoredTail, TailStand, Tails as _};
use crate::cmds::data::{DataFolder, DataOption};
use crate::domain::ids::DeviceId;
use chrono_tz::Tz;
use serde_json::json;

/// Which are wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Missing {
    #[command(flatten)]
    data: DataOption,
    /// Of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// Zone in which instants are shown
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Lists them; the answer is no when something should have come.
pub(super) fn missing(args: &Missing) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let mut tails = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let tails = store.tails().await.map_err(told)?;
        store.close().await;
        anyhow::Ok(tails)
    })?;
    tails.retain(|tail| {
        tail.stand != TailStand::Waiting
            && args.device.as_ref().is_none_or(|device| *device == tail.device)
    });
    let since = |tail: &StoredTail| shown(tail.since_ms, args.zone);
    if args.json {
        let rows = tails.iter().map(|tail| {
            json!({
                "device": tail.device.as_str(),
                "chain": tail.chain.to_string(),
                "told": tail.seq,
                "head": tail.head.map(|head| head.to_string()),
                "came": tail.came,
                "since": since(tail),
                "stand": tail.stand.as_str(),
                "logged": tail.said >= tail.seq,
            })
        });
        print_json(&rows.collect::<Vec<_>>())?;
    } else {
        let rows = tails.iter().map(|tail| {
            vec![
                tail.device.to_string(),
                tail.chain.to_string(),
                tail.seq.to_string(),
                tail.came.to_string(),
                since(tail),
                tail.stand.as_str().to_owned(),
            ]
        });
        let head = ["DEVICE", "CHAIN", "TOLD", "CAME", "SINCE", "STAND"];
        print_text(&table(&head, &rows.collect::<Vec<_>>()))?;
    }
    let is_missing = tails.iter().any(|tail| tail.stand == TailStand::Missing);
    Ok(if is_missing { Answer::No } else { Answer::Yes })
}
