//! What devices say, rightly or wrongly.

use super::super::conversation::picture;
use super::{ITEM, SLOT, URL};

/// What each device says that means something: topic and payload.
pub const TELLING: &[(&str, &[(&str, &str)])] = &[
    ("awtrix3", &[("awtrix_a4f2c8/stats/currentApp", ITEM), ("awtrix_a4f2c8/screen", "PICTURE")]),
    ("pixelix", &[("pixelix-cong/display/uid/12345/text/state", "{\"text\":\"ABC\"}")]),
    ("esphome-text", &[("bang-cong/text/noi_dung/state", "ABC")]),
    ("tasmota-i2s", &[("stat/loa_thon_2/RESULT", "{\"I2SPlay\":\"Done\"}")]),
    (
        "espuino",
        &[
            ("loa/espuino-1/rfid", SLOT),
            ("loa/espuino-1/pauseplay", "play"),
            ("loa/espuino-1/pauseplay", "idle"),
        ],
    ),
    ("mopidy", &[("mopidy/stat/trk_uri", URL), ("mopidy/stat/plstate", "stopped")]),
    (
        "shelly-amp",
        &[
            ("loa-cong-noi/rpc", "ANSWER"),
            ("shellyplus1pm-a8032ab12345/status/switch:0", "{\"output\":true,\"apower\":41.5}"),
        ],
    ),
    (
        "axis-mqtt",
        &[
            ("axis/loa-cong/event/playing", "{\"message\":{\"data\":{\"active\":\"1\"}}}"),
            ("axis/loa-cong/event/playing", "{\"message\":{\"data\":{\"active\":\"0\"}}}"),
        ],
    ),
    (
        "ha-siren",
        &[
            ("coi/cong", "{\"state\":\"ON\",\"tone\":\"123456789012\"}"),
            ("coi/cong", "{\"state\":\"OFF\"}"),
        ],
    ),
];

pub fn payloads(id: u32) -> Vec<String> {
    let list = picture(32, 8).colours().map(|c| c.to_string()).collect::<Vec<_>>().join(",");
    let mut all: Vec<String> = [
        "online",
        "offline",
        "Online",
        "Offline",
        "true",
        "false",
        "0",
        "2",
        "play",
        "idle",
        "playing",
        "stopped",
        ITEM,
        SLOT,
        URL,
        "",
        "null",
        "[]",
        "{}",
        "Notification",
    ]
    .map(str::to_owned)
    .into();
    all.push(format!("[{list}]"));
    all.push(format!("{{\"id\":{id},\"result\":{{}}}}"));
    all.push(format!("{{\"id\":{id},\"error\":{{\"code\":1}}}}"));
    all.push("{\"output\":true,\"apower\":41.5}".to_owned());
    all.push("{\"I2SPlay\":\"Done\"}".to_owned());
    all.push("{\"Command\":\"Unknown\"}".to_owned());
    all.push(format!("{{\"state\":\"ON\",\"tone\":\"{SLOT}\"}}"));
    all.push("{\"state\":\"OFF\"}".to_owned());
    all.push(format!("{{\"state\":\"playing\",\"url\":\"{URL}\"}}"));
    all.push("{\"message\":{\"data\":{\"active\":\"1\",\"result\":\"OK\"}}}".to_owned());
    all.push("{\"message\":{\"data\":{\"active\":\"0\"}}}".to_owned());
    for state in ["PLAYING", "STOPPED"] {
        all.push(format!(
            "{{\"currentTrack\":{{\"TrackUri\":\"{URL}\"}},\"transportState\":\"{state}\"}}"
        ));
    }
    all.push("{\"text\":\"ABC\"}".to_owned());
    all.push("{\"version\":\"9\"}".to_owned());
    all
}
