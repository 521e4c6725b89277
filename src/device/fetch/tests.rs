use super::*;
use crate::domain::chunk::{concat, hashes};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: Need = Need { first_use_in_ms: 0, spread_ms: 0 };

/// A broker that keeps everything it was given, and a device's disk.
#[derive(Default)]
struct World {
    retained: BTreeMap<String, Bytes>,
    subscribed: BTreeSet<String>,
    /// Deliveries on their way.
    line: Vec<(String, Bytes)>,
    sheets: BTreeMap<Digest, Bytes>,
    parts: BTreeMap<Digest, Vec<u8>>,
    held: BTreeSet<Digest>,
    sums: BTreeMap<Digest, Vec<u8>>,
    written: Vec<(Digest, u32)>,
    packets: usize,
}

impl World {
    fn publish_asset(&mut self, asset: &[u8], size: ChunkSize) -> AssetOrder {
        let sha256 = Digest::of(asset);
        let sums = concat(&hashes(asset, size));
        for (n, chunk) in asset.chunks(size.bytes()).enumerate() {
            let topic = format!("loa/1/a/{sha256}/{}/{n}", size.kib());
            self.retained.insert(topic, Bytes::copy_from_slice(chunk));
        }
        let order = AssetOrder { sha256, bytes: asset.len() as u64, size, sums: Digest::of(&sums) };
        self.retained.insert(format!("loa/1/a/{sha256}/{}/sums", size.kib()), sums.into());
        order
    }

    fn publish_sheet(&mut self, bytes: &'static [u8]) -> Digest {
        let sha256 = Digest::of(bytes);
        self.retained.insert(format!("loa/1/s/{sha256}"), Bytes::from_static(bytes));
        sha256
    }

    /// Does what the fetcher says; answers complete assets at once.
    fn run(&mut self, fetcher: &mut Fetcher, now: i64, actions: Vec<Action>) {
        let mut todo = std::collections::VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Subscribe(topics) => {
                    self.packets += 1;
                    assert!(
                        topics.len() <= limits::CHUNK_WINDOW,
                        "{} topics in one packet",
                        topics.len()
                    );
                    for topic in topics {
                        assert!(!topic.contains(['+', '#']), "{topic}");
                        if let Some(kept) = self.retained.get(&topic) {
                            self.line.push((topic.clone(), kept.clone()));
                        }
                        self.subscribed.insert(topic);
                    }
                }
                Action::Unsubscribe(topics) => {
                    for topic in topics {
                        assert!(self.subscribed.remove(&topic), "{topic} was not subscribed");
                    }
                }
                Action::Sheet { sha256, bytes } => {
                    assert!(self.sheets.insert(sha256, bytes).is_none(), "a sheet came twice");
                }
                Action::KeepSums { sha256, sums } => {
                    self.sums.insert(sha256, sums.to_vec());
                }
                Action::Write { sha256, chunk, offset, bytes } => {
                    let part = self.parts.entry(sha256).or_default();
                    let from = usize::try_from(offset).unwrap();
                    part.resize(part.len().max(from + bytes.len()), 0);
                    part[from..from + bytes.len()].copy_from_slice(&bytes);
                    self.written.push((sha256, chunk));
                }
                Action::Complete { sha256 } => {
                    let whole = self.parts.get(&sha256).map(Vec::as_slice).unwrap_or_default();
                    let right = Digest::of(whole) == sha256;
                    if right {
                        self.held.insert(sha256);
                    }
                    todo.extend(fetcher.verified(now, &sha256, right));
                }
            }
        }
    }

    fn deliver_all(&mut self, fetcher: &mut Fetcher, now: i64) {
        while !self.line.is_empty() {
            let (topic, payload) = self.line.remove(0);
            let actions = fetcher.message(now, &topic, &payload);
            self.run(fetcher, now, actions);
        }
    }
}

fn fetcher() -> Fetcher {
    Fetcher::new(FetchConfig::default(), 7)
}

