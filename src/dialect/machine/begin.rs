//! Begins plays and pages: chooses the way, fills the messages, puts them into the row.

use super::event::{Action, EndedBy, PlayOrder, Present, ShowOrder, Why};
use super::outbox::{Parcel, Wire};
use super::running::{Running, StartBy, Subject};
use super::{Device, Quiet};
use crate::dialect::field::{Field, Verb};
use crate::dialect::model::{
    ClipAddress, Correlation, Dialect, Fallback, Means, Step, Transport, What,
};
use crate::dialect::render::RenderError;
use crate::dialect::words::Refused;

/// How a page goes to a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the text it is.
    Text,
    /// As text without diacritics.
    Stripped(String),
    /// As pixels.
    Frame,
}

impl Dialect {
    /// Chooses how a page goes to the board, or says why it cannot. `loa check` asks the same, so
    /// that a text is refused before air and not on it.
    pub fn way(&self, text: Option<&str>, drawn: bool) -> Result<Way, Why> {
        let texts = !self.steps(Verb::ShowText).is_empty();
        let frames = drawn && !self.steps(Verb::ShowFrame).is_empty();
        let Some(text) = text.filter(|_| texts) else {
            return if frames { Ok(Way::Frame) } else { Err(Why::Unsupported) };
        };
        let refused: Refused = match self.limits.judge(text) {
            Ok(()) => return Ok(Way::Text),
            Err(refused) => refused,
        };
        match self.fallback {
            Fallback::Frame if frames => Ok(Way::Frame),
            Fallback::Strip => Ok(Way::Stripped(self.limits.stripped(text)?)),
            Fallback::Frame | Fallback::Refuse => Err(refused.into()),
        }
    }
}

impl Device {
    pub(super) fn play(&mut self, order: PlayOrder, out: &mut Vec<Action>) {
        let token = order.token;
        let mut subject = Subject::of_play(&order);
        let late = order.offset_ms > self.dialect.timing.late_ms;
        let why = if self.dialect.steps(Verb::PlayClip).is_empty() {
            Some(Why::Unsupported)
        } else if late || order.end_ms <= self.now || order.length_ms <= 0 {
            Some(Why::Late)
        } else {
            self.unreachable()
        };
        let settings = &self.settings;
        if let Some(ClipAddress::File(path)) = &self.dialect.clips {
            subject.file = path.render_text(&subject.values(settings, None)).ok();
        }
        // The old one ends first, also when the new one then fails: one output, one order.
        self.replace(out);
        let parcels = match why {
            Some(why) => Err(why),
            None => self.start_parcels(token, Verb::PlayClip, &subject),
        };
        let running = Running {
            token,
            plays: true,
            start_by: self.start_by(Verb::PlayClip),
            start_until_ms: self.now.saturating_add(self.dialect.timing.start_ms),
            length_ms: order.length_ms,
            end_ms: order.end_ms,
            first_left_ms: None,
            unanswered: 0,
            began_ms: None,
            heard_start: false,
            grade: 0,
            pieces: 0,
            sounding: false,
            probe_ms: None,
            stripped: false,
            subject,
        };
        self.begin(running, parcels, out);
    }

    pub(super) fn show(&mut self, order: ShowOrder, out: &mut Vec<Action>) {
        let token = order.token;
        let mut subject = Subject::of_show(&order);
        let way = if order.until_ms <= self.now || order.dwell_ms <= 0 {
            Err(Why::Late)
        } else if let Some(why) = self.unreachable() {
            Err(why)
        } else {
            self.dialect.way(order.text.as_deref(), order.frame.is_some())
        };
        let stripped = matches!(way, Ok(Way::Stripped(_)));
        let verb = if way == Ok(Way::Frame) { Verb::ShowFrame } else { Verb::ShowText };
        if let Ok(Way::Stripped(plain)) = &way {
            subject.text = Some(plain.clone());
        }
        self.replace(out);
        let parcels = way.and_then(|_| self.start_parcels(token, verb, &subject));
        let running = Running {
            token,
            plays: false,
            start_by: self.start_by(verb),
            start_until_ms: self.now.saturating_add(self.dialect.timing.start_ms),
            length_ms: order.dwell_ms,
            end_ms: order.until_ms,
            first_left_ms: None,
            unanswered: 0,
            began_ms: None,
            heard_start: false,
            grade: 0,
            pieces: 0,
            sounding: false,
            probe_ms: None,
            stripped,
            subject,
        };
        self.begin(running, parcels, out);
    }

    fn begin(
        &mut self,
        mut running: Running,
        parcels: Result<Vec<Parcel>, Why>,
        out: &mut Vec<Action>,
    ) {
        match parcels {
            Ok(parcels) => {
                running.unanswered =
                    u32::try_from(parcels.iter().filter(|p| p.id.is_some()).count()).unwrap_or(0);
                self.running = Some(running);
                self.outbox.put_all(parcels);
            }
            Err(why) => out.push(Action::Failed { token: running.token, why, grade: 0 }),
        }
    }

