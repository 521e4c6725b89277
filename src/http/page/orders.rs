//! What people ordered: urgent notices and holds, with what devices have proved of them.

use super::words::Language;
use super::{HoldRow, NoticeRow, PageView};
use crate::app::hold::{Confirmed, DeviceHold};
use crate::app::live::Live;
use crate::app::ports::{NoticeKind, StoredHold, StoredNotice};
use crate::app::urgent::Progress;
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use maud::{Markup, html};

/// Devices that have not confirmed, named.
const NAMED: usize = 5;

/// Makes the row of a notice; `None` while it is only prepared.
pub(super) fn notice_row(
    notice: &StoredNotice,
    progress: &Progress,
    live: &Live,
    now: UtcMs,
) -> Option<NoticeRow> {
    let sent = notice.sent.as_ref()?;
    let picture = live.picture();
    let (content, tally) = (&notice.content, progress.tally);
    let drill = notice.kind == NoticeKind::Drill;
    let begun = tally.started + tally.ended + tally.withdrawn;
    let names: Vec<_> = content.units.iter().map(|unit| unit_name(live, unit)).collect();
    Some(NoticeRow {
        jti: notice.jti.clone(),
        drill,
        state: match (&notice.withdrawn, sent.exp_ms <= now) {
            (Some(_), _) => "withdrawn",
            (None, true) => "over",
            (None, false) => "in-force",
        }
        .to_owned(),
        sent: super::get::clock_text(sent.at_ms, now, picture.zone),
        by: sent.by.clone(),
        reason: content.reason.clone(),
        document: format!("{} · {}", content.document.number, content.document.issuer),
        units: names.join(", "),
        devices: tally.devices,
        begun: if drill { tally.fetched } else { begun },
        refused: tally.refused,
        not_reached: tally.not_reached,
        first_play_ms: progress.first_play_ms.map(|(_, most)| most),
    })
}

/// Makes the row of a hold in force.
pub(super) fn hold_row(
    hold: &StoredHold,
    devices: &[DeviceHold],
    live: &Live,
    now: UtcMs,
) -> HoldRow {
    let zone = live.picture().zone;
    let lacking = devices.iter().filter(|one| !matches!(one.confirmed, Confirmed::Yes { .. }));
    let lacking: Vec<&DeviceHold> = lacking.collect();
    HoldRow {
        unit: unit_name(live, &hold.unit),
        until: super::get::clock_text(hold.until_ms, now, zone),
        reason: hold.reason.clone(),
        by: hold.by.clone(),
        confirmed: devices.len() - lacking.len(),
        devices: devices.len(),
        lacking: lacking.iter().take(NAMED).map(|one| one.name.clone()).collect(),
    }
}

fn unit_name(live: &Live, unit: &UnitId) -> String {
    let picture = live.picture();
    let known = picture.station.as_ref().and_then(|station| station.units.get(unit));
    known.map_or_else(|| unit.to_string(), |unit| unit.name.clone())
}

pub(super) fn notices(view: &PageView, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    html! {
        @if !view.notices_sent.is_empty() {
            section.card.alarm {
                h2 { (say("Tin khẩn cấp", "Urgent notices")) }
                ul.rows {
                    @for row in &view.notices_sent {
                        li {
                            span.when { (row.sent) }
                            @if row.drill { span.tag.warn { (say("diễn tập", "drill")) } " " }
                            (state(row, lang)) " "
                            (row.reason)
                            span.where { (row.document) " · " (row.units) " · " (row.by) }
                            span.where { (reached(row, lang)) " · " code { (row.jti) } }
                        }
                    }
                }
            }
        }
    }
}

fn state(row: &NoticeRow, lang: Language) -> Markup {
    let (class, word) = match row.state.as_str() {
        "in-force" => ("bad", lang.say("đang hiệu lực", "in force")),
        "withdrawn" => ("mute", lang.say("đã thu hồi", "withdrawn")),
        _ => ("mute", lang.say("đã kết thúc", "over")),
    };
    html! { span.tag.(class) { (word) } }
}

fn reached(row: &NoticeRow, lang: Language) -> String {
    let NoticeRow { begun, devices, refused, not_reached, .. } = row;
    let point = lang.say(",", ".");
    let first = row.first_play_ms.map(|ms| format!("{}{point}{:03}", ms / 1_000, ms % 1_000));
    match (lang, row.drill) {
        (Language::Vietnamese, drill) => {
            let what = if drill { "sẵn sàng" } else { "đã phát" };
            let first = first.map_or_else(String::new, |s| format!(", muộn nhất sau {s} giây"));
            format!(
                "{begun}/{devices} thiết bị {what}{first}; {refused} từ chối; \
                 {not_reached} chưa trả lời"
            )
        }
        (Language::English, drill) => {
            let what = if drill { "ready" } else { "began" };
            let first = first.map_or_else(String::new, |s| format!(", the last after {s} s"));
            format!(
                "{begun} of {devices} devices {what}{first}; {refused} refused; \
                     {not_reached} silent"
            )
        }
    }
}

pub(super) fn holds(view: &PageView, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    html! {
        @if !view.holds.is_empty() {
            section.card.notice {
                h2 { (say("Đang tạm dừng phát", "On hold")) }
                ul.rows {
                    @for row in &view.holds {
                        li {
                            span.when { (say("đến ", "until ")) (row.until) }
                            strong { (row.unit) } " · " (row.reason)
                            span.where {
                                (row.by) " · " (row.confirmed) "/" (row.devices)
                                (say(" thiết bị đã xác nhận", " devices confirmed"))
                                @if !row.lacking.is_empty() {
                                    (say("; chưa xác nhận: ", "; not confirmed: "))
                                    (row.lacking.join(", "))
                                    @if row.devices - row.confirmed > row.lacking.len() { " …" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
