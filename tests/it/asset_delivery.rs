//! Clips from the server's disk to devices, over every broker, through what goes wrong.

use crate::support::brokers::{World, fleet};
use crate::support::storm::{Fetching, Filling, Seen, hub_of};
use crate::support::wait::{until, within};
use loa::app::assets::{Courier, FileLibrary, Library as _, Shelf};
use loa::app::publish::AssetNeed;
use loa::device::fetch::AssetOrder;
use loa::domain::chunk::ChunkSize;
use loa::domain::time::UtcMs;
use loa::wire::doc::{Wanted, WantedKind};
use loa::wire::topic::Topics;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A library with clips and what a planner would ask for.
struct Clips {
    _folder: TempDir,
    library: Arc<FileLibrary>,
    orders: Vec<AssetOrder>,
    chunks: u64,
}

impl Clips {
    fn new(lengths: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Arc::new(FileLibrary::open(folder.path().join("assets")).unwrap());
        let mut orders = Vec::new();
        let mut chunks = 0;
        for (i, length) in lengths.iter().enumerate() {
            let seed = u64::try_from(i).unwrap() + 1;
            let mut x = seed;
            let clip: Vec<u8> = (0..*length)
                .map(|_| {
                    x ^= x << 13;
                    x ^= x >> 7;
                    x ^= x << 17;
                    x.to_le_bytes()[0]
                })
                .collect();
            let name = library.import(&mut clip.as_slice(), u64::MAX).unwrap();
            let size = ChunkSize::Kib64;
            chunks += size.count(name.bytes);
            let sums = name.sums["64"];
            orders.push(AssetOrder { sha256: name.sha256, bytes: name.bytes, size, sums });
        }
        Self { _folder: folder, library, orders, chunks }
    }

    fn shelf(&self, devices: usize) -> Shelf {
        let mut shelf = Shelf::new(u64::MAX);
        let devices = u32::try_from(devices).unwrap();
        let need = |order: &AssetOrder| AssetNeed {
            bytes: order.bytes,
            kib: [64].into(),
            devices,
            first_use_ms: UtcMs(0),
        };
        shelf.set_needs(self.orders.iter().map(|o| (o.sha256, need(o))).collect());
        shelf
    }

    fn courier(&self, client: &crate::support::brokers::Client) -> Courier {
        Courier::new(client.link.clone(), self.library.clone(), Topics::default())
    }
}

async fn every_device_gets_every_clip_whole(world: &mut World, devices: usize) {
    let clips = Clips::new(&[1, 65_536, 700_001, 300_000]);
    let server = world.server().await;
    let mut shelf = clips.shelf(devices);
    clips.courier(&server).run(&mut shelf).await.unwrap();
    let seen = Arc::new(Seen::default());
    let mut running = tokio::task::JoinSet::new();
    for n in 0..devices {
        let client = world.device(&format!("loa-{}", 1_001 + n)).await;
        let mut device = Fetching::new(client, &clips.orders, n as u64, seen.clone());
        running.spawn(async move { device.run().await.then_some(device.held.len()) });
    }
    while let Some(done) = within("every device", running.join_next()).await {
        assert_eq!(done.unwrap(), Some(4));
    }
    assert_eq!(seen.chunks.load(Ordering::Relaxed), clips.chunks * devices as u64);
    // When all hold them, the broker's memory is given back.
    let held: Vec<_> = clips.orders.iter().map(|order| order.sha256).collect();
    for n in 0..devices {
        shelf.state(&format!("loa-{}", 1_001 + n).parse().unwrap(), &held, &[]);
    }
    clips.courier(&server).run(&mut shelf).await.unwrap();
    assert_eq!(shelf.bytes(), 0);
    if let Some(hub) = hub_of(world) {
        assert!(hub.retained().is_empty());
    }
    // A device that comes late finds nothing, says so, and gets it again.
    let id = "loa-1001";
    let client = world.device(id).await;
    let mut late = Fetching::new(client, &clips.orders[2..3], 99, seen);
    let fetching = tokio::spawn(async move { late.run().await });
    let want = Wanted { kind: WantedKind::Asset, sha256: clips.orders[2].sha256, kib: Some(64) };
    shelf.state(&id.parse().unwrap(), &[], &[want]);
    clips.courier(&server).run(&mut shelf).await.unwrap();
    assert!(within("the late device", fetching).await.unwrap());
}

