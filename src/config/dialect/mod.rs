//! `[dialect]` of a device profile: how to speak to a foreign device, without code.
//!
//! Every fault is noted with its place, and reading goes on; a dialect comes out only when it has
//! none. What a template can produce and what a matcher can read is bounded here, once.

mod events;
mod fault;
mod parts;
mod shapes;
mod steps;

pub use fault::DialectFault;
pub(super) use shapes::DIALECT;

use super::fault::{At, Place};
use super::problem::Problem;
use super::read::Reader;
use super::text::{nearest, shown};
use crate::dialect::field::{SETTING_BYTES, Scope, Verb};
use crate::dialect::limits::Bounds;
use crate::dialect::matching::Pointer;
use crate::dialect::model::{ClipAddress, Dialect, Ends, Fallback, Means, Step, What};
use crate::dialect::scale::{Scale, WordMap};
use crate::dialect::template::{Context, Names, Template};
use crate::domain::profile::BoardProfile;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest topic, address or path.
const ADDRESS_BYTES: usize = 4_096;

/// What readers of the parts share.
struct Ground {
    names: Names,
    bounds: Bounds,
    /// Names of topics; `None` where the template is wrong, which is noted.
    topics: BTreeMap<String, Option<Template>>,
    max_payload: usize,
    qos_most: u8,
    transport: &'static str,
    faulty: Cell<bool>,
}

impl Ground {
    fn fault(&self, reader: &Reader<'_>, place: Place, fault: DialectFault) {
        self.faulty.set(true);
        reader.fault(place, &Problem::Dialect(fault));
    }

    /// Reads a template of a key.
    fn template(
        &self,
        reader: &Reader<'_>,
        key: &str,
        context: Context,
        scope: Scope,
        most: usize,
    ) -> Option<Template> {
        let text = reader.text(key)?;
        self.compile(reader, key, &text, context, scope, most)
    }

    fn compile(
        &self,
        reader: &Reader<'_>,
        key: &str,
        text: &At<String>,
        context: Context,
        scope: Scope,
        most: usize,
    ) -> Option<Template> {
        match Template::new(&text.value, context, scope, &self.names, &self.bounds, most) {
            Ok(template) => Some(template),
            Err(error) => {
                let key = key.to_owned();
                self.fault(reader, text.place, DialectFault::Template { key, error });
                None
            }
        }
    }

    fn pointer(&self, reader: &Reader<'_>, key: &str) -> Option<Pointer> {
        let text = reader.text(key)?;
        self.point(reader, &text)
    }

    fn point(&self, reader: &Reader<'_>, text: &At<String>) -> Option<Pointer> {
        let pointer = Pointer::new(&text.value);
        if pointer.is_none() {
            let shown = shown(&text.value);
            self.fault(reader, text.place, DialectFault::Pointer { text: shown });
        }
        pointer
    }

    /// Reads the name of a topic that we listen to: it is the same for every order.
    fn heard(&self, reader: &Reader<'_>, key: &str) -> Option<String> {
        let name = self.topic(reader, key)?;
        let varies = self.topics.get(&name).and_then(Option::as_ref)?.fields().next().is_some();
        if varies {
            let fault = DialectFault::Varies { topic: name.clone() };
            self.fault(reader, reader.place_of(key), fault);
        }
        (!varies).then_some(name)
    }

    /// Reads the name of a topic that is described.
    fn topic(&self, reader: &Reader<'_>, key: &str) -> Option<String> {
        let text = reader.text(key)?;
        if self.topics.contains_key(&text.value) {
            return Some(text.value);
        }
        let near = nearest(&text.value, self.topics.keys().map(String::as_str)).map(str::to_owned);
        let problem = Problem::Unknown {
            what: "topic",
            id: shown(&text.value),
            near,
            wherein: "`[dialect.topics]`",
            refuses: true,
        };
        self.faulty.set(true);
        reader.fault(text.place, &problem);
        None
    }
}

/// What the other tables of the profile say.
#[derive(Clone, Copy)]
pub(super) struct Outputs<'a> {
    pub board: Option<&'a BoardProfile>,
    pub speaker: bool,
}

