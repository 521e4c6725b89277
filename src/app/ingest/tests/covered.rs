//! What a checkpoint covers, and what it only seems to.

use super::*;
use crate::log::leaf::Leaf;

fn vouch(shard: &str, size: u64) -> Vouch {
    Vouch { shard: shard.to_owned(), size, note: "note".into() }
}

fn statement() -> Leaf {
    Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap()
}

#[tokio::test]
async fn a_checkpoint_of_a_longer_log_covers_nothing_that_is_not_noted_as_logged() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut desk = desk(Arc::clone(&store));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    store.begin_shard("2030", &statement(), 0, None).await.unwrap();
    let first = store.newest_leaf().await.unwrap();
    store.note_logged("2030", first, None).await.unwrap();
    // The witnesses' newest head is of the log before the store was set back.
    let heads = watch::Sender::new(Some(vouch("2030", 100)));
    desk.ingest = desk.ingest.vouched_by(heads.subscribe());
    loa.beats(2);
    let taken = desk.ingest.take(&[loa.batch([1, 2])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).logged, None);
    assert_eq!(desk.ingest.vouch().await.unwrap(), [], "not its leaves");
    // Noted, they are looked at again although no other head is told.
    let newest = store.newest_leaf().await.unwrap();
    store.note_logged("2030", newest, None).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), desk.ingest.vouching.news()).await;
    assert!(waited.is_ok());
    let told = desk.ingest.vouch().await.unwrap();
    assert_eq!(told.iter().map(|told| receipt(told).logged).collect::<Vec<_>>(), [Some(2)]);
}

#[tokio::test]
async fn leaves_that_a_new_shard_moved_are_covered_where_they_stand_now() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut desk = desk(Arc::clone(&store));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    let heads = watch::Sender::new(None);
    desk.ingest = desk.ingest.vouched_by(heads.subscribe());
    store.begin_shard("2029", &statement(), 0, None).await.unwrap();
    let logged = store.newest_leaf().await.unwrap();
    store.note_logged("2029", logged, None).await.unwrap();
    heads.send_replace(Some(vouch("2029", 1)));
    desk.ingest.vouch().await.unwrap();
    loa.beats(2);
    desk.ingest.take(&[loa.batch([1, 2])]).await.unwrap();
    store.begin_shard("2030", &statement(), logged, None).await.unwrap();
    // The head holds the first two leaves of the shard: its own and the first record.
    store.note_logged("2030", logged + 2, None).await.unwrap();
    heads.send_replace(Some(vouch("2030", 2)));
    assert_eq!(desk.ingest.vouch().await.unwrap(), [], "the second record is not in it");
    store.note_logged("2030", logged + 3, None).await.unwrap();
    heads.send_replace(Some(vouch("2030", 3)));
    let told = desk.ingest.vouch().await.unwrap();
    assert_eq!(told.iter().map(|told| receipt(told).logged).collect::<Vec<_>>(), [Some(2)]);
}

#[tokio::test]
async fn where_records_come_without_a_pause_devices_are_told_of_checkpoints_all_the_same() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut desk = desk(Arc::clone(&store));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    let mut other = Signer::new("loa-2", 2);
    other.enrol(&*store).await;
    let heads = watch::Sender::new(None);
    desk.ingest = desk.ingest.vouched_by(heads.subscribe());
    store.begin_shard("2030", &statement(), 0, None).await.unwrap();
    loa.beats(1);
    desk.ingest.take(&[loa.batch([1])]).await.unwrap();
    let newest = store.newest_leaf().await.unwrap();
    store.note_logged("2030", newest, None).await.unwrap();
    heads.send_replace(Some(vouch("2030", newest.unsigned_abs())));
    // Something always waits: the channel is full whenever it is looked at.
    other.beats(60);
    let (into, records) = mpsc::channel(1);
    let (out, mut told) = mpsc::channel(1_024);
    let stop = CancellationToken::new();
    let running = tokio::spawn(desk.ingest.run(records, out, stop.clone()));
    let clock = desk.clock.clone();
    let batches: Vec<Arrived> = (1..=60).map(|seq| other.batch([seq])).collect();
    for batch in batches {
        clock.pass(100);
        into.send(batch).await.unwrap();
    }
    let mut covered = false;
    for _ in 0..40 {
        let publication = told.recv().await.unwrap();
        let receipt = receipt(&publication);
        covered |= receipt.aud == loa.id && receipt.logged == Some(1);
    }
    stop.cancel();
    running.await.unwrap();
    assert!(covered, "before the flood is over");
}
