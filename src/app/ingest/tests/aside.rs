//! Orders go first, and never for ever.

use super::*;

#[tokio::test]
async fn records_wait_while_an_order_goes_out_and_a_round_follows_each_wait() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    loa.beats(3);
    let clock = Arc::new(ManualClock::new(NOW));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let keys = Keyring::rooted(&server_keys());
    let orders = watch::Sender::new(());
    let ingest = Ingest::new(store, keys, Topics::default(), "Đài xã".into(), shared)
        .behind(orders.subscribe());
    let (records, incoming) = mpsc::channel(8);
    let (out, mut receipts) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let running = tokio::spawn(ingest.run(incoming, out, stop.clone()));

    records.send(loa.batch([1])).await.unwrap();
    receipts.recv().await.unwrap();
    for record in [2, 3] {
        // However many orders: one wait, and then what waited is taken in.
        orders.send_replace(());
        orders.send_replace(());
        records.send(loa.batch([record])).await.unwrap();
        let waits = async {
            while clock.waits().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waits).await;
        assert!(waited.is_ok(), "an order goes first");
        assert!(receipts.try_recv().is_err(), "an order goes first");
        clock.pass(ASIDE_MS);
        let receipt = tokio::time::timeout(Duration::from_secs(20), receipts.recv()).await;
        assert!(receipt.unwrap().is_some());
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn who_no_order_can_come_from_any_more_keeps_nobody_waiting() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    loa.beats(1);
    let clock: SharedClock = Arc::new(ManualClock::new(NOW));
    let keys = Keyring::rooted(&server_keys());
    let orders = watch::Sender::new(());
    let ingest = Ingest::new(store, keys, Topics::default(), "Đài xã".into(), clock)
        .behind(orders.subscribe());
    drop(orders);
    let (records, incoming) = mpsc::channel(8);
    let (out, mut receipts) = mpsc::channel(8);
    let running = tokio::spawn(ingest.run(incoming, out, CancellationToken::new()));
    records.send(loa.batch([1])).await.unwrap();
    assert!(receipts.recv().await.is_some());
    drop(records);
    running.await.unwrap();
}
