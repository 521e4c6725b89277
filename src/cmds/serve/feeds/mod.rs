//! Reads the feeds of the station for as long as this process leads.
//!
//! A task for each feed brings what its source says; one place judges and publishes. Only what the
//! feed's file names is ever asked: no redirect is followed, and nothing in an answer is.

mod http;
mod mqtt;
#[cfg(test)]
mod tests;

pub use http::fetch;

use crate::app::feeds::{Feeds, HeardError, Picked};
use crate::clock::SharedClock;
use crate::domain::feed::{Feed, Source};
use crate::domain::ids::FeedId;
use crate::domain::station::Station;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Readings that wait to be judged; a source that has more waits.
const WAITING: usize = 64;
/// Addresses that are asked at a time.
const AT_ONCE: usize = 8;
/// How often is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Largest file that holds a secret.
const SECRET_BYTES: u64 = 4_096;

/// What a reader hands over.
type Heard = (FeedId, Result<Picked, HeardError>);

/// What readers share.
#[derive(Clone)]
pub struct Reading {
    pub clock: SharedClock,
    /// The station folder: secrets and certificates lie there.
    pub folder: PathBuf,
}

#[derive(Clone)]
struct Ties {
    reading: Reading,
    heard: mpsc::Sender<Heard>,
    turns: Arc<Semaphore>,
}

/// Reads until told to stop.
pub async fn run(
    mut feeds: Feeds,
    reading: Reading,
    mut in_force: watch::Receiver<Option<Arc<Station>>>,
    stop: CancellationToken,
) {
    let (heard, mut hears) = mpsc::channel(WAITING);
    let ties = Ties { reading, heard, turns: Arc::new(Semaphore::new(AT_ONCE)) };
    let mut readers: BTreeMap<FeedId, (Feed, CancellationToken)> = BTreeMap::new();
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    in_force.mark_changed();
    let mut due: Option<Arc<Station>> = None;
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => break,
            Ok(()) = in_force.changed() => {
                due.clone_from(&in_force.borrow_and_update());
                Ok(())
            }
            Some((id, said)) = hears.recv() => feeds.heard(&id, said).await,
            _ = tick.tick() => feeds.tend().await,
        };
        let followed = match &due {
            Some(station) => feeds.follow(&station.feeds).await,
            None => Ok(()),
        };
        if let (Some(station), Ok(())) = (&due, &followed) {
            follow(&station.feeds, &mut readers, &ties, &stop);
            due = None;
        }
        if let Err(error) = done.and(followed) {
            tracing::error!(error = super::chain(&error), "Values of feeds wait for the store");
            tokio::time::sleep(LOOK).await;
        }
    }
    for (_, token) in readers.into_values() {
        token.cancel();
    }
}

/// Starts and ends readers, so that each feed has the one that its description asks for.
fn follow(
    feeds: &BTreeMap<FeedId, Feed>,
    readers: &mut BTreeMap<FeedId, (Feed, CancellationToken)>,
    ties: &Ties,
    stop: &CancellationToken,
) {
    readers.retain(|id, (feed, token)| {
        let stays = feeds.get(id) == Some(feed);
        if !stays {
            token.cancel();
        }
        stays
    });
    for (id, feed) in feeds {
        if readers.contains_key(id) {
            continue;
        }
        let token = stop.child_token();
        readers.insert(id.clone(), (feed.clone(), token.clone()));
        let (feed, ties) = (feed.clone(), ties.clone());
        tokio::spawn(async move {
            let reads = async {
                match &feed.source {
                    Source::Http(source) => http::read(&feed.id, source, &ties).await,
                    Source::Mqtt(source) => mqtt::read(&feed.id, source, &ties, &token).await,
                }
            };
            tokio::select! {
                () = token.cancelled() => {}
                () = reads => {}
            }
        });
    }
}

/// Reads a secret of the station folder: one line.
fn secret(folder: &Path, file: &str) -> Result<String, HeardError> {
    use std::io::Read as _;
    let wrong = |why: String| HeardError::Source {
        what: format!("the secret in `{file}` cannot be read: {why}"),
        hint: "put it on one line into that file of the station folder",
    };
    let mut text = String::new();
    let opened = std::fs::File::open(folder.join(file)).map_err(|e| wrong(e.to_string()))?;
    opened
        .take(SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || text.len() as u64 > SECRET_BYTES || line.chars().any(char::is_control) {
        return Err(wrong("it is not one line".to_owned()));
    }
    Ok(line.to_owned())
}
