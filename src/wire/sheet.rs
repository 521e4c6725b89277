//! Bytes of a day sheet: written once, named by their SHA-256, read with limits.
//!
//! An item of unknown kind (or of a known kind with content this version cannot read) becomes
//! [`SheetItem::Unknown`]: its cues fail as `unsupported`, the others play. Anything else that
//! is wrong refuses the whole sheet, and the last good one stays.

use super::refusal::Refusal;
use super::{json, limits};
use crate::domain::ids::Digest;
use crate::domain::time::{Span, UtcMs};
use crate::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Writes a sheet; the same sheet has the same bytes.
pub fn encode(sheet: &DaySheet) -> (Vec<u8>, Digest) {
    let bytes = serde_json::to_vec(sheet).expect("a structure with text keys");
    let digest = Digest::of(&bytes);
    (bytes, digest)
}

#[derive(Deserialize)]
struct Raw {
    v: i64,
    from_ms: UtcMs,
    to_ms: UtcMs,
    sound: Vec<Span>,
    assets: BTreeMap<Digest, AssetEntry>,
    items: BTreeMap<String, Box<RawValue>>,
    cues: Vec<Cue>,
}

/// Reads a sheet of at most `limit` bytes (a profile may state less than
/// [`limits::SHEET_BYTES`]) and checks it.
pub fn decode(bytes: &[u8], limit: usize) -> Result<DaySheet, Refusal> {
    let raw: Raw = json::read(bytes, "bytes", limit.min(limits::SHEET_BYTES))?;
    if raw.v != 1 {
        return Err(Refusal::Unsupported { v: raw.v });
    }
    let items = raw.items.into_iter().map(|(key, text)| (key, item(&text))).collect();
    let Raw { from_ms, to_ms, sound, assets, cues, .. } = raw;
    let sheet = DaySheet { v: 1, from_ms, to_ms, sound, assets, items, cues };
    check(&sheet)?;
    Ok(sheet)
}

/// As [`decode`], for bytes that must have the name a timetable gave.
pub fn open(bytes: &[u8], name: &Digest, limit: usize) -> Result<DaySheet, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    Refusal::limit("bytes", bytes.len(), limit.min(limits::SHEET_BYTES))?;
    if Digest::of(bytes) != *name {
        return Err(Refusal::Hash);
    }
    decode(bytes, limit)
}

fn item(text: &RawValue) -> SheetItem {
    let known = serde_json::from_str(text.get()).unwrap_or(SheetItem::Unknown);
    let within = match &known {
        SheetItem::Pages { pages, .. } => {
            !pages.is_empty()
                && pages.len() <= limits::PAGES
                && pages.iter().all(|p| p.text.len() <= limits::PAGE_TEXT_BYTES && p.dwell_ms > 0)
        }
        SheetItem::Clip { .. } | SheetItem::Unknown => true,
    };
    if within { known } else { SheetItem::Unknown }
}

