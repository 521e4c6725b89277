//! Any events in any order: nothing panics, nothing is claimed, nothing floods, nothing is lost.

mod judge;
mod told;

use super::conversation::{picture, shipped};
use judge::Judge;
use loa::dialect::machine::{Action, Device, Event, Order, PlayOrder, ShowOrder, SinkSays, Told};
use loa::domain::ids::Digest;
use proptest::collection::vec;
use proptest::prelude::*;
use told::{TELLING, payloads};

const PROFILES: &[(&str, usize, i64)] = &[
    // Name, messages a minute, least gap.
    ("awtrix3", 120, 0),
    ("wled-2d", 120, 0),
    ("pixelix", 60, 0),
    ("esphome-text", 60, 0),
    ("tasmota-i2s", 60, 0),
    ("espuino", 60, 0),
    ("sonos2mqtt", 60, 0),
    ("mopidy", 60, 0),
    ("shelly-amp", 60, 0),
    ("axis-mqtt", 30, 0),
    ("ha-siren", 30, 0),
    ("http-speaker", 60, 0),
    ("line-board", 60, 50),
];

const SLOT: &str = "123456789012";
const URL: &str = "http://10.0.0.2/a/c.mp3";
const ITEM: &str = "0a1b2c3d4e5f";

/// What may happen; indices point into what the device listens to or was told.
#[derive(Clone, Debug)]
enum Happening {
    Wait(i64),
    Connected,
    Disconnected,
    Hear { topic: usize, payload: usize, retained: bool },
    Tell { which: usize, retained: bool },
    Garbage { topic: usize, payload: Vec<u8> },
    Line(usize),
    Answer { back: u32, status: Option<u16>, payload: usize },
    Sink { back: u64, says: usize },
    Play { length_ms: i64, end_ms: i64, offset_ms: i64, held: bool },
    Show { dwell_ms: i64, until_ms: i64, text: usize, drawn: bool },
    Stop { back: u64 },
    Until { back: u64, end_ms: i64 },
    Volume(u8),
    Clear,
    Probe,
    Tick,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    prop_oneof![
        6 => (0_i64..20_000).prop_map(H::Wait),
        2 => Just(H::Connected),
        1 => Just(H::Disconnected),
        8 => (0..8_usize, 0..payloads(0).len(), prop::bool::weighted(0.2))
            .prop_map(|(topic, payload, retained)| H::Hear { topic, payload, retained }),
        8 => (0..6_usize, prop::bool::weighted(0.3))
            .prop_map(|(which, retained)| H::Tell { which, retained }),
        1 => (0..8_usize, vec(any::<u8>(), 0..80))
            .prop_map(|(topic, payload)| H::Garbage { topic, payload }),
        2 => (0..5_usize).prop_map(H::Line),
        3 => (0..4_u32, prop::option::of(prop::sample::select(vec![200_u16, 204, 404, 503])), 0..payloads(0).len())
            .prop_map(|(back, status, payload)| H::Answer { back, status, payload }),
        2 => (0..3_u64, 0..3_usize).prop_map(|(back, says)| H::Sink { back, says }),
        4 => (-5_i64..20_000, -5_i64..40_000, 0_i64..3_000, prop::bool::weighted(0.9))
            .prop_map(|(length_ms, end_ms, offset_ms, held)| H::Play { length_ms, end_ms, offset_ms, held }),
        4 => (-5_i64..9_000, -5_i64..40_000, 0..5_usize, any::<bool>())
            .prop_map(|(dwell_ms, until_ms, text, drawn)| H::Show { dwell_ms, until_ms, text, drawn }),
        2 => (0..3_u64).prop_map(|back| H::Stop { back }),
        1 => (0..3_u64, -5_i64..30_000).prop_map(|(back, end_ms)| H::Until { back, end_ms }),
        1 => any::<u8>().prop_map(H::Volume),
        1 => Just(H::Clear),
        1 => Just(H::Probe),
        2 => Just(H::Tick),
    ]
}

struct World {
    profile: &'static str,
    device: Device,
    topics: Vec<String>,
    judge: Judge,
    now: i64,
    wake: Option<i64>,
    tokens: u64,
    requests: u32,
}

impl World {
    fn give(&mut self, event: Event) {
        let heard = match &event {
            Event::Message { retained, .. } => !retained,
            Event::Line(_) | Event::Answer { .. } | Event::Sink { .. } => true,
            _ => false,
        };
        let ends = matches!(event, Event::Sink { says: SinkSays::Ended, .. });
        if let (Event::Sink { token, .. }, true) = (&event, ends) {
            self.judge.sink_ended.insert(*token, true);
        }
        let actions = self.device.step(self.now, event);
        assert!(actions.len() < 400, "{} actions at once", actions.len());
        for action in &actions {
            self.judge.see(self.now, heard, action);
            match action {
                Action::Wake { at_ms } => self.wake = Some(*at_ms),
                Action::Subscribe { topics } => self.topics.clone_from(topics),
                Action::Http { request, .. } => self.requests = *request,
                Action::Publish { payload, .. } => {
                    let json: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
                    let id = json.and_then(|json| json.get("id")?.as_u64());
                    self.requests = id.map_or(self.requests, |id| u32::try_from(id).unwrap());
                }
                _ => {}
            }
        }
    }

