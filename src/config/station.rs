//! `station.toml`: name, zone, approval, retention, broker, listeners.

use super::fault::{At, Place};
use super::problem::Problem;
use super::read::{Reader, Source};
use super::settings::{
    Approval, BrokerAdmin, BrokerConfig, ListenConfig, LogConfig, Retention, StationConfig,
    TlsFiles, TokenConfig, WitnessConfig,
};
use super::shape::{Kind, Shape, may, must};
use super::text::shown;
use crate::domain::login::check_server_user;
use crate::domain::playlist::ClipPath;
use crate::domain::standby::{Standby, Template};
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) static STATION: Shape = Shape {
    of: "the station",
    keys: &[
        must("name", Kind::Text(120), "the name of the station, as people know it"),
        may(
            "zone",
            Kind::Text(40),
            "IANA time zone of hours and dates; `Asia/Ho_Chi_Minh` unless said",
        ),
        may(
            "approval",
            Kind::Choice(&["required", "off"]),
            "whether a second person approves what sounds; `required` unless said",
        ),
        may(
            "insecure_lan",
            Kind::Flag,
            "lets listeners without TLS leave loopback; only on a network of your own",
        ),
        may("retention", Kind::Table(&RETENTION), "how long evidence is kept"),
        may(
            "broker",
            Kind::Table(&BROKER),
            "an external broker; the embedded one unless `url` is given",
        ),
        may("listen", Kind::Table(&LISTEN), "where the server listens"),
        may("log", Kind::Table(&LOG), "who vouches for the evidence log"),
        may("standby", Kind::Table(&STANDBY), "templates of urgent notices, kept on every device"),
    ],
};

static STANDBY: Shape = Shape {
    of: "`standby`",
    keys: &[
        may("siren", Kind::Table(&TEMPLATE), "a siren alone"),
        may("storm", Kind::Table(&TEMPLATE), "storm, strong wind"),
        may("flood", Kind::Table(&TEMPLATE), "flood, flash flood, landslide"),
        may("fire", Kind::Table(&TEMPLATE), "fire, forest fire"),
        may("epidemic", Kind::Table(&TEMPLATE), "epidemic"),
    ],
};

static TEMPLATE: Shape = Shape {
    of: "a standby template",
    keys: &[
        must("clip", Kind::Text(200), "what sounds, as in `clips/standby/bao.mp3`"),
        must("text", Kind::Lines(500), "what boards show"),
    ],
};

static RETENTION: Shape = Shape {
    of: "`retention`",
    keys: &[
        may(
            "evidence_months",
            Kind::Number(12, 240),
            "months that records and outcomes are kept; 24 unless said",
        ),
        may(
            "brought_mib",
            Kind::Number(1, 16_777_216),
            "MiB that all files of evidence that persons bring may take; 20480 unless said",
        ),
    ],
};

static LOG: Shape = Shape {
    of: "`log`",
    keys: &[
        may(
            "witnesses",
            Kind::Texts(8),
            "witnesses, each `VERIFIER-KEY URL` as its operator gave them",
        ),
        may(
            "quorum",
            Kind::Number(1, 8),
            "how many of them are enough; more than half unless said",
        ),
        may("ca_file", Kind::Text(200), "certificate authority of witnesses (PEM), in the folder"),
        may("tokens", Kind::Table(&TOKENS), "who stamps the log's heads, once a day (RFC 3161)"),
    ],
};

static TOKENS: Shape = Shape {
    of: "`log.tokens`",
    keys: &[
        must("url", Kind::Text(200), "where the time-stamp authority takes requests"),
        must("ca_file", Kind::Text(200), "the authority's certificates (PEM), in the folder"),
        may("policy", Kind::Text(100), "policy to ask for, as in `1.3.6.1.4.1.4146.2.3`"),
    ],
};

