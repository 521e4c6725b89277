//! Simulators of foreign devices, each written from its maker's public document. A simulator hears
//! what the gateway sends and says what the document promises, after the time a device would take.

use super::rig::OpenBroker;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::DropGuard;

/// A message of a device.
#[derive(Clone, Debug)]
pub struct Say {
    pub after_ms: u64,
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
}

pub fn say(after_ms: u64, topic: &str, payload: impl Into<Vec<u8>>) -> Say {
    Say { after_ms, topic: topic.to_owned(), payload: payload.into(), retain: false }
}

fn kept(topic: &str, payload: &str) -> Say {
    Say { retain: true, ..say(0, topic, payload) }
}

/// What a simulated device remembers.
#[derive(Debug, Default)]
pub struct Memory {
    pub apps: BTreeMap<String, Value>,
    /// How long clips are.
    pub clip_ms: u64,
}

/// How a device answers.
pub type Answer = fn(&mut Memory, &str, &[u8]) -> Vec<Say>;

/// A device of some maker.
#[derive(Clone, Copy)]
pub struct Sim {
    pub profile: &'static str,
    /// The document and the sections it is written from.
    pub document: &'static str,
    pub hears: &'static [&'static str],
    pub births: fn() -> Vec<Say>,
    pub answer: Answer,
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|e| panic!("{e}: {}", text(payload)))
}

/// AWTRIX 3: "Custom Apps and Notifications" keeps an app by the name in its topic, "Switch to
/// Specific App" shows it, "Status Retrieval" tells `currentApp` when it changes, "LiveView"
/// answers an empty message with the pixels.
pub const AWTRIX: Sim = Sim {
    profile: "awtrix3",
    document: "Blueforcer/awtrix3 docs/api.md, docs/mqtt.md",
    hears: &["awtrix_a4f2c8/custom/+", "awtrix_a4f2c8/switch", "awtrix_a4f2c8/power"],
    births: || vec![say(0, "awtrix_a4f2c8/stats/device", "online")],
    answer: |memory, topic, payload| {
        if let Some(name) = topic.strip_prefix("awtrix_a4f2c8/custom/") {
            memory.apps.insert(name.to_owned(), parsed(payload));
            return Vec::new();
        }
        if topic.ends_with("/switch") {
            let name = parsed(payload)["name"].as_str().unwrap().to_owned();
            let known = memory.apps.contains_key(&name);
            return known
                .then(|| say(40, "awtrix_a4f2c8/stats/currentApp", name))
                .into_iter()
                .collect();
        }
        assert!(parsed(payload)["power"].is_boolean());
        Vec::new()
    },
};

/// Pixelix: "Readable/Writeable Topic": what is `set` comes back as `state`; "Birth and last will".
pub const PIXELIX: Sim = Sim {
    profile: "pixelix",
    document: "BlueAndi/Pixelix doc/MQTT.md",
    hears: &["pixelix-cong/display/uid/12345/text/set"],
    births: || vec![kept("pixelix-cong/status", "online")],
    answer: |_, _, payload| {
        let shown = json!({ "text": parsed(payload)["text"] });
        vec![say(20, "pixelix-cong/display/uid/12345/text/state", shown.to_string())]
    },
};

/// ESPHome: "Text Component" tells its state after a command; "MQTT Client Component": birth.
pub const ESPHOME: Sim = Sim {
    profile: "esphome-text",
    document: "esphome.io, MQTT Client Component and Text Component",
    hears: &["bang-cong/text/noi_dung/command"],
    births: || vec![kept("bang-cong/status", "online")],
    answer: |_, _, payload| vec![say(15, "bang-cong/text/noi_dung/state", payload)],
};

/// WLED: "MQTT": the API listens; nothing comes back but the status that is kept.
pub const WLED: Sim = Sim {
    profile: "wled-2d",
    document: "kno.wled.ge, MQTT and JSON API",
    hears: &["wled/cong-ubnd/api"],
    births: || vec![kept("wled/cong-ubnd/status", "online")],
    answer: |_, _, payload| {
        assert!(parsed(payload).is_object());
        Vec::new()
    },
};

/// Tasmota: "MQTT.md": every command is answered on `stat/…/RESULT`; "I2S Audio, Commands".
pub const TASMOTA: Sim = Sim {
    profile: "tasmota-i2s",
    document: "tasmota/docs I2S-Audio_ESP32.md, MQTT.md",
    hears: &["cmnd/loa_thon_2/I2SPlay", "cmnd/loa_thon_2/I2SStop", "cmnd/loa_thon_2/I2SGain"],
    births: || vec![kept("tele/loa_thon_2/LWT", "Online")],
    answer: |_, topic, payload| {
        let command = topic.rsplit('/').next().unwrap();
        if command == "I2SPlay" {
            assert!(payload.starts_with(b"+/") && payload.ends_with(b".mp3"), "{}", text(payload));
        }
        vec![say(10, "stat/loa_thon_2/RESULT", json!({ command: "Done" }).to_string())]
    },
};

