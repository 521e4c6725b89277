//! Carries assets from the library to the broker, a window at a time.

use super::{Job, Library, LibraryError, Shelf};
use crate::app::link::{Acked, Link, LinkError};
use crate::domain::chunk::{ChunkSize, concat};
use crate::domain::ids::Digest;
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use tracing::{debug, warn};

/// Chunks published and not acknowledged yet: half a megabyte.
const WINDOW: usize = 8;

/// Why an asset did not get to the broker.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    #[error("publishing asset `{sha256}`")]
    Link {
        sha256: Digest,
        #[source]
        source: LinkError,
    },
    #[error("asset `{sha256}` is not in the library")]
    Missing { sha256: Digest },
    #[error("asset `{sha256}` in the library is not what its name says")]
    Damaged { sha256: Digest },
    #[error("asset `{sha256}` has {chunks} chunks, more than {limit}")]
    TooLarge { sha256: Digest, chunks: u64, limit: u64 },
    #[error("reading asset `{sha256}`")]
    Library {
        sha256: Digest,
        #[source]
        source: LibraryError,
    },
    #[error("the process is stopping")]
    Stopping,
}

/// Publishes and clears chunks as a [`Shelf`] asks.
#[derive(Clone)]
pub struct Courier {
    link: Link,
    library: Arc<dyn Library>,
    topics: Topics,
}

impl Courier {
    /// Returns a courier between library and broker.
    pub fn new(link: Link, library: Arc<dyn Library>, topics: Topics) -> Self {
        Self { link, library, topics }
    }

