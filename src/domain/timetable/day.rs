//! One local date of one group of devices: from settled pieces to a sheet with its reasons.

use super::asked::Asked;
use super::audience::Key;
use super::conflict::settle;
use super::limits;
use super::place::{Dropped, Piece, Placed, Placer, What, turn_of};
use super::plan::{DayPlan, DayRef, Kind, LeftOut, PlannedCue};
use super::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use crate::domain::playlist::Content;
use crate::domain::recurrence::wall::{self, shift};
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many dates before a day, and after it, its plan depends on: sessions reach two days back
/// and over a date that the zone leaves out, an occurrence may last into the next day, and each date
/// is settled with its neighbours.
pub(super) const REACH_BACK: i32 = 5;
pub(super) const REACH_AHEAD: i32 = 1;

/// Works out days of one group; keeps what neighbouring days share.
pub(super) struct DayMaker<'a> {
    placer: Placer<'a>,
    key: &'a Key,
    zone: Tz,
    placed: BTreeMap<NaiveDate, Placed>,
    settled: BTreeMap<NaiveDate, Placed>,
}

impl<'a> DayMaker<'a> {
    pub fn new(key: &'a Key, asked: &'a BTreeMap<u64, &'a Asked>, zone: Tz) -> Self {
        let placer = Placer { requests: &key.requests, asked, abilities: &key.abilities };
        Self { placer, key, zone, placed: BTreeMap::new(), settled: BTreeMap::new() }
    }

    fn prepare(&mut self, date: NaiveDate) {
        if self.settled.contains_key(&date) {
            return;
        }
        for near in [shift(date, -1), date, shift(date, 1)] {
            if !self.placed.contains_key(&near) {
                self.placed.insert(near, self.placer.place(near));
            }
        }
        let settled = settle(
            &self.placer,
            &self.placed[&shift(date, -1)],
            &self.placed[&date],
            &self.placed[&shift(date, 1)],
        );
        self.settled.insert(date, settled);
    }

    /// Pieces and left-out ones whose instant lies in a local date, sorted by start.
    fn starting(&self, date: NaiveDate) -> (Vec<&Piece>, Vec<&Dropped>) {
        let (from, to) = wall::day(self.zone, date);
        let (mut pieces, mut dropped) = (Vec::new(), Vec::new());
        for nominal in [shift(date, -1), date] {
            if let Some(settled) = self.settled.get(&nominal) {
                let (more, gone) = settled.within(from, to);
                pieces.extend(more);
                dropped.extend(gone);
            }
        }
        pieces.sort_by_key(|piece| (piece.at, piece.kind(), piece.owner, piece.nominal));
        (pieces, dropped)
    }

    /// The date before, passing over one that the zone leaves out: a session goes on behind it.
    fn before(&self, date: NaiveDate) -> NaiveDate {
        let day = shift(date, -1);
        let (from, to) = wall::day(self.zone, day);
        if from < to { day } else { shift(day, -1) }
    }