/// Checks what types cannot say; the publisher asks before it signs, the device before it obeys.
pub fn check(sheet: &DaySheet) -> Result<(), Refusal> {
    Refusal::limit("cues", sheet.cues.len(), limits::CUES)?;
    Refusal::limit("items", sheet.items.len(), limits::ITEMS)?;
    Refusal::limit("assets", sheet.assets.len(), limits::ASSETS)?;
    Refusal::limit("spans of sound", sheet.sound.len(), limits::SOUND)?;
    if sheet.from_ms >= sheet.to_ms || sheet.to_ms.since(sheet.from_ms) > limits::DAY_MS {
        return Err(Refusal::content("the day has no length, or more than 26 hours"));
    }
    if sheet.sound.windows(2).any(|w| w[0].to() > w[1].from()) {
        return Err(Refusal::content("spans of `sound` overlap or are not sorted"));
    }
    for (key, item) in &sheet.items {
        Refusal::limit("bytes of an item's key", key.len(), limits::WORD_BYTES)?;
        if let SheetItem::Clip { title, .. } | SheetItem::Pages { title, .. } = item {
            Refusal::limit("bytes of an item's title", title.len(), limits::ITEM_TITLE_BYTES)?;
        }
    }
    for (name, asset) in &sheet.assets {
        if asset.bytes == 0 || asset.bytes > limits::ASSET_BYTES || asset.ms < 0 {
            return Err(Refusal::content(format!("asset `{name}` is empty or too large")));
        }
    }
    let mut speaker: Option<&Cue> = None;
    let mut board: Option<&Cue> = None;
    for pair in sheet.cues.windows(2) {
        if pair[0].at_ms > pair[1].at_ms {
            return Err(Refusal::content(format!("cue `{}` is not sorted", pair[1].id)));
        }
    }
    for cue in &sheet.cues {
        check_cue(sheet, cue)?;
        match sheet.items.get(&cue.item) {
            None => {
                return Err(Refusal::content(format!(
                    "cue `{}` names no item of the sheet",
                    cue.id
                )));
            }
            Some(SheetItem::Clip { asset, fallback, .. }) => {
                let mut named = std::iter::once(asset).chain(fallback);
                if let Some(asset) = named.find(|asset| !sheet.assets.contains_key(*asset)) {
                    return Err(Refusal::content(format!("asset `{asset}` is not described")));
                }
                if speaker.is_some_and(|last| last.end_ms > cue.at_ms) {
                    return Err(Refusal::content(format!("cue `{}` overlaps another", cue.id)));
                }
                speaker = Some(cue);
            }
            Some(SheetItem::Pages { .. }) => {
                let rotates = |last: &Cue| (last.at_ms, last.end_ms) == (cue.at_ms, cue.end_ms);
                if board.is_some_and(|last| last.end_ms > cue.at_ms && !rotates(last)) {
                    return Err(Refusal::content(format!("cue `{}` overlaps another", cue.id)));
                }
                board = Some(cue);
            }
            Some(SheetItem::Unknown) => {}
        }
    }
    Ok(())
}

