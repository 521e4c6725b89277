//! Listens to a topic of a broker for values, over a connection of its own.

use super::super::process::random;
use super::{Ties, secret};
use crate::app::feeds::{HeardError, pick};
use crate::app::link::{Lag, LinkEvent};
use crate::domain::feed::MqttSource;
use crate::domain::ids::FeedId;
use crate::mqtt::{BrokerUrl, MqttConfig, Password, TlsSettings};
use crate::wire::b64;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Wait before what the file says is read again.
const AGAIN_MS: i64 = 30_000;

/// Listens for ever.
pub(super) async fn read(id: &FeedId, source: &MqttSource, ties: &Ties, stop: &CancellationToken) {
    loop {
        // A secret or certificate that is put in its place later is found by this.
        let said = match listen(id, source, ties, stop).await {
            Ok(()) => return,
            Err(said) => said,
        };
        if ties.heard.send((id.clone(), Err(said))).await.is_err() {
            return;
        }
        ties.reading.clock.sleep(AGAIN_MS).await;
    }
}

async fn listen(
    id: &FeedId,
    source: &MqttSource,
    ties: &Ties,
    stop: &CancellationToken,
) -> Result<(), HeardError> {
    let wrong = |what: String, hint| HeardError::Source { what, hint };
    let url: BrokerUrl =
        source.url.parse().map_err(|e: crate::mqtt::UrlError| wrong(e.to_string(), e.hint()))?;
    let folder = &ties.reading.folder;
    let login = match (&source.user, &source.password_file) {
        (Some(user), Some(file)) => Some((user.clone(), Password::new(secret(folder, file)?))),
        (Some(user), None) => Some((user.clone(), Password::new(""))),
        (None, _) => None,
    };
    let random = random::<9>().map_or_else(|_| "0".to_owned(), |bytes| b64::encode(&bytes));
    let ca_file = source.ca_file.as_ref().map(|file| folder.join(file));
    let config = MqttConfig {
        url,
        client_id: format!("loa.feed.{id}.{random}"),
        login,
        tls: TlsSettings { ca_file, ..TlsSettings::default() },
        keep_alive_s: 60,
        window: 8,
        lag: Lag { events: 64, bytes: 1 << 20 },
        backoff: (Duration::from_secs(1), Duration::from_mins(5)),
    };
    let (link, mut events, driver) = crate::mqtt::connect(config, Box::new(|| None), stop.clone())
        .map_err(|error| wrong(error.to_string(), error.hint()))?;
    while let Some(event) = events.next().await {
        let said = match event {
            LinkEvent::Connected => match link.subscribe(vec![source.topic.clone()]).await {
                Ok(()) => continue,
                Err(error) => {
                    Err(wrong(error.to_string(), "let the broker's access list allow the topic"))
                }
            },
            LinkEvent::Disconnected { why } => Err(wrong(
                format!("no connection to the broker: {why}"),
                "see `url`, `user` and `password_file` of the feed; it is tried again",
            )),
            LinkEvent::Message { topic, .. } if topic != source.topic => continue,
            LinkEvent::Message { payload, .. } if payload.len() as u64 > source.most_bytes => {
                Err(wrong(
                    format!("a message of {} bytes", payload.len()),
                    "raise `most_kib`, or let the source send less",
                ))
            }
            // What lay there may be a year old.
            LinkEvent::Message { retain: true, .. } if source.pick.at.is_none() => continue,
            LinkEvent::Message { payload, .. } => {
                pick(&payload, &source.pick).map_err(HeardError::from)
            }
        };
        if ties.heard.send((id.clone(), said)).await.is_err() {
            break;
        }
    }
    driver.abort();
    Ok(())
}
