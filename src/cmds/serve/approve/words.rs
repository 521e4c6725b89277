//! What the page says of approval.

use crate::app::approval::{MOST_OPEN, Proposal, Stand};
use crate::app::live::Alarm;
use std::fmt::Write as _;

/// Says that the station runs without approval.
pub fn off() -> Alarm {
    Alarm {
        code: "approval",
        vi: "Đài đang chạy không cần người duyệt (approval = \"off\").".to_owned(),
        en: "This station runs without approval (`approval = \"off\"`).".to_owned(),
    }
}

/// Says how the station runs.
pub fn notice(required: bool) -> Alarm {
    if required {
        return Alarm {
            code: "approval",
            vi: "Nội dung mới chỉ phát sau khi người thứ hai duyệt.".to_owned(),
            en: "Nothing new sounds before a second person approves.".to_owned(),
        };
    }
    Alarm {
        code: "approval",
        vi: "station.toml ghi approval = \"off\" nhưng quản trị chưa cho phép: vẫn phải duyệt. \
             Cho phép: loa approval off"
            .to_owned(),
        en: "`station.toml` says `approval = \"off\"`, but no administrator did: approval is \
             required. To do without: `loa approval off`"
            .to_owned(),
    }
}

/// Says how much waits, and for whom.
pub fn waiting(all: &[Proposal], beyond: usize) -> Option<Alarm> {
    if all.is_empty() && beyond == 0 {
        return None;
    }
    let open = all.iter().filter(|one| one.stand == Stand::Open).count();
    let (n, again) = (all.len(), all.len() - open);
    let mut vi = format!("{n} thay đổi chưa có hiệu lực: {open} chờ duyệt");
    let mut en = format!("{n} changes are not in force: {open} wait for approval");
    if again > 0 {
        // Writing to a string cannot fail.
        let _ = write!(vi, ", {again} cần trình lại");
        let _ = write!(en, ", {again} must be proposed anew");
    }
    vi.push_str(". Xem: loa proposals");
    en.push_str(". Look: `loa proposals`");
    if beyond > 0 {
        let _ = write!(
            vi,
            ". Còn {beyond} tệp thay đổi chưa được xét: nhiều nhất {MOST_OPEN} thay đổi chờ cùng \
             lúc, và các tệp phải khớp nhau"
        );
        let _ = write!(
            en,
            ". {beyond} more files have no place yet: at most {MOST_OPEN} changes wait at a time, \
             and files must fit together"
        );
    }
    Some(Alarm { code: "proposal", vi, en })
}
