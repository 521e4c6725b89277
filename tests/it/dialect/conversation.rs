//! A conversation as a text file: lines with `>` happen, lines with `<` are what the machine does.
//!
//! `> 100 show token=1 dwell=5000 until=60000 text=Xin chào` gives an order at 100 ms; `> run 9000`
//! hands out ticks as asked for until then. Everything else is read by [`Conversation::say`].

use loa::config::device_profile;
use loa::dialect::frame::Frame;
use loa::dialect::machine::{Action, Device, Event, Order, PlayOrder, ShowOrder, SinkSays};
use loa::domain::ids::Digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

pub struct Conversation {
    device: Device,
    board: (u32, u32),
    wake: Option<i64>,
    now: i64,
    pub told: String,
}

/// Loads a shipped profile with the example settings.
pub fn shipped(profile: &str) -> (Device, (u32, u32)) {
    let path = format!("{}/device-profiles/{profile}.toml", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (described, faults) = device_profile(profile, &bytes);
    assert_eq!(faults, [], "{profile}");
    let described = described.unwrap();
    let board = described.profile.board.map_or((0, 0), |b| (b.width_px, b.height_px));
    let dialect = described.dialect.unwrap();
    let settings: BTreeMap<String, String> = dialect.settings.clone();
    let device = Device::new(Arc::new(dialect), settings, *b"0123456789abcdef").unwrap();
    (device, board)
}

/// A picture whose every pixel differs from its neighbours.
pub fn picture(width: u32, height: u32) -> Frame {
    let bytes = (0..width * height).flat_map(|n| [n.to_le_bytes()[0], 0, 255]).collect();
    Frame::new(width, height, bytes).unwrap()
}

impl Conversation {
    pub fn with(profile: &str) -> Self {
        let (device, board) = shipped(profile);
        Self { device, board, wake: None, now: 0, told: String::new() }
    }

    /// Reads one `>` line, without the sign.
    pub fn say(&mut self, line: &str) {
        let (first, rest) = word(line);
        if first == "run" {
            return self.run(rest.parse().unwrap());
        }
        self.now = first.parse().unwrap_or_else(|_| panic!("no time in `{line}`"));
        let (verb, rest) = word(rest);
        let event = self.event(verb, rest);
        self.give(event);
    }

    fn run(&mut self, until: i64) {
        let mut ticks = 0;
        while let Some(at) = self.wake.filter(|at| *at <= until) {
            self.now = at;
            self.give(Event::Tick);
            ticks += 1;
            assert!(ticks < 1_000, "it asks to be woken for ever");
        }
        self.now = until;
    }

    fn give(&mut self, event: Event) {
        if event == Event::Tick {
            self.wake = None;
        }
        for action in self.device.step(self.now, event) {
            if let Action::Wake { at_ms } = action {
                self.wake = Some(at_ms);
            }
            let line = shown(&action);
            writeln!(self.told, "< {:>6} {line}", self.now).unwrap();
        }
    }

    fn event(&self, verb: &str, rest: &str) -> Event {
        let token = || rest.parse().unwrap();
        match verb {
            "connected" => Event::Connected,
            "disconnected" => Event::Disconnected,
            "tick" => Event::Tick,
            "hear" | "hear!" => {
                let (topic, payload) = word(rest);
                let payload = match payload {
                    "PICTURE" => {
                        let frame = picture(self.board.0, self.board.1);
                        let list: Vec<String> = frame.colours().map(|c| c.to_string()).collect();
                        format!("[{}]", list.join(",")).into_bytes()
                    }
                    text => text.as_bytes().to_vec(),
                };
                Event::Message { topic: topic.to_owned(), payload, retained: verb == "hear!" }
            }
            "line" => Event::Line(rest.as_bytes().to_vec()),
            "answer" => {
                let (request, rest) = word(rest);
                let (status, body) = word(rest);
                let answer =
                    (status != "none").then(|| (status.parse().unwrap(), body.as_bytes().to_vec()));
                Event::Answer { request: request.parse().unwrap(), answer }
            }
            "sink" => {
                let (token, rest) = word(rest);
                let says = match word(rest) {
                    ("started", grade) => SinkSays::Started { grade: grade.parse().unwrap() },
                    ("ended", _) => SinkSays::Ended,
                    _ => SinkSays::Failed,
                };
                Event::Sink { token: token.parse().unwrap(), says }
            }
            "stop" => Event::Order(Order::Stop { token: token() }),
            "volume" => Event::Order(Order::Volume(rest.parse().unwrap())),
            "brightness" => Event::Order(Order::Brightness(rest.parse().unwrap())),
            "clear" => Event::Order(Order::Clear),
            "probe" => Event::Order(Order::Probe),
            "play" => Event::Order(Order::Play(play(rest))),
            "show" => Event::Order(Order::Show(self.show(rest))),
            other => panic!("no such event: `{other}`"),
        }
    }

    fn show(&self, rest: &str) -> ShowOrder {
        let (rest, text) = rest.split_once("text=").unwrap_or((rest, ""));
        let values = pairs(rest);
        let number = |key: &str| values.get(key).unwrap().parse().unwrap();
        let drawn = values.contains_key("drawn");
        ShowOrder {
            token: values["token"].parse().unwrap(),
            item: "0a1b2c3d4e5f6071".to_owned(),
            text: (!text.is_empty()).then(|| text.to_owned()),
            frame: drawn.then(|| picture(self.board.0, self.board.1)),
            colour: values.get("colour").cloned(),
            dwell_ms: number("dwell"),
            until_ms: number("until"),
        }
    }
}

fn play(rest: &str) -> PlayOrder {
    let values = pairs(rest);
    let number = |key: &str| values.get(key).map_or(0, |v| v.parse().unwrap());
    PlayOrder {
        token: values["token"].parse().unwrap(),
        item: "0a1b2c3d4e5f6071".to_owned(),
        sha256: Digest::of(b"clip"),
        url: values.get("url").cloned(),
        slot: values.get("slot").cloned(),
        volume: u8::try_from(number("volume")).unwrap(),
        offset_ms: number("offset"),
        length_ms: number("length"),
        end_ms: number("end"),
    }
}

fn word(text: &str) -> (&str, &str) {
    text.trim().split_once(' ').map_or((text.trim(), ""), |(a, b)| (a, b.trim()))
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |w: &str| {
        let (key, value) = w.split_once('=').unwrap_or((w, ""));
        (key.to_owned(), value.to_owned())
    };
    text.split_whitespace().map(pair).collect()
}

fn bytes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).escape_debug().to_string();
    if text.chars().count() <= 200 {
        return format!("`{text}`");
    }
    let head: String = text.chars().take(80).collect();
    let hash = Digest::of(bytes).to_string();
    format!("`{head}`… {} bytes, sha256 {}", bytes.len(), &hash[..8])
}

