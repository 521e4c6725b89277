//! The one plain page: on air, next, devices, last records, faults.
//!
//! Written on the server, no script; refreshes by itself. Readable at 360 px, by keyboard and by
//! screen reader; the server's clock and zone always stand at the top, since "17:00" means
//! nothing without them.

mod get;
mod orders;
mod view;
mod waiting;
mod words;

pub use get::{enter, get, style};
pub use view::{
    AirRow, ChangeRow, DeviceLight, DeviceRow, FaultRow, HoldRow, LogRow, NoticeRow, PageView,
    ProposalRow, RecordRow, Stamped,
};
pub use words::Language;

use maud::{DOCTYPE, Markup, html};

/// The style sheet, served from its own address so that the policy can forbid inline styles.
pub const STYLE: &str = include_str!("style.css");
/// Seconds after which the browser asks again.
const REFRESH_S: u32 = 10;

/// Writes the page.
pub fn render(view: &PageView, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_S);
                meta name="color-scheme" content="light dark";
                title { (view.station) " · Loa" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { (say("Bỏ qua đến nội dung", "Skip to content")) }
                header.top {
                    h1 { (view.station) }
                    p.clock {
                        span { (say("Giờ máy chủ ", "Server time ")) }
                        strong { (view.now) }
                        span { " " (view.zone) }
                    }
                }
                main.page #main {
                    @if !view.alarms.is_empty() { (alarms(view, lang)) }
                    @if !view.notices.is_empty() {
                        section.card.notice aria-label=(say("Lưu ý", "Notices")) {
                            @for notice in &view.notices { p { (notice) } }
                        }
                    }
                    (orders::notices(view, lang))
                    (orders::holds(view, lang))
                    @if !view.proposed.is_empty() { (waiting::card(view, lang)) }
                    div.two {
                        (air(say("Đang phát", "On air"), &view.on_air,
                            say("Hiện không có tin nào theo lịch.", "Nothing is due now."), lang))
                        (air(say("Sắp phát", "Next"), &view.next,
                            say("Chưa có lịch phát.", "Nothing is scheduled."), lang))
                    }
                    (devices(view, lang))
                    (records(view, lang))
                    (faults(view, lang))
                }
                footer.foot {
                    p {
                        "Loa " (view.build) " · "
                        (say("trang tự làm mới sau mỗi 10 giây", "refreshes every 10 seconds")) " · "
                        a href=(say("/?lang=en", "/")) lang=(say("en", "vi")) {
                            (say("English", "Tiếng Việt"))
                        }
                    }
                }
            }
        }
    }
}

/// Writes the page for somebody who has not come by a link.
pub fn locked(lang: Language) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Loa" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                main.page {
                    section.card {
                        h2 { (lang.say("Trang này cần đường dẫn dùng một lần",
                            "This page needs a one-time link")) }
                        p lang="vi" {
                            "Trên máy chủ, chạy " code { "loa link" }
                            " rồi mở đường dẫn được in ra. Đường dẫn chỉ dùng được một lần và có hạn."
                        }
                        p lang="en" {
                            "On the server, run " code { "loa link" }
                            " and open what it prints. A link works once and for a short time."
                        }
                    }
                }
            }
        }
    }
}

fn alarms(view: &PageView, lang: Language) -> Markup {
    html! {
        section.card.alarm role="alert" {
            h2 { (lang.say("Cần xử lý", "Needs action")) }
            @for alarm in &view.alarms { p { (alarm) } }
        }
    }
}

fn air(head: &str, rows: &[AirRow], empty: &str, lang: Language) -> Markup {
    html! {
        section.card {
            h2 { (head) }
            @if rows.is_empty() {
                p.empty { (empty) }
            } @else {
                ul.rows {
                    @for row in rows {
                        li {
                            span.when { (row.when) }
                            @if row.board {
                                span.tag.mute { (lang.say("bảng chữ", "board")) } " "
                            }
                            @if row.priority {
                                span.tag.warn { (lang.say("ưu tiên", "priority")) } " "
                            }
                            (row.title)
                            span.where { (row.playlist) " · " (row.devices) }
                        }
                    }
                }
            }
        }
    }
}

fn light(state: DeviceLight, lang: Language) -> Markup {
    let (class, word) = match state {
        DeviceLight::Awaiting => ("mute", lang.say("chờ đăng ký", "awaits enrolment")),
        DeviceLight::Silent => ("warn", lang.say("chưa liên lạc", "never heard of")),
        DeviceLight::Ready => ("good", lang.say("sẵn sàng", "ready")),
        DeviceLight::Preparing => ("warn", lang.say("đang tải", "preparing")),
        DeviceLight::Sleeping => ("mute", lang.say("đang nghỉ", "sleeping")),
        DeviceLight::Lost => ("bad", lang.say("mất kết nối", "not connected")),
        DeviceLight::Revoked => ("bad", lang.say("đã thu hồi", "revoked")),
    };
    html! { span.tag.(class) { (word) } }
}