static BROKER: Shape = Shape {
    of: "`broker`",
    keys: &[
        may("url", Kind::Text(200), "`mqtt://HOST:PORT` or `mqtts://HOST:PORT`"),
        may("user", Kind::Text(100), "user name of the server at the broker"),
        may("password_file", Kind::Text(200), "file that holds the password, in the folder"),
        may("ca_file", Kind::Text(200), "certificate authority to trust (PEM), in the folder"),
        may(
            "admin",
            Kind::Choice(&["dynsec"]),
            "`dynsec`: the server keeps accounts and roles in mosquitto's dynamic-security plugin",
        ),
        may("admin_user", Kind::Text(100), "the broker's administrator; `admin` unless said"),
        may(
            "admin_password_file",
            Kind::Text(200),
            "file that holds the administrator's password, in the folder",
        ),
        may("prefix", Kind::Text(60), "prefix of all topics; `loa/1` unless said"),
    ],
};

static LISTEN: Shape = Shape {
    of: "`listen`",
    keys: &[
        may(
            "http",
            Kind::Text(80),
            "address and port of page and API; `127.0.0.1:8080` unless said",
        ),
        may(
            "mqtt",
            Kind::Text(80),
            "address and port of the embedded broker; `127.0.0.1:1883` unless said",
        ),
        may("tls_cert", Kind::Text(200), "certificate chain (PEM), in the folder"),
        may("tls_key", Kind::Text(200), "private key (PEM), in the folder"),
        may("public_url", Kind::Text(200), "how devices reach `http`, for enrolment codes"),
        may(
            "public_mqtt",
            Kind::Text(120),
            "`HOST:PORT` at which devices reach the embedded broker",
        ),
    ],
};

/// Where the server listens unless told otherwise.
const HTTP: SocketAddr = loopback(8080);
const MQTT: SocketAddr = loopback(1883);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

/// Reads the station file. What comes out is complete even where faults were noted; the caller
/// uses it only when none refuses the file.
pub(super) fn read(source: &Source<'_>) -> Option<PlacedStation> {
    source.toml(&STATION, |top| PlacedStation { config: settings(top), standby: standby(top) })
}

/// The station file with the places that others check.
pub(super) struct PlacedStation {
    pub config: StationConfig,
    pub standby: BTreeMap<Template, At<Standby>>,
}

fn standby(top: &Reader<'_>) -> BTreeMap<Template, At<Standby>> {
    let mut found = BTreeMap::new();
    let Some(all) = top.table("standby") else { return found };
    for template in Template::ALL {
        let Some(table) = all.table(template.as_str()) else { continue };
        let (clip, text) = (path(&table, "clip"), table.text("text"));
        if let (Some(clip), Some(text)) = (clip, text) {
            let value = Standby { clip: ClipPath(clip), text: text.value };
            found.insert(template, At { value, place: table.place_of("clip") });
        }
    }
    found
}

fn settings(top: &Reader<'_>) -> StationConfig {
    let insecure_lan = top.flag("insecure_lan").is_some_and(|flag| flag.value);
    let kept = |key| top.table("retention").and_then(|table| table.small(key));
    let (months, brought) = (kept("evidence_months"), kept("brought_mib"));
    StationConfig {
        name: top.text("name").map(|name| name.value).unwrap_or_default(),
        zone: zone(top),
        approval: top
            .choice("approval", &[("required", Approval::Required), ("off", Approval::Off)])
            .map_or(Approval::Required, |a| a.value),
        retention: Retention {
            evidence_months: months.map_or(24, |m| m.value),
            brought_mib: brought.map_or(20_480, |mib| mib.value),
        },
        broker: broker(top),
        log: log(top),
        listen: listen(top, insecure_lan),
        insecure_lan,
    }
}

fn zone(top: &Reader<'_>) -> Tz {
    let Some(name) = top.text("zone") else { return Tz::Asia__Ho_Chi_Minh };
    name.value.parse().unwrap_or_else(|_| {
        top.fault(name.place, &Problem::Zone { text: shown(&name.value) });
        Tz::Asia__Ho_Chi_Minh
    })
}

