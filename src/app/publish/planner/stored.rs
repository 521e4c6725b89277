//! What is stored, as rows and as what travels.

use super::super::{Publication, TimetablePublication};
use super::Encoded;
use crate::app::ports::{CueOutput, CueRow, StoredSheet, StoredTimetable};
use crate::domain::timetable::sheet::SheetItem;
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;
use std::sync::Arc;

pub(super) fn stored_sheet(encoded: &Encoded) -> StoredSheet {
    let sheet = &encoded.sheet;
    let cues = sheet.cues.iter().filter_map(|cue| {
        let (title, output) = match sheet.items.get(&cue.item)? {
            SheetItem::Clip { title, .. } => (title.clone(), CueOutput::Clip),
            SheetItem::Pages { title, .. } => (title.clone(), CueOutput::Pages),
            SheetItem::Unknown => return None,
        };
        let (at_ms, end_ms, item) = (cue.at_ms, cue.end_ms, cue.item.clone());
        Some(CueRow { cue: cue.id, at_ms, end_ms, item, title, output })
    });
    StoredSheet {
        sha256: encoded.digest,
        from_ms: sheet.from_ms,
        to_ms: sheet.to_ms,
        bytes: Arc::clone(&encoded.bytes),
        cues: cues.collect(),
    }
}

pub(in crate::app::publish) fn sheet_publication(
    topics: &Topics,
    sheet: &StoredSheet,
) -> Publication {
    Publication {
        topic: topics.of(&Topic::Sheet(sheet.sha256)),
        payload: Bytes::copy_from_slice(&sheet.bytes),
        retain: true,
    }
}

pub(in crate::app::publish) fn timetable_publication(
    topics: &Topics,
    timetable: &StoredTimetable,
) -> TimetablePublication {
    TimetablePublication {
        device: timetable.device.clone(),
        ver: timetable.ver,
        publication: Publication {
            topic: topics.of(&Topic::Timetable(timetable.device.clone())),
            payload: Bytes::copy_from_slice(timetable.jws.as_bytes()),
            retain: true,
        },
    }
}
