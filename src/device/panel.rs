//! Drives a board: one thread that turns pages into frames and holds each for its time.
//!
//! A pass is reported when its first frame stands and when it ends, with what was really shown;
//! the last frame stands until the next order or [`Panel::blank`]. A board that fails ends the
//! pass with what was shown so far. What an output forgets by itself is told again while it
//! stands, by this very thread: one that hangs keeps no old page alive.

use super::board::Output;
use super::executor::{Event, PassEnd, ShowOrder};
use super::props::Props;
use crate::clock::SharedClock;
use crate::domain::profile::BoardProfile;
use crate::raster::{Board, Design, Faces, Pass, Scene, Shown};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Orders that may wait.
const QUEUE: usize = 16;
/// How often a standing frame looks at the clock.
const LOOK: Duration = Duration::from_millis(100);
/// After a failure nothing is told again for so long.
const RETRY_MS: i64 = 5_000;

#[derive(Debug)]
enum Command {
    Show(ShowOrder),
    Blank,
}

/// The loop's handle; dropping it ends the thread.
#[derive(Debug)]
pub struct Panel {
    commands: SyncSender<Command>,
}

/// The board's thread does not take the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the board does not answer")]
pub struct PanelGone;

impl Panel {
    /// Starts the thread.
    pub fn start(
        output: Box<dyn Output>,
        profile: BoardProfile,
        clock: SharedClock,
        props: Props,
        events: Sender<Event>,
    ) -> std::io::Result<Self> {
        let (commands, orders) = sync_channel(QUEUE);
        std::thread::Builder::new().name("board".to_owned()).spawn(move || {
            let (board, faces) = (Board::from(&profile), Faces::of_profile(&profile));
            let (failing, told_mono) = (false, clock.mono_ms());
            Thread { output, board, faces, clock, props, events, failing, told_mono }.run(&orders);
        })?;
        Ok(Self { commands })
    }

    /// Shows one pass; ends the one before.
    pub fn show(&self, order: ShowOrder) -> Result<(), PanelGone> {
        self.commands.try_send(Command::Show(order)).map_err(|_| PanelGone)
    }

    /// Turns all pixels off; ends the pass.
    pub fn blank(&self) -> Result<(), PanelGone> {
        self.commands.try_send(Command::Blank).map_err(|_| PanelGone)
    }
}

struct Thread {
    output: Box<dyn Output>,
    board: Board,
    faces: Faces,
    clock: SharedClock,
    props: Props,
    events: Sender<Event>,
    failing: bool,
    /// When the output was last told something, by the clock that never steps.
    told_mono: i64,
}

enum Held {
    Whole,
    Over,
    Interrupted(Option<Command>),
}

impl Thread {
    fn run(mut self, orders: &Receiver<Command>) {
        let mut next = self.idle(orders);
        while let Some(command) = next.take() {
            match command {
                Command::Blank => {
                    let blanked = self.output.blank();
                    self.note(blanked);
                    next = self.idle(orders);
                }
                Command::Show(order) => {
                    let token = order.token;
                    if let Ok(newer) = orders.try_recv() {
                        // A board that hung must not flash what was ordered while it did.
                        let from = self.clock.now();
                        let pass =
                            PassEnd { from, to: from, shown_ms: 0, whole: false, frame: None };
                        if self.events.blocking_send(Event::Passed { token, pass }).is_err() {
                            return;
                        }
                        next = Some(newer);
                        continue;
                    }
                    let (pass, then) = self.pass(&order, orders);
                    if self.events.blocking_send(Event::Passed { token, pass }).is_err() {
                        return;
                    }
                    next = match then {
                        Held::Interrupted(command) => command,
                        Held::Whole | Held::Over => self.idle(orders),
                    };
                }
            }
        }
        if let Err(error) = self.output.end() {
            tracing::debug!(error = %error, "The board was not told that this is the end");
        }
    }

