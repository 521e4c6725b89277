//! Urgent notices and drills: which one is due, how often it has begun, what was said of it.
//!
//! # Invariants
//! * A repeat is counted before it is ordered and the count is journalled first, so that no cut
//!   of power makes it sound again; a repeat of which nothing sounded is given back.
//! * What is over stays over: a notice that comes again finds its mark.
//! * A drill is never due.

use super::{AssetWant, Moment, Time};
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::AssetEntry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Between repeats up to so far apart the output is not given back.
const SHORT_GAP_MS: i64 = 60_000;
/// A mark outlives its notice, in case the clock is set back.
const REMEMBER_MS: i64 = 86_400_000;
/// Marks kept at a time: more than the gate lets in.
const MARKS: usize = 64;
/// Stands for "needed now" among first uses.
const NOW: UtcMs = UtcMs(0);

/// What a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// To be heard and seen.
    Urgent,
    /// To be answered, no more.
    Drill,
}

/// A judged and persisted notice or drill for this device.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Its id.
    pub jti: String,
    /// Whether it may sound and show.
    pub kind: NoticeKind,
    /// When it was made: its first repeat is due from then on.
    pub iat: UtcMs,
    /// Nothing of it begins from here on.
    pub exp: UtcMs,
    /// Why, for people.
    pub reason: String,
    /// What a board shows.
    pub text: String,
    /// What a loudspeaker plays.
    pub asset: Option<(Digest, AssetEntry)>,
    /// How often it sounds.
    pub times: u32,
    /// From the end of one repeat to the start of the next.
    pub gap_ms: i64,
    /// 0-100; no cap applies.
    pub volume: u8,
}

/// How a notice stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Something of it may still begin.
    #[default]
    Open,
    /// It is done, or its time is over.
    Over,
    /// It was taken back.
    Withdrawn,
}

/// What must survive of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeMark {
    /// Its id.
    pub jti: String,
    /// Repeats begun, the one that sounds included.
    pub begun: u32,
    /// When the next one is due.
    pub next: UtcMs,
    /// How it stands.
    pub fate: Fate,
    /// Results said of it.
    pub said: BTreeSet<String>,
    /// Until when it is remembered.
    pub until: UtcMs,
}

#[derive(Debug)]
pub(crate) struct Track {
    pub notice: Notice,
    pub mark: NoticeMark,
    /// The clock that never steps knows better than `mark.next` while the program runs.
    due_mono: Option<i64>,
    retry_mono: Option<i64>,
    /// Its asset was missing.
    waited: bool,
    /// It was ordered and nothing has failed since: its start will say that it came.
    ordered: bool,
}

/// All notices known.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    tracks: BTreeMap<String, Track>,
    /// Of notices that an earlier run knew and that did not come again yet.
    marks: BTreeMap<String, NoticeMark>,
}

impl Track {
    fn is_open(&self) -> bool {
        self.mark.fate == Fate::Open
    }

    fn may_begin(&self, now: Moment) -> bool {
        self.is_open()
            && self.notice.kind == NoticeKind::Urgent
            && now.utc < self.notice.exp
            && self.mark.begun < self.notice.times
    }

    fn is_due(&self, now: Moment) -> bool {
        let reached = match self.due_mono {
            Some(due) => now.mono_ms >= due,
            None => self.mark.begun == 0 || now.utc >= self.mark.next,
        };
        reached && self.retry_mono.is_none_or(|at| now.mono_ms >= at)
    }

    /// Notes a word; returns its record the first time.
    fn say(&mut self, result: &str) -> Option<Body> {
        let what = match self.notice.kind {
            NoticeKind::Urgent => "urgent",
            NoticeKind::Drill => "drill",
        };
        self.mark.said.insert(result.to_owned()).then(|| Body::Did {
            jti: self.notice.jti.clone(),
            what: what.to_owned(),
            result: result.to_owned(),
        })
    }
}

impl Notices {
    pub fn resume(marks: BTreeMap<String, NoticeMark>) -> Self {
        Self { tracks: BTreeMap::new(), marks }
    }

