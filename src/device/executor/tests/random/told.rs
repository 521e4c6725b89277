//! What a board was told in a random day, and what may therefore stand on it.

use super::super::board::page;
use super::*;

/// What stands when nothing else does, the board's name, and the texts of the notices there are.
pub const IDLE: &str = "UBND XÃ";
pub const NAME: &str = "bang-cong-1";
pub const TEXTS: [&str; 3] = ["LŨ", "BÃO", "CHÁY"];

fn text_of(sheet: &DaySheet, cue: &Cue) -> Option<String> {
    let SheetItem::Pages { pages, .. } = &sheet.items[&cue.item] else { return None };
    Some(pages[0].text.clone())
}

/// What was told to the device: all that the judge goes by.
pub struct Told {
    pub sheet: Arc<DaySheet>,
    pub idle: bool,
    pub time: Time,
    pub notices: BTreeMap<usize, Notice>,
    pub withdrawn: BTreeSet<usize>,
    pub holds: BTreeMap<usize, HoldOrder>,
    /// Cues that a command ended for good.
    pub stopped: BTreeSet<CueId>,
    /// Notices that stood before: these go on by a clock that may be a little wrong.
    pub begun: BTreeSet<usize>,
    /// Notices whose end was seen: a clock set back does not bring them again.
    pub over: BTreeSet<usize>,
    /// Cues that have their word already: when a later plan prolongs them they may stay away.
    pub worded: BTreeSet<CueId>,
}

impl Told {
    pub fn events(&self) -> Vec<Event> {
        let holds = self.holds.values().cloned().map(Event::Hold);
        let gone = |id: &usize| Event::Withdraw { jti: TEXTS[*id].to_owned() };
        let notices = self.notices.values().cloned().map(|n| Event::Notice(Box::new(n)));
        holds.chain(self.withdrawn.iter().map(gone)).chain(notices).collect()
    }

    pub fn timetable(&self) -> Event {
        let idle = self.idle.then(|| page(IDLE));
        Event::Timetable(Schedule { idle, ..schedule(&[&self.sheet]) })
    }

    pub fn held(&self, clock: UtcMs) -> bool {
        let holds = |hold: &HoldOrder| {
            hold.until.is_some_and(|until| self.time == Time::Unknown || clock < until)
        };
        self.holds.values().any(holds)
    }

    /// Texts of the notices that must stand now.
    fn calling(&self, clock: UtcMs) -> Vec<&str> {
        let over = |text: &&str| !self.over.iter().any(|id| TEXTS[*id] == *text);
        self.urgent(clock).into_iter().filter(over).collect()
    }

    /// Notes the notices whose end a device that knows the time sees.
    pub fn pass(&mut self, clock: UtcMs) {
        let ended = self.notices.iter().filter(|(_, notice)| notice.exp <= clock);
        if self.time != Time::Unknown {
            self.over.extend(ended.map(|(id, _)| *id));
        }
    }

    /// Texts of the notices that may stand now.
    pub fn urgent(&self, clock: UtcMs) -> Vec<&str> {
        let may = |(id, notice): &(&usize, &Notice)| {
            let known = match self.time {
                Time::Fit => true,
                Time::Drifted => self.begun.contains(id),
                Time::Unknown => false,
            };
            known
                && notice.kind == NoticeKind::Urgent
                && clock < notice.exp
                && !self.withdrawn.contains(id)
        };
        self.notices.iter().filter(may).map(|(_, notice)| notice.text.as_str()).collect()
    }

    /// Texts of the cues that must stand now, in turn.
    fn wanted(&self, clock: UtcMs) -> Vec<String> {
        self.due(clock, |cue| !self.worded.contains(&cue.id))
    }

    /// Texts of the cues whose slot it is.
    fn due(&self, clock: UtcMs, which: impl Fn(&&Cue) -> bool) -> Vec<String> {
        if self.time != Time::Fit || self.held(clock) {
            return Vec::new();
        }
        let cues = self.sheet.cues.iter();
        cues.filter(|cue| cue.at_ms <= clock && clock < cue.end_ms)
            .filter(|cue| !self.stopped.contains(&cue.id))
            .filter(which)
            .filter_map(|cue| text_of(&self.sheet, cue))
            .collect()
    }

    /// Says what is wrong with what stands on the wall.
    pub fn fault(&self, stands: Option<&str>, clock: UtcMs) -> Option<String> {
        let stands = stands?;
        let urgent = self.urgent(clock);
        if TEXTS.contains(&stands) {
            return (!urgent.contains(&stands)).then(|| format!("`{stands}` is over"));
        }
        let calling = self.calling(clock);
        if !calling.is_empty() {
            return Some(format!("`{stands}` while {calling:?} should stand"));
        }
        if self.held(clock) {
            return Some(format!("`{stands}` in a hold"));
        }
        let (due, wanted) = (self.due(clock, |_| true), self.wanted(clock));
        match stands {
            IDLE | NAME if wanted.is_empty() => None,
            IDLE | NAME => Some(format!("`{stands}` while {wanted:?} is due")),
            cue => {
                (!due.iter().any(|text| text == cue)).then(|| format!("`{cue}` beside its slot"))
            }
        }
    }

    /// Says whether something should stand.
    pub fn wants(&self, clock: UtcMs) -> bool {
        let cues = self.wanted(clock);
        let idle = self.idle && !self.held(clock);
        !self.calling(clock).is_empty() || !cues.is_empty() || idle
    }

    /// Cues that a command ends for good now; one that is refused for want of time, for a notice
    /// or for a hold ends none.
    pub fn stoppable(&self, clock: UtcMs) -> BTreeSet<CueId> {
        if self.time != Time::Fit || self.held(clock) || !self.urgent(clock).is_empty() {
            return BTreeSet::new();
        }
        let cues = self.sheet.cues.iter();
        cues.filter(|cue| cue.at_ms <= clock && clock < cue.end_ms).map(|cue| cue.id).collect()
    }
}