async fn a_storm_at_half_time_resumes_where_it_was(world: &mut World, devices: usize) {
    let clips = Clips::new(&[40 * 65_536]);
    let server = world.server().await;
    let mut shelf = clips.shelf(devices);
    clips.courier(&server).run(&mut shelf).await.unwrap();
    let seen = Arc::new(Seen::default());
    let mut halves = tokio::task::JoinSet::new();
    for n in 0..devices {
        let client = world.device(&format!("loa-{}", 1_001 + n)).await;
        let mut device = Fetching::new(client, &clips.orders, n as u64, seen.clone());
        device.cut_at = Some(20);
        halves.spawn(async move {
            assert!(!device.run().await);
            device.client.cut();
            device
        });
    }
    let mut cut = Vec::new();
    while let Some(device) = within("every half", halves.join_next()).await {
        cut.push(device.unwrap());
    }
    // All at once, as after a power cut.
    let mut running = tokio::task::JoinSet::new();
    for (n, mut device) in cut.into_iter().enumerate() {
        let world = &*world;
        device.client = match hub_of(world) {
            Some(_) => world.device(&format!("loa-{}", 1_001 + n)).await,
            None => world.begin(&format!("loa-{}", 1_001 + n)),
        };
        let over_sockets = hub_of(world).is_none();
        running.spawn(async move {
            if over_sockets {
                device.client.connected().await;
            }
            device.run().await
        });
    }
    while let Some(done) = within("every device", running.join_next()).await {
        assert!(done.unwrap());
    }
    let written = seen.chunks.load(Ordering::Relaxed);
    assert_eq!(written, 40 * devices as u64, "no chunk was fetched twice for good");
    let more = seen.pieces.load(Ordering::Relaxed) - written;
    // Each asks for the sums once; what was on the line at the cut is lost.
    assert!(more <= 10 * devices as u64, "{more} pieces came in vain");
}

async fn a_broker_that_comes_back_empty_is_filled_and_the_devices_finish(world: &mut World) {
    let clips = Clips::new(&[30 * 65_536, 65_000]);
    let server = world.server().await;
    let courier = clips.courier(&server);
    let shelf = Arc::new(Mutex::new(clips.shelf(1)));
    let filling = Filling::start(server, courier, shelf).await;
    let seen = Arc::new(Seen::default());
    let client = world.device("loa-1001").await;
    let mut device = Fetching::new(client, &clips.orders, 1, seen.clone());
    device.cut_at = Some(10);
    assert!(!device.run().await);
    world.kill_and_restart().await;
    if let Some(account) = world.server_moved() {
        // The embedded broker has a new port and password for the server at each start.
        let server = account.await;
        let courier = clips.courier(&server);
        let shelf = Arc::new(Mutex::new(clips.shelf(1)));
        drop(filling);
        let _filling = Filling::start(server, courier, shelf).await;
        assert!(within("the rest", device.run()).await);
    } else {
        let fills = filling.fills.clone();
        until("the broker is filled again", || fills.load(Ordering::SeqCst) >= 2).await;
        assert!(within("the rest", device.run()).await);
    }
    assert_eq!(device.held.len(), 2);
    assert_eq!(seen.chunks.load(Ordering::Relaxed), 31, "what it had was kept");
}

mod on_hub {
    use super::*;

    #[tokio::test]
    async fn every_device_gets_every_clip_whole() {
        super::every_device_gets_every_clip_whole(&mut World::hub(), 10).await;
    }

    #[tokio::test]
    async fn a_storm_at_half_time_resumes_where_it_was() {
        super::a_storm_at_half_time_resumes_where_it_was(&mut World::hub(), 20).await;
    }

    #[tokio::test]
    async fn a_broker_that_comes_back_empty_is_filled_and_the_devices_finish() {
        let world = &mut World::hub();
        super::a_broker_that_comes_back_empty_is_filled_and_the_devices_finish(world).await;
    }
}

#[cfg(feature = "embedded-broker")]
mod on_embedded {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_device_gets_every_clip_whole() {
        let mut world = World::embedded_of(fleet(60)).await;
        super::every_device_gets_every_clip_whole(&mut world, 60).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_storm_at_half_time_resumes_where_it_was() {
        let mut world = World::embedded_of(fleet(100)).await;
        super::a_storm_at_half_time_resumes_where_it_was(&mut world, 100).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_broker_that_comes_back_empty_is_filled_and_the_devices_finish() {
        let world = &mut World::embedded_of(fleet(1)).await;
        super::a_broker_that_comes_back_empty_is_filled_and_the_devices_finish(world).await;
    }
}

mod on_mosquitto {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_device_gets_every_clip_whole() {
        let mut world = World::mosquitto_of(fleet(60)).await;
        super::every_device_gets_every_clip_whole(&mut world, 60).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_storm_at_half_time_resumes_where_it_was() {
        let mut world = World::mosquitto_of(fleet(100)).await;
        super::a_storm_at_half_time_resumes_where_it_was(&mut world, 100).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_broker_that_comes_back_empty_is_filled_and_the_devices_finish() {
        let world = &mut World::mosquitto_of(fleet(1)).await;
        super::a_broker_that_comes_back_empty_is_filled_and_the_devices_finish(world).await;
    }
}