fn broker(top: &Reader<'_>) -> BrokerConfig {
    let mut broker = BrokerConfig {
        url: None,
        user: None,
        password_file: None,
        ca_file: None,
        admin: None,
        admin_user: None,
        admin_password_file: None,
        prefix: "loa/1".to_owned(),
    };
    let Some(table) = top.table("broker") else { return broker };
    if let Some(url) = table.text("url") {
        let rest = url.value.strip_prefix("mqtt://").or_else(|| url.value.strip_prefix("mqtts://"));
        let plain =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '/', ' ', '?', '#']));
        if !plain {
            let hint =
                "as in `mqtts://broker.example.vn:8883`; user and password have keys of their own";
            table.fault(url.place, &Problem::Url { text: shown(&url.value), what: "broker", hint });
        }
        broker.url = Some(url.value);
    }
    if let Some(user) = table.text("user") {
        if let Err(error) = check_server_user(&user.value) {
            let (text, hint) = (shown(&error.name), error.hint());
            let what = "user name for the server";
            table.fault(user.place, &Problem::Url { text, what, hint });
        }
        broker.user = Some(user.value);
    }
    broker.password_file = path(&table, "password_file");
    broker.ca_file = path(&table, "ca_file");
    broker.admin = table.choice("admin", &[("dynsec", BrokerAdmin::Dynsec)]).map(|a| a.value);
    broker.admin_user = table.text("admin_user").map(|user| user.value);
    broker.admin_password_file = path(&table, "admin_password_file");
    if broker.admin.is_some() && broker.admin_password_file.is_none() {
        let hint = "write the administrator's password into a file of the folder and name it";
        let without = "without `admin_password_file`";
        let key = "admin";
        table.fault(table.place_of(key), &Problem::Useless { key, without, hint });
    }
    if broker.url.is_none() {
        for key in
            ["user", "password_file", "ca_file", "admin", "admin_user", "admin_password_file"]
        {
            if table.has(key) {
                let hint = "give the `url` of the broker, or leave the key out";
                table.fault(
                    table.place_of(key),
                    &Problem::Useless { key, without: "without `url`", hint },
                );
            }
        }
    }
    if let Some(prefix) = table.text("prefix") {
        let level = |l: &str| {
            !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if prefix.value.split('/').all(level) {
            broker.prefix = prefix.value;
        } else {
            let hint = "letters, digits, - and _ in levels parted by `/`: `loa/1`";
            let text = shown(&prefix.value);
            table.fault(prefix.place, &Problem::Url { text, what: "topic prefix", hint });
        }
    }
    broker
}

fn log(top: &Reader<'_>) -> LogConfig {
    let mut log = LogConfig::default();
    let Some(table) = top.table("log") else { return log };
    for entry in table.texts("witnesses").unwrap_or_default() {
        let words: Vec<&str> = entry.value.split_whitespace().collect();
        let bad = |hint| {
            let text = shown(&entry.value);
            table.fault(entry.place, &Problem::Url { text, what: "witness", hint });
        };
        match words[..] {
            [_, url] if !(url.starts_with("https://") || url.starts_with("http://")) => {
                bad("its address begins with `https://`");
            }
            [key, url] => {
                if log.witnesses.iter().any(|known| known.key == key) {
                    bad("this key stands here twice: one witness counts once");
                }
                let url = url.trim_end_matches('/').to_owned();
                log.witnesses.push(WitnessConfig { key: key.to_owned(), url });
            }
            _ => bad("key and address with a space between: `NAME+ID+KEY https://HOST/`"),
        }
    }
    let most = u32::try_from(log.witnesses.len()).unwrap_or(u32::MAX);
    log.quorum = most / 2 + u32::from(most > 0);
    if let Some(quorum) = table.small("quorum") {
        if quorum.value > most {
            let (key, value) = ("quorum".to_owned(), quorum.value.to_string());
            let problem = Problem::Range { key, value, least: 1, most: i64::from(most) };
            table.fault(quorum.place, &problem);
        }
        log.quorum = quorum.value.min(most);
    }
    log.ca_file = path(&table, "ca_file");
    log.tokens = table.table("tokens").and_then(|table| tokens(&table));
    log
}