    /// Returns the plan of a local date, or `None` for a date that the zone leaves out.
    pub fn plan(&mut self, date: NaiveDate) -> Option<(DaySheet, Vec<PlannedCue>, Vec<LeftOut>)> {
        let (from_ms, to_ms) = wall::day(self.zone, date);
        if from_ms >= to_ms {
            return None;
        }
        for back in (0..REACH_BACK).rev() {
            self.prepare(shift(date, -back));
        }
        let rules = &self.key.rules;
        let (pieces, dropped) = self.starting(date);
        let day_before = self.before(date);
        let (yesterday, _) = self.starting(day_before);
        let (two_before, _) = self.starting(self.before(day_before));
        let near = [shift(date, -1), date, shift(date, 1)];
        let silence: Vec<_> = near.iter().flat_map(|d| rules.silence(self.zone, *d)).collect();
        let allowed = limits::allow(rules, &silence, &pieces, &yesterday, &two_before);
        let mut allowed = allowed.into_iter();

        let mut left_out: Vec<LeftOut> = dropped.iter().map(|gone| gone.told.clone()).collect();
        let has_speaker = self.key.abilities.speaker.is_some();
        let sound = if has_speaker { rules.sound(self.zone, date) } else { Vec::new() };
        let mut sheet = DaySheet {
            v: 1,
            from_ms,
            to_ms,
            sound,
            assets: BTreeMap::new(),
            items: BTreeMap::new(),
            cues: Vec::new(),
        };
        let mut planned = Vec::new();
        for piece in pieces {
            let verdict = match piece.kind() {
                Kind::Clip => allowed.next(),
                Kind::Pages => None,
            };
            match verdict {
                None => self.put(piece, &mut sheet, &mut planned),
                Some(Ok(kept)) => self.put(&kept, &mut sheet, &mut planned),
                Some(Err(cause)) => {
                    let mut gone = Vec::new();
                    self.placer.drop_piece(piece, cause, &mut gone);
                    left_out.extend(gone.into_iter().map(|gone| gone.told));
                }
            }
        }
        // Items of one occurrence stay in the order in which they would have come.
        left_out.sort_by(|a, b| {
            (a.nominal, &a.playlist, &a.slot).cmp(&(b.nominal, &b.playlist, &b.slot))
        });
        Some((sheet, planned, left_out))
    }

    /// Writes the cues of a piece into the sheet, with all they need.
    fn put(&self, piece: &Piece, sheet: &mut DaySheet, planned: &mut Vec<PlannedCue>) {
        let playlist = &self.placer.playlist(piece.owner).playlist;
        let slot = self.placer.slot(piece.owner);
        let mut cue = |item: usize, k: u32, fade_ms: i64, entry: SheetItem| {
            let name = format!("{}/{}", playlist.id, playlist.items[item].id);
            sheet.cues.push(Cue {
                id: self.placer.cue_id(piece.owner, piece.nominal, item, k),
                at_ms: piece.at,
                end_ms: piece.end,
                priority: playlist.priority,
                item: name.clone(),
                volume: slot.volume,
                fade_ms,
                line: playlist.plan_line_of(&playlist.items[item]).map(str::to_owned),
                approval: playlist.approval,
            });
            sheet.items.insert(name, entry);
            planned.push(PlannedCue {
                nominal: piece.nominal,
                playlist: playlist.id.clone(),
                slot: slot.id.clone(),
                item: playlist.items[item].id.clone(),
                kind: piece.kind(),
                reasons: piece.reasons.clone(),
            });
        };
        match &piece.what {
            What::Clip { item, k, asset, fallback, fade_ms } => {
                let entry = SheetItem::Clip {
                    title: playlist.items[*item].title.clone(),
                    asset: asset.sha256,
                    fallback: fallback.as_ref().map(|facts| facts.sha256),
                };
                cue(*item, *k, *fade_ms, entry);
                for facts in std::iter::once(asset).chain(fallback) {
                    sheet.assets.entry(facts.sha256).or_insert_with(|| AssetEntry::from(&**facts));
                }
            }
            What::Rotation { items, turn } => {
                for (place, item) in items.iter().enumerate() {
                    let Content::Pages(pages) = &playlist.items[*item].content else { continue };
                    let title = playlist.items[*item].title.clone();
                    let entry = SheetItem::Pages { title, pages: pages.clone() };
                    cue(*item, turn_of(items, place, *turn), slot.fade_ms, entry);
                }
            }
        }
    }
}

/// Puts a plan together around a sheet that may be shared.
pub(super) fn share(
    date: NaiveDate,
    sheet: Arc<DaySheet>,
    cues: Vec<PlannedCue>,
    left_out: Vec<LeftOut>,
) -> DayPlan {
    let day = DayRef { from_ms: sheet.from_ms, to_ms: sheet.to_ms, sheet };
    DayPlan { date, day, cues, left_out }
}
