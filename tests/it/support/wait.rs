//! Waiting for conditions, with a deadline, never for time.

use std::future::Future;
use std::time::Duration;

/// Longest that anything in these tests may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for the future; fails naming what did not come about.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("not within {} s: {what}", DEADLINE.as_secs());
    };
    value
}

/// Waits until the condition holds, looking every few milliseconds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Asks until there is an answer; fails the test after [`DEADLINE`].
pub async fn some<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, asking).await
}