fn tokens(table: &Reader<'_>) -> Option<TokenConfig> {
    let (url, ca_file) = (table.text("url"), path(table, "ca_file"));
    let url = url.filter(|url| {
        let rest = url.value.strip_prefix("http://").or(url.value.strip_prefix("https://"));
        let good = rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '@', '#'])
        });
        if !good {
            let hint = "as in `http://tsa.example.vn/tsr`, without user and password";
            let (text, what) = (shown(&url.value), "time-stamp address");
            table.fault(url.place, &Problem::Url { text, what, hint });
        }
        good
    });
    let policy = table.text("policy").filter(|policy| {
        let part = |part: &str| {
            !part.is_empty()
                && part.len() <= 18
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        let good = policy.value.contains('.') && policy.value.split('.').all(part);
        if !good {
            let hint = "numbers parted by points, as the authority publishes it";
            let (text, what) = (shown(&policy.value), "time-stamp policy");
            table.fault(policy.place, &Problem::Url { text, what, hint });
        }
        good
    });
    Some(TokenConfig { url: url?.value, ca_file: ca_file?, policy: policy.map(|p| p.value) })
}

/// Returns a path below the folder.
pub(super) fn path(table: &Reader<'_>, key: &'static str) -> Option<String> {
    let text = table.text(key)?;
    if super::files::is_inside(&text.value) {
        return Some(text.value);
    }
    table.fault(text.place, &Problem::Path { path: shown(&text.value) });
    None
}

fn address(table: &Reader<'_>, key: &str) -> Option<(SocketAddr, Place)> {
    let text = table.text(key)?;
    let parsed = text.value.parse();
    if parsed.is_err() {
        table.fault(text.place, &Problem::Address { text: shown(&text.value) });
    }
    Some((parsed.ok()?, text.place))
}

fn listen(top: &Reader<'_>, insecure_lan: bool) -> ListenConfig {
    let mut listen =
        ListenConfig { http: HTTP, mqtt: MQTT, tls: None, public_url: None, public_mqtt: None };
    let Some(table) = top.table("listen") else { return listen };
    let (cert, key) = (path(&table, "tls_cert"), path(&table, "tls_key"));
    match (table.has("tls_cert"), table.has("tls_key")) {
        (true, false) => table.fault(
            table.place_of("tls_cert"),
            &Problem::MissingKey {
                key: "tls_key",
                of: "`listen`",
                doc: "a certificate needs its key",
            },
        ),
        (false, true) => table.fault(
            table.place_of("tls_key"),
            &Problem::MissingKey {
                key: "tls_cert",
                of: "`listen`",
                doc: "a key needs its certificate",
            },
        ),
        _ => {}
    }
    listen.tls = cert.zip(key).map(|(cert, key)| TlsFiles { cert, key });
    let open = |listener: &'static str, at: SocketAddr, place: Place| {
        let secure = table.has("tls_cert") || insecure_lan || at.ip().is_loopback();
        if !secure {
            table.fault(place, &Problem::OpenListener { listener, address: at.to_string() });
        }
    };
    if let Some((at, place)) = address(&table, "http") {
        open("http", at, place);
        listen.http = at;
    }
    if let Some((at, place)) = address(&table, "mqtt") {
        open("mqtt", at, place);
        listen.mqtt = at;
    }
    if let Some(url) = table.text("public_url") {
        let http = url.value.strip_prefix("http://").or_else(|| url.value.strip_prefix("https://"));
        if !http.is_some_and(|rest| !rest.is_empty() && !rest.contains([' ', '@', '?', '#'])) {
            let hint = "as in `https://loa.xa-vi-du.gov.vn`";
            table.fault(url.place, &Problem::Url { text: shown(&url.value), what: "URL", hint });
        }
        listen.public_url = Some(url.value.trim_end_matches('/').to_owned());
    }
    if let Some(host) = table.text("public_mqtt") {
        let port = host.value.rsplit_once(':').filter(|(name, _)| !name.is_empty());
        if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
            table.fault(host.place, &Problem::Address { text: shown(&host.value) });
        }
        listen.public_mqtt = Some(host.value);
    }
    listen
}