fn devices(view: &PageView, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    let (name, unit) = (say("Thiết bị", "Device"), say("Đơn vị", "Unit"));
    let (state, seen) = (say("Trạng thái", "State"), say("Liên lạc gần nhất", "Last heard"));
    let remarks = say("Ghi chú", "Remarks");
    html! {
        section.card {
            h2 { (say("Thiết bị", "Devices")) }
            @if view.devices.is_empty() {
                p.empty {
                    (say("Chưa có thiết bị nào. Thêm bằng lệnh ", "No devices yet. Add one with "))
                    code { "loa device add" } "."
                }
            } @else {
                table {
                    thead {
                        tr {
                            @for head in [name, unit, state, seen, remarks] {
                                th scope="col" { (head) }
                            }
                        }
                    }
                    tbody {
                        @for row in &view.devices {
                            tr {
                                th scope="row" { (row.name) " " code.sub { (row.id) } }
                                td data-label=(unit) { (row.unit) }
                                td data-label=(state) { (light(row.state, lang)) }
                                td.num data-label=(seen) {
                                    @if row.seen.is_empty() { "–" } @else { (row.seen) }
                                }
                                td data-label=(remarks) {
                                    @if row.remarks.is_empty() { "–" }
                                    @for (n, remark) in row.remarks.iter().enumerate() {
                                        @if n > 0 { br; }
                                        (remark)
                                    }
                                }
                            }
                        }
                    }
                }
                @if view.more_devices > 0 {
                    p.empty {
                        (say("Và ", "And ")) (view.more_devices)
                        (say(" thiết bị khác đang ổn: ", " more that are well: "))
                        code { "loa device list" }
                    }
                }
            }
        }
    }
}

fn records(view: &PageView, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    let (at, device) = (say("Lúc", "At"), say("Thiết bị", "Device"));
    let (kind, what) = (say("Loại", "Kind"), say("Nội dung", "What"));
    let (outcome, grade) = (say("Kết quả", "Outcome"), say("Mức bằng chứng", "Grade"));
    html! {
        section.card {
            h2 { (say("Bản ghi mới nhất", "Newest records")) }
            @if view.records.is_empty() {
                p.empty { (say("Chưa có bản ghi nào.", "No records yet.")) }
            } @else {
                table {
                    thead {
                        tr {
                            @for head in [at, device, kind, what, outcome, grade] {
                                th scope="col" { (head) }
                            }
                        }
                    }
                    tbody {
                        @for row in &view.records {
                            tr {
                                td.num data-label=(at) { (row.at) }
                                td data-label=(device) { (row.device) }
                                td data-label=(kind) { (lang.record_kind(&row.kind)) }
                                td data-label=(what) {
                                    @if row.title.is_empty() { "–" } @else { (row.title) }
                                }
                                td data-label=(outcome) { (result(row, lang)) }
                                td data-label=(grade) {
                                    @match row.grade {
                                        Some(grade) => { (grade) " · " (lang.grade(grade)) }
                                        None => { "–" }
                                    }
                                    @if row.late {
                                        " "
                                        span.tag.warn { (say("thời điểm lỏng", "late")) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(log) = &view.log { (evidence_log(log, lang)) }
        }
    }
}

/// One line: how far the log is, and what witnesses vouched for.
fn evidence_log(log: &LogRow, lang: Language) -> Markup {
    let say = |vi, en| lang.say(vi, en);
    html! {
        p.where {
            (say("Nhật ký bằng chứng: ", "Evidence log: ")) (log.size)
            (say(" mục, ký lúc ", " leaves, signed at ")) (log.at) ", "
            (log.waiting) (say(" mục đang chờ", " waiting")) ". "
            @match &log.witnessed {
                Some((size, at)) => {
                    (say("Nhân chứng xác nhận ", "Witnesses vouch for ")) (size)
                    (say(" mục, lúc ", " leaves, at ")) (at) "."
                }
                None => {
                    (say("Chưa có nhân chứng nào xác nhận.", "No witness vouches for it yet."))
                }
            }
            @match &log.stamped {
                Stamped::NotAsked => {}
                Stamped::Never => {
                    " " (say("Chưa có dấu thời gian nào.", "No time stamp yet."))
                }
                Stamped::At { at, size, by } => {
                    " " (say("Dấu thời gian mới nhất: ", "Last time stamp: ")) (by)
                    (say(", lúc ", ", at ")) (at) ", " (size) (say(" mục.", " leaves."))
                }
            }
        }
    }
}

fn result(row: &RecordRow, lang: Language) -> Markup {
    let class = match row.outcome.as_str() {
        "played" => "good",
        "partial" | "pre-empted" => "warn",
        "failed" | "refused" => "bad",
        _ => "mute",
    };
    html! {
        @if row.outcome.is_empty() {
            "–"
        } @else {
            span.tag.(class) { (lang.outcome(&row.outcome)) }
            @if !row.cause.is_empty() && row.cause != "end" { " " code { (row.cause) } }
        }
    }
}

fn faults(view: &PageView, lang: Language) -> Markup {
    html! {
        section.card {
            h2 { (lang.say("Lỗi trong thư mục đài", "Faults of the station folder")) }
            @if view.faults.is_empty() {
                p.empty { (lang.say("Không có lỗi.", "None.")) }
            } @else {
                ul.rows lang="en" {
                    @for row in &view.faults {
                        li {
                            code { (row.place) } " "
                            @if row.warning {
                                span.tag.warn { "warning" } " "
                            }
                            (row.message)
                            @if !row.hint.is_empty() { span.where { (row.hint) } }
                            @if !row.instead.is_empty() {
                                span.where lang=(lang.tag()) { (row.instead) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
