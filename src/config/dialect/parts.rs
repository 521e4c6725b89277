//! The small tables of a dialect: transport, clips, presence, limits, timing, pixels.

use super::fault::DialectFault;
use super::{ADDRESS_BYTES, Ground};
use crate::config::fault::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::text::shown;
use crate::dialect::field::{FILE_BYTES, Scope};
use crate::dialect::limits::{Limits, MOST_PAYLOAD, Unit};
use crate::dialect::model::{
    ClipAddress, Correlation, Detection, Ends, Framing, PixelOutput, PixelProtocol, Presence,
    Timing, Transport,
};
use crate::dialect::template::{Context, Template};
use crate::dialect::words;

type Noted = Vec<(Place, DialectFault)>;

/// Reads the kind of transport and its quality of service, before anything else.
pub(super) fn kind(table: &Reader<'_>) -> (&'static str, u8) {
    let Some(transport) = table.table("transport") else { return ("mqtt", 1) };
    // Noted by `transport`; here only the word counts.
    let words = ["mqtt", "http", "tcp", "serial", "udp"];
    let said = transport.text("kind").map(|t| t.value.to_lowercase()).unwrap_or_default();
    let kind = words.into_iter().find(|word| *word == said).unwrap_or("mqtt");
    let qos = transport.small("qos").and_then(|n| u8::try_from(n.value).ok());
    (kind, qos.unwrap_or(0))
}

pub(super) fn transport(table: &Reader<'_>, ground: &Ground) -> Option<Transport> {
    let kinds =
        [("mqtt", "mqtt"), ("http", "http"), ("tcp", "tcp"), ("serial", "serial"), ("udp", "udp")];
    let kind = table.choice("kind", &kinds)?.value;
    let needs: &[(&str, &[&str])] = &[
        ("qos", &["mqtt"]),
        ("keep_alive", &["mqtt"]),
        ("tls", &["mqtt"]),
        ("base", &["http"]),
        ("address", &["tcp"]),
        ("port", &["serial"]),
        ("baud", &["serial"]),
        ("until", &["tcp", "serial"]),
    ];
    for (key, kinds) in needs {
        if table.has(key) && !kinds.contains(&kind) {
            ground.fault(table, table.place_of(key), DialectFault::Transport { key, kind });
        }
    }
    let address = |key: &'static str| {
        if !table.has(key) {
            let doc = "where the device is reached";
            ground.faulty.set(true);
            table.fault(table.place, &Problem::MissingKey { key, of: "`transport`", doc });
        }
        ground.template(table, key, Context::Word, Scope::Settings, ADDRESS_BYTES)
    };
    Some(match kind {
        "http" => Transport::Http { base: address("base")? },
        "tcp" => Transport::Tcp { address: address("address")?, framing: framing(table, ground)? },
        "serial" => Transport::Serial {
            port: address("port")?,
            baud: table.small("baud").map_or(9_600, |b| b.value),
            framing: framing(table, ground)?,
        },
        "udp" => Transport::Udp,
        _ => {
            let alive = table.duration("keep_alive", (5_000, "5s"), (3_600_000, "1h"));
            let seconds = alive.map_or(60, |a| a.value / 1_000);
            Transport::Mqtt {
                qos_most: ground.qos_most,
                keep_alive_s: u16::try_from(seconds).unwrap_or(60),
                tls: table.flag("tls").is_some_and(|f| f.value),
            }
        }
    })
}

fn framing(table: &Reader<'_>, ground: &Ground) -> Option<Framing> {
    let Some(text) = table.text("until") else { return Some(Framing::Until(b'\n')) };
    let byte = match text.value.as_str() {
        "lf" => Some(b'\n'),
        "cr" => Some(b'\r'),
        hex if hex.len() == 2 => u8::from_str_radix(hex, 16).ok(),
        _ => None,
    };
    if byte.is_none() {
        let (key, text_shown) = ("until".to_owned(), shown(&text.value));
        let all = "lf, cr, two hexadecimal digits".to_owned();
        ground.faulty.set(true);
        table.fault(text.place, &Problem::Choice { key, text: text_shown, near: None, all });
    }
    byte.map(Framing::Until)
}

