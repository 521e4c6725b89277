//! A draw's walking list as a file for paper.

use super::{Document, DrawError};
use crate::report::number;
use crate::report::render::pdf;
use crate::report::walk::{Stop, Visit, WalkSheet};
use chrono_tz::Tz;

/// Writes the list as PDF; the same draw gives the same bytes. Blocking: call it off the async
/// threads.
pub fn pdf(document: &Document, zone: Tz) -> Result<Vec<u8>, DrawError> {
    let list = document.walking_list()?;
    let question = &document.question;
    let unit = question.unit.as_ref().map_or("toàn đài", |unit| unit.as_str());
    let mut facts = vec![
        ("Phạm vi", unit.to_owned()),
        (
            "Lượt phát từ",
            format!(
                "{} đến trước {}",
                number::instant(question.from_ms, zone),
                number::instant(question.to_ms, zone)
            ),
        ),
        (
            "Số lượt phát phải kiểm tra",
            format!(
                "{} trong {} lượt phát đã xác nhận",
                number::count(u64::from(list.drawn())),
                number::count(document.plays)
            ),
        ),
    ];
    if let Some(line) = &question.line {
        facts.push(("Dòng kế hoạch", line.clone()));
    }
    let stops = list.clusters().iter().map(|cluster| Stop {
        code: cluster.code.to_string(),
        device: cluster.device.to_string(),
        name: cluster.name.clone(),
        place: cluster.place.clone(),
        visits: cluster
            .plays
            .iter()
            .map(|visit| Visit {
                play: visit.play,
                began: visit.began,
                title: visit.title.clone(),
                index: visit.index,
            })
            .collect(),
    });
    let sheet = WalkSheet {
        draw: document.id.clone(),
        facts,
        stops: stops.collect(),
        ground: list.ground().text().lines().map(str::to_owned).collect(),
        lot: list.ground().seed().to_string(),
        // What a draw without witnesses was vouched for by is when it was made: of one draw one.
        at: document.head.vouched_ms,
        zone,
    };
    pdf::walk(&sheet).map_err(DrawError::Paper)
}
