//! `feeds/*.toml`: values for boards, where they are read, and what may be believed of them.
//!
//! Only what a file names is ever asked: one address, no redirects, no address out of an answer.
//! Secrets lie in files of the station folder, never in these.

use super::fault::At;
use super::problem::Problem;
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use super::text::{graphemes, shown};
use crate::domain::feed::{self, Decimal, Feed, FileHeader, HttpSource, MqttSource, Pick};
use crate::domain::ids::FeedId;
use std::collections::BTreeMap;

const EVERY: ((i64, &str), (i64, &str)) = ((10_000, "10s"), (24 * 3_600_000, "24h"));
const TIMEOUT: ((i64, &str), (i64, &str)) = ((500, "500ms"), (60_000, "1m"));
const STALE: ((i64, &str), (i64, &str)) = ((30_000, "30s"), (168 * 3_600_000, "168h"));
/// Headers that are secrets by their name, and those that the request itself needs.
const SECRET: &[&str] =
    &["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "api-key"];
const OURS: &[&str] = &["host", "content-length", "connection", "transfer-encoding", "upgrade"];

pub(super) static FEED: Shape = Shape {
    of: "the feed",
    keys: &[
        must("title", Kind::Text(200), "what it is, for people"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        may("unit", Kind::Text(16), "written after the value: `cm`, `°C`; none unless said"),
        may(
            "kind",
            Kind::Choice(&["number", "words"]),
            "what its values are; `number` unless said",
        ),
        may(
            "scale",
            Kind::Text(24),
            "what the source's number is multiplied by, in quotes: `\"0.1\"`; 1 unless said",
        ),
        may("decimals", Kind::Number(0, 6), "how many decimals are shown; 0 unless said"),
        may("least", Kind::Text(24), "the least plausible value, in quotes: `\"-10\"`"),
        may("most", Kind::Text(24), "the greatest plausible value, in quotes: `\"45.5\"`"),
        may(
            "step",
            Kind::Text(24),
            "the widest leap between two readings that counts at once; a wider one counts when \
             three in a row agree",
        ),
        may("longest", Kind::Number(1, 40), "most characters of words; 24 unless said"),
        must(
            "stale_after",
            Kind::Duration,
            "how long a value may be shown after it was measured, 30s to 168h",
        ),
        may("http", Kind::Table(&HTTP), "an address that is asked: `[http]`"),
        may("mqtt", Kind::Table(&MQTT), "a topic of a broker: `[mqtt]`"),
    ],
};

static HTTP: Shape = Shape {
    of: "`http`",
    keys: &[
        must("url", Kind::Text(400), "`https://…` or `http://…`, without user and password"),
        may("pointer", Kind::Text(200), "where the value stands: `/tram/0/muc_nuoc` (RFC 6901)"),
        may(
            "at",
            Kind::Text(200),
            "where the moment of measuring stands: seconds, milliseconds or RFC 3339",
        ),
        may("every", Kind::Duration, "how often it is asked, 10s to 24h; `5m` unless said"),
        may("timeout", Kind::Duration, "how long it may take, 500ms to 1m; `10s` unless said"),
        may("most_kib", Kind::Number(1, 1_024), "largest answer in KiB; 64 unless said"),
        may("headers", Kind::Map(16), "headers that are sent; no secrets"),
        may("secret_header", Kind::Text(64), "a header whose value is secret: `Authorization`"),
        may("secret_file", Kind::Text(200), "file that holds that value, in the folder"),
        may("ca_file", Kind::Text(200), "certificate authority to trust (PEM), in the folder"),
    ],
};

static MQTT: Shape = Shape {
    of: "`mqtt`",
    keys: &[
        must("url", Kind::Text(200), "`mqtt://HOST:PORT` or `mqtts://HOST:PORT`"),
        must("topic", Kind::Text(200), "the topic, without `+` and `#`"),
        may("pointer", Kind::Text(200), "where the value stands; the whole message unless said"),
        may(
            "at",
            Kind::Text(200),
            "where the moment of measuring stands; without it kept messages do not count",
        ),
        may("user", Kind::Text(100), "user name there"),
        may("password_file", Kind::Text(200), "file that holds the password, in the folder"),
        may("ca_file", Kind::Text(200), "certificate authority to trust (PEM), in the folder"),
        may("most_kib", Kind::Number(1, 128), "largest message in KiB; 16 unless said"),
    ],
};

/// Reads a feed.
pub(super) fn read(source: &Source<'_>, id: &FeedId) -> Option<Feed> {
    source.toml(&FEED, |top| feed(top, id))?
}

fn feed(top: &Reader<'_>, id: &FeedId) -> Option<Feed> {
    super::check_id(top, id.as_str());
    let (title, unit) = (top.text("title"), top.text("unit").map(|text| text.value));
    let kind = kind(top);
    let stale = top.duration("stale_after", STALE.0, STALE.1);
    let source = match (top.table("http"), top.table("mqtt")) {
        (Some(_), Some(mqtt)) => {
            top.fault(mqtt.place, &Problem::Both { one: "http", other: "mqtt" });
            None
        }
        (Some(table), None) => http(&table, stale.as_ref()).map(feed::Source::Http),
        (None, Some(table)) => mqtt(&table).map(feed::Source::Mqtt),
        (None, None) => {
            if !top.has("http") && !top.has("mqtt") {
                top.fault(top.place, &Problem::Neither { one: "http", other: "mqtt" });
            }
            None
        }
    };
    let found = Feed {
        id: id.clone(),
        title: title?.value,
        unit,
        kind: kind?,
        stale_after_s: stale?.value / 1_000,
        source: source?,
    };
    let longest = found.widest().iter().map(|text| graphemes(text)).max().unwrap_or(0);
    if longest > feed::MOST_CHARS {
        let key = "unit".to_owned();
        let most = feed::MOST_CHARS;
        top.fault(top.place_of("unit"), &Problem::TooLong { key, length: longest, most });
        return None;
    }
    Some(found)
}

fn kind(top: &Reader<'_>) -> Option<feed::Kind> {
    let words = top.choice("kind", &[("number", false), ("words", true)]);
    let of_numbers = ["scale", "decimals", "least", "most", "step"];
    if words.is_some_and(|words| words.value) {
        for key in of_numbers.into_iter().filter(|key| top.has(key)) {
            let hint = "words are shown as they come; take the key out";
            let problem = Problem::Useless { key, without: "with `kind = \"words\"`", hint };
            top.fault(top.place_of(key), &problem);
        }
        let longest = top.small("longest").map_or(24, |n| n.value as usize);
        return Some(feed::Kind::Words { longest });
    }
    if top.has("longest") {
        let hint = "numbers are bounded by `least` and `most`; take the key out";
        let problem =
            Problem::Useless { key: "longest", without: "without `kind = \"words\"`", hint };
        top.fault(top.place_of("longest"), &problem);
    }
    let number = |key: &'static str| top.text(key).and_then(|text| decimal(top, key, &text));
    for key in ["least", "most"] {
        if !top.has(key) {
            let doc = "a broken sensor says anything: say which numbers are plausible";
            top.fault(top.place, &Problem::MissingKey { key, of: "the feed", doc });
        }
    }
    let (scale, step) = (number("scale"), number("step"));
    let (least, most) = (number("least"), number("most"));
    let (least, most) = (least?, most?);
    if least >= most {
        let (key, value) = ("most", top.text("most").map(|t| t.value).unwrap_or_default());
        let hint = "`most` is above `least`";
        top.fault(
            top.place_of(key),
            &Problem::Url { text: shown(&value), what: "number above `least`", hint },
        );
        return None;
    }
    let decimals = top.small("decimals").map_or(0, |n| n.value);
    let decimals = u8::try_from(decimals).unwrap_or(0);
    Some(feed::Kind::Number {
        scale: scale.unwrap_or(Decimal::whole(1)),
        decimals,
        least,
        most,
        step,
    })
}

fn decimal(top: &Reader<'_>, key: &str, text: &At<String>) -> Option<Decimal> {
    // So much that every shown value fits into a line; also keeps arithmetic exact.
    let fits = |number: &Decimal| {
        (Decimal::whole(-1_000_000_000_000)..=Decimal::whole(1_000_000_000_000)).contains(number)
    };
    let number = Decimal::parse(&text.value).filter(fits);
    let number = number.filter(|n| key != "step" || *n > Decimal::whole(0));
    if number.is_none() {
        let hint = "digits with at most one point: `\"12.5\"`; `step` is above 0";
        let what = "number";
        top.fault(text.place, &Problem::Url { text: shown(&text.value), what, hint });
    }
    number
}

fn http(table: &Reader<'_>, stale: Option<&At<i64>>) -> Option<HttpSource> {
    let url = table.text("url").filter(|url| {
        let rest = url.value.strip_prefix("http://").or(url.value.strip_prefix("https://"));
        let host = rest.and_then(|rest| rest.split(['/', '?']).next());
        let good = host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
            && !url.value.contains([' ', '#', '\\'])
            && url.value.is_ascii();
        if !good {
            let hint = "as in `https://so-lieu.example.vn/tram/12.json`; a secret stands in \
                        `secret_file`";
            let text = shown(&without_login(&url.value));
            table.fault(url.place, &Problem::Url { text, what: "URL", hint });
        }
        good
    });
    let pick = pick(table);
    let every = table.duration("every", EVERY.0, EVERY.1);
    let timeout = table.duration("timeout", TIMEOUT.0, TIMEOUT.1);
    let every_ms = every.as_ref().map_or(300_000, |every| every.value);
    if let Some(stale) = stale
        && stale.value <= every_ms
    {
        let place = every.as_ref().map_or(stale.place, |every| every.place);
        let text = format!("{} s", every_ms / 1_000);
        let hint = "ask more often than values grow stale, or boards show the mark in between";
        table.fault(place, &Problem::Url { text, what: "time below `stale_after`", hint });
    }
    let headers = headers(table);
    let from_file = secret(table);
    Some(HttpSource {
        url: url?.value,
        pick: pick?,
        every_s: every_ms / 1_000,
        timeout_ms: timeout.map_or(10_000, |timeout| timeout.value),
        most_bytes: table.number("most_kib").map_or(64, |n| n.value.unsigned_abs()) << 10,
        headers,
        from_file,
        ca_file: super::station::path(table, "ca_file"),
    })
}

/// A password that stands where it should not is not said again.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        _ => url.to_owned(),
    }
}