/// Reads a dialect; `None` when it has faults, all of which are noted.
pub(super) fn read(table: &Reader<'_>, outputs: Outputs<'_>) -> Option<Dialect> {
    let version = table.small("version");
    let limits = table.table("limits").map(|t| parts::limits(&t));
    // A size that is wrong itself is told once, and not by every message that exceeds it.
    let pixels =
        outputs.board.map_or(0, |b| (b.width_px as usize).saturating_mul(b.height_px as usize));
    let known = limits.as_ref().and_then(|(limits, _)| limits.as_ref());
    let text_bytes = known.map_or(255, crate::dialect::limits::Limits::text_bytes);
    let (kind, qos_most) = parts::kind(table);
    let mut ground = Ground {
        names: Names::default(),
        bounds: Bounds { text_bytes, pixels },
        topics: BTreeMap::new(),
        max_payload: known.map_or(crate::dialect::limits::MOST_PAYLOAD, |l| l.max_payload),
        qos_most,
        transport: kind,
        faulty: Cell::new(false),
    };
    if let Some((_, faults)) = limits.as_ref()
        && let Some(reader) = table.table("limits")
    {
        for (place, fault) in faults {
            ground.fault(&reader, *place, fault.clone());
        }
    }
    settings(table, &mut ground);
    let topics = topics(table, &mut ground);
    let transport = table.table("transport").and_then(|t| parts::transport(&t, &ground));
    let actions = table.table("actions").map(|t| steps::actions(&t, &ground)).unwrap_or_default();
    let events: Vec<_> = (table.tables("events").unwrap_or_default().iter())
        .filter_map(|t| events::event(t, &ground))
        .collect();
    let correlation = table.table("correlation").and_then(|t| parts::correlation(&t, &ground));
    let fallback = table.choice(
        "fallback",
        &[("refuse", Fallback::Refuse), ("frame", Fallback::Frame), ("strip", Fallback::Strip)],
    );
    let limits = limits.and_then(|(limits, _)| limits);
    let dialect = Dialect {
        version: version.map_or(1, |v| v.value),
        firmware: table.text("firmware").map(|t| t.value),
        detection: table.table("detection").and_then(|t| parts::detection(&t, &ground)),
        settings: ground.names.settings.clone(),
        transport: transport.unwrap_or(crate::dialect::model::Transport::Udp),
        topics,
        actions,
        clips: table.table("clips").and_then(|t| parts::clips(&t, &ground)),
        presence: table.table("presence").and_then(|t| parts::presence(&t, &ground)),
        events,
        correlation: correlation.unwrap_or(crate::dialect::model::Correlation::None),
        limits: limits.clone().unwrap_or_else(parts::no_limits),
        fallback: fallback.map_or(Fallback::Refuse, |f| f.value),
        timing: parts::timing(table.table("timing").as_ref()),
        pixels: table.table("pixels").and_then(|t| parts::pixels(&t, &ground)),
    };
    agree(table, &dialect, outputs, &ground);
    (!ground.faulty.get() && limits.is_some() && table.has("transport")).then_some(dialect)
}

/// Says whether a text may name a setting, topic, scale or map.
fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn settings(table: &Reader<'_>, ground: &mut Ground) {
    for (name, example) in table.map("settings") {
        let taken = crate::dialect::field::Field::named(&name.value).is_some();
        if !is_name(&name.value) || taken || example.value.len() > SETTING_BYTES {
            let fault = DialectFault::Name { what: "setting", name: shown(&name.value) };
            ground.fault(table, name.place, fault);
            continue;
        }
        ground.names.settings.insert(name.value, example.value);
    }
    for (name, reader) in table.table_map("scales") {
        let points = reader.texts("points").unwrap_or_default();
        let decimals = reader.small("decimals").and_then(|d| u8::try_from(d.value).ok());
        if !is_name(&name.value) {
            let fault = DialectFault::Name { what: "scale", name: shown(&name.value) };
            ground.fault(table, name.place, fault);
            continue;
        }
        match Scale::new(points.iter().map(|p| p.value.as_str()), decimals.unwrap_or(0)) {
            Ok(scale) => {
                ground.names.scales.insert(name.value, Arc::new(scale));
            }
            Err(error) => {
                let place = reader.place_of("points");
                ground.fault(table, place, DialectFault::Scale { name: name.value, error });
            }
        }
    }
    for (name, reader) in table.table_map("maps") {
        if !is_name(&name.value) {
            let fault = DialectFault::Name { what: "map", name: shown(&name.value) };
            ground.fault(table, name.place, fault);
            continue;
        }
        let words = reader.map("words").into_iter().map(|(k, v)| (k.value, v.value)).collect();
        ground.names.maps.insert(name.value, Arc::new(WordMap::new(words)));
    }
}