/// ESPuino: README, "MQTT": topics echo what was set; `pauseplay` tells play and idle.
pub const ESPUINO: Sim = Sim {
    profile: "espuino",
    document: "biologist79/ESPuino README (MQTT), src/settings.h",
    hears: &["loa/espuino-1/rfid/set", "loa/espuino-1/trackcontrol/set"],
    births: || vec![say(0, "loa/espuino-1/state", "Online")],
    answer: |memory, topic, payload| {
        if topic.ends_with("/trackcontrol/set") {
            return vec![say(10, "loa/espuino-1/pauseplay", "idle")];
        }
        vec![
            say(10, "loa/espuino-1/rfid", payload),
            say(60, "loa/espuino-1/pauseplay", "play"),
            say(60 + memory.clip_ms, "loa/espuino-1/pauseplay", "idle"),
        ]
    },
};

/// sonos2mqtt: "Play a mp3" (`notify`), "Player status": transport and track of each change.
pub const SONOS: Sim = Sim {
    profile: "sonos2mqtt",
    document: "svrooij/sonos2mqtt docs/topics.md, docs/control/5-notifications-and-tts.md",
    hears: &["sonos/RINCON_000E5000000001400/control"],
    births: || vec![kept("sonos/connected", "2")],
    answer: |memory, _, payload| {
        let asked = parsed(payload);
        let status = |after: u64, state: &str, uri: &Value| {
            let body =
                json!({ "currentTrack": { "TrackUri": uri }, "transportState": state, "ts": 1 });
            say(after, "sonos/RINCON_000E5000000001400", body.to_string())
        };
        match asked["command"].as_str() {
            Some("notify") => {
                let uri = &asked["input"]["trackUri"];
                assert!(asked["input"]["timeout"].is_number());
                vec![status(80, "PLAYING", uri), status(80 + memory.clip_ms, "STOPPED", uri)]
            }
            Some("stop") => vec![status(10, "STOPPED", &Value::Null)],
            other => panic!("{other:?}"),
        }
    },
};

/// Shelly Gen2: "RPC Protocol": the answer bears the id and goes to `src`; "MQTT": status of the
/// switch with the power it draws.
pub const SHELLY: Sim = Sim {
    profile: "shelly-amp",
    document: "shelly-api-docs Gen2+, RPC Protocol, MQTT, Switch",
    hears: &["shellyplus1pm-a8032ab12345/rpc"],
    births: || vec![kept("shellyplus1pm-a8032ab12345/online", "true")],
    answer: |_, _, payload| {
        let asked = parsed(payload);
        assert_eq!(asked["method"], "Switch.Set");
        let reply = json!({ "id": asked["id"], "src": "shelly", "result": { "was_on": false } });
        let topic = format!("{}/rpc", asked["src"].as_str().unwrap());
        let mut said = vec![say(20, &topic, reply.to_string())];
        if asked["params"]["on"] == true {
            let status = json!({ "id": 0, "output": true, "apower": 41.5 });
            let topic = "shellyplus1pm-a8032ab12345/status/switch:0";
            said.push(say(1_900, topic, status.to_string()));
        }
        said
    },
};

/// Axis: "MQTT Event Bridge": a subscribed topic starts a rule; the device tells its own events.
pub const AXIS: Sim = Sim {
    profile: "axis-mqtt",
    document: "developer.axis.com VAPIX MQTT Event Bridge, Event and action services",
    hears: &["axis/loa-cong/clip/+", "axis/loa-cong/stop"],
    births: || vec![kept("axis/loa-cong/connection", "online")],
    answer: |memory, topic, _| {
        let active = |after, on: &str| {
            let body = json!({ "message": { "data": { "active": on } } });
            say(after, "axis/loa-cong/event/playing", body.to_string())
        };
        if topic.ends_with("/stop") {
            return vec![active(10, "0")];
        }
        vec![active(50, "1"), active(50 + memory.clip_ms, "0")]
    },
};

/// Home Assistant, "MQTT Siren": the state topic tells the keys of the command.
pub const SIREN: Sim = Sim {
    profile: "ha-siren",
    document: "home-assistant.io MQTT Siren",
    hears: &["coi/cong/set"],
    births: || vec![kept("coi/cong/availability", "online")],
    answer: |memory, _, payload| {
        let asked = parsed(payload);
        if asked["state"] == "OFF" {
            return vec![say(10, "coi/cong", json!({ "state": "OFF" }).to_string())];
        }
        vec![
            say(30, "coi/cong", asked.to_string()),
            say(30 + memory.clip_ms, "coi/cong", json!({ "state": "OFF" }).to_string()),
        ]
    },
};

pub const ALL: [Sim; 10] =
    [AWTRIX, PIXELIX, ESPHOME, WLED, TASMOTA, ESPUINO, SONOS, SHELLY, AXIS, SIREN];

impl Sim {
    /// Puts the device on a broker; done when it hears.
    pub async fn start(self, broker: &OpenBroker, clip_ms: u64) -> DropGuard {
        let topics: Vec<String> = self.hears.iter().map(|topic| (*topic).to_owned()).collect();
        let (link, mut heard, guard) = broker.client(self.profile, &topics).await;
        let mut memory = Memory { clip_ms, ..Memory::default() };
        let births = (self.births)();
        let tell = move |say: Say| {
            let link = link.clone();
            tokio::spawn(async move {
                // A device takes its time.
                tokio::time::sleep(Duration::from_millis(say.after_ms)).await;
                let _ = link.publish(say.topic, say.payload, say.retain).await;
            });
        };
        tokio::spawn(async move {
            births.into_iter().for_each(&tell);
            while let Some((topic, payload)) = heard.recv().await {
                (self.answer)(&mut memory, &topic, &payload).into_iter().for_each(&tell);
            }
        });
        guard
    }
}
