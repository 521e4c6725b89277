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
            Some(SheetItem::Clip { asset, .. }) => {
                if !sheet.assets.contains_key(asset) {
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
