//! `<playlist-id>.toml`: targets, items, slots.
//!
//! Leaves what other files must say (units, devices, calendars, clips) to `cross`. What comes out
//! satisfies the invariants of [`Playlist`] unless a fault that refuses the file was noted.

use super::fault::{At, Place};
use super::problem::Problem;
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use super::slot;
use super::text::{nearest, shown};
use crate::domain::ids::{DeviceId, ItemId, PlaylistId, SlotId, Tag, UnitId};
use crate::domain::playlist::{
    Align, ClipPath, Content, Effect, Item, Origin, Page, Playlist, Priority, Slot, Targets,
};
use crate::domain::recurrence::LocalTime;
use std::collections::BTreeMap;

/// Longest dwell of a page and least one: shorter nobody can read.
const DWELL_LEAST: (i64, &str) = (2_000, "2s");
const DWELL_MOST: (i64, &str) = (10 * 60_000, "10m");
/// Dark time between screens.
const GAP_LEAST: (i64, &str) = (100, "100ms");
const GAP_MOST: (i64, &str) = (2_000, "2s");

pub(super) static PLAYLIST: Shape = Shape {
    of: "the playlist",
    keys: &[
        must("title", Kind::Text(200), "what it is, for people"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        may(
            "priority",
            Kind::Choice(&["routine", "priority", "thông thường", "ưu tiên"]),
            "how important it is; `routine` unless said (urgent notices are no playlists)",
        ),
        may("valid_from", Kind::Date, "first day on which it is in force"),
        may("valid_until", Kind::Date, "last day on which it is in force"),
        may("topic", Kind::Text(120), "topic, for reports"),
        may("plan_line", Kind::Text(120), "line of the administrative plan that it serves"),
        may("lead", Kind::Text(200), "lead unit (đơn vị chủ trì), as the plan names it"),
        may("coordinating", Kind::Texts(50), "coordinating units (đơn vị phối hợp)"),
        may("order", Kind::Number(0, 1_000_000), "who goes first among equals: the lower number"),
        must(
            "targets",
            Kind::Table(&TARGETS),
            "whom it addresses: `[targets]` with units, tags or devices",
        ),
        must("items", Kind::Tables(&ITEM, 2_000), "what sounds or shows: `[[items]]`"),
        must("slots", Kind::Tables(&slot::SLOT, 500), "when it sounds or shows: `[[slots]]`"),
    ],
};

static TARGETS: Shape = Shape {
    of: "`targets`",
    keys: &[
        may("units", Kind::Texts(1_000), "units, with all below them"),
        may("tags", Kind::Texts(100), "tags of devices"),
        may("devices", Kind::Texts(5_000), "devices"),
        may("except_units", Kind::Texts(1_000), "units left out, with all below them"),
        may("except_tags", Kind::Texts(100), "tags left out"),
        may("except_devices", Kind::Texts(5_000), "devices left out"),
    ],
};

static ITEM: Shape = Shape {
    of: "an item",
    keys: &[
        must("id", Kind::Text(60), "its id, unique in the playlist, for slots and evidence"),
        must("title", Kind::Text(200), "title, copied into every record"),
        may("clip", Kind::Text(200), "audio file, below the folder: `clips/ban-tin.mp3`"),
        may(
            "fallback",
            Kind::Text(200),
            "audio file played when the clip is missing on the device",
        ),
        may("pages", Kind::Tables(&PAGE, 100), "pages for boards: `[[items.pages]]`"),
        may("author", Kind::Text(120), "author (tác giả)"),
        may("reader", Kind::Text(120), "reader (người đọc)"),
        may(
            "origin",
            Kind::Choice(&["trung-uong", "tinh", "xa", "trung ương", "tỉnh", "xã"]),
            "where it comes from: trung ương, tỉnh or xã",
        ),
        may("document", Kind::Text(200), "number of the document it rests on"),
        may("topic", Kind::Text(120), "its own topic, for reports; the playlist's unless said"),
        may("plan_line", Kind::Text(120), "plan line that it serves; the playlist's unless said"),
        may("language", Kind::Text(35), "language as BCP 47; `vi` unless said"),
    ],
};

static PAGE: Shape = Shape {
    of: "a page",
    keys: &[
        must("text", Kind::Lines(400), "the text; line breaks count"),
        may("align", Kind::Choice(&["left", "centre", "right"]), "`centre` unless said"),
        may("effect", Kind::Choice(&["still", "scroll", "wipe"]), "`still` unless said"),
        may("dwell", Kind::Duration, "how long it stays, 2s to 10m; `8s` unless said"),
        may(
            "colour",
            Kind::Choice(super::profile::COLOURS),
            "colour, as the board can; its first unless said",
        ),
        may("font", Kind::Text(40), "font of the board; its first unless said"),
        may(
            "speed_px_s",
            Kind::Number(1, 500),
            "pixels a second of scrolling text; the board's own unless said",
        ),
        may(
            "scale",
            Kind::Number(1, 16),
            "each pixel of the font so many wide and high; 1 unless said",
        ),
        may(
            "gap",
            Kind::Duration,
            "dark time between two screens of a long text, up to 2s; none unless said",
        ),
        may(
            "blink",
            Kind::Flag,
            "goes dark for half a second in every two; stands still unless said",
        ),
    ],
};

/// What a playlist names of topic lists and plans.
pub(super) struct Names {
    pub topics: Vec<At<String>>,
    pub plan_lines: Vec<At<String>>,
}

/// A playlist with the places of what it names.
pub(super) struct PlacedPlaylist {
    pub playlist: Playlist,
    pub targets_place: Place,
    pub units: Vec<At<UnitId>>,
    pub tags: Vec<At<Tag>>,
    pub devices: Vec<At<DeviceId>>,
    /// Calendars that slots name.
    pub calendars: Vec<At<crate::domain::ids::CalendarId>>,
    /// Clips and fall-backs by path, where first named.
    pub clips: BTreeMap<ClipPath, Place>,
    /// Where each item begins.
    pub items: BTreeMap<ItemId, Place>,
    /// Where the text of each page of an item stands.
    pub pages: BTreeMap<ItemId, Vec<Place>>,
    /// Where each slot begins.
    pub slots: BTreeMap<SlotId, Place>,
    /// What it names of plans, by itself and by its items.
    pub names: Names,
    /// Where the times of each slot stand.
    pub times: BTreeMap<SlotId, BTreeMap<LocalTime, Place>>,
}

impl PlacedPlaylist {
    /// Returns where a page of an item stands, or the item.
    #[cfg(feature = "raster")]
    pub fn page_place(&self, item: &ItemId, page: usize) -> Place {
        let page = self.pages.get(item).and_then(|pages| pages.get(page));
        page.or_else(|| self.items.get(item)).copied().unwrap_or(Place::START)
    }
}

/// Reads a playlist.
pub(super) fn read(source: &Source<'_>, id: &PlaylistId) -> Option<PlacedPlaylist> {
    source.toml(&PLAYLIST, |top| playlist(top, id))
}

fn playlist(top: &Reader<'_>, id: &PlaylistId) -> PlacedPlaylist {
    super::check_id(top, id.as_str());
    let text = |key: &str| top.text(key).map(|t| t.value);
    let words = [
        ("routine", Priority::Routine),
        ("thông thường", Priority::Routine),
        ("priority", Priority::Priority),
        ("ưu tiên", Priority::Priority),
    ];
    let (from, until) = (top.date("valid_from"), top.date("valid_until"));
    if let (Some(from), Some(until)) = (&from, &until)
        && from.value > until.value
    {
        let (from, to) = (from.value.to_string(), until.value.to_string());
        top.fault(until.place, &Problem::DatesReversed { from, to });
    }
    let (topic, plan_line) = (top.text("topic"), top.text("plan_line"));
    let mut found = PlacedPlaylist {
        playlist: Playlist {
            id: id.clone(),
            title: text("title").unwrap_or_default(),
            targets: Targets::default(),
            priority: top.choice("priority", &words).map(|p| p.value).unwrap_or_default(),
            valid_from: from.map(|d| d.value),
            valid_until: until.map(|d| d.value),
            topic: topic.as_ref().map(|text| text.value.clone()),
            plan_line: plan_line.as_ref().map(|text| text.value.clone()),
            lead: text("lead"),
            coordinating: top
                .texts("coordinating")
                .map(|texts| texts.into_iter().map(|t| t.value).collect())
                .unwrap_or_default(),
            order: top.small("order").map(|n| n.value),
            accepted: 0,
            approval: None,
            items: Vec::new(),
            slots: Vec::new(),
        },
        targets_place: top.place_of("targets"),
        units: Vec::new(),
        tags: Vec::new(),
        devices: Vec::new(),
        calendars: Vec::new(),
        clips: BTreeMap::new(),
        items: BTreeMap::new(),
        pages: BTreeMap::new(),
        slots: BTreeMap::new(),
        names: Names {
            topics: topic.into_iter().collect(),
            plan_lines: plan_line.into_iter().collect(),
        },
        times: BTreeMap::new(),
    };
    targets(top, &mut found);
    items(top, &mut found);
    slots(top, &mut found);
    found
}

fn targets(top: &Reader<'_>, found: &mut PlacedPlaylist) {
    let Some(table) = top.table("targets") else { return };
    let (units, except_units) = (table.ids::<UnitId>("units"), table.ids::<UnitId>("except_units"));
    let (tags, except_tags) = (table.ids::<Tag>("tags"), table.ids::<Tag>("except_tags"));
    let devices = table.ids::<DeviceId>("devices");
    let except_devices = table.ids::<DeviceId>("except_devices");
    fn bare<T: Clone>(ids: &[At<T>]) -> Vec<T> {
        ids.iter().map(|id| id.value.clone()).collect()
    }
    if !["units", "tags", "devices"].iter().any(|key| table.has(key)) {
        let doc = "name units, tags or devices";
        let problem = Problem::MissingKey { key: "units", of: "`targets`", doc };
        table.fault(table.place, &problem);
    }
    found.playlist.targets = Targets {
        units: bare(&units),
        tags: bare(&tags),
        devices: bare(&devices),
        except_units: bare(&except_units),
        except_tags: bare(&except_tags),
        except_devices: bare(&except_devices),
    };
    found.units = units.into_iter().chain(except_units).collect();
    found.tags = tags.into_iter().chain(except_tags).collect();
    found.devices = devices.into_iter().chain(except_devices).collect();
}

fn items(top: &Reader<'_>, found: &mut PlacedPlaylist) {
    let tables = top.tables("items");
    if tables.as_ref().is_some_and(Vec::is_empty) {
        top.fault(top.place_of("items"), &Problem::Empty { key: "items".to_owned() });
    }
    for table in tables.unwrap_or_default() {
        let id = table.id::<ItemId>("id");
        if let Some(id) = &id {
            if let Some(first) = found.items.get(&id.value) {
                let (what, first) = ("item", *first);
                let problem = Problem::Duplicate { what, id: id.value.to_string(), first };
                table.fault(id.place, &problem);
            } else {
                found.items.insert(id.value.clone(), id.place);
            }
        }
        let id = id.map(|id| id.value);
        if let Some(item) = item(&table, id, &mut found.clips, &mut found.names) {
            let pages = table.tables("pages").unwrap_or_default();
            let places = pages.iter().map(|page| page.place_of("text")).collect();
            found.pages.insert(item.id.clone(), places);
            found.playlist.items.push(item);
        }
    }
}

fn item(
    table: &Reader<'_>,
    id: Option<ItemId>,
    clips: &mut BTreeMap<ClipPath, Place>,
    names: &mut Names,
) -> Option<Item> {
    let origins = [
        ("trung-uong", Origin::Central),
        ("trung ương", Origin::Central),
        ("central", Origin::Central),
        ("tinh", Origin::Province),
        ("tỉnh", Origin::Province),
        ("province", Origin::Province),
        ("xa", Origin::Commune),
        ("xã", Origin::Commune),
        ("commune", Origin::Commune),
    ];
    let text = |key: &str| table.text(key).map(|t| t.value);
    let (title, author, reader) = (text("title"), text("author"), text("reader"));
    let origin = table.choice("origin", &origins).map(|o| o.value);
    let document = text("document");
    let (topic, plan_line) = (table.text("topic"), table.text("plan_line"));
    names.topics.extend(topic.clone());
    names.plan_lines.extend(plan_line.clone());
    let language = language(table);
    let content = content(table, clips);
    Some(Item {
        id: id?,
        title: title.unwrap_or_default(),
        author,
        reader,
        origin,
        document,
        language,
        topic: topic.map(|text| text.value),
        plan_line: plan_line.map(|text| text.value),
        content: content?,
    })
}

fn language(table: &Reader<'_>) -> String {
    let Some(tag) = table.text("language") else { return "vi".to_owned() };
    let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    if !tag.value.split('-').all(part) {
        let hint = "as in `vi`, `hre`, `cjm` or `km`";
        let text = shown(&tag.value);
        table.fault(tag.place, &Problem::Url { text, what: "language tag", hint });
    }
    tag.value
}

fn content(table: &Reader<'_>, clips: &mut BTreeMap<ClipPath, Place>) -> Option<Content> {
    let clip = clip(table, "clip", clips);
    let fallback = self::clip(table, "fallback", clips);
    let pages = table.tables("pages");
    let at = |key| table.place_of(key);
    match (table.has("clip"), table.has("pages")) {
        (true, true) => {
            table.fault(at("pages"), &Problem::Both { one: "clip", other: "pages" });
            None
        }
        (false, false) => {
            table.fault(table.place, &Problem::Neither { one: "clip", other: "pages" });
            None
        }
        (true, false) => Some(Content::Clip { clip: clip?, fallback }),
        (false, true) => {
            if table.has("fallback") {
                let (key, without) = ("fallback", "without `clip`");
                let hint = "pages need no fall-back; take the key out";
                table.fault(at(key), &Problem::Useless { key, without, hint });
            }
            let tables = pages?;
            if tables.is_empty() {
                table.fault(at("pages"), &Problem::Empty { key: "pages".to_owned() });
            }
            Some(Content::Pages(tables.iter().filter_map(page).collect()))
        }
    }
}

fn clip(
    table: &Reader<'_>,
    key: &'static str,
    clips: &mut BTreeMap<ClipPath, Place>,
) -> Option<ClipPath> {
    let text = table.text(key)?;
    if !super::files::is_inside(&text.value) {
        table.fault(text.place, &Problem::Path { path: shown(&text.value) });
        return None;
    }
    let path = ClipPath(text.value);
    clips.entry(path.clone()).or_insert(text.place);
    Some(path)
}

fn page(table: &Reader<'_>) -> Option<Page> {
    let aligns = [
        ("left", Align::Left),
        ("centre", Align::Centre),
        ("center", Align::Centre),
        ("right", Align::Right),
    ];
    let colours: Vec<(&str, &str)> = super::profile::COLOURS.iter().map(|c| (*c, *c)).collect();
    let effects = [("still", Effect::Still), ("scroll", Effect::Scroll), ("wipe", Effect::Wipe)];
    let align = table.choice("align", &aligns).map(|a| a.value).unwrap_or_default();
    let effect = table.choice("effect", &effects).map(|e| e.value).unwrap_or_default();
    let dwell = table.duration("dwell", DWELL_LEAST, DWELL_MOST);
    let colour = table.choice("colour", &colours).map(|c| c.value.to_owned());
    let font = table.text("font").map(|f| f.value);
    let text = table.text("text")?.value;
    let speed_px_s = table.small("speed_px_s").map(|n| n.value);
    if let (Some(_), false) = (speed_px_s, effect == Effect::Scroll) {
        let (key, without) = ("speed_px_s", "without `effect = \"scroll\"`");
        let hint = "let the text scroll, or take the key out";
        table.fault(table.place_of(key), &Problem::Useless { key, without, hint });
    }
    Some(Page {
        text,
        align,
        effect,
        dwell_ms: dwell.map_or(8_000, |d| d.value),
        colour,
        font,
        speed_px_s,
        scale: table.small("scale").map(|n| n.value),
        gap_ms: table.duration("gap", GAP_LEAST, GAP_MOST).map(|gap| gap.value),
        blink: table.flag("blink").is_some_and(|blink| blink.value),
    })
}

fn slots(top: &Reader<'_>, found: &mut PlacedPlaylist) {
    let tables = top.tables("slots");
    if tables.as_ref().is_some_and(Vec::is_empty) {
        top.fault(top.place_of("slots"), &Problem::Empty { key: "slots".to_owned() });
    }
    let mut seen = BTreeMap::new();
    let mut used = Vec::new();
    for table in tables.unwrap_or_default() {
        let read = slot::read(&table);
        if let Some(id) = &read.id {
            if let Some(first) = seen.get(&id.value) {
                let (what, first) = ("slot", *first);
                let problem = Problem::Duplicate { what, id: id.value.to_string(), first };
                table.fault(id.place, &problem);
            } else {
                seen.insert(id.value.clone(), id.place);
            }
        }
        for item in &read.items {
            if !found.items.contains_key(&item.value) {
                let ids = found.items.keys().map(ItemId::as_str);
                let near = nearest(item.value.as_str(), ids).map(str::to_owned);
                let id = item.value.to_string();
                let wherein = "`[[items]]` of this playlist";
                let what = "item";
                let problem = Problem::Unknown { what, id, near, wherein, refuses: true };
                table.fault(item.place, &problem);
            }
        }
        used.extend(read.items.iter().map(|i| i.value.clone()));
        found.calendars.extend(read.calendars.iter().cloned());
        let times = read.times.clone();
        if let Some(slot) = read.into_slot() {
            found.slots.entry(slot.id.clone()).or_insert(table.place);
            found.times.entry(slot.id.clone()).or_insert(times);
            found.playlist.slots.push(slot);
        }
    }
    for (id, place) in &found.items {
        if !used.contains(id) {
            top.fault(*place, &Problem::IdleItem { item: id.to_string() });
        }
    }
}

impl PlacedPlaylist {
    /// Returns the slot of that id.
    pub fn slot_mut(&mut self, id: &SlotId) -> Option<&mut Slot> {
        self.playlist.slots.iter_mut().find(|slot| slot.id == *id)
    }
}
