//! Whoever clears what the broker keeps takes nothing from a device.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_body_of_any_kind_withdraws_nothing_and_is_no_refusal() {
    let dir = TempDir::new().unwrap();
    let clip = tone(1_000);
    let clips: [(&str, &[u8], i64, i64); 2] =
        [("mot", &clip, 1_000, 4_000), ("hai", &clip, 1_000, 9_000)];
    let (mut server, device) = of_a_commune(dir.path(), &clips, SinkSpec::Null).await;
    let me = server.device.clone();
    let unit = server.units[0].clone();
    let (sha256, size) = (Digest::of(&clip), ChunkSize::Kib64);
    let all = [
        Topic::Keys,
        Topic::Server,
        Topic::Epoch,
        Topic::Timetable(me.clone()),
        Topic::Floor(me.clone()),
        Topic::Command(me.clone()),
        Topic::Time(me.clone()),
        Topic::Receipt(me.clone()),
        Topic::State(me),
        Topic::Chunk { sha256, size, n: 0 },
        Topic::Sums { sha256, size },
        Topic::Urgent { unit: unit.clone(), id: "u-1".into() },
        Topic::Hold(unit),
    ];
    let before = server.last_state().unwrap().ver.unwrap();
    for topic in &all {
        // Its own state comes back to the server, which cannot read an empty one.
        if !matches!(topic, Topic::State(_)) {
            server.put(topic, Vec::new(), true).await;
        }
    }
    let played = |s: &Server| s.plays().iter().any(|play| play.item == "sang/mot");
    server.until("the first clip is played all the same", played).await;
    assert_eq!(server.plays()[0].outcome, loa::domain::proof::record::Said::Played);
    let hold = server.put_hold(server.clock.now().plus(600_000)).await;
    server.until("it is confirmed", |s| !s.answers(&hold).is_empty()).await;
    for topic in &all {
        if !matches!(topic, Topic::State(_)) {
            server.put(topic, Vec::new(), true).await;
        }
    }
    server.until("the second clip is answered for", |s| s.plays().len() == 2).await;
    assert_eq!(server.plays()[1].cause, "hold", "the hold stands");
    let after = server.last_state().unwrap().ver.unwrap();
    assert_eq!(
        (after.keys, after.timetable, after.floor),
        (before.keys, before.timetable, before.floor,)
    );
    device.end().await;
    assert!(refused(&server).is_empty(), "{:#?}", refused(&server));
}