    /// Takes a notice; one that is known already changes nothing. `hears` tells a loudspeaker,
    /// whose repeats are counted, from a board, which shows a notice until its end.
    pub fn take(&mut self, notice: Notice, now: Moment, time: Time, hears: bool) {
        if self.tracks.contains_key(&notice.jti) {
            return;
        }
        if time != Time::Unknown {
            self.forget(now);
        }
        self.make_room();
        let jti = notice.jti.clone();
        let until = notice.exp.plus(REMEMBER_MS);
        let fresh = || NoticeMark {
            jti: jti.clone(),
            begun: 0,
            next: notice.iat,
            fate: Fate::Open,
            said: BTreeSet::new(),
            until,
        };
        let mut mark = self.marks.remove(&jti).unwrap_or_else(fresh);
        mark.until = mark.until.max(until);
        if hears && mark.begun >= notice.times && notice.kind == NoticeKind::Urgent {
            mark.fate = if mark.fate == Fate::Open { Fate::Over } else { mark.fate };
        }
        let track =
            Track { notice, mark, due_mono: None, retry_mono: None, waited: false, ordered: false };
        self.tracks.insert(jti, track);
    }

    fn forget(&mut self, now: Moment) {
        self.tracks.retain(|_, track| track.is_open() || now.utc < track.mark.until);
        self.marks.retain(|_, mark| now.utc < mark.until);
    }

    fn make_room(&mut self) {
        while self.tracks.len() + self.marks.len() >= MARKS {
            let mark = self.marks.iter().min_by_key(|(_, mark)| mark.until);
            if let Some(jti) = mark.map(|(jti, _)| jti.clone()) {
                self.marks.remove(&jti);
                continue;
            }
            let over = self.tracks.iter().min_by_key(|(_, t)| (t.is_open(), t.mark.until));
            let Some(jti) = over.map(|(jti, _)| jti.clone()) else { return };
            self.tracks.remove(&jti);
        }
    }

    /// Ends a notice for good; says whether it was known.
    pub fn withdraw(&mut self, jti: &str) -> bool {
        let track = self.tracks.get_mut(jti).map(|track| &mut track.mark);
        let Some(mark) = track.or_else(|| self.marks.get_mut(jti)) else { return false };
        mark.fate = Fate::Withdrawn;
        true
    }

    pub fn get(&self, jti: &str) -> Option<&Track> {
        self.tracks.get(jti)
    }

    pub fn is_withdrawn(&self, jti: &str) -> bool {
        self.tracks.get(jti).is_none_or(|track| track.mark.fate == Fate::Withdrawn)
    }

    /// The repeat that is due longest, if its asset is held. Due times of first repeats are the
    /// times of making: so several that wait come in that order.
    pub fn due(&self, now: Moment, time: Time, held: impl Fn(&Digest) -> bool) -> Option<&Track> {
        if time != Time::Fit {
            return None;
        }
        let playable = |t: &&Track| t.notice.asset.as_ref().is_some_and(|(name, _)| held(name));
        let due = self.tracks.values().filter(|t| t.may_begin(now) && t.is_due(now));
        due.filter(playable).min_by_key(|t| (t.mark.next, t.notice.iat, t.notice.jti.clone()))
    }

    /// The notice for whose next repeat the output is kept free.
    pub fn keeps_output(
        &self,
        now: Moment,
        time: Time,
        held: impl Fn(&Digest) -> bool,
    ) -> Option<&str> {
        let waits = |t: &&Track| {
            let begun = t.mark.begun > 0 && t.may_begin(now);
            let soon = t.due_mono.is_some_and(|due| due - now.mono_ms <= SHORT_GAP_MS);
            begun && soon && t.notice.gap_ms <= SHORT_GAP_MS && time == Time::Fit
        };
        let gap = self.tracks.values().find(waits).map(|t| t.notice.jti.as_str());
        gap.or_else(|| self.due(now, time, held).map(|t| t.notice.jti.as_str()))
    }

    /// Notices that a board shows now, oldest first.
    pub fn shown(&self, now: Moment, time: Time) -> Vec<&Track> {
        let may = |t: &&Track| {
            let known = time == Time::Fit || (t.mark.begun > 0 && time == Time::Drifted);
            known && t.is_open() && t.notice.kind == NoticeKind::Urgent && now.utc < t.notice.exp
        };
        let mut shown: Vec<_> = self.tracks.values().filter(may).collect();
        shown.sort_by_key(|t| (t.notice.iat, &t.notice.jti));
        shown
    }