pub(super) fn detection(table: &Reader<'_>, ground: &Ground) -> Option<Detection> {
    let (topic, at) = (ground.heard(table, "topic"), ground.pointer(table, "at"));
    Some(Detection { topic: topic?, at, starts: table.text("starts")?.value })
}

pub(super) fn clips(table: &Reader<'_>, ground: &Ground) -> Option<ClipAddress> {
    let by = table.choice("by", &[("url", 0), ("file", 1), ("slot", 2), ("gateway", 3)])?;
    if by.value != 1 && table.has("path") {
        let problem = Problem::Useless {
            key: "path",
            without: "with this `by`",
            hint: "only `by = \"file\"` has a path",
        };
        ground.faulty.set(true);
        table.fault(table.place_of("path"), &problem);
    }
    Some(match by.value {
        0 => ClipAddress::Url,
        2 => ClipAddress::Slot,
        3 => ClipAddress::Gateway,
        _ => {
            if !table.has("path") {
                let doc = "path of a clip on the device: `/${sha256|cut:16}.mp3`";
                ground.faulty.set(true);
                table.fault(table.place, &Problem::MissingKey { key: "path", of: "`clips`", doc });
            }
            let path = ground.template(table, "path", Context::Word, Scope::Clip, FILE_BYTES)?;
            ClipAddress::File(path)
        }
    })
}

pub(super) fn presence(table: &Reader<'_>, ground: &Ground) -> Option<Presence> {
    let words = |key| {
        let words = table.texts(key).unwrap_or_default();
        words.into_iter().map(|w| w.value).collect::<Vec<String>>()
    };
    let (online, offline) = (words("online"), words("offline"));
    let topic = if table.has("topic") { Some(ground.heard(table, "topic")?) } else { None };
    if topic.is_some() && online.is_empty() {
        let doc = "words that mean it is there";
        ground.faulty.set(true);
        table.fault(table.place, &Problem::MissingKey { key: "online", of: "`presence`", doc });
    }
    let stale = table.duration("stale_after", (5_000, "5s"), (86_400_000, "24h"));
    Some(Presence {
        topic,
        at: ground.pointer(table, "at"),
        online,
        offline,
        retained: table.flag("retained").is_some_and(|f| f.value),
        stale_after_ms: stale.map(|s| s.value),
    })
}

pub(super) fn correlation(table: &Reader<'_>, ground: &Ground) -> Option<Correlation> {
    if table.choice("by", &[("id", true), ("order", false)])?.value {
        for (key, doc) in
            [("topic", "name of the topic of answers"), ("request", "JSON pointer of the number")]
        {
            if !table.has(key) {
                let of = "`correlation`";
                ground.faulty.set(true);
                table.fault(table.place, &Problem::MissingKey { key, of, doc });
            }
        }
        let (topic, request) = (ground.heard(table, "topic"), ground.pointer(table, "request"));
        let error = ground.pointer(table, "error");
        return Some(Correlation::Id { topic: topic?, request: request?, error });
    }
    if !matches!(ground.transport, "tcp" | "serial") {
        let (key, kind) = ("by", ground.transport);
        ground.fault(table, table.place_of("by"), DialectFault::Transport { key, kind });
    }
    Some(Correlation::Order)
}

/// What stands for limits that are faulty, while the rest is read.
pub(super) fn no_limits() -> Limits {
    Limits {
        max_payload: MOST_PAYLOAD,
        text_max: 255,
        unit: Unit::Bytes,
        letters: Vec::new(),
        refuse: Vec::new(),
        per_minute: 6_000,
        gap_ms: 0,
    }
}