fn shown(action: &Action) -> String {
    match action {
        Action::Subscribe { topics } => format!("subscribe {}", topics.join(" ")),
        Action::Publish { topic, payload, qos, retain } => {
            let retain = if *retain { " retained" } else { "" };
            format!("publish {topic} qos {qos}{retain} {}", bytes(payload))
        }
        Action::Http { request, method, url, body, within_ms } => {
            let body = body.as_ref().map(|b| format!(" {} {}", b.content_type, bytes(&b.bytes)));
            let body = body.unwrap_or_default();
            format!("http {request} {method:?} {url} within {within_ms}{body}")
        }
        Action::Line { bytes: line } => format!("line {}", bytes(line)),
        Action::Datagrams { packets } => {
            let head: Vec<String> =
                packets[0].iter().take(12).map(|b| format!("{b:02x}")).collect();
            format!("datagrams {} of {}…", packets.len(), head.concat())
        }
        Action::Sound { token, volume, length_ms, .. } => {
            format!("sound {token} volume {volume} length {length_ms}")
        }
        Action::Silence { token } => format!("silence {token}"),
        Action::Wake { at_ms } => format!("wake {at_ms}"),
        Action::Evidence(e) => {
            let token = e.token.map_or("-".to_owned(), |t| t.to_string());
            let kept: Vec<String> = e.captures.iter().map(|(at, v)| format!("{at}={v}")).collect();
            let kept = if kept.is_empty() { String::new() } else { format!(" {}", kept.join(" ")) };
            format!("evidence {token} {:?} grade {} from {}{kept}", e.what, e.grade, e.source)
        }
        Action::Presence(present) => format!("presence {present:?}"),
        Action::Firmware { said, expected } => format!("firmware {said} expected {expected}"),
        Action::Started { token, at_ms, grade } => {
            format!("STARTED {token} at {at_ms} grade {grade}")
        }
        Action::Ended { token, played_ms, by, grade } => {
            format!("ENDED {token} played {played_ms} by {by:?} grade {grade}")
        }
        Action::Failed { token, why, grade } => format!("FAILED {token} grade {grade}: {why}"),
    }
}
