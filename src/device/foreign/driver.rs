//! The loop of one foreign device: orders and words in, messages out. Decides nothing.

use super::desk::{Desk, Names, Outcome};
use super::evidence::Keeper;
use super::exchange::{LinkState, Member};
use super::leaf::{Canvas, Leaf, NoLeaf};
use super::line::{Line, LineEvent};
use super::pixels::PixelSocket;
use super::sound::Sound;
use super::web::{Web, WebAnswer, WebRequest};
use super::{Clips, Seen, sounds_here};
use crate::clock::{SharedClock, Sleep};
use crate::device::executor::{self, Moment};
use crate::device::hardware::Stage;
use crate::dialect::machine::{Action, Device, Event, Order, Why};
use crate::dialect::model::Dialect;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::playlist::Page;
use crate::domain::time::{LocalOffset, UtcMs};
use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Who waits for an instant of the wall clock looks at it so often: it may be set.
const LOOK_MS: i64 = 1_000;
/// So long a device that is let go may take to hear it.
const GOODBYE_MS: i64 = 2_000;

/// Drives one foreign device as long as it is run.
#[derive(Debug)]
pub struct Driver {
    pub(super) id: DeviceId,
    pub(super) dialect: Arc<Dialect>,
    pub(super) machine: Device,
    pub(super) clock: SharedClock,
    pub(super) stage: Stage,
    pub(super) clips: Arc<dyn Clips>,
    pub(super) slots: BTreeMap<Digest, String>,
    pub(super) canvas: Option<Canvas>,
    pub(super) roads: Roads,
    pub(super) sound: Sound,
    pub(super) keeper: Keeper,
    pub(super) seen: watch::Sender<Seen>,
}

/// What leads to the device; each that its transport does not use is absent.
#[derive(Debug, Default)]
pub(super) struct Roads {
    pub member: Option<Member>,
    pub line: Option<Line>,
    pub web: Option<Web>,
    pub pixels: Option<PixelSocket>,
}

/// What happened on some road.
#[derive(Debug)]
enum Heard {
    Link(LinkState),
    Machine(Event),
    /// The road is gone and nothing will be heard on it.
    Closed,
}

impl Roads {
    /// Waits for whatever comes first.
    async fn next(&mut self) -> Heard {
        let Self { member, line, web, .. } = self;
        tokio::select! {
            heard = by_broker(member) => heard,
            event = by_line(line) => match event {
                Some(LineEvent::Up) => Heard::Machine(Event::Connected),
                Some(LineEvent::Down) => Heard::Machine(Event::Disconnected),
                Some(LineEvent::Line(bytes)) => Heard::Machine(Event::Line(bytes)),
                None => {
                    *line = None;
                    Heard::Closed
                }
            },
            WebAnswer { request, answer } = by_web(web) => {
                Heard::Machine(Event::Answer { request, answer })
            }
        }
    }
}

async fn by_broker(member: &mut Option<Member>) -> Heard {
    let Some(known) = member else { return pending().await };
    let mut state = known.state.clone();
    let heard = tokio::select! {
        biased;
        changed = state.changed() => {
            changed.ok().map(|()| Heard::Link(*known.state.borrow_and_update()))
        }
        letter = known.next() => letter.map(|letter| Heard::Machine(Event::Message {
            topic: letter.topic.to_string(),
            payload: letter.payload.to_vec(),
            retained: letter.retained,
        })),
    };
    heard.unwrap_or_else(|| {
        *member = None;
        Heard::Closed
    })
}

async fn by_line(line: &mut Option<Line>) -> Option<LineEvent> {
    match line {
        Some(line) => line.events.recv().await,
        None => pending().await,
    }
}

async fn by_web(web: &mut Option<Web>) -> WebAnswer {
    let Some(web) = web else { return pending().await };
    match web.answers.recv().await {
        Some(answer) => {
            web.open = web.open.saturating_sub(1);
            answer
        }
        None => pending().await, // it holds the other end itself
    }
}

/// What the loop keeps in mind besides its parts.
struct Mind {
    desk: Desk,
    link: LinkState,
    /// When the machine wants to be woken, on the clock that never steps.
    wake: Option<i64>,
    /// The last trouble that was told, so that it is told once.
    trouble: Option<String>,
}

