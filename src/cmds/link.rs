//! `loa link`: a link that opens the page once.

use super::data::{DataFolder, DataOption};
use super::reach::reach;
use super::registers::Stationed;
use super::trail::command_line;
use super::{Answer, print_json, print_text, runtime};
use crate::app::access;
use crate::app::ports::Trail as _;
use crate::clock::{Clock as _, SystemClock};
use serde::Serialize;

/// Prints a link that opens the page of the server once, within a day
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    station: Stationed,
    /// Address under which you reach the server, when the station file does not know it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Link {
    link: String,
    expires_ms: i64,
}

/// Makes and prints the link.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let (url, secret) = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let url = if let Some(url) = args.url {
            url
        } else {
            let station = &args.station;
            let config = station.settings(&store).await?;
            let http = station.http.unwrap_or(config.listen.http);
            let mqtt = station.mqtt.unwrap_or(config.listen.mqtt);
            let broker = station.broker.as_deref().or(config.broker.url.as_deref());
            reach(&config, &station.playlists, http, mqtt, broker, now)?.url
        };
        let life = Some(access::LINK_MS);
        let secret = access::grant(&store, "loa link", None, access::LINK, now, life).await?;
        store.append(&command_line().did(now, "issue-link", "page")).await?;
        store.close().await;
        anyhow::Ok((url, secret))
    })?;
    let link = format!("{}/in/{}", url.trim_end_matches('/'), secret.reveal());
    let link = Link { link, expires_ms: now.plus(access::LINK_MS).0 };
    if args.json {
        print_json(&link)?;
    } else {
        print_text(&format!("{}\n", link.link))?;
    }
    Ok(Answer::Yes)
}
