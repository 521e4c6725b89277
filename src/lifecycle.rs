//! Signals, cancellation and the order of stopping.
//!
//! The first SIGTERM, SIGINT or SIGHUP ([`Lifecycle::catch_signals`]) cancels
//! [`Lifecycle::token`]: every task stops taking work, finishes what it holds and ends. [`Lifecycle::wait`] waits for them for at most
//! [`GRACE`]; a second signal or the end of that time drops what is left. Stages stop in the
//! order in which they were made: http first, then mqtt, device, ledger, store.

use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a clean end may take; a supervisor's kill comes later than that.
pub const GRACE: Duration = Duration::from_secs(4);

/// The tasks of a process in the order in which they stop.
#[derive(Debug)]
pub struct Lifecycle {
    root: CancellationToken,
    /// Cancelled by the second signal.
    hurry: CancellationToken,
    stages: Vec<Stage>,
    grace: Duration,
}

/// Tasks that stop together.
#[derive(Clone, Debug)]
pub struct Stage {
    name: &'static str,
    token: CancellationToken,
    tracker: TaskTracker,
}

/// How the end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All tasks ended by themselves.
    Clean,
    /// Some were dropped, by a second signal or at the end of [`GRACE`].
    Dropped,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// Returns a lifecycle without stages.
    pub fn new() -> Self {
        Self {
            root: CancellationToken::new(),
            hurry: CancellationToken::new(),
            stages: Vec::new(),
            grace: GRACE,
        }
    }

    /// Catches signals from here on; needs a runtime.
    pub fn catch_signals(&self) -> std::io::Result<()> {
        let mut signals = Signals::new()?;
        let (root, hurry) = (self.root.clone(), self.hurry.clone());
        tokio::spawn(async move {
            let name = signals.next().await;
            tracing::info!(signal = name, "Stopping");
            root.cancel();
            let name = signals.next().await;
            tracing::warn!(signal = name, "Dropping what still runs");
            hurry.cancel();
        });
        Ok(())
    }

    /// Returns the token that the first signal cancels; cancelling it asks for the end.
    pub fn token(&self) -> CancellationToken {
        self.root.clone()
    }

    /// Adds a stage that stops after those before it.
    pub fn stage(&mut self, name: &'static str) -> Stage {
        let token = CancellationToken::new();
        let stage = Stage { name, token, tracker: TaskTracker::new() };
        self.stages.push(stage.clone());
        stage
    }

    /// Waits until the token is cancelled, then stops stage by stage.
    pub async fn wait(self) -> End {
        self.root.cancelled().await;
        let stopping = async {
            for stage in &self.stages {
                stage.token.cancel();
                stage.tracker.close();
                stage.tracker.wait().await;
                tracing::debug!(stage = stage.name, "Stopped");
            }
        };
        tokio::select! {
            () = stopping => End::Clean,
            () = self.hurry.cancelled() => End::Dropped,
            () = tokio::time::sleep(self.grace) => {
                let left: Vec<_> =
                    self.stages.iter().filter(|s| !s.tracker.is_empty()).map(|s| s.name).collect();
                tracing::warn!(?left, "Dropping what did not stop in time");
                End::Dropped
            }
        }
    }
}

impl Stage {
    /// Returns the token on which tasks of this stage end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Spawns a task that [`Lifecycle::wait`] waits for.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }
}

/// The signals that ask for the end.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
            _ = self.hup.recv() => "SIGHUP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn stages_stop_in_the_order_in_which_they_were_made() {
        let mut lifecycle = Lifecycle::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for name in ["http", "mqtt", "store"] {
            let stage = lifecycle.stage(name);
            let (token, order) = (stage.token(), Arc::clone(&order));
            stage.spawn(async move {
                token.cancelled().await;
                order.lock().unwrap().push(name);
            });
        }
        lifecycle.token().cancel();
        assert_eq!(lifecycle.wait().await, End::Clean);
        assert_eq!(*order.lock().unwrap(), ["http", "mqtt", "store"]);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_dropped_after_the_grace() {
        let mut lifecycle = Lifecycle { grace: Duration::from_millis(10), ..Lifecycle::new() };
        lifecycle.stage("stuck").spawn(std::future::pending::<()>());
        lifecycle.token().cancel();
        assert_eq!(lifecycle.wait().await, End::Dropped);
    }
}