fn wanted(fetcher: &Fetcher) -> Vec<Digest> {
    fetcher.want().iter().map(|wanted| wanted.sha256).collect()
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

#[test]
fn an_asset_and_a_sheet_arrive_whole() {
    let mut world = World::default();
    let asset = bytes(20 * 65_536 + 5);
    let order = world.publish_asset(&asset, ChunkSize::Kib64);
    let sheet = world.publish_sheet(br#"{"v":1}"#);
    let mut fetcher = fetcher();
    assert_eq!(fetcher.want_asset(0, order, NOW, None), [], "nothing is asked without a line");
    assert_eq!(fetcher.want_sheet(0, sheet, NOW), []);
    let actions = fetcher.connected(0);
    world.run(&mut fetcher, 0, actions);
    world.deliver_all(&mut fetcher, 0);
    assert_eq!(world.parts[&order.sha256], asset);
    assert!(world.held.contains(&order.sha256) && world.sheets.contains_key(&sheet));
    assert!(world.subscribed.is_empty(), "{:?}", world.subscribed);
    assert_eq!((fetcher.pending(), fetcher.want(), fetcher.next_at()), (vec![], vec![], None));
    assert!(world.packets <= 8, "{} SUBSCRIBE packets for 23 topics", world.packets);
}

#[test]
fn a_window_is_full_by_topics_or_by_bytes() {
    let of = |size| (window(size), window(size) * size.bytes());
    assert_eq!(of(ChunkSize::Kib16), (16, 262_144));
    assert_eq!(of(ChunkSize::Kib32), (16, limits::CHUNK_WINDOW_BYTES));
    assert_eq!(of(ChunkSize::Kib64), (8, limits::CHUNK_WINDOW_BYTES));
}

#[test]
fn pieces_of_16_kib_are_fetched_where_the_device_holds_no_more() {
    let mut world = World::default();
    let asset = bytes(70_000);
    let order = world.publish_asset(&asset, ChunkSize::Kib16);
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, None));
    world.run(&mut fetcher, 0, actions);
    world.deliver_all(&mut fetcher, 0);
    assert_eq!(world.parts[&order.sha256], asset);
}

#[test]
fn only_what_is_missing_is_asked_for_again_after_silence() {
    let mut world = World::default();
    let asset = bytes(4 * 65_536);
    let order = world.publish_asset(&asset, ChunkSize::Kib64);
    let lost = format!("loa/1/a/{}/64/2", order.sha256);
    let chunk = world.retained.remove(&lost).unwrap();
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, None));
    world.run(&mut fetcher, 0, actions);
    world.deliver_all(&mut fetcher, 1_000);
    assert_eq!(wanted(&fetcher), [], "nothing is late yet");
    assert_eq!(fetcher.next_at(), Some(16_000));
    assert_eq!(fetcher.tick(15_999), []);
    assert_eq!(fetcher.tick(16_000), [Action::Subscribe(vec![lost.clone()])]);
    assert_eq!(wanted(&fetcher), [order.sha256], "the state names what stays out");
    let next = fetcher.next_at().unwrap();
    assert!((16_000 + 15_000..=16_000 + 30_000).contains(&next), "{next}");
    // The server publishes again; the topic is still subscribed.
    let actions = fetcher.message(20_000, &lost, &chunk);
    world.run(&mut fetcher, 20_000, actions);
    assert!(world.held.contains(&order.sha256));
    assert_eq!(wanted(&fetcher), []);
}

#[test]
fn what_cannot_be_had_does_not_block_the_rest() {
    let mut world = World::default();
    let mut fetcher = fetcher();
    let actions = fetcher.connected(0);
    world.run(&mut fetcher, 0, actions);
    for n in 0..16_u8 {
        let nowhere = AssetOrder {
            sha256: Digest([n; 32]),
            bytes: 1 << 20,
            size: ChunkSize::Kib64,
            sums: Digest([0; 32]),
        };
        let actions = fetcher.want_asset(0, nowhere, NOW, None);
        world.run(&mut fetcher, 0, actions);
    }
    let order = world.publish_asset(&bytes(65_537), ChunkSize::Kib64);
    let later = Need { first_use_in_ms: 3_600_000, spread_ms: 0 };
    let actions = fetcher.want_asset(0, order, later, None);
    world.run(&mut fetcher, 0, actions);
    let mut now = 0;
    while !world.held.contains(&order.sha256) {
        now = fetcher.next_at().expect("there is work");
        let actions = fetcher.tick(now);
        world.run(&mut fetcher, now, actions);
        world.deliver_all(&mut fetcher, now);
        assert!(now < 600_000, "still not there");
    }
    assert!(fetcher.want().len() >= 5, "what nobody has is named");
    assert!(now > 15_000);
}

