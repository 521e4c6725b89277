//! Events: what the device's messages mean.

use super::Ground;
use super::fault::DialectFault;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::text::shown;
use crate::dialect::field::{Field, SETTING_BYTES, Scope, URL_BYTES};
use crate::dialect::matching::{Condition, Test};
use crate::dialect::model::{EventRule, Means, Source};
use crate::dialect::template::{Context, Template};

/// Most bytes of a text to compare with.
const WORD_BYTES: usize = 65_536;

pub(super) fn event(table: &Reader<'_>, ground: &Ground) -> Option<EventRule> {
    let conditions = table.tables("when").unwrap_or_default();
    if table.has("when") && conditions.is_empty() {
        ground.fault(table, table.place_of("when"), DialectFault::Condition);
    }
    let when: Vec<_> = conditions.iter().map(|t| condition(t, ground)).collect();
    let means = table.choice("means", &Means::ALL);
    let from = source(table, ground);
    let keep = table.texts("keep").unwrap_or_default();
    let captures = keep.iter().filter_map(|text| ground.point(table, text)).collect();
    let when = when.into_iter().collect::<Option<Vec<_>>>()?;
    Some(EventRule { from: from?, when, means: means?.value, captures })
}

fn source(table: &Reader<'_>, ground: &Ground) -> Option<Source> {
    let transport = ground.transport;
    match (table.has("topic"), table.has("from")) {
        (true, true) => {
            ground.faulty.set(true);
            let problem = Problem::Both { one: "topic", other: "from" };
            table.fault(table.place_of("from"), &problem);
            None
        }
        (false, false) => {
            ground.faulty.set(true);
            table.fault(table.place, &Problem::Neither { one: "topic", other: "from" });
            None
        }
        (true, false) => {
            if transport != "mqtt" {
                let fault = DialectFault::Step { key: "topic", transport };
                ground.fault(table, table.place_of("topic"), fault);
            }
            ground.heard(table, "topic").map(Source::Topic)
        }
        (false, true) => {
            let from = table.choice("from", &[("answer", 0), ("line", 1)])?;
            let fits = match transport {
                "http" => from.value == 0,
                "tcp" | "serial" => from.value == 1,
                _ => false,
            };
            if !fits {
                let fault = DialectFault::Step { key: "from", transport };
                ground.fault(table, from.place, fault);
            }
            Some(if from.value == 0 { Source::Answer } else { Source::Line })
        }
    }
}

fn condition(table: &Reader<'_>, ground: &Ground) -> Option<Condition> {
    let at = ground.pointer(table, "at");
    let keys = ["is", "is_not", "has", "ends", "pixels", "present"];
    let given: Vec<&str> = keys.into_iter().filter(|key| table.has(key)).collect();
    let ranged = table.has("least") || table.has("most");
    let test = match (given.as_slice(), ranged) {
        (["is"], false) => Test::OneOf(words(table, "is", ground)?),
        (["is_not"], false) => Test::NotOneOf(words(table, "is_not", ground)?),
        (["has"], false) => Test::Contains(part(table, "has", ground)?),
        (["ends"], false) => Test::Ends(part(table, "ends", ground)?),
        (["pixels"], false) if table.flag("pixels")?.value => Test::OurPixels,
        (["present"], false) if table.flag("present")?.value => Test::Present,
        ([], true) => {
            let bound = |key| {
                if table.has(key) { decimal(table, key, ground).map(Some) } else { Some(None) }
            };
            Test::Range { least: bound("least")?, most: bound("most")? }
        }
        _ => {
            ground.fault(table, table.place, DialectFault::Condition);
            return None;
        }
    };
    Some(Condition { at, test })
}

fn words(table: &Reader<'_>, key: &str, ground: &Ground) -> Option<Vec<Template>> {
    let texts = table.texts(key)?;
    if texts.is_empty() {
        ground.fault(table, table.place_of(key), DialectFault::Condition);
        return None;
    }
    let compile = |text| ground.compile(table, key, text, Context::Word, Scope::Event, WORD_BYTES);
    // All are read before the first fault counts.
    let read: Vec<_> = texts.iter().map(compile).collect();
    read.into_iter().collect()
}

fn part(table: &Reader<'_>, key: &str, ground: &Ground) -> Option<Template> {
    let most = URL_BYTES + SETTING_BYTES * 4;
    let template =
        ground.template(table, key, Context::Word, Scope::Event, most.max(WORD_BYTES))?;
    if template.names(Field::Text) {
        ground.fault(table, table.place_of(key), DialectFault::Vague);
        return None;
    }
    Some(template)
}

fn decimal(table: &Reader<'_>, key: &str, ground: &Ground) -> Option<f64> {
    let text = table.text(key)?;
    let plain = text.value.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let number = text.value.parse::<f64>().ok().filter(|n| plain && n.is_finite());
    if number.is_none() {
        let shown = shown(&text.value);
        ground.fault(table, text.place, DialectFault::Decimal { text: shown });
    }
    number
}
