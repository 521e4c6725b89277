//! What reports must know of what is published: who wrote and read an item, what it is about, which
//! plan line it serves. None of it is in a sheet, since devices do not need it.
//!
//! Invariant: what stood in the playlist when a day began stays what reports say of that day.

use super::Encoded;
use crate::app::ports::{Descriptions, SheetContent};
use crate::app::rollup::content_name;
use crate::domain::ids::Digest;
use crate::domain::playlist::{Item, Playlist};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::domain::timetable::sheet::SheetItem;
use crate::report::contents::{Content, Subject};
use std::collections::BTreeSet;

/// Names how the station's items are described.
pub(super) fn described(station: &Station) -> Digest {
    let mut bytes = Vec::new();
    let mut put = |text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    let none = String::new();
    for playlist in station.playlists.values() {
        put(playlist.id.as_str());
        put(playlist.topic.as_ref().unwrap_or(&none));
        put(playlist.plan_line.as_ref().unwrap_or(&none));
        for item in &playlist.items {
            put(item.id.as_str());
            for text in [&item.author, &item.reader, &item.document] {
                put(text.as_ref().unwrap_or(&none));
            }
        }
    }
    for profile in station.profiles.values().filter(|profile| profile.speaker.is_none()) {
        put(profile.id.as_str());
    }
    Digest::of(&bytes)
}

/// Describes the items of the sheets; those of a day that has begun stay as they are known.
pub(super) fn told<'a>(
    station: &Station,
    sheets: impl Iterator<Item = &'a Encoded>,
    now: UtcMs,
) -> Descriptions {
    let mut seen = BTreeSet::new();
    let mut contents = Vec::new();
    for encoded in sheets.filter(|encoded| seen.insert(encoded.digest)) {
        for key in encoded.sheet.items.keys() {
            if let Some(content) = content(station, encoded, key) {
                contents.push(SheetContent {
                    sheet: encoded.digest,
                    item: key.clone(),
                    content: content_name(content),
                    begun: encoded.sheet.from_ms <= now,
                });
            }
        }
    }
    contents.sort_by(|a, b| (a.sheet, &a.item).cmp(&(b.sheet, &b.item)));
    let output = |speaks: bool| if speaks { Kind::Clip } else { Kind::Pages };
    let outputs = station.profiles.values();
    let outputs = outputs.map(|one| (one.id.clone(), output(one.speaker.is_some()))).collect();
    Descriptions { contents, outputs }
}

fn content(station: &Station, encoded: &Encoded, key: &str) -> Option<Content> {
    let (title, kind) = match encoded.sheet.items.get(key)? {
        SheetItem::Clip { title, .. } => (title, Kind::Clip),
        SheetItem::Pages { title, .. } => (title, Kind::Pages),
        SheetItem::Unknown => return None,
    };
    let (playlist, item) = found(station, key);
    let line = encoded.sheet.cues.iter().find(|cue| cue.item == key);
    let line = line.and_then(|cue| cue.line.clone());
    let topics = playlist.and_then(|playlist| playlist.topic.as_deref()).unwrap_or_default();
    let words = topics.split([',', ';']).map(str::trim).filter(|word| !word.is_empty());
    let text = |text: fn(&Item) -> &Option<String>| item.and_then(|item| text(item).clone());
    Some(Content {
        item: key.to_owned(),
        title: title.clone(),
        author: text(|item| &item.author),
        reader: text(|item| &item.reader),
        document: text(|item| &item.document),
        subject: Subject { kind, line, topics: words.map(str::to_owned).collect() },
    })
}

/// Finds `playlist/item`.
fn found<'a>(station: &'a Station, key: &str) -> (Option<&'a Playlist>, Option<&'a Item>) {
    let Some((playlist, item)) = key.split_once('/') else { return (None, None) };
    let playlist = station.playlists.values().find(|known| known.id.as_str() == playlist);
    let items = playlist.into_iter().flat_map(|known| &known.items);
    (playlist, items.into_iter().find(|known| known.id.as_str() == item))
}
