//! From the occurrences of one nominal date to pieces of time on an output, by rank.

use super::asked::{Asked, Matter, Occurrence};
use super::audience::{Abilities, Request};
use super::conflict::{Busy, Owner, SHORTEST_CLIP_MS, SHORTEST_SHOWING_MS};
use super::plan::{Kind, LeftOut};
use super::reason::{Cause, Effect, Reason};
use super::shuffle;
use crate::domain::ids::CueId;
use crate::domain::playlist::{Overrun, Slot};
use crate::domain::station::AssetFacts;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stretch of one output for one occurrence.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Lower wins; tells request and slot apart.
    pub owner: Owner,
    pub nominal: UtcMs,
    pub at: UtcMs,
    pub end: UtcMs,
    pub reasons: Vec<Reason>,
    pub what: What,
}

/// What fills it.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// One clip.
    Clip {
        item: usize,
        k: u32,
        asset: Arc<AssetFacts>,
        fallback: Option<Arc<AssetFacts>>,
        fade_ms: i64,
    },
    /// The items of a board occurrence in turn; `turn` counts its stretches from 0.
    Rotation { items: Vec<usize>, turn: u32 },
}

impl Piece {
    pub fn kind(&self) -> Kind {
        match self.what {
            What::Clip { .. } => Kind::Clip,
            What::Rotation { .. } => Kind::Pages,
        }
    }
}

/// Something left out, and the instant that decides in which day it is told.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub at: UtcMs,
    pub told: LeftOut,
}

/// What one nominal date gives by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    pub pieces: Vec<Piece>,
    pub dropped: Vec<Dropped>,
}

/// Who asks, and for which device.
pub(super) struct Placer<'a> {
    /// By rank.
    pub requests: &'a [Request],
    pub asked: &'a BTreeMap<u64, &'a Asked>,
    pub abilities: &'a Abilities,
}