    /// Waits for an order; what stands, or the dark, is told again meanwhile.
    fn idle(&mut self, orders: &Receiver<Command>) -> Option<Command> {
        loop {
            let Some(wait) = self.refresh_wait() else { return orders.recv().ok() };
            match orders.recv_timeout(wait) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Timeout) => {
                    self.refresh();
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// How long what was told last holds.
    fn refresh_wait(&self) -> Option<Duration> {
        let every = self.output.refresh_ms()?;
        let every = if self.failing { every.max(RETRY_MS) } else { every };
        let since = self.clock.mono_ms().saturating_sub(self.told_mono);
        Some(Duration::from_millis(every.saturating_sub(since).max(0).unsigned_abs()))
    }

    /// Tells again what stands, when it is time; says whether that went well.
    fn refresh(&mut self) -> bool {
        if self.refresh_wait().is_none_or(|wait| !wait.is_zero()) {
            return true;
        }
        let told = self.output.refresh();
        self.note(told)
    }

    /// Shows the pages once, until the end, an error or the next order.
    fn pass(&mut self, order: &ShowOrder, orders: &Receiver<Command>) -> (PassEnd, Held) {
        let from = self.clock.now();
        let begun = self.clock.mono_ms();
        let mut first = None;
        let mut held = Held::Whole;
        'pages: for page in &order.pages {
            let design = Design::from(page);
            let mut scene = Scene::with(self.clock.now(), order.local.clone());
            scene.readings = self.props.readings();
            let (board, faces) = (self.board.clone(), self.faces.clone());
            let page = Pass::new(&design, &board, &faces, &scene);
            for shown in page.frames() {
                let Shown { frame, hold_ms, .. } = shown;
                if self.clock.now() >= order.until {
                    held = Held::Over;
                    break 'pages;
                }
                let shown = self.output.show(&frame, hold_ms);
                if !self.note(shown) {
                    held = Held::Over;
                    break 'pages;
                }
                if first.is_none() {
                    first = Some(frame.hash());
                    // Whoever does not listen any more does not hear of the end either.
                    let (token, at) = (order.token, self.clock.now());
                    let _ = self.events.blocking_send(Event::Started { token, at });
                }
                held = self.hold(hold_ms, order, orders);
                if !matches!(held, Held::Whole) {
                    break 'pages;
                }
            }
        }
        let shown_ms = if first.is_some() { self.clock.mono_ms() - begun } else { 0 };
        let whole = matches!(held, Held::Whole);
        (PassEnd { from, to: from.plus(shown_ms), shown_ms, whole, frame: first }, held)
    }

    fn hold(&mut self, hold_ms: i64, order: &ShowOrder, orders: &Receiver<Command>) -> Held {
        let end = self.clock.mono_ms().saturating_add(hold_ms);
        loop {
            let left = end.saturating_sub(self.clock.mono_ms());
            if left <= 0 {
                return Held::Whole;
            }
            let until = order.until.since(self.clock.now());
            if until <= 0 {
                return Held::Over;
            }
            let wait = Duration::from_millis(left.min(until).unsigned_abs()).min(LOOK);
            let wait = self.refresh_wait().map_or(wait, |again| wait.min(again));
            match orders.recv_timeout(wait) {
                Ok(command) => return Held::Interrupted(Some(command)),
                Err(RecvTimeoutError::Timeout) if self.refresh() => {}
                Err(RecvTimeoutError::Timeout) => return Held::Over,
                Err(RecvTimeoutError::Disconnected) => return Held::Interrupted(None),
            }
        }
    }

    /// Logs the first failure of a row; says whether it went well.
    fn note(&mut self, result: Result<(), super::board::OutputError>) -> bool {
        self.told_mono = self.clock.mono_ms();
        match result {
            Ok(()) => {
                self.failing = false;
                true
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(error = %error, hint = error.hint(), "The board shows nothing");
                }
                self.failing = true;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::ids::CueId;
    use crate::domain::playlist::Page;
    use std::sync::Arc;

    fn order(token: u64, until_ms: i64, clock: &SystemClock) -> ShowOrder {
        let page = Page::still("Đài", 600_000);
        let until = clock.now().plus(until_ms);
        ShowOrder { token, cue: CueId([0; 16]), pages: vec![page], local: Vec::new(), until }
    }

    #[tokio::test]
    async fn a_pass_ends_at_its_time_or_at_the_next_order_and_says_what_was_shown() {
        let clock = Arc::new(SystemClock::new());
        let (events_tx, mut events) = tokio::sync::mpsc::channel(8);
        let profile = BoardProfile {
            width_px: 64,
            height_px: 32,
            colours: Vec::new(),
            fonts: Vec::new(),
            scroll_px_s: 40,
            ..BoardProfile::default()
        };
        let output = Box::new(super::super::board::Null);
        let panel =
            Panel::start(output, profile, clock.clone(), Props::default(), events_tx).unwrap();
        panel.show(order(1, 120, &clock)).unwrap();
        let Some(Event::Started { token: 1, .. }) = events.recv().await else { panic!() };
        let Some(Event::Passed { token: 1, pass }) = events.recv().await else { panic!() };
        assert!(!pass.whole && pass.frame.is_some() && pass.shown_ms >= 100, "{pass:?}");
        panel.show(order(2, 60_000, &clock)).unwrap();
        let Some(Event::Started { token: 2, .. }) = events.recv().await else { panic!() };
        panel.blank().unwrap();
        let Some(Event::Passed { token: 2, pass }) = events.recv().await else { panic!() };
        assert!(!pass.whole, "{pass:?}");
        panel.show(order(3, -1, &clock)).unwrap();
        let Some(Event::Passed { token: 3, pass }) = events.recv().await else { panic!() };
        assert_eq!((pass.frame, pass.shown_ms), (None, 0), "over before it began");
    }

    /// A board that hangs until it is let go, and remembers what it showed.
    struct Hanging {
        go: std::sync::mpsc::Receiver<()>,
        shown: std::sync::mpsc::Sender<&'static str>,
    }

    impl Output for Hanging {
        fn show(
            &mut self,
            _: &crate::raster::Frame,
            _: i64,
        ) -> Result<(), super::super::board::OutputError> {
            self.shown.send("frame").unwrap();
            let _ = self.go.recv(); // or nobody holds it any more
            Ok(())
        }

        fn blank(&mut self) -> Result<(), super::super::board::OutputError> {
            self.shown.send("blank").unwrap();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_board_that_hung_does_not_flash_what_was_ordered_meanwhile() {
        let clock = Arc::new(SystemClock::new());
        let (events_tx, mut events) = tokio::sync::mpsc::channel(8);
        let profile = BoardProfile {
            width_px: 64,
            height_px: 32,
            colours: Vec::new(),
            fonts: Vec::new(),
            scroll_px_s: 40,
            ..BoardProfile::default()
        };
        let ((let_go, go), (shown, seen)) =
            (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let output = Box::new(Hanging { go, shown });
        let panel =
            Panel::start(output, profile, clock.clone(), Props::default(), events_tx).unwrap();
        panel.show(order(1, 60_000, &clock)).unwrap();
        assert_eq!(seen.recv(), Ok("frame"));
        // While it hangs: the cue ends, another one comes and is held, a notice comes.
        panel.blank().unwrap();
        panel.show(order(2, 60_000, &clock)).unwrap();
        panel.blank().unwrap();
        panel.show(order(3, 60_000, &clock)).unwrap();
        let_go.send(()).unwrap();
        let mut ended = Vec::new();
        while ended.len() < 2 {
            if let Some(Event::Passed { token, pass }) = events.recv().await {
                ended.push((token, pass.frame.is_some()));
            }
        }
        assert_eq!(ended, [(1, true), (2, false)]);
        assert_eq!(
            [seen.recv(), seen.recv(), seen.recv()],
            [Ok("blank"), Ok("blank"), Ok("frame")]
        );
        drop(let_go);
    }

    /// A board that forgets after 20 ms what it was told, and fails when its cable is pulled.
    struct Forgetful {
        told: std::sync::mpsc::Sender<&'static str>,
        pulled: Arc<std::sync::atomic::AtomicBool>,
    }

    impl Forgetful {
        fn tell(&self, what: &'static str) -> Result<(), super::super::board::OutputError> {
            let _ = self.told.send(what); // or nobody listens any more
            if self.pulled.load(std::sync::atomic::Ordering::Relaxed) {
                let source = std::io::ErrorKind::NetworkUnreachable.into();
                return Err(super::super::board::OutputError::Terminal(source));
            }
            Ok(())
        }
    }

    impl Output for Forgetful {
        fn show(
            &mut self,
            _: &crate::raster::Frame,
            _: i64,
        ) -> Result<(), super::super::board::OutputError> {
            self.tell("frame")
        }
        fn blank(&mut self) -> Result<(), super::super::board::OutputError> {
            self.tell("dark")
        }
        fn refresh_ms(&self) -> Option<i64> {
            Some(20)
        }
        fn refresh(&mut self) -> Result<(), super::super::board::OutputError> {
            self.tell("again")
        }
        fn end(&mut self) -> Result<(), super::super::board::OutputError> {
            self.tell("end")
        }
    }

    #[tokio::test]
    async fn what_a_board_forgets_is_told_again_while_it_stands_and_while_it_is_dark() {
        let clock = Arc::new(SystemClock::new());
        let (events_tx, mut events) = tokio::sync::mpsc::channel(8);
        let (told, seen) = std::sync::mpsc::channel();
        let next = || seen.recv_timeout(Duration::from_secs(20)).unwrap();
        let pulled = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let output = Box::new(Forgetful { told, pulled: pulled.clone() });
        let profile = BoardProfile::default();
        let panel =
            Panel::start(output, profile, clock.clone(), Props::default(), events_tx).unwrap();
        assert_eq!([next(), next()], ["again"; 2], "before the first order it is dark");
        panel.show(order(1, 60_000, &clock)).unwrap();
        while next() != "frame" {}
        assert_eq!([next(), next(), next()], ["again"; 3]);
        panel.blank().unwrap();
        while next() != "dark" {}
        assert_eq!([next(), next()], ["again"; 2]);
        panel.show(order(2, 60_000, &clock)).unwrap();
        while next() != "frame" {}
        assert_eq!(next(), "again");
        pulled.store(true, std::sync::atomic::Ordering::Relaxed);
        let ended = loop {
            match events.recv().await {
                Some(Event::Passed { token: 2, pass }) => break pass,
                Some(_) => {}
                None => panic!(),
            }
        };
        assert!(!ended.whole && ended.frame.is_some(), "{ended:?}");
        drop(panel);
        while next() != "end" {}
    }
}