    fn happen(&mut self, what: Happening) {
        let topic = |topics: &[String], at: usize| topics.get(at % topics.len().max(1)).cloned();
        let event = match what {
            Happening::Wait(ms) => {
                let until = self.now + ms;
                while let Some(at) = self.wake.filter(|at| *at <= until) {
                    self.now = at;
                    self.wake = None;
                    self.give(Event::Tick);
                }
                self.now = until;
                return;
            }
            Happening::Connected => Event::Connected,
            Happening::Disconnected => Event::Disconnected,
            Happening::Hear { topic: at, payload, retained } => {
                let Some(topic) = topic(&self.topics, at) else { return };
                let payload = payloads(self.requests)[payload].clone().into_bytes();
                Event::Message { topic, payload, retained }
            }
            Happening::Tell { which, retained } => {
                let Some((_, all)) = TELLING.iter().find(|(name, _)| *name == self.profile) else {
                    return;
                };
                let (topic, payload) = all[which % all.len()];
                let payload = match payload {
                    "PICTURE" => payloads(0)[20].clone(),
                    "ANSWER" => format!("{{\"id\":{}}}", self.requests),
                    text => text.to_owned(),
                };
                Event::Message { topic: topic.to_owned(), payload: payload.into_bytes(), retained }
            }
            Happening::Garbage { topic: at, payload } => {
                let Some(topic) = topic(&self.topics, at) else { return };
                Event::Message { topic, payload, retained: false }
            }
            Happening::Line(at) => {
                Event::Line([&b"OK"[..], b"ERR 1", b"", b"\xff\x00", b"ABC"][at].to_vec())
            }
            Happening::Answer { back, status, payload } => {
                let answer = status.map(|s| (s, payloads(0)[payload].clone().into_bytes()));
                Event::Answer { request: self.requests.saturating_sub(back), answer }
            }
            Happening::Sink { back, says } => {
                let says =
                    [SinkSays::Started { grade: 3 }, SinkSays::Ended, SinkSays::Failed][says];
                Event::Sink { token: self.tokens.saturating_sub(back), says }
            }
            Happening::Play { length_ms, end_ms, offset_ms, held } => {
                self.tokens += 1;
                self.judge.ordered.push(self.tokens);
                Event::Order(Order::Play(PlayOrder {
                    token: self.tokens,
                    item: ITEM.to_owned(),
                    sha256: Digest::of(b"clip"),
                    url: held.then(|| URL.to_owned()),
                    slot: held.then(|| SLOT.to_owned()),
                    volume: 80,
                    offset_ms,
                    length_ms,
                    end_ms: self.now + end_ms,
                }))
            }
            Happening::Show { dwell_ms, until_ms, text, drawn } => {
                self.tokens += 1;
                self.judge.ordered.push(self.tokens);
                let text =
                    [Some("ABC"), Some("Đài xã"), Some("{{x}} #TIME"), Some("\"\\\n"), None][text];
                Event::Order(Order::Show(ShowOrder {
                    token: self.tokens,
                    item: ITEM.to_owned(),
                    text: text.map(str::to_owned),
                    frame: drawn.then(|| picture(32, 8)),
                    colour: None,
                    dwell_ms,
                    until_ms: self.now + until_ms,
                }))
            }
            Happening::Stop { back } => {
                Event::Order(Order::Stop { token: self.tokens.saturating_sub(back) })
            }
            Happening::Until { back, end_ms } => Event::Order(Order::Until {
                token: self.tokens.saturating_sub(back),
                end_ms: self.now + end_ms,
            }),
            Happening::Volume(volume) => Event::Order(Order::Volume(volume)),
            Happening::Clear => Event::Order(Order::Clear),
            Happening::Probe => Event::Order(Order::Probe),
            Happening::Tick => Event::Tick,
        };
        self.give(event);
    }
}

fn world(profile: usize) -> World {
    let (name, per_minute, gap_ms) = PROFILES[profile];
    let (device, _) = shipped(name);
    let judge = Judge { per_minute, gap_ms, ..Judge::default() };
    World {
        profile: name,
        device,
        topics: Vec::new(),
        judge,
        now: 0,
        wake: None,
        tokens: 0,
        requests: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_panics_floods_or_claims_a_grade_without_its_evidence(
        profile in 0..PROFILES.len(),
        events in vec(any_happening(), 0..120),
    ) {
        let mut world = world(profile);
        world.happen(Happening::Connected);
        for event in events {
            world.happen(event);
        }
        // Whatever happened, each order ends, and only once.
        for _ in 0..6 {
            world.happen(Happening::Wait(20_000));
        }
        let open: Vec<u64> =
            world.judge.ordered.iter().filter(|t| !world.judge.over.contains_key(t)).copied().collect();
        prop_assert_eq!(open, Vec::<u64>::new(), "orders without an end");
    }

    #[test]
    fn what_was_told_to_start_is_told_to_stop_unless_it_said_that_it_ended(
        profile in 4..12_usize,
        events in vec(any_happening(), 0..60),
    ) {
        let mut world = world(profile);
        world.happen(Happening::Connected);
        for event in events {
            world.happen(event);
        }
        // From here the line stands, and nothing is heard.
        world.happen(Happening::Connected);
        world.happen(Happening::Play { length_ms: 5_000, end_ms: 9_000, offset_ms: 0, held: true });
        let token = world.tokens;
        world.happen(Happening::Wait(1_500));
        let sent = world.judge.told.get(&token).is_some_and(|told| told.contains(&Told::Sent));
        let before = world.judge.left.len();
        world.happen(Happening::Stop { back: 0 });
        world.happen(Happening::Wait(90_000));
        prop_assert!(world.judge.over.contains_key(&token));
        prop_assert!(!sent || world.judge.left.len() > before, "nobody told it to stop");
    }
}
