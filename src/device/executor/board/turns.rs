//! What a board may show now, in turn.

use super::Board;
use crate::device::executor::notices::{Track, board_id};
use crate::device::executor::world::Why;
use crate::device::executor::{Action, Moment, Time, World};
use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::Page;
use crate::domain::proof::record::{Body, Said, Show, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{Cue, SheetItem};

/// How long a page of a notice stays.
const NOTICE_MS: i64 = 10_000;

/// What a showing is of: the facts that its record copies.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub subject: Subject,
    pub sheet: Option<Digest>,
    pub item: String,
    pub title: String,
    pub end: UtcMs,
    pub pages: Vec<Page>,
}

impl Source {
    pub fn is_notice(&self) -> bool {
        matches!(self.subject, Subject::Notice { .. })
    }

    /// The record of what was not shown.
    pub fn nothing(&self, from: UtcMs, cause: &str) -> Body {
        let outcome = match cause {
            "hold" => Said::Refused,
            "pre-empted" => Said::PreEmpted,
            _ => Said::Failed,
        };
        Body::Show(Show {
            subject: self.subject.clone(),
            n: 1,
            sheet: self.sheet,
            item: self.item.clone(),
            title: self.title.clone(),
            frame: None,
            from_ms: from,
            to_ms: self.end,
            times: 0,
            shown_ms: 0,
            outcome,
            cause: cause.to_owned(),
            grade: 1,
        })
    }
}

/// One of the things shown in turn.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub id: CueId,
    pub from: UtcMs,
    pub source: Source,
}

impl Turn {
    pub fn is_notice(&self) -> bool {
        self.source.is_notice()
    }

    fn of_cue(cue: &Cue, sheet: Digest, title: &str, pages: &[Page]) -> Self {
        let source = Source {
            subject: Subject::Cue { cue: cue.id },
            sheet: Some(sheet),
            item: cue.item.clone(),
            title: title.to_owned(),
            end: cue.end_ms,
            pages: pages.to_vec(),
        };
        Self { id: cue.id, from: cue.at_ms, source }
    }

    fn of_notice(track: &Track) -> Self {
        let notice = &track.notice;
        let page = Page::plain(&notice.text, NOTICE_MS);
        let source = Source {
            subject: Subject::Notice { jti: notice.jti.clone() },
            sheet: None,
            item: "urgent".to_owned(),
            title: notice.reason.clone(),
            end: notice.exp,
            pages: vec![page],
        };
        Self { id: board_id(&notice.jti), from: notice.iat, source }
    }
}

impl Board {
    /// What is to be shown in turn now: notices by age, or else cues in sheet order.
    pub(super) fn group(world: &mut World, now: Moment) -> Vec<Turn> {
        if world.time == Time::Unknown || world.stopping {
            return Vec::new();
        }
        let notices: Vec<_> =
            world.notices.shown(now, world.time).into_iter().map(Turn::of_notice).collect();
        let by = |turn: &Turn| match &turn.source.subject {
            Subject::Notice { jti } => Some(Why { cause: "pre-empted", by: jti.clone() }),
            Subject::Cue { .. } => None,
        };
        if let Some(why) = world.held(now).or_else(|| notices.first().and_then(by)) {
            Self::put_off(world, now, &why);
            return notices;
        }
        let mut group: Vec<Turn> = Vec::new();
        let mut waiting = Vec::new();
        for placed in world.book.due(now.utc, 0) {
            let cue = placed.cue;
            let Some(SheetItem::Pages { title, pages }) = placed.sheet.items.get(&cue.item) else {
                continue;
            };
            if world.traces.of(&cue.id).closed {
                continue;
            }
            if world.time != Time::Fit {
                waiting.push((cue.id, "clock"));
                continue;
            }
            let joins = group
                .first()
                .is_none_or(|first| (first.from, first.source.end) == (cue.at_ms, cue.end_ms));
            if joins {
                group.push(Turn::of_cue(cue, placed.name, title, pages));
                waiting.push((cue.id, "no-turn"));
            } else {
                waiting.push((cue.id, "overlap"));
            }
        }
        for (cue, cause) in waiting {
            if world.traces.of(&cue).blocked != Some("output") {
                world.traces.block(cue, cause);
            }
        }
        group
    }

    /// Notes what keeps due cues from being shown: they go on when it lets them.
    fn put_off(world: &mut World, now: Moment, why: &Why) {
        if world.time != Time::Fit {
            return;
        }
        let due: Vec<_> = world.book.due(now.utc, 0).iter().map(|placed| placed.cue.id).collect();
        for cue in due {
            let trace = world.traces.of(&cue);
            if !trace.closed && trace.blocked != Some("output") {
                world.traces.yields(cue, why);
            }
        }
    }

    pub(super) fn refuse_foreign_kinds(world: &mut World, now: Moment, out: &mut Vec<Action>) {
        if world.time == Time::Unknown {
            return;
        }
        let foreign: Vec<_> = world
            .book
            .due(now.utc, 0)
            .into_iter()
            .filter(|p| !matches!(p.sheet.items.get(&p.cue.item), Some(SheetItem::Pages { .. })))
            .map(|p| (p.cue.clone(), p.name))
            .collect();
        for (cue, sheet) in foreign {
            let trace = world.traces.of(&cue.id);
            if trace.records == 0 && !trace.closed {
                out.push(Action::record(Self::nothing(world, &cue, sheet, "unsupported")));
                world.traces.close(cue.id, true);
            }
        }
    }

    /// The record of a cue that was not shown.
    pub fn nothing(world: &World, cue: &Cue, sheet: Digest, cause: &str) -> Body {
        let found = world.book.sheet(&sheet);
        let title = match found.and_then(|sheet| sheet.items.get(&cue.item)) {
            Some(SheetItem::Clip { title, .. } | SheetItem::Pages { title, .. }) => title.clone(),
            Some(SheetItem::Unknown) | None => String::new(),
        };
        let source = Source {
            subject: Subject::Cue { cue: cue.id },
            sheet: Some(sheet),
            item: cue.item.clone(),
            title,
            end: cue.end_ms,
            pages: Vec::new(),
        };
        source.nothing(cue.at_ms, cause)
    }
}