fn topics(table: &Reader<'_>, ground: &mut Ground) -> BTreeMap<String, Template> {
    let mut topics = BTreeMap::new();
    for (name, text) in table.map("topics") {
        if !is_name(&name.value) {
            let fault = DialectFault::Name { what: "topic", name: shown(&name.value) };
            ground.fault(table, name.place, fault);
            continue;
        }
        let (context, scope) = (Context::Topic, Scope::Topic);
        let made = ground.compile(table, &name.value, &text, context, scope, ADDRESS_BYTES);
        ground.topics.insert(name.value.clone(), made.clone());
        topics.extend(made.map(|template| (name.value, template)));
    }
    topics
}

/// What the parts of a dialect must agree on.
fn agree(table: &Reader<'_>, dialect: &Dialect, outputs: Outputs<'_>, ground: &Ground) {
    let place = table.place_of("actions");
    // What stands there counts, also where a step of it is faulty and told already.
    let actions = table.table("actions");
    let has = |verb: Verb| actions.as_ref().is_some_and(|actions| actions.has(verb.name()));
    let note = |place, fault| ground.fault(table, place, fault);
    if outputs.speaker && outputs.board.is_some() {
        note(table.place, DialectFault::BothOutputs);
    }
    let shows = has(Verb::ShowText) || has(Verb::ShowFrame);
    if !has(Verb::PlayClip) && !shows {
        note(place, DialectFault::Idle);
    }
    for (verb, output, there) in [
        (Verb::PlayClip, "speaker", outputs.speaker),
        (Verb::ShowText, "board", outputs.board.is_some()),
        (Verb::ShowFrame, "board", outputs.board.is_some()),
    ] {
        if has(verb) && !there {
            note(place, DialectFault::Output { action: verb.name(), output });
        }
    }
    if outputs.speaker && !has(Verb::PlayClip) {
        note(place, DialectFault::NoAction { output: "`[speaker]`", action: "`play_clip`" });
    }
    if outputs.board.is_some() && !shows {
        note(
            place,
            DialectFault::NoAction { output: "`[board]`", action: "`show_text` or `show_frame`" },
        );
    }
    if has(Verb::PlayClip) && !has(Verb::Stop) && !sounds(dialect) {
        note(place, DialectFault::NoStop);
    }
    if has(Verb::PlayClip) && !table.has("clips") {
        missing(table, ground, "clips", "how the device names clips");
    }
    if has(Verb::ShowFrame) && sends_pixels(dialect) && !table.has("pixels") {
        missing(table, ground, "pixels", "pixels over UDP");
    }
    for verb in [Verb::ShowText, Verb::ShowFrame] {
        let kept = |verb| dialect.steps(verb).iter().filter_map(Step::kept_topic);
        if kept(verb).any(|topic| !kept(Verb::Clear).any(|cleared| cleared == topic)) {
            note(place, DialectFault::Ghost { action: verb.name() });
        }
    }
    if dialect.fallback == Fallback::Frame && !has(Verb::ShowFrame) {
        let (action, output) = ("`show_frame`", "`fallback = \"frame\"`");
        note(table.place_of("fallback"), DialectFault::NoAction { output, action });
    }
    let tells = |means| dialect.tells(means);
    if tells(Means::Finished) && !tells(Means::Started) && has(Verb::PlayClip) && !sounds(dialect) {
        note(table.place_of("events"), DialectFault::NoStarted);
    }
    if let Some(pixels) = &dialect.pixels {
        let most = pixels.protocol.most_pixels(pixels.universe, pixels.per_universe);
        let (protocol, pixels) = (pixels.protocol.name(), ground.bounds.pixels);
        if pixels > most {
            note(table.place_of("pixels"), DialectFault::Pixels { pixels, most, protocol });
        }
    }
    let count = |verbs: &[Verb]| verbs.iter().map(|v| dialect.steps(*v).len()).sum::<usize>();
    let play = count(&[Verb::Volume, Verb::PlayClip, Verb::Stop, Verb::After]);
    let steps = play.max(count(&[Verb::ShowText, Verb::ShowFrame, Verb::Clear]));
    let per_minute = dialect.limits.per_minute;
    if steps.saturating_mul(2) > per_minute as usize {
        note(table.place_of("limits"), DialectFault::Slow { steps, per_minute });
    }
}

fn missing(table: &Reader<'_>, ground: &Ground, key: &'static str, doc: &'static str) {
    ground.faulty.set(true);
    table.fault(table.place, &Problem::MissingKey { key, of: "`dialect`", doc });
}

fn sounds(dialect: &Dialect) -> bool {
    matches!(dialect.clips, Some(ClipAddress::Gateway)) && dialect.timing.ends == Ends::Device
}

fn sends_pixels(dialect: &Dialect) -> bool {
    dialect.steps(Verb::ShowFrame).iter().any(|step| step.what == What::Pixels)
}

#[cfg(test)]
mod tests;