#[test]
fn a_wrong_piece_is_not_kept_and_named() {
    let mut world = World::default();
    let order = world.publish_asset(&bytes(3 * 65_536), ChunkSize::Kib64);
    let wrong = format!("loa/1/a/{}/64/1", order.sha256);
    let right = world.retained.insert(wrong.clone(), Bytes::from(vec![9; 65_536])).unwrap();
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, None));
    world.run(&mut fetcher, 0, actions);
    world.deliver_all(&mut fetcher, 0);
    assert_eq!(wanted(&fetcher), [order.sha256]);
    assert_eq!(fetcher.counts().wrong, 1);
    assert_eq!(fetcher.message(1, &wrong, &Bytes::new()), [], "an empty body changes nothing");
    let actions = fetcher.message(2, &wrong, &right);
    world.run(&mut fetcher, 2, actions);
    assert!(world.held.contains(&order.sha256));
    assert_eq!(fetcher.message(3, &wrong, &right), [], "nobody asked for this any more");
}

#[test]
fn a_reconnect_resumes_with_what_is_missing() {
    let mut world = World::default();
    let asset = bytes(30 * 65_536);
    let order = world.publish_asset(&asset, ChunkSize::Kib64);
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, None));
    world.run(&mut fetcher, 0, actions);
    while world.written.len() < 12 {
        let (topic, payload) = world.line.remove(0);
        let actions = fetcher.message(0, &topic, &payload);
        world.run(&mut fetcher, 0, actions);
    }
    world.line.clear();
    world.subscribed.clear();
    fetcher.disconnected();
    assert_eq!(fetcher.next_at(), None);
    let actions = fetcher.connected(5_000);
    world.run(&mut fetcher, 5_000, actions);
    world.deliver_all(&mut fetcher, 5_000);
    assert_eq!(world.parts[&order.sha256], asset);
    assert_eq!(world.written.len(), 30, "no chunk came twice");
}

#[test]
fn a_restart_resumes_from_the_disk() {
    let mut world = World::default();
    let asset = bytes(5 * 65_536);
    let order = world.publish_asset(&asset, ChunkSize::Kib64);
    let sums = concat(&hashes(&asset, ChunkSize::Kib64));
    world.parts.insert(order.sha256, asset[..2 * 65_536].to_vec());
    let left = Left { sums: sums.clone(), chunks: vec![0, 1, 1, 77] };
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, Some(&left)));
    world.run(&mut fetcher, 0, actions);
    world.deliver_all(&mut fetcher, 0);
    let fresh: Vec<u32> = world.written.iter().map(|(_, n)| *n).collect();
    assert_eq!(fresh, [2, 3, 4]);
    assert!(world.held.contains(&order.sha256));

    // Everything was there but the last word: it is only hashed.
    let mut fetcher = Fetcher::new(FetchConfig::default(), 1);
    let left = Left { sums, chunks: (0..5).collect() };
    let actions = fetcher.want_asset(0, order, NOW, Some(&left));
    assert_eq!(actions, [Action::Complete { sha256: order.sha256 }]);
}

#[test]
fn an_asset_whose_whole_is_wrong_is_fetched_anew_later() {
    let mut world = World::default();
    let order = world.publish_asset(&bytes(65_536), ChunkSize::Kib64);
    let mut fetcher = fetcher();
    let mut actions = fetcher.connected(0);
    actions.extend(fetcher.want_asset(0, order, NOW, None));
    let mut now = 0;
    for round in 0..2 {
        let Action::Subscribe(sums) = actions.last().unwrap().clone() else { panic!() };
        actions = fetcher.message(now, &sums[0], &world.retained[&sums[0]]);
        let Action::Subscribe(chunk) = actions.last().unwrap().clone() else { panic!() };
        actions = fetcher.message(now, &chunk[0], &world.retained[&chunk[0]]);
        assert!(actions.contains(&Action::Complete { sha256: order.sha256 }), "round {round}");
        fetcher.verified(now, &order.sha256, false);
        let again = fetcher.next_at().unwrap();
        assert!(again > now, "not at once");
        now = again;
        actions = fetcher.tick(now);
    }
}

#[test]
fn many_devices_do_not_begin_at_once() {
    let need = Need { first_use_in_ms: 86_400_000, spread_ms: 600_000 };
    let order = World::default().publish_asset(&bytes(10), ChunkSize::Kib64);
    let mut starts: Vec<i64> = (0..500)
        .map(|seed| {
            let mut fetcher = Fetcher::new(FetchConfig::default(), seed);
            fetcher.connected(0);
            assert_eq!(fetcher.want_asset(0, order, need, None), []);
            fetcher.next_at().unwrap()
        })
        .collect();
    starts.sort_unstable();
    assert!(starts[0] < 60_000 && starts[499] > 540_000 && starts[499] < 600_000, "{starts:?}");
    assert!((240_000..360_000).contains(&starts[250]), "median {}", starts[250]);
    // A use that is nearer than the spread begins at once.
    let mut fetcher = fetcher();
    fetcher.connected(0);
    let near = Need { first_use_in_ms: 60_000, ..need };
    assert!(!fetcher.want_asset(0, order, near, None).is_empty());
}