    /// Ends what runs because another order comes. A page gives way without a word; a play is
    /// stopped, or two sound at once.
    fn replace(&mut self, out: &mut Vec<Action>) {
        if self.running.is_some() {
            let plays = self.running.as_ref().is_some_and(|running| running.plays);
            let quiet = if plays { Quiet::Send } else { Quiet::After };
            self.end(EndedBy::Replaced, Why::Replaced, quiet, out);
        }
    }

    fn unreachable(&self) -> Option<Why> {
        (!self.linked || self.present == Present::Offline).then_some(Why::Offline)
    }

    /// Says how a start of that kind becomes known.
    fn start_by(&self, verb: Verb) -> StartBy {
        let steps = self.dialect.steps(verb);
        if steps.iter().any(|step| step.what == What::Sound) {
            StartBy::Sink
        } else if verb == Verb::PlayClip && self.dialect.tells(Means::Started) {
            StartBy::Event
        } else if steps.iter().any(|step| self.awaits_answer(&step.what)) {
            StartBy::Answers
        } else {
            StartBy::Leaving
        }
    }

    /// Fills the messages of a start: the volume first, where the play does not carry it.
    fn start_parcels(
        &mut self,
        token: u64,
        verb: Verb,
        subject: &Subject,
    ) -> Result<Vec<Parcel>, Why> {
        let mut parcels = Vec::new();
        let carried = self.dialect.steps(verb).iter().any(|step| step.names(Field::Volume));
        if verb == Verb::PlayClip && !carried {
            parcels.extend(self.parcels(Verb::Volume, subject, Some(token))?);
        }
        parcels.extend(self.parcels(verb, subject, Some(token))?);
        Ok(parcels)
    }

    /// Puts the messages of an action into the row; newer ones replace those that wait.
    pub(super) fn tell(&mut self, verb: Verb, subject: Subject) {
        if let Ok(parcels) = self.parcels(verb, &subject, None) {
            if !parcels.is_empty() && matches!(verb, Verb::Volume | Verb::Brightness | Verb::Probe)
            {
                self.outbox.drop_verb(verb);
                self.never_again(&[verb]);
            }
            self.outbox.put_all(parcels);
        }
    }

    /// Fills the messages of an action.
    pub(super) fn parcels(
        &mut self,
        verb: Verb,
        subject: &Subject,
        starts: Option<u64>,
    ) -> Result<Vec<Parcel>, RenderError> {
        let dialect = self.dialect.clone();
        let mut parcels = Vec::new();
        for step in dialect.steps(verb) {
            let awaits = self.awaits_answer(&step.what);
            if awaits || step.names(Field::Id) {
                self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            }
            let id = self.next_id;
            let values = subject.values(&self.settings, Some(id));
            let wire = match &step.what {
                What::Publish { topic, payload, qos, retain } => Wire::Publish {
                    topic: topic.render_text(&values)?,
                    payload: payload.render(&values)?,
                    qos: *qos,
                    retain: *retain,
                },
                What::Http { method, path, body } => Wire::Http {
                    method: *method,
                    url: format!("{}{}", self.base, path.render_text(&values)?),
                    body: match body {
                        Some((body, kind)) => Some((body.render(&values)?, *kind)),
                        None => None,
                    },
                },
                What::Line { bytes } => Wire::Line { bytes: bytes.render(&values)? },
                What::Pixels => Wire::Pixels,
                What::Sound => Wire::Sound,
            };
            parcels.push(Parcel {
                wire,
                verb,
                starts,
                queued_ms: self.now,
                delay_ms: step.delay_ms,
                again: step.again,
                tries: 0,
                id: awaits.then_some(id),
            });
        }
        Ok(parcels)
    }

    /// Says whether the device answers such a message so that we know which one it means.
    fn awaits_answer(&self, what: &What) -> bool {
        match (what, &self.dialect.correlation) {
            (What::Http { .. }, _) | (What::Line { .. }, Correlation::Order) => true,
            (What::Publish { payload, .. }, Correlation::Id { .. }) => payload.names(Field::Id),
            _ => false,
        }
    }

    /// Says whether messages must wait for each other's answers, because only their order tells
    /// which answer is whose, or nothing else keeps them in order.
    pub(super) fn one_by_one(&self) -> bool {
        matches!(self.dialect.transport, Transport::Http { .. })
            || self.dialect.correlation == Correlation::Order
    }
}

impl Step {
    fn names(&self, field: Field) -> bool {
        match &self.what {
            What::Publish { payload, topic, .. } => payload.names(field) || topic.names(field),
            What::Http { path, body, .. } => {
                path.names(field) || body.as_ref().is_some_and(|(body, _)| body.names(field))
            }
            What::Line { bytes } => bytes.names(field),
            What::Pixels => false,
            // Our own output is told the volume.
            What::Sound => field == Field::Volume,
        }
    }
}
