//! Tells whether the broker still has what the server once put there. Pure.
//!
//! The server keeps its marker on `epoch`, written last. After each connection it asks for it: when
//! it is absent or another server's, the broker forgot, and everything is published anew.

use crate::wire::doc::Marker;
use crate::wire::limits;

/// How long a broker may take to hand out what it keeps, milliseconds.
const PATIENCE_MS: i64 = 3_000;

/// What is known of the broker after a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is still there.
    Kept,
    /// It came up empty, or serves somebody else: publish everything, then the marker.
    Forgot,
}

/// Watches for the marker.
#[derive(Clone, Debug)]
pub struct MarkerWatch {
    own: String,
    /// Whether the marker was ever written by this process.
    written: bool,
    asked_ms: Option<i64>,
    /// Whose work is taken over: what its marker stands for is ours.
    heir_of: Option<String>,
}

impl MarkerWatch {
    /// Returns a watch for a marker of this start of the server: random, never used before, so
    /// that a new start publishes everything once.
    pub fn new(own: impl Into<String>) -> Self {
        Self { own: own.into(), written: false, asked_ms: None, heir_of: None }
    }

    /// Takes over from another process on the same store: a broker with its marker has everything
    /// that it published.
    pub fn heir_of(mut self, other: Option<String>) -> Self {
        self.heir_of = other;
        self
    }

    /// Returns the marker's body.
    pub fn body(&self) -> Vec<u8> {
        let marker = Marker { v: 1, marker: self.own.clone() };
        serde_json::to_vec(&marker).expect("a structure with text keys")
    }

    /// Takes note of a connection on which `epoch` has been subscribed to. A server that has
    /// never written its marker need not wait.
    pub fn subscribed(&mut self, now_ms: i64) -> Option<Verdict> {
        self.asked_ms = Some(now_ms);
        let nothing_known = !self.written && self.heir_of.is_none();
        nothing_known.then(|| self.verdict(Verdict::Forgot))
    }

    /// Takes a message on `epoch`. Another marker means another server on this broker, or our own
    /// earlier start.
    pub fn message(&mut self, body: &[u8]) -> Option<Verdict> {
        self.asked_ms?;
        let marker: Option<Marker> =
            (body.len() <= limits::MARKER_BYTES).then(|| serde_json::from_slice(body).ok())?;
        let same = marker.is_some_and(|marker| {
            marker.marker == self.own || Some(&marker.marker) == self.heir_of.as_ref()
        });
        Some(self.verdict(if same { Verdict::Kept } else { Verdict::Forgot }))
    }

    /// Lets time pass: what did not come in time is not there.
    pub fn tick(&mut self, now_ms: i64) -> Option<Verdict> {
        let late = self.asked_ms.is_some_and(|asked| now_ms - asked >= PATIENCE_MS);
        late.then(|| self.verdict(Verdict::Forgot))
    }

    /// Takes note of a broken connection.
    pub fn disconnected(&mut self) {
        self.asked_ms = None;
    }

    /// Takes note that everything and then the marker was published and acknowledged.
    pub fn written(&mut self) {
        self.written = true;
        self.heir_of = None;
    }

    fn verdict(&mut self, verdict: Verdict) -> Verdict {
        self.asked_ms = None;
        if verdict == Verdict::Forgot {
            self.written = false;
            self.heir_of = None;
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> MarkerWatch {
        let mut watch = MarkerWatch::new("a1");
        assert_eq!(watch.subscribed(0), Some(Verdict::Forgot), "a new start publishes everything");
        watch.written();
        watch
    }

    #[test]
    fn an_own_marker_says_that_all_is_there() {
        let mut watch = settled();
        let body = watch.body();
        watch.disconnected();
        assert_eq!(watch.subscribed(10), None);
        assert_eq!(watch.message(&body), Some(Verdict::Kept));
        assert_eq!(watch.message(&body), None, "one verdict for each connection");
        assert_eq!(watch.tick(100_000), None);
    }

    #[test]
    fn whoever_takes_over_goes_by_the_marker_of_the_other() {
        let heir = || MarkerWatch::new("b2").heir_of(Some("a1".into()));
        let mut watch = heir();
        assert_eq!(watch.subscribed(0), None);
        assert_eq!(watch.message(&settled().body()), Some(Verdict::Kept));
        watch.written();
        // From then on its own counts.
        assert_eq!(watch.subscribed(10), None);
        assert_eq!(watch.message(&settled().body()), Some(Verdict::Forgot));
        let mut watch = heir();
        assert_eq!(watch.subscribed(0), None);
        assert_eq!(watch.message(&MarkerWatch::new("c3").body()), Some(Verdict::Forgot));
        let mut watch = heir();
        assert_eq!((watch.subscribed(0), watch.tick(PATIENCE_MS)), (None, Some(Verdict::Forgot)));
    }

    #[test]
    fn no_marker_or_a_foreign_one_says_that_the_broker_forgot() {
        for body in [&b"{}"[..], b"", b"{\"v\":1,\"marker\":\"b2\"}", &[b'x'; 9_999]] {
            let mut watch = settled();
            assert_eq!(watch.subscribed(10), None);
            let verdict = watch.message(body).or_else(|| watch.tick(10 + PATIENCE_MS));
            assert_eq!(verdict, Some(Verdict::Forgot));
        }
        let mut watch = settled();
        assert_eq!(watch.subscribed(10), None);
        assert_eq!(watch.tick(9 + PATIENCE_MS), None);
        assert_eq!(watch.tick(10 + PATIENCE_MS), Some(Verdict::Forgot));
        // What was not finished counts as forgotten at the next connection.
        assert_eq!(watch.subscribed(20_000), Some(Verdict::Forgot));
    }
}