impl Placer<'_> {
    pub fn playlist(&self, owner: Owner) -> &Asked {
        self.asked[&self.requests[owner.request].version]
    }

    pub fn slot(&self, owner: Owner) -> &Slot {
        &self.playlist(owner).playlist.slots[owner.slot]
    }

    /// Places everything that occurs on a nominal date.
    pub fn place(&self, date: NaiveDate) -> Placed {
        let mut placed = Placed::default();
        let (mut speaker, mut board) = (Busy::default(), Busy::default());
        for (request, wish) in self.requests.iter().enumerate() {
            let asked = self.asked[&wish.version];
            let invalid = wish.not_valid_on(date);
            for occurrence in asked.on(date) {
                let owner =
                    Owner { request, slot: occurrence.slot, priority: asked.playlist.priority };
                let wanted = self.wanted(asked, occurrence);
                if wanted.is_empty() {
                    continue; // nothing for the outputs of this device
                }
                let cause = invalid.clone().or_else(|| occurrence.dropped.clone());
                if let Some(cause) = cause {
                    let told = self.left_out(owner, occurrence.nominal, None, cause);
                    placed.dropped.push(Dropped { at: occurrence.nominal, told });
                    continue;
                }
                for (kind, items) in wanted {
                    match kind {
                        Kind::Clip => {
                            self.clips(owner, occurrence, &items, &mut speaker, &mut placed);
                        }
                        Kind::Pages => {
                            self.rotation(owner, occurrence, items, &mut board, &mut placed);
                        }
                    }
                }
            }
        }
        placed
    }

    /// The items of an occurrence by output, in the order in which they come.
    fn wanted(&self, asked: &Asked, occurrence: &Occurrence) -> Vec<(Kind, Vec<usize>)> {
        let outputs =
            [(Kind::Clip, self.abilities.speaker.is_some()), (Kind::Pages, self.abilities.board)];
        let order = asked.playlist.slots[occurrence.slot].order;
        outputs
            .into_iter()
            .filter(|(_, present)| *present)
            .filter_map(|(kind, _)| {
                // Chosen by kind first: a rotation must not turn over what is not shown here.
                let mut items: Vec<usize> = asked.slot_items[occurrence.slot]
                    .iter()
                    .copied()
                    .filter(|item| match asked.matters[*item] {
                        Matter::Clip { .. } => kind == Kind::Clip,
                        Matter::Pages => kind == Kind::Pages,
                    })
                    .collect();
                shuffle::arrange(&mut items, order, occurrence.nominal, occurrence.number);
                (!items.is_empty()).then_some((kind, items))
            })
            .collect()
    }

    /// Puts clips back to back into what higher ranks have left.
    fn clips(
        &self,
        owner: Owner,
        occurrence: &Occurrence,
        items: &[usize],
        busy: &mut Busy,
        placed: &mut Placed,
    ) {
        let slot = self.slot(owner);
        let asked_end = occurrence.nominal.plus(slot.longest_ms.max(0));
        let (slot_end, over) = if occurrence.limit < asked_end {
            (occurrence.limit, Cause::NextOccurrence)
        } else {
            (asked_end, Cause::SlotEnd)
        };
        let last_end = match slot.overrun {
            Overrun::Cut | Overrun::Fade => slot_end,
            Overrun::Finish { bound_ms } => asked_end.plus(bound_ms.max(0)).min(occurrence.limit),
        };
        let mut cursor = occurrence.nominal;
        let mut behind: Option<Owner> = None;
        let mut own: Vec<(UtcMs, UtcMs)> = Vec::new();
        for (place, item) in items.iter().copied().enumerate() {
            let k = nth(items, place);
            let mut drop = |cause: Cause| {
                let told = self.left_out(owner, occurrence.nominal, Some((item, k)), cause);
                placed.dropped.push(Dropped { at: occurrence.nominal, told });
            };
            let chosen = match self.choose(owner, item) {
                Ok(chosen) => chosen,
                Err(cause) => {
                    drop(cause);
                    continue;
                }
            };
            // Skip what is taken, and remnants too short to say anything.
            let mut at = cursor;
            let next = loop {
                if let Some((to, by)) = busy.holding(at) {
                    (at, behind) = (to, Some(by));
                    continue;
                }
                match busy.after(at) {
                    Some((from, to, by))
                        if from.since(at) < chosen.asset.ms.min(SHORTEST_CLIP_MS) =>
                    {
                        (at, behind) = (to, Some(by));
                    }
                    next => break next,
                }
            };
            if at >= slot_end {
                let cause = behind.map_or_else(|| over.clone(), |by| self.gives_way(owner, by));
                drop(cause);
                cursor = at;
                continue;
            }
            let mut reasons = Vec::new();
            if let Some(cause) = chosen.replaced {
                reasons.push(Reason::new(Effect::Replaced, cause));
            }
            if place == 0 && occurrence.clock_change {
                reasons.push(Reason::new(Effect::Moved, Cause::ClockChange));
            }
            if let Some(by) = behind {
                reasons.push(Reason::new(Effect::Moved, self.gives_way(owner, by)));
            }
            let natural = at.plus(chosen.asset.ms);
            let mut end = natural.min(last_end);
            let mut fade_ms = slot.fade_ms;
            if end < natural {
                if slot.overrun == Overrun::Cut {
                    fade_ms = 0;
                }
                let cause =
                    if end == occurrence.limit { Cause::NextOccurrence } else { Cause::SlotEnd };
                if end.since(at) < SHORTEST_CLIP_MS {
                    drop(cause);
                    cursor = end;
                    continue;
                }
                reasons.push(Reason::new(Effect::Shortened, cause));
            }
            if let Some((from, _, by)) = next
                && from < end
            {
                end = from;
                fade_ms = slot.fade_ms;
                reasons.retain(|reason| reason.effect != Effect::Shortened);
                reasons.push(Reason::new(Effect::Shortened, self.gives_way(owner, by)));
            }
            let Chosen { asset, fallback, .. } = chosen;
            let what = What::Clip { item, k, asset, fallback, fade_ms };
            let nominal = occurrence.nominal;
            placed.pieces.push(Piece { owner, nominal, at, end, reasons, what });
            own.push((at, end));
            cursor = end;
        }
        busy.take(own, owner);
    }

    /// Gives a board occurrence all the time that higher ranks have left of its slot.
    fn rotation(
        &self,
        owner: Owner,
        occurrence: &Occurrence,
        items: Vec<usize>,
        busy: &mut Busy,
        placed: &mut Placed,
    ) {
        let nominal = occurrence.nominal;
        let asked_end = nominal.plus(self.slot(owner).longest_ms.max(0));
        let end = asked_end.min(occurrence.limit);
        let mut first = Vec::new();
        if occurrence.clock_change {
            first.push(Reason::new(Effect::Moved, Cause::ClockChange));
        }
        let mut last = Vec::new();
        if end < asked_end {
            last.push(Reason::new(Effect::Shortened, Cause::NextOccurrence));
        }
        let whole = Piece {
            owner,
            nominal,
            at: nominal,
            end,
            reasons: Vec::new(),
            what: What::Rotation { items, turn: 0 },
        };
        let mut pieces = self.split(&whole, busy);
        if let (Some(piece), Some(by)) =
            (pieces.is_empty().then_some(&whole), busy.any(nominal, end))
        {
            self.drop_piece(piece, self.gives_way(owner, by), &mut placed.dropped);
        } else if pieces.is_empty() {
            self.drop_piece(&whole, Cause::SlotEnd, &mut placed.dropped);
        }
        if let Some(piece) = pieces.first_mut() {
            piece.reasons.splice(0..0, first);
        }
        if let Some(piece) = pieces.last_mut()
            && piece.end == end
        {
            piece.reasons.extend(last);
        }
        busy.take(pieces.iter().map(|piece| (piece.at, piece.end)).collect(), owner);
        placed.pieces.extend(pieces);
    }

    /// Cuts out of a rotation what others hold; what remains goes on as further stretches.
    pub fn split(&self, whole: &Piece, busy: &Busy) -> Vec<Piece> {
        let mut found = Vec::new();
        let mut at = whole.at;
        let mut behind = None;
        while at < whole.end {
            if let Some((to, by)) = busy.holding(at) {
                (at, behind) = (to, Some(by));
                continue;
            }
            let next = busy.after(at).filter(|(from, ..)| *from < whole.end);
            let end = next.map_or(whole.end, |(from, ..)| from);
            if end.since(at) >= SHORTEST_SHOWING_MS {
                let mut piece = Piece { at, end, ..whole.clone() };
                if let Some(by) = behind {
                    let effect = if found.is_empty() { Effect::Moved } else { Effect::Resumed };
                    piece.reasons.push(Reason::new(effect, self.gives_way(whole.owner, by)));
                }
                if let Some((.., by)) = next {
                    let cause = self.gives_way(whole.owner, by);
                    piece.reasons.push(Reason::new(Effect::Shortened, cause));
                }
                found.push(piece);
            }
            at = end;
        }
        found
    }

    /// Says that nothing remains of a piece.
    pub fn drop_piece(&self, piece: &Piece, cause: Cause, dropped: &mut Vec<Dropped>) {
        let mut tell = |item, k| {
            let told = self.left_out(piece.owner, piece.nominal, Some((item, k)), cause.clone());
            dropped.push(Dropped { at: piece.at, told });
        };
        match &piece.what {
            What::Clip { item, k, .. } => tell(*item, *k),
            What::Rotation { items, turn } => {
                for (place, item) in items.iter().enumerate() {
                    tell(*item, turn_of(items, place, *turn));
                }
            }
        }
    }

    /// Says why `owner` must give way to `by`.
    pub fn gives_way(&self, owner: Owner, by: Owner) -> Cause {
        let winner = &self.playlist(by).playlist;
        let (playlist, slot) = (winner.id.clone(), winner.slots[by.slot].id.clone());
        if by.priority > owner.priority {
            Cause::PreEmpted { playlist, slot }
        } else {
            Cause::Yields { playlist, slot }
        }
    }

    pub fn cue_id(&self, owner: Owner, nominal: UtcMs, item: usize, k: u32) -> CueId {
        let playlist = &self.playlist(owner).playlist;
        let (slot, item) = (&playlist.slots[owner.slot].id, &playlist.items[item].id);
        CueId::derive(&playlist.id, slot, nominal, item, k)
    }

    pub fn left_out(
        &self,
        owner: Owner,
        nominal: UtcMs,
        item: Option<(usize, u32)>,
        cause: Cause,
    ) -> LeftOut {
        let playlist = &self.playlist(owner).playlist;
        LeftOut {
            nominal,
            playlist: playlist.id.clone(),
            slot: playlist.slots[owner.slot].id.clone(),
            item: item.map(|(item, k)| {
                (playlist.items[item].id.clone(), self.cue_id(owner, nominal, item, k))
            }),
            reason: Reason::new(Effect::LeftOut, cause),
        }
    }

    /// Chooses clip or fall-back by what is known now and what the device decodes.
    fn choose(&self, owner: Owner, item: usize) -> Result<Chosen, Cause> {
        let Matter::Clip { main, fallback } = &self.playlist(owner).matters[item] else {
            return Err(Cause::ClipMissing { why: "it is no clip".into() });
        };
        let judge = |clip: &Result<Arc<AssetFacts>, String>| match clip {
            Ok(facts) => self.abilities.takes(facts).map(|()| Arc::clone(facts)),
            Err(why) => Err(Cause::ClipMissing { why: why.clone() }),
        };
        let fallback = fallback.as_ref().and_then(|clip| judge(clip).ok());
        match judge(main) {
            Ok(asset) => Ok(Chosen { asset, fallback, replaced: None }),
            Err(cause) => match fallback {
                Some(asset) => Ok(Chosen { asset, fallback: None, replaced: Some(cause) }),
                None => Err(cause),
            },
        }
    }
}

struct Chosen {
    asset: Arc<AssetFacts>,
    fallback: Option<Arc<AssetFacts>>,
    replaced: Option<Cause>,
}

/// Counts the appearances of the item before this place.
fn nth(items: &[usize], place: usize) -> u32 {
    let before = items[..place].iter().filter(|item| **item == items[place]).count();
    u32::try_from(before).unwrap_or(u32::MAX)
}

/// Counts the appearances of an item before this place, stretches before included.
pub(super) fn turn_of(items: &[usize], place: usize, turn: u32) -> u32 {
    let each = items.iter().filter(|item| **item == items[place]).count();
    let each = u32::try_from(each).unwrap_or(u32::MAX);
    turn.saturating_mul(each).saturating_add(nth(items, place))
}