/// Reads the limits before the ground stands; faults are handed back.
pub(super) fn limits(table: &Reader<'_>) -> (Option<Limits>, Noted) {
    let mut noted = Noted::new();
    let mut letters = Vec::new();
    for text in table.texts("letters").unwrap_or_default() {
        let set = words::SETS.iter().find(|(name, _)| *name == text.value);
        match (set, words::letters(&text.value)) {
            (Some((_, ranges)), _) => letters.extend_from_slice(ranges),
            (None, Some(range)) => letters.push(range),
            (None, None) => {
                noted.push((text.place, DialectFault::Letters { text: shown(&text.value) }));
            }
        }
    }
    let refuse = table.texts("refuse").unwrap_or_default();
    let small = |key, default| table.small(key).map_or(default, |n| n.value);
    let unit = table.choice("unit", &[("bytes", 0), ("chars", 1), ("px", 2)]);
    let unit = match unit.map_or(0, |u| u.value) {
        1 => Unit::Chars,
        2 => Unit::Pixels { per_char: small("char_px", 8) },
        _ => Unit::Bytes,
    };
    let gap = table.duration("gap", (1, "1ms"), (60_000, "60s"));
    let limits = Limits {
        max_payload: small("max_payload", 0) as usize,
        text_max: small("text_max", 255),
        unit,
        letters,
        refuse: refuse.into_iter().map(|r| r.value).collect(),
        per_minute: small("per_minute", 60),
        gap_ms: gap.map_or(0, |g| g.value),
    };
    ((limits.max_payload > 0).then_some(limits), noted)
}

pub(super) fn timing(table: Option<&Reader<'_>>) -> Timing {
    let ms = |key, least, most, default| {
        let read = table.and_then(|t| t.duration(key, least, most));
        read.map_or(default, |d| d.value)
    };
    let short = ((100, "100ms"), (120_000, "2m"));
    let ends = table.and_then(|t| {
        t.choice("ends", &[("device", Ends::Device), ("scheduler", Ends::Scheduler)])
    });
    let optional =
        |key, least, most| table.and_then(|t| t.duration(key, least, most)).map(|d| d.value);
    Timing {
        ends: ends.map_or(Ends::Device, |e| e.value),
        answer_ms: ms("answer", short.0, short.1, 5_000),
        retries: table.and_then(|t| t.small("retries")).map_or(2, |n| n.value),
        start_ms: ms("start", short.0, short.1, 10_000),
        late_ms: ms("late", (1, "1ms"), (60_000, "60s"), 2_000),
        tolerance_ms: ms("tolerance", short.0, (60_000, "60s"), 3_000),
        probe_ms: optional("probe", (1, "1ms"), (600_000, "10m")),
        // Faster repeats would fill the line of a small board for nothing.
        refresh_ms: optional("refresh", (100, "100ms"), (60_000, "60s")),
    }
}

pub(super) fn pixels(table: &Reader<'_>, ground: &Ground) -> Option<PixelOutput> {
    let protocol = table.choice("protocol", &PixelProtocol::ALL)?.value;
    let host: Option<Template> =
        ground.template(table, "host", Context::Word, Scope::Settings, ADDRESS_BYTES);
    let (least, most) = protocol.universes();
    let universe = table.small("universe").and_then(|n| u16::try_from(n.value).ok());
    let universe = universe.unwrap_or(least);
    if !(least..=most).contains(&universe) {
        let (universe, protocol) = (i64::from(universe), protocol.name());
        let fault = DialectFault::Universe { universe, least, most, protocol };
        ground.fault(table, table.place_of("universe"), fault);
    }
    let per_universe = table.small("per_universe").map(|n| n.value as usize);
    Some(PixelOutput {
        protocol,
        host: host?,
        universe,
        per_universe: per_universe.unwrap_or(crate::dialect::pixels::UNIVERSE_PIXELS),
    })
}
