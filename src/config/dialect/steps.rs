//! Actions: what is sent for each order.

use super::fault::DialectFault;
use super::{ADDRESS_BYTES, Ground};
use crate::config::read::Reader;
use crate::dialect::field::{Scope, Verb};
use crate::dialect::model::{Method, Step, What};
use crate::dialect::template::{Context, Template};
use std::collections::BTreeMap;

/// Which keys belong to which transport; `send`, `delay` and `again` to all.
const KEYS: &[(&str, &[&str])] = &[
    ("topic", &["mqtt"]),
    ("json", &["mqtt", "http"]),
    ("raw", &["mqtt", "http"]),
    ("qos", &["mqtt"]),
    ("retain", &["mqtt"]),
    ("method", &["http"]),
    ("path", &["http"]),
    ("form", &["http"]),
    ("line", &["tcp", "serial"]),
];

pub(super) fn actions(table: &Reader<'_>, ground: &Ground) -> BTreeMap<Verb, Vec<Step>> {
    let mut actions = BTreeMap::new();
    for (name, verb) in Verb::ALL {
        let steps: Vec<Step> = (table.tables(name).unwrap_or_default().iter())
            .filter_map(|step| read(step, verb, ground))
            .collect();
        if !steps.is_empty() {
            actions.insert(verb, steps);
        }
    }
    actions
}

fn read(table: &Reader<'_>, verb: Verb, ground: &Ground) -> Option<Step> {
    let transport = ground.transport;
    for (key, transports) in KEYS {
        if table.has(key) && (table.has("send") || !transports.contains(&transport)) {
            ground.fault(table, table.place_of(key), DialectFault::Step { key, transport });
        }
    }
    let what = what(table, verb, ground)?;
    let delay = table.duration("delay", (1, "1ms"), (60_000, "60s"));
    Some(Step {
        what,
        delay_ms: delay.map_or(0, |d| d.value),
        again: table.flag("again").map_or(verb != Verb::PlayClip, |f| f.value),
    })
}

fn what(table: &Reader<'_>, verb: Verb, ground: &Ground) -> Option<What> {
    let (transport, scope) = (ground.transport, Scope::Verb(verb));
    if table.has("send") {
        let what = table.choice("send", &[("pixels", Own::Pixels), ("sound", Own::Sound)])?;
        let fits = match what.value {
            Own::Pixels => verb == Verb::ShowFrame,
            Own::Sound => verb == Verb::PlayClip,
        };
        if !fits {
            let fault = DialectFault::Step { key: "send", transport };
            ground.fault(table, what.place, fault);
            return None;
        }
        return Some(if what.value == Own::Pixels { What::Pixels } else { What::Sound });
    }
    match transport {
        "mqtt" if table.has("topic") => publish(table, verb, ground),
        "http" if table.has("path") => {
            let path = ground.template(table, "path", Context::Path, scope, ADDRESS_BYTES);
            if path.as_ref().is_some_and(|path| !path.begins("/")) {
                ground.fault(table, table.place_of("path"), DialectFault::Path);
            }
            let body = body(table, verb, ground);
            let methods = [("get", Method::Get), ("post", Method::Post), ("put", Method::Put)];
            let method = table.choice("method", &methods).map_or(Method::Post, |m| m.value);
            Some(What::Http { method, path: path?, body: body? })
        }
        "tcp" | "serial" if table.has("line") => {
            let most = ground.max_payload;
            let bytes = ground.template(table, "line", Context::Line, scope, most)?;
            Some(What::Line { bytes })
        }
        _ => {
            ground.fault(table, table.place, DialectFault::EmptyStep { transport });
            None
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Pixels,
    Sound,
}

fn publish(table: &Reader<'_>, verb: Verb, ground: &Ground) -> Option<What> {
    let topic = ground.topic(table, "topic");
    let body = body(table, verb, ground);
    let qos = table.small("qos").and_then(|n| u8::try_from(n.value).ok());
    let qos = qos.unwrap_or(ground.qos_most);
    if qos > ground.qos_most {
        let most = ground.qos_most;
        ground.fault(table, table.place_of("qos"), DialectFault::Qos { qos, most });
    }
    let retain = table.flag("retain").is_some_and(|f| f.value);
    if retain && !verb.is_state() && verb != Verb::Clear {
        let fault = DialectFault::Retain { action: verb.name() };
        ground.fault(table, table.place_of("retain"), fault);
    }
    let payload = body?.map_or_else(Template::empty, |(payload, _)| payload);
    let topic = ground.topics.get(&topic?).cloned().flatten()?;
    Some(What::Publish { topic, payload, qos, retain })
}

/// The payload: `None` when a template is wrong, `Some(None)` when there is none.
#[expect(clippy::option_option, reason = "a wrong payload and none at all differ")]
fn body(
    table: &Reader<'_>,
    verb: Verb,
    ground: &Ground,
) -> Option<Option<(Template, &'static str)>> {
    let (scope, most) = (Scope::Verb(verb), ground.max_payload);
    let kinds = [
        ("json", Context::Json, "application/json"),
        ("raw", Context::Raw, "text/plain; charset=utf-8"),
        ("form", Context::Path, "application/x-www-form-urlencoded"),
    ];
    let mut given = kinds.iter().filter(|(key, _, _)| table.has(key));
    let Some((key, context, kind)) = given.next() else { return Some(None) };
    if let Some((other, _, _)) = given.next() {
        let problem = crate::config::problem::Problem::Both { one: key, other };
        ground.faulty.set(true);
        table.fault(table.place_of(other), &problem);
        return None;
    }
    ground.template(table, key, *context, scope, most).map(|template| Some((template, *kind)))
}
