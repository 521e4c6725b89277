//! A day of a commune, judged and added up.

use super::names::Names;
use super::{Rollup, RollupError};
use crate::app::outcome::Timed;
use crate::app::ports::{JudgedPage, NameKind, Page, PageKey, RecordFilter};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::proof::outcome::{FINAL_MS, Outcome, SETTLE_MS, Stage};
use crate::domain::time::{Span, UtcMs};
use crate::report::airing::Airing;
use crate::report::contents::{Content, ContentNo, Contents, Subject, SubjectNo};
use crate::report::period::midnight;
use crate::report::places::{DeviceNo, Places};
use crate::report::rollup::{self, Touch};
use crate::report::words::clean;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Numbers of contents by sheet and item.
pub(super) type Described = BTreeMap<(Digest, String), u32>;

/// Returns what an outcome is of, as it was described when it was published.
pub(super) fn described(
    outcome: &Outcome,
    sheets: &[Digest],
    known: &Described,
    names: &Names,
) -> Content {
    let title = clean(&outcome.title);
    let named = sheets.iter().filter_map(|sheet| known.get(&(*sheet, outcome.item.clone())));
    // Of two descriptions of one item on a day the later one counts.
    let of_title = named
        .filter_map(|number| Some((number, names.contents.get(*number as usize)?)))
        .filter(|(_, content)| content.title == title && content.subject.kind == outcome.kind)
        .max_by_key(|(number, _)| **number);
    let plain = || Content {
        item: outcome.item.clone(),
        title: title.clone(),
        author: None,
        reader: None,
        document: None,
        subject: Subject { kind: outcome.kind, line: None, topics: Vec::new() },
    };
    of_title.map_or_else(plain, |(_, content)| content.clone())
}

/// Returns when time alone changes an outcome.
fn next(outcome: &Outcome) -> Option<UtcMs> {
    match outcome.stage {
        Stage::Pending => Some(outcome.end_ms.plus(SETTLE_MS)),
        Stage::Provisional => Some(outcome.end_ms.plus(FINAL_MS)),
        Stage::Final => None,
    }
}

/// Returns the stretch of a local day.
pub(super) fn stretch(day: NaiveDate, zone: Tz) -> Option<Span> {
    Span::new(midnight(day, zone), midnight(day.succ_opt()?, zone)).ok()
}

impl Rollup {
    /// Returns what became of the cues of a device on a local day, and what each is of.
    pub async fn outcomes_of(
        &self,
        device: &DeviceId,
        day: NaiveDate,
        zone: Tz,
        now: UtcMs,
    ) -> Result<Vec<(Outcome, Content)>, RollupError> {
        let store = &*self.store;
        let Some(period) = stretch(day, zone) else { return Ok(Vec::new()) };
        let gathered = self.outcomes.gather(device, period, now, &mut BTreeMap::new()).await?;
        let known = store.contents_of(&gathered.sheets).await?;
        let mut names = self.names.lock().await;
        names.learn(store, NameKind::Content).await?;
        let judged = gathered.outcomes.into_iter().map(|timed| {
            let outcome = timed.outcome;
            let content = described(&outcome, &gathered.sheets, &known, &names);
            (outcome, content)
        });
        Ok(judged.collect())
    }

    pub(super) async fn judge(
        &self,
        places: &Places,
        zone: Tz,
        key: &PageKey,
        now: UtcMs,
    ) -> Result<JudgedPage, RollupError> {
        let store = &*self.store;
        let newest = store.records(&RecordFilter::default(), Page::Newest { limit: 1 }).await?;
        let upto = newest.first().map_or(0, |newest| newest.position);
        let mut page = JudgedPage {
            key: key.clone(),
            upto,
            judged_ms: now,
            next_ms: None,
            broadcasts: Vec::new(),
            touches: Vec::new(),
            open: Vec::new(),
        };
        let unit = places.unit_no(&key.unit);
        let (Some(unit), Some(period)) = (unit, stretch(key.day, zone)) else { return Ok(page) };
        let mut names = self.names.lock().await;
        names.learn(store, NameKind::Content).await?;
        let (mut sheets, mut known) = (BTreeMap::new(), Described::new());
        let (mut contents, mut airings) = (Contents::default(), Vec::new());
        let mut open = Vec::new();
        for (no, device) in places.devices() {
            if places.commune(no, key.day) != Some(unit) {
                continue;
            }
            let gathered = self.outcomes.gather(&device.id, period, now, &mut sheets).await?;
            let lack = gathered.sheets.iter().filter(|sheet| {
                let next = known.range((**sheet, String::new())..).next();
                next.is_none_or(|((known, _), _)| known != *sheet)
            });
            let lack: Vec<Digest> = lack.copied().collect();
            if !lack.is_empty() {
                known.extend(store.contents_of(&lack).await?);
            }
            for Timed { outcome, .. } in &gathered.outcomes {
                let content = described(outcome, &gathered.sheets, &known, &names);
                airings.push(Airing::of(no, contents.add(content), outcome));
                page.next_ms = page.next_ms.into_iter().chain(next(outcome)).min();
            }
            if gathered.outcomes.iter().any(|timed| timed.outcome.stage != Stage::Final) {
                open.push(&device.id);
            }
        }
        let folded = rollup::Page::fold(key.day, unit, &airings, &contents);
        page.open = names.devices(store, &open).await?;
        let (all, subjects) = (contents.contents(), contents.subjects());
        let numbers = names.contents(store, all.cloned().collect()).await?;
        let subjects: Vec<&Subject> = subjects.collect();
        let subjects = names.subjects(store, &subjects).await?;
        let touched = folded.touches.iter().filter_map(|touch| places.device(touch.device));
        let touched: Vec<_> = touched.map(|device| &device.id).collect();
        let devices = names.devices(store, &touched).await?;
        drop(names);
        page.broadcasts = folded.broadcasts;
        for broadcast in &mut page.broadcasts {
            broadcast.content = ContentNo(numbers[broadcast.content.0 as usize]);
        }
        page.broadcasts.sort_by_key(|broadcast| (broadcast.at_ms, broadcast.content));
        let renumbered = folded.touches.iter().zip(devices).map(|(touch, device)| Touch {
            device: DeviceNo(device),
            subject: SubjectNo(subjects[touch.subject.0 as usize]),
            confirmed: touch.confirmed,
        });
        page.touches = renumbered.collect();
        page.touches.sort_by_key(|touch| (touch.device, touch.subject));
        Ok(page)
    }
}