    /// Counts a repeat that is about to begin; returns its number and since when it is due.
    pub fn begin(&mut self, jti: &str) -> Option<(u32, UtcMs)> {
        let track = self.tracks.get_mut(jti)?;
        track.mark.begun = track.mark.begun.saturating_add(1);
        Some((track.mark.begun, track.mark.next))
    }

    /// Gives a repeat back of which nothing sounded.
    pub fn give_back(&mut self, jti: &str, retry_mono: i64) {
        if let Some(track) = self.tracks.get_mut(jti) {
            track.mark.begun = track.mark.begun.saturating_sub(1);
            track.retry_mono = Some(retry_mono);
        }
    }

    /// Notes the end of a repeat: the next one is due after the gap.
    pub fn ended(&mut self, jti: &str, now: Moment) {
        let Some(track) = self.tracks.get_mut(jti) else { return };
        track.mark.next = now.utc.plus(track.notice.gap_ms);
        track.due_mono = Some(now.mono_ms.saturating_add(track.notice.gap_ms));
        if track.mark.begun >= track.notice.times && track.is_open() {
            track.mark.fate = Fate::Over;
        }
    }

    /// Says of a notice that its asset cannot be played.
    pub fn damaged(&mut self, jti: &str) -> Option<Body> {
        let track = self.tracks.get_mut(jti)?;
        track.waited = true;
        track.say("failed: damaged")
    }

    /// Notes that a board was ordered to show a notice.
    pub fn ordered(&mut self, jti: &str) {
        if let Some(track) = self.tracks.get_mut(jti) {
            track.ordered = true;
        }
    }

    /// Says of a notice that the output does not put it out; it is tried again until its end.
    pub fn unheard(&mut self, jti: &str, now: Moment) -> Option<Body> {
        let track = self.tracks.get_mut(jti).filter(|track| now.utc < track.notice.exp)?;
        track.ordered = false;
        track.say("failed: output")
    }

    /// Says what is to be said: what came, what is lacking and then there, what is over. `hears`
    /// tells a loudspeaker from a board.
    pub fn answers(
        &mut self,
        now: Moment,
        time: Time,
        hears: bool,
        held: impl Fn(&Digest) -> bool,
    ) -> Vec<Body> {
        let mut out = Vec::new();
        for track in self.tracks.values_mut().filter(|track| track.is_open()) {
            let drill = track.notice.kind == NoticeKind::Drill;
            if time != Time::Unknown && now.utc >= track.notice.exp {
                track.mark.fate = Fate::Over;
                if track.mark.begun == 0 {
                    out.extend(track.say("expired"));
                }
                continue;
            }
            if hears && track.notice.asset.is_none() {
                track.mark.fate = Fate::Over;
                out.extend(track.say("unsupported"));
                continue;
            }
            if track.mark.begun > 0 || track.ordered {
                continue;
            }
            let asset = track.notice.asset.as_ref().filter(|_| hears);
            let lacks = asset.is_some_and(|(name, _)| !held(name));
            if time != Time::Fit {
                out.extend(track.say("failed: clock"));
                track.waited |= lacks;
            } else if drill && !lacks {
                track.mark.fate = Fate::Over;
                out.extend(track.say("ready"));
            } else if lacks || !track.waited {
                let told = ["failed: clock", "failed: output"];
                if !told.iter().any(|word| track.mark.said.contains(*word)) {
                    out.extend(track.say("received"));
                }
                track.waited |= lacks;
            } else {
                out.extend(track.say("fetched"));
            }
        }
        out
    }

    /// The assets of notices that are not over: needed now, and never thrown away.
    pub fn wants(&self) -> Vec<AssetWant> {
        let open = self.tracks.values().filter(|track| track.is_open());
        open.filter_map(|track| track.notice.asset.clone())
            .map(|(asset, entry)| AssetWant { asset, entry, first: Some(NOW), last: None })
            .collect()
    }

    pub fn marks(&self) -> Vec<NoticeMark> {
        self.tracks.values().map(|track| &track.mark).chain(self.marks.values()).cloned().collect()
    }
}

/// The name under which a board counts the showings of a notice.
pub(crate) fn board_id(jti: &str) -> CueId {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(format!("notice\n{jti}").as_bytes()).0[..16]);
    CueId(id)
}