    /// Does everything the shelf asks for; done when the broker acknowledged all of it. What the
    /// library lacks is given up and logged; a broken link ends the round, and the next one, after
    /// `Connected`, goes on with what is left.
    pub async fn run(&self, shelf: &mut Shelf) -> Result<(), CourierError> {
        while let Some(job) = shelf.next() {
            shelf.begin(job);
            match self.carry(job).await {
                Ok(()) => shelf.done(job),
                Err(
                    error @ (CourierError::Missing { sha256 }
                    | CourierError::Damaged { sha256 }
                    | CourierError::TooLarge { sha256, .. }),
                ) => {
                    warn!(asset = %sha256, "Cannot hand out an asset: {error}");
                    shelf.give_up(&sha256);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the filter that shows what an earlier start left on the broker; hand the answers to
    /// [`Shelf::found`].
    pub fn survey(topics: &Topics) -> String {
        format!("{topics}/a/+/+/sums")
    }

    /// Does one job; done when the broker acknowledged all of it.
    pub async fn carry(&self, job: Job) -> Result<(), CourierError> {
        match job {
            Job::Publish { sha256, size } => self.publish(sha256, size).await,
            Job::Clear { sha256, size, chunks } => self.clear(sha256, size, chunks).await,
        }
    }

    async fn publish(&self, sha256: Digest, size: ChunkSize) -> Result<(), CourierError> {
        let total = self.read(sha256, move |library| library.bytes(&sha256)).await?;
        let chunks = size.count(total);
        if chunks > limits::CHUNKS {
            return Err(CourierError::TooLarge { sha256, chunks, limit: limits::CHUNKS });
        }
        let mut line = Line::new(&self.link, sha256);
        let mut hashes = Vec::new();
        let mut whole = crate::domain::chunk::AssetHasher::new(&[]);
        for n in 0..u32::try_from(chunks).unwrap_or(u32::MAX) {
            let offset = u64::from(n) * size.bytes() as u64;
            let read = move |library: &dyn Library| library.read(&sha256, offset, size.bytes());
            let chunk = Bytes::from(self.read(sha256, read).await?);
            whole.update(&chunk);
            hashes.push(Digest::of(&chunk));
            line.send(self.topics.of(&Topic::Chunk { sha256, size, n }), chunk).await?;
        }
        line.acknowledged().await?;
        // A file that rotted on disk would be refused by every device: better to say so here.
        if whole.finish().sha256 != sha256 {
            self.clear(sha256, size, u32::try_from(chunks).unwrap_or(u32::MAX)).await?;
            return Err(CourierError::Damaged { sha256 });
        }
        line.send(self.topics.of(&Topic::Sums { sha256, size }), concat(&hashes).into()).await?;
        line.acknowledged().await?;
        debug!(asset = %sha256, chunks, "Laid an asset on the broker");
        Ok(())
    }

    /// The sums go first: who finds none asks for no chunk.
    async fn clear(
        &self,
        sha256: Digest,
        size: ChunkSize,
        chunks: u32,
    ) -> Result<(), CourierError> {
        let mut line = Line::new(&self.link, sha256);
        line.send(self.topics.of(&Topic::Sums { sha256, size }), Bytes::new()).await?;
        for n in 0..chunks {
            line.send(self.topics.of(&Topic::Chunk { sha256, size, n }), Bytes::new()).await?;
        }
        line.acknowledged().await?;
        debug!(asset = %sha256, "Cleared an asset from the broker");
        Ok(())
    }

    async fn read<T: Send + 'static>(
        &self,
        sha256: Digest,
        work: impl FnOnce(&dyn Library) -> Result<Option<T>, LibraryError> + Send + 'static,
    ) -> Result<T, CourierError> {
        let library = Arc::clone(&self.library);
        let read = tokio::task::spawn_blocking(move || work(&*library)).await;
        read.map_err(|_| CourierError::Stopping)?
            .map_err(|source| CourierError::Library { sha256, source })?
            .ok_or(CourierError::Missing { sha256 })
    }
}

/// Messages in flight, in order.
struct Line<'a> {
    link: &'a Link,
    sha256: Digest,
    flying: VecDeque<Acked>,
}

impl<'a> Line<'a> {
    fn new(link: &'a Link, sha256: Digest) -> Self {
        Self { link, sha256, flying: VecDeque::new() }
    }

    async fn send(&mut self, topic: String, payload: Bytes) -> Result<(), CourierError> {
        let sha256 = self.sha256;
        let failed = |source| CourierError::Link { sha256, source };
        if self.flying.len() >= WINDOW
            && let Some(first) = self.flying.pop_front()
        {
            first.await.map_err(failed)?;
        }
        self.flying.push_back(self.link.enqueue(topic, payload, true).await.map_err(failed)?);
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<(), CourierError> {
        let sha256 = self.sha256;
        for acked in self.flying.drain(..) {
            acked.await.map_err(|source| CourierError::Link { sha256, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::assets::MemoryLibrary;
    use crate::app::link::hub::Hub;
    use crate::app::publish::AssetNeed;
    use crate::domain::chunk::hashes;
    use crate::domain::time::UtcMs;

    fn need(bytes: usize) -> AssetNeed {
        let bytes = bytes as u64;
        AssetNeed { bytes, kib: [64].into(), devices: 1, first_use_ms: UtcMs(0) }
    }

    #[tokio::test]
    async fn every_chunk_is_there_before_the_sums_and_cleared_after_them() {
        let asset: Vec<u8> = (0..20 * 65_536 + 9_u32).map(|n| n.to_le_bytes()[1]).collect();
        let library = Arc::new(MemoryLibrary::default());
        let name = library.import(&mut asset.as_slice(), u64::MAX - 1).unwrap();
        let hub = Hub::new();
        let (link, _events) = hub.connect("server");
        let courier = Courier::new(link, library, Topics::default());
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(name.sha256, need(asset.len()))].into());
        courier.run(&mut shelf).await.unwrap();
        let published = hub.published();
        assert_eq!(published.len(), 22);
        assert!(published.last().unwrap().topic.ends_with("/64/sums"));
        let sums = concat(&hashes(&asset, ChunkSize::Kib64));
        assert_eq!(published.last().unwrap().payload, sums);
        let together: Vec<u8> = published[..21].iter().flat_map(|p| p.payload.to_vec()).collect();
        assert_eq!(together, asset);
        shelf.set_needs([].into());
        courier.run(&mut shelf).await.unwrap();
        assert!(hub.retained().is_empty());
        assert!(hub.published()[22].topic.ends_with("/64/sums"));
    }

    #[tokio::test]
    async fn what_the_library_lacks_does_not_hold_up_the_rest() {
        let library = Arc::new(MemoryLibrary::default());
        let name = library.import(&mut b"x".as_slice(), 10).unwrap();
        let hub = Hub::new();
        let (link, _events) = hub.connect("server");
        let courier = Courier::new(link, library, Topics::default());
        let mut shelf = Shelf::new(u64::MAX);
        let missing = AssetNeed { first_use_ms: UtcMs(-1), ..need(5) };
        shelf.set_needs([(Digest::of(b"missing"), missing), (name.sha256, need(1))].into());
        courier.run(&mut shelf).await.unwrap();
        assert_eq!(hub.retained().len(), 2);
        assert_eq!(shelf.next(), None);
    }

    #[tokio::test]
    async fn a_broken_line_ends_the_round_and_the_next_one_does_the_rest() {
        let library = Arc::new(MemoryLibrary::default());
        let one = library.import(&mut b"1".as_slice(), 10).unwrap();
        let hub = Hub::new();
        let (link, _events) = hub.connect("server");
        let courier = Courier::new(link, library, Topics::default());
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(one.sha256, need(1))].into());
        hub.cut("server");
        let error = courier.run(&mut shelf).await.unwrap_err();
        assert!(matches!(error, CourierError::Link { source: LinkError::Down, .. }), "{error}");
        hub.restore("server");
        courier.run(&mut shelf).await.unwrap();
        assert_eq!(hub.retained().len(), 2);
    }
}