#[test]
fn what_is_used_first_comes_first() {
    let mut world = World::default();
    let late = world.publish_asset(&bytes(100), ChunkSize::Kib64);
    let soon = world.publish_asset(&bytes(200), ChunkSize::Kib64);
    let sheet = world.publish_sheet(b"{}");
    let mut fetcher = fetcher();
    fetcher.want_asset(0, late, Need { first_use_in_ms: 9_000_000, spread_ms: 0 }, None);
    fetcher.want_asset(0, soon, Need { first_use_in_ms: 1_000, spread_ms: 0 }, None);
    fetcher.want_sheet(0, sheet, Need { first_use_in_ms: 99_000_000, spread_ms: 0 });
    let topics = [
        format!("loa/1/s/{sheet}"),
        format!("loa/1/a/{}/64/sums", soon.sha256),
        format!("loa/1/a/{}/64/sums", late.sha256),
    ];
    assert_eq!(fetcher.connected(0), [Action::Subscribe(topics.to_vec())]);
}

#[test]
fn an_order_taken_back_frees_its_place() {
    let mut world = World::default();
    let order = world.publish_asset(&bytes(100), ChunkSize::Kib64);
    let mut fetcher = fetcher();
    fetcher.connected(0);
    fetcher.want_asset(0, order, NOW, None);
    let sums = format!("loa/1/a/{}/64/sums", order.sha256);
    assert_eq!(fetcher.unwant(1, &order.sha256), [Action::Unsubscribe(vec![sums])]);
    assert_eq!((fetcher.pending(), fetcher.next_at()), (vec![], None));
    assert_eq!(fetcher.unwant(1, &order.sha256), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the line loses, doubles, reorders, damages or breaks: in the end everything is
    /// there, whole, every chunk written once, and the window was never exceeded.
    #[test]
    fn a_bad_line_costs_time_and_nothing_else(
        seed in any::<u64>(),
        sizes in proptest::collection::vec(0usize..300_000, 1..6),
        window in 1usize..17,
        faults in proptest::collection::vec(0u8..8, 0..400),
    ) {
        let mut world = World::default();
        let config = FetchConfig { window, ..FetchConfig::default() };
        let mut fetcher = Fetcher::new(config, seed);
        let mut now = 0;
        let mut orders = Vec::new();
        for (i, size) in sizes.iter().enumerate() {
            let mut asset = bytes(*size);
            asset.extend_from_slice(&i.to_be_bytes());
            let order = world.publish_asset(&asset, ChunkSize::Kib16);
            fetcher.want_asset(now, order, NOW, None);
            orders.push((order, asset));
        }
        let actions = fetcher.connected(now);
        world.run(&mut fetcher, now, actions);
        let mut faults = faults.into_iter();
        let mut rounds = 0;
        while world.held.len() < orders.len() {
            rounds += 1;
            prop_assert!(rounds < 20_000, "it never ends");
            if world.line.is_empty() {
                now = fetcher.next_at().expect("work is left").max(now);
                let actions = fetcher.tick(now);
                world.run(&mut fetcher, now, actions);
                continue;
            }
            let (topic, payload) = world.line.remove(0);
            match faults.next() {
                Some(0) => continue,
                Some(1) => world.line.push((topic.clone(), payload.clone())),
                Some(2) => { world.line.push((topic, payload)); continue }
                Some(3) => {
                    let damaged = [&payload[..], b"x"].concat();
                    let actions = fetcher.message(now, &topic, &damaged.into());
                    prop_assert_eq!(actions, vec![]);
                    continue;
                }
                Some(4) => {
                    world.line.clear();
                    world.subscribed.clear();
                    fetcher.disconnected();
                    now += 1_000;
                    let actions = fetcher.connected(now);
                    world.run(&mut fetcher, now, actions);
                    continue;
                }
                _ => {}
            }
            now += 5;
            let actions = fetcher.message(now, &topic, &payload);
            world.run(&mut fetcher, now, actions);
            prop_assert!(fetcher.asked.len() <= window);
        }
        for (order, asset) in &orders {
            prop_assert_eq!(&world.parts[&order.sha256], asset);
        }
        let mut written = world.written.clone();
        written.sort_unstable();
        written.dedup();
        prop_assert_eq!(written.len(), world.written.len(), "a chunk was written twice");
        prop_assert_eq!(fetcher.want(), vec![]);
    }
}
