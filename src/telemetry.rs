//! Log lines on stderr: set up once, by `main`.
//!
//! A line is a sentence plus fields with dotted names (`device.id`). Never tokens, keys,
//! passwords, enrolment secrets or message bodies; text from devices only as an escaped field.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr; an unreadable filter falls back to `warn` and says so.
pub fn start(filter: &str) {
    let (parsed, fault) = match EnvFilter::try_new(filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (EnvFilter::new("warn"), Some(error)),
    };
    let terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(true)
        .finish();
    // Only a second call in the same process (tests) finds one already set.
    let first = tracing::subscriber::set_global_default(subscriber).is_ok();
    if let (true, Some(error)) = (first, fault) {
        tracing::warn!(log.filter = filter, %error, "Using `warn`: the log filter is unreadable");
    }
}