fn headers(table: &Reader<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in table.map("headers") {
        let lower = name.value.to_ascii_lowercase();
        let hint = if SECRET.contains(&lower.as_str()) {
            "a secret stands in a file: `secret_header` and `secret_file`"
        } else if OURS.contains(&lower.as_str()) {
            "this header is made by the request itself; take it out"
        } else if !is_header(&name.value) || !value.value.is_ascii() {
            "letters, digits and - in the name, ASCII in the value"
        } else {
            found.insert(lower, value.value);
            continue;
        };
        let text = shown(&name.value);
        table.fault(name.place, &Problem::Url { text, what: "header to write here", hint });
    }
    found
}

fn is_header(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

fn secret(table: &Reader<'_>) -> Option<FileHeader> {
    let header = table.text("secret_header");
    let file = super::station::path(table, "secret_file");
    if let Some(header) = &header
        && (!is_header(&header.value) || OURS.contains(&header.value.to_lowercase().as_str()))
    {
        let (text, hint) = (shown(&header.value), "the name of a header: `Authorization`");
        table.fault(header.place, &Problem::Url { text, what: "header", hint });
    }
    match (table.has("secret_header"), table.has("secret_file")) {
        (true, false) => {
            let doc = "the file that holds the secret";
            let problem = Problem::MissingKey { key: "secret_file", of: "`http`", doc };
            table.fault(table.place_of("secret_header"), &problem);
        }
        (false, true) => {
            let doc = "the header that the secret is sent in";
            let problem = Problem::MissingKey { key: "secret_header", of: "`http`", doc };
            table.fault(table.place_of("secret_file"), &problem);
        }
        _ => {}
    }
    Some(FileHeader { name: header?.value, file: file? })
}

fn mqtt(table: &Reader<'_>) -> Option<MqttSource> {
    let url = table.text("url").filter(|url| {
        let rest = url.value.strip_prefix("mqtt://").or_else(|| url.value.strip_prefix("mqtts://"));
        let good =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '/', ' ', '?', '#']));
        if !good {
            let hint = "as in `mqtts://broker.example.vn:8883`; user and password have keys of \
                        their own";
            let text = shown(&without_login(&url.value));
            table.fault(url.place, &Problem::Url { text, what: "broker", hint });
        }
        good
    });
    let topic = table.text("topic").filter(|topic| {
        let good = !topic.value.contains(['+', '#']) && !topic.value.starts_with('$');
        if !good {
            let hint = "one topic, without wildcards: `tram/12/muc-nuoc`";
            let (text, what) = (shown(&topic.value), "topic");
            table.fault(topic.place, &Problem::Url { text, what, hint });
        }
        good
    });
    let (pick, user) = (pick(table), table.text("user"));
    let password_file = super::station::path(table, "password_file");
    if user.is_none() && table.has("password_file") {
        let (key, without) = ("password_file", "without `user`");
        let hint = "give the `user` whose password it is, or take the key out";
        table.fault(table.place_of(key), &Problem::Useless { key, without, hint });
    }
    Some(MqttSource {
        url: url?.value,
        topic: topic?.value,
        pick: pick?,
        user: user.map(|user| user.value),
        password_file,
        ca_file: super::station::path(table, "ca_file"),
        most_bytes: table.number("most_kib").map_or(16, |n| n.value.unsigned_abs()) << 10,
    })
}

fn pick(table: &Reader<'_>) -> Option<Pick> {
    let pointer = |key: &'static str| {
        let Some(text) = table.text(key) else { return Some(None) };
        let plain = |part: &str| {
            part.match_indices('~')
                .all(|(at, _)| matches!(part.as_bytes().get(at + 1), Some(b'0' | b'1')))
        };
        if text.value.starts_with('/') && text.value.split('/').all(plain) {
            return Some(Some(text.value));
        }
        let hint = "a JSON pointer begins with `/`: `/tram/0/muc_nuoc`";
        let (shown, what) = (shown(&text.value), "JSON pointer");
        table.fault(text.place, &Problem::Url { text: shown, what, hint });
        None
    };
    let (value, at) = (pointer("pointer"), pointer("at"));
    let (value, at) = (value?, at?);
    if at.is_some() && value.is_none() {
        let hint = "name the value in the same JSON by `pointer`";
        let problem = Problem::Useless { key: "at", without: "without `pointer`", hint };
        table.fault(table.place_of("at"), &problem);
    }
    Some(Pick { value, at })
}

#[cfg(test)]
mod tests;
