//! What waits for approval: what it would do on air, how it stands, what to type.

use super::get::clock_text;
use super::words::Language;
use super::{ChangeRow, PageView, ProposalRow};
use crate::app::approval::{Proposal, Stand};
use crate::app::live::Picture;
use crate::domain::approval::{Change, What};
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use chrono_tz::Tz;
use maud::{Markup, html};

/// Proposals listed.
pub(super) const SHOWN: usize = 20;
/// Changes listed of each.
const CHANGES: usize = 6;
/// Names listed in a row.
const NAMED: usize = 5;

/// Makes the rows: what sounds near quiet hours first, then the newest.
pub(super) fn rows(picture: &Picture, now: UtcMs, lang: Language) -> Vec<ProposalRow> {
    let mut all: Vec<&Proposal> = picture.proposals.iter().map(AsRef::as_ref).collect();
    let near = |one: &Proposal| one.preview.changes.iter().any(|change| change.near_quiet);
    all.sort_by_key(|one| (!near(one), std::cmp::Reverse(one.made_ms), one.hash));
    all.truncate(SHOWN);
    all.into_iter().map(|one| row(one, picture, now, lang)).collect()
}

fn row(one: &Proposal, picture: &Picture, now: UtcMs, lang: Language) -> ProposalRow {
    let name = |unit: &UnitId| {
        let known = picture.station.as_ref().and_then(|station| station.units.get(unit));
        known.map_or_else(|| unit.to_string(), |unit| unit.name.clone())
    };
    let changes = &one.preview.changes;
    ProposalRow {
        hash: one.hash.to_string()[..12].to_owned(),
        files: first(one.names().into_iter().map(str::to_owned), lang),
        standing: standing(one, lang),
        units: first(one.units().iter().map(name), lang),
        changes: changes.iter().take(CHANGES).map(|c| change(c, now, picture.zone, lang)).collect(),
        more: one.preview.more + changes.len().saturating_sub(CHANGES),
    }
}

/// Writes the first few, and how many more there are.
fn first(all: impl Iterator<Item = String>, lang: Language) -> String {
    let mut names: Vec<String> = all.collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("{} {more}", lang.say("và thêm", "and more:")));
    }
    names.join(", ")
}

fn standing(one: &Proposal, lang: Language) -> String {
    let short = &one.hash.to_string()[..12];
    let vi = lang == Language::Vietnamese;
    let author = match &one.author {
        Some(author) if vi => format!("{author} trình; "),
        Some(author) => format!("proposed by {author}; "),
        None => String::new(),
    };
    let lacks = one.lacks();
    match &one.stand {
        Stand::Returned { by, reason, .. } if vi => {
            format!("{by} trả lại: {reason} – sửa tệp, hoặc trình lại: loa propose {short}")
        }
        Stand::Returned { by, reason, .. } => {
            format!("returned by {by}: {reason} – change it, or propose anew: loa propose {short}")
        }
        Stand::TakenBack { .. } if vi => format!("đã rút lại – trình lại: loa propose {short}"),
        Stand::TakenBack { .. } => format!("taken back – propose anew: loa propose {short}"),
        Stand::Stale { .. } if vi => format!(
            "{author}bản có hiệu lực đã đổi nên nội dung phát sẽ khác lúc trình – \
             xem lại rồi trình lại: loa propose {short}"
        ),
        Stand::Stale { .. } => format!(
            "{author}what is in force has changed, so that it would do something else than when \
             it was proposed – look again, then: loa propose {short}"
        ),
        _ if vi => format!("{author}còn thiếu {lacks} người duyệt – loa approve {short}"),
        _ => format!("{author}{lacks} more must approve – loa approve {short}"),
    }
}

fn change(change: &Change, now: UtcMs, zone: Tz, lang: Language) -> ChangeRow {
    let at = clock_text(change.at_ms, now, zone);
    let verb = if change.board { lang.say("hiện", "show") } else { lang.say("phát", "sound") };
    let vi = lang == Language::Vietnamese;
    let what = match change.what {
        What::New if vi => format!("sẽ {verb} lúc {at}"),
        What::New => format!("will {verb} at {at}"),
        What::Moved if vi => format!("chuyển sang {verb} lúc {at}"),
        What::Moved => format!("moved, will {verb} at {at}"),
        What::Longer => format!("{} {at}", lang.say("dài hơn, lúc", "longer, at")),
        What::Louder => format!("{} {at}", lang.say("to hơn, lúc", "louder, at")),
        What::Content => format!("{} {at}", lang.say("nội dung khác, lúc", "other content, at")),
        What::Less => format!("{} {at}", lang.say("ngắn hoặc nhỏ hơn, lúc", "less, at")),
        What::Gone => format!("{} {at}", lang.say("không còn lúc", "no longer at")),
    };
    let units = first(change.units.iter().map(ToString::to_string), lang);
    ChangeRow {
        what,
        title: change.title.clone(),
        place: format!("{} · {}", change.item, units),
        near_quiet: change.near_quiet,
    }
}

/// Writes the card.
pub(super) fn card(view: &PageView, lang: Language) -> Markup {
    html! {
        section.card {
            h2 { (lang.say("Chờ duyệt: nếu duyệt thì", "Waits for approval: if approved")) }
            @for one in &view.proposed {
                h3 { (one.files) }
                p.sub { (one.units) " · " (one.standing) }
                ul.rows {
                    @for row in &one.changes {
                        li {
                            @if row.near_quiet {
                                span.tag.warn {
                                    (lang.say("sát giờ yên tĩnh", "near quiet hours"))
                                } " "
                            }
                            span.when { (row.what) } (row.title)
                            span.where { (row.place) }
                        }
                    }
                    @if one.more > 0 {
                        li { (lang.say("và thêm", "and more:")) " " (one.more) }
                    }
                    @if one.changes.is_empty() {
                        li { (lang.say("không đổi gì trong 62 ngày tới",
                            "nothing in the 62 days ahead")) }
                    }
                }
            }
            @if view.more_proposed > 0 {
                p.sub {
                    (lang.say("Thay đổi khác đang chờ:", "More changes wait:"))
                    " " (view.more_proposed) " · loa proposals"
                }
            }
        }
    }
}