impl Driver {
    /// Drives the device until `stop` is cancelled or its device's loop is gone; what runs is
    /// ended then.
    pub async fn run(mut self, stop: CancellationToken) {
        if sounds_here(&self.dialect) {
            self.sound.open();
        }
        let mut mind =
            Mind { desk: Desk::default(), link: LinkState::default(), wake: None, trouble: None };
        loop {
            let timer = self.timer(&mind);
            // What must end goes first, whatever the device says meanwhile.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                order = self.stage.orders.recv() => match order {
                    Some(order) => self.obey(&mut mind, order).await,
                    None => break,
                },
                Some((token, says)) = self.sound.next() => {
                    self.step(&mut mind, Event::Sink { token, says }).await;
                }
                () = timer => self.look(&mut mind).await,
                heard = self.roads.next() => match heard {
                    Heard::Link(state) => self.link(&mut mind, state).await,
                    Heard::Machine(event) => self.step(&mut mind, event).await,
                    Heard::Closed => {
                        mind.link.up = false;
                        self.step(&mut mind, Event::Disconnected).await;
                    }
                },
            }
        }
        self.leave(&mut mind).await;
    }

    fn moment(&self) -> Moment {
        Moment { utc: self.clock.now(), mono_ms: self.clock.mono_ms() }
    }

    /// Waits for the machine's instant, or for the next play's.
    fn timer(&self, mind: &Mind) -> Sleep {
        let now = self.moment();
        let wake = mind.wake.map(|at| at.saturating_sub(now.mono_ms));
        let due = mind.desk.next_due().map(|at| at.since(now.utc).min(LOOK_MS));
        match [wake, due].into_iter().flatten().min() {
            Some(wait) => self.clock.sleep(wait.max(0)),
            None => Box::pin(pending()),
        }
    }

    /// Time passed: begins what is due, and wakes the machine.
    async fn look(&mut self, mind: &mut Mind) {
        let now = self.moment();
        loop {
            let order = {
                let url = |asset: &Digest| self.clips.url(asset);
                mind.desk.due(now, &Names { url: &url, slots: &self.slots })
            };
            let Some(order) = order else { break };
            self.step(mind, Event::Order(order)).await;
        }
        if mind.wake.is_some_and(|at| now.mono_ms >= at) {
            mind.wake = None;
            self.step(mind, Event::Tick).await;
        }
    }

    async fn link(&mut self, mind: &mut Mind, state: LinkState) {
        let before = std::mem::replace(&mut mind.link, state);
        if before.up && (!state.up || before.number != state.number) {
            self.step(mind, Event::Disconnected).await;
        }
        if state.up && (!before.up || before.number != state.number) {
            self.step(mind, Event::Connected).await;
        }
    }

    async fn obey(&mut self, mind: &mut Mind, order: executor::Action) {
        let now = self.moment();
        let draw = |page: &Page, at: UtcMs, local: &[LocalOffset]| {
            draw(self.canvas.as_ref(), &self.dialect, page, at, local)
        };
        let outcome = mind.desk.ordered(now, order, &draw);
        for order in self.settle(mind, outcome).await {
            self.step(mind, Event::Order(order)).await;
        }
    }

    /// Hands an event to the machine, does what it says, and whatever comes of that.
    async fn step(&mut self, mind: &mut Mind, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.moment();
            for action in self.machine.step(now.mono_ms, event) {
                let subject = token(&action).and_then(|token| mind.desk.subject(token));
                let at = |ms: i64| now.utc.plus(ms.min(now.mono_ms).saturating_sub(now.mono_ms));
                self.keeper.told(&action, subject, at);
                let draw = |page: &Page, at: UtcMs, local: &[LocalOffset]| {
                    draw(self.canvas.as_ref(), &self.dialect, page, at, local)
                };
                let outcome = mind.desk.told(now, &action, &draw);
                events.extend(self.settle(mind, outcome).await.into_iter().map(Event::Order));
                self.act(mind, action, &mut events).await;
            }
        }
    }

    /// Tells the executor and people; returns what the machine is to be ordered.
    async fn settle(&mut self, mind: &mut Mind, outcome: Outcome) -> Vec<Order> {
        for trouble in outcome.troubles {
            if mind.trouble.as_ref() != Some(&trouble.says) {
                let (id, hint) = (&self.id, &trouble.hint);
                tracing::warn!(device.id = %id, error = trouble.says, hint, "`{id}` does not play");
                mind.trouble = Some(trouble.says.clone());
                self.seen.send_modify(|seen| seen.trouble = Some(trouble.says));
            }
        }
        for event in outcome.events {
            if matches!(event, executor::Event::Started { .. }) && mind.trouble.take().is_some() {
                self.seen.send_modify(|seen| seen.trouble = None);
            }
            // The device's loop ended: nobody needs to hear it.
            let _ = self.stage.events.send(event).await;
        }
        outcome.orders
    }

    async fn act(&mut self, mind: &mut Mind, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Subscribe { topics } => {
                if let Some(member) = &self.roads.member {
                    member.subscribe(self.id.as_str(), topics);
                }
            }
            Action::Publish { topic, payload, retain, .. } => {
                if let Some(member) = &self.roads.member
                    && let Err(error) = member.publish(topic, payload, retain).await
                {
                    // The line is down, which is told apart, or the broker hangs: then no answer
                    // comes, and the machine draws its conclusion.
                    tracing::debug!(device.id = %self.id, %error, "A message is lost");
                }
            }
            Action::Http { request, method, url, body, within_ms } => match &mut self.roads.web {
                Some(web) => web.send(WebRequest { request, method, url, body, within_ms }),
                None => events.push_back(Event::Answer { request, answer: None }),
            },
            Action::Line { bytes } => {
                if let Some(line) = &self.roads.line
                    && line.writes.try_send(bytes).is_err()
                {
                    tracing::debug!(device.id = %self.id, "A line is lost: too many wait");
                }
            }
            Action::Datagrams { packets } => {
                if let Some(pixels) = &mut self.roads.pixels {
                    pixels.send(&packets, self.clock.mono_ms()).await;
                }
            }
            Action::Sound { token, sha256, volume, length_ms } => {
                let gain_cb = mind.desk.playing(token).map_or(0, |order| order.gain_cb);
                let path = self.clips.path(&sha256);
                let now = self.clock.now();
                let says = self.sound.play(token, path, now, gain_cb, volume, length_ms);
                events.extend(says.map(|says| Event::Sink { token, says }));
            }
            Action::Silence { token } => self.sound.end(token),
            Action::Wake { at_ms } => mind.wake = Some(at_ms),
            Action::Presence(present) => {
                let id = &self.id;
                tracing::info!(device.id = %id, ?present, "Whether `{id}` is there");
                self.seen.send_modify(|seen| seen.present = present);
            }
            Action::Firmware { said, expected } => {
                if !expected {
                    let id = &self.id;
                    tracing::warn!(device.id = %id, firmware = said,
                        "`{id}` has a firmware that its profile was not written for");
                }
                self.seen.send_modify(|seen| seen.firmware = Some((said, expected)));
            }
            Action::Evidence(_) | Action::Started { .. } | Action::Ended { .. } => {}
            Action::Failed { why, .. } => {
                if matches!(why, Why::Offline) {
                    tracing::debug!(device.id = %self.id, "Not there");
                }
            }
        }
    }

    /// Ends what runs, darkens the board, and gives the last messages a moment to leave.
    async fn leave(&mut self, mind: &mut Mind) {
        let orders = mind.desk.leave(self.canvas.is_some());
        for order in orders {
            self.step(mind, Event::Order(order)).await;
        }
        let until = self.clock.mono_ms().saturating_add(GOODBYE_MS);
        loop {
            let left = until.saturating_sub(self.clock.mono_ms());
            let waits =
                self.machine.is_ending() || self.roads.web.as_ref().is_some_and(|w| w.open > 0);
            if left <= 0 || !waits {
                return;
            }
            let timer = match mind.wake {
                Some(at) => {
                    self.clock.sleep(at.saturating_sub(self.clock.mono_ms()).clamp(0, left))
                }
                None => self.clock.sleep(left),
            };
            tokio::select! {
                () = timer => self.look(mind).await,
                heard = self.roads.next() => match heard {
                    Heard::Machine(event) => self.step(mind, event).await,
                    Heard::Link(_) | Heard::Closed => return,
                },
            }
        }
    }
}

fn draw(
    canvas: Option<&Canvas>,
    dialect: &Dialect,
    page: &Page,
    at: UtcMs,
    local: &[LocalOffset],
) -> Result<Vec<Leaf>, NoLeaf> {
    let canvas = canvas.ok_or(NoLeaf::Dialect(Why::Unsupported))?;
    canvas.leaves(dialect, page, at, local)
}

/// Which play or page an action is about.
fn token(action: &Action) -> Option<u64> {
    match action {
        Action::Evidence(piece) => piece.token,
        Action::Started { token, .. }
        | Action::Ended { token, .. }
        | Action::Failed { token, .. } => Some(*token),
        _ => None,
    }
}