fn check_cue(sheet: &DaySheet, cue: &Cue) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::content(format!("cue `{}`: {why}", cue.id)));
    if cue.at_ms < sheet.from_ms || cue.at_ms >= sheet.to_ms {
        return wrong("starts outside the day");
    }
    if cue.end_ms <= cue.at_ms || cue.end_ms.since(cue.at_ms) > limits::DAY_MS {
        return wrong("has no length, or more than 26 hours");
    }
    if cue.volume > 100 {
        return wrong("`volume` is above 100");
    }
    if cue.fade_ms < 0 {
        return wrong("`fade_ms` is below 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const DAY: i64 = 1_800_000_000_000;

    fn good() -> Value {
        let asset = Digest::of(b"clip").to_string();
        let cue = |n: u8, at: i64, end: i64, item: &str| {
            json!({
                "id": format!("{n:032x}"), "at_ms": DAY + at, "end_ms": DAY + end,
                "priority": "routine", "item": item, "volume": 80, "fade_ms": 500,
                "line": null, "approval": null
            })
        };
        json!({
            "v": 1, "from_ms": DAY, "to_ms": DAY + 86_400_000,
            "sound": [{"from_ms": DAY, "to_ms": DAY + 86_400_000}],
            "assets": {asset.clone(): {
                "bytes": 4, "type": "audio/mpeg", "ms": 1_000, "gain_cb": -10, "lufs_cb": -150,
                "sums": {"64": Digest::of(&Digest::of(b"clip").0).to_string()}, "title": "Bản tin"
            }},
            "items": {
                "p/clip": {"kind": "clip", "title": "Bản tin", "asset": asset},
                "p/text": {"kind": "pages", "title": "Chữ", "pages": [
                    {"text": "Xin chào", "align": "centre", "effect": "still", "dwell_ms": 5_000}
                ]},
                "p/later": {"kind": "stream", "title": "Trực tiếp", "url": "x", "fallback": null}
            },
            "cues": [
                cue(1, 0, 1_000, "p/clip"), cue(2, 0, 9_000, "p/text"), cue(3, 0, 9_000, "p/text"),
                cue(4, 1_000, 2_000, "p/clip"), cue(5, 1_500, 2_500, "p/later")
            ]
        })
    }

    fn reason(value: &Value) -> &'static str {
        match decode(value.to_string().as_bytes(), limits::SHEET_BYTES) {
            Ok(_) => "accepted",
            Err(refusal) => refusal.reason(),
        }
    }

    #[test]
    fn a_sheet_is_read_and_written_to_the_same_bytes() {
        let sheet = decode(good().to_string().as_bytes(), limits::SHEET_BYTES).unwrap();
        let mut known = sheet.clone();
        known.items.remove("p/later");
        known.cues.pop();
        let (bytes, digest) = encode(&known);
        assert_eq!(open(&bytes, &digest, limits::SHEET_BYTES).unwrap(), known);
        assert_eq!(encode(&known), (bytes, digest));
    }

    #[test]
    fn only_the_cues_of_an_unknown_item_fail() {
        let sheet = decode(good().to_string().as_bytes(), limits::SHEET_BYTES).unwrap();
        assert_eq!(sheet.items["p/later"], SheetItem::Unknown);
        assert!(matches!(sheet.items["p/clip"], SheetItem::Clip { .. }));
        for (path, value) in [
            ("/items/p~1text/pages/0/effect", json!("explode")),
            ("/items/p~1text/pages/0", json!({"frames": "x", "dwell_ms": 5_000})),
            ("/items/p~1text/pages", json!([])),
            ("/items/p~1clip/asset", json!("not a hash")),
            ("/items/p~1clip", json!(7)),
        ] {
            let mut changed = good();
            *changed.pointer_mut(path).unwrap() = value;
            let sheet = decode(changed.to_string().as_bytes(), limits::SHEET_BYTES).unwrap();
            let key = if path.contains("text") { "p/text" } else { "p/clip" };
            assert_eq!(sheet.items[key], SheetItem::Unknown, "{path}");
            assert_eq!(sheet.cues.len(), 5);
        }
    }

    #[test]
    fn a_sheet_that_contradicts_itself_is_refused_whole() {
        for (path, value, wanted) in [
            ("/v", json!(2), "unsupported"),
            ("/to_ms", json!(DAY), "content"),
            ("/to_ms", json!(DAY + 27 * 3_600_000), "content"),
            ("/sound/0/to_ms", json!(DAY), "member"),
            ("/cues/0/item", json!("p/none"), "content"),
            ("/cues/0/volume", json!(101), "content"),
            ("/cues/0/volume", json!(256), "member"),
            ("/cues/0/fade_ms", json!(-1), "content"),
            ("/cues/0/end_ms", json!(DAY), "content"),
            ("/cues/0/end_ms", json!(DAY + 1_001), "content"),
            ("/cues/0/at_ms", json!(DAY - 1), "content"),
            ("/cues/2/end_ms", json!(DAY + 8_000), "content"),
            ("/cues/3/at_ms", json!(DAY + 86_400_000), "content"),
            ("/cues/4/at_ms", json!(DAY), "content"),
            ("/cues/0/id", json!("x"), "member"),
            ("/cues/0/priority", json!("urgent"), "member"),
            ("/assets", json!({}), "content"),
            ("/cues/0/line", json!(1.5), "json"),
            ("/items/p~1clip/title", json!("x".repeat(801)), "limit"),
            ("/items/p~1text/title", json!("x".repeat(801)), "limit"),
        ] {
            let mut changed = good();
            *changed.pointer_mut(path).unwrap() = value.clone();
            assert_eq!(reason(&changed), wanted, "{path} = {value}");
        }
        assert_eq!(reason(&good()), "accepted");
    }

    #[test]
    fn name_and_length_are_judged_before_the_content() {
        let bytes = good().to_string().into_bytes();
        let name = Digest::of(&bytes);
        assert!(open(&bytes, &name, limits::SHEET_BYTES).is_ok());
        assert_eq!(open(&bytes, &Digest::of(b""), 65_536).unwrap_err(), Refusal::Hash);
        assert_eq!(open(&bytes, &name, bytes.len() - 1).unwrap_err().reason(), "limit");
        assert_eq!(open(b"", &Digest::of(b""), 65_536).unwrap_err(), Refusal::Empty);
        let long = vec![b' '; limits::SHEET_BYTES + 1];
        assert_eq!(open(&long, &Digest::of(&long), usize::MAX).unwrap_err().reason(), "limit");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, limits::SHEET_BYTES);
        }

        #[test]
        fn no_damaged_sheet_panics_and_none_keeps_its_name(
            at in any::<proptest::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = good().to_string().into_bytes();
            let name = Digest::of(&bytes);
            let at = at.index(bytes.len());
            let same = bytes[at] == byte;
            bytes[at] = byte;
            let _ = decode(&bytes, limits::SHEET_BYTES);
            prop_assert_eq!(open(&bytes, &name, limits::SHEET_BYTES).is_ok(), same);
        }
    }
}
