//! A value for boards, such as a temperature, as the server read it.

use super::{Document, positive};
use crate::domain::feed::AHEAD_MS;
use crate::domain::ids::{DeviceId, FeedId};
use crate::domain::time::UtcMs;
use crate::wire::judge::{self, Judged, Stamp, Verdict};
use crate::wire::jws::{Opened, Typ};
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed value. It is shown from `at_ms` for `stale_after_s`, and a mark in its place before
/// the first one, after the last one and while the time is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// Its feed; equal to that of the topic.
    pub feed: FeedId,
    /// When it was made, seconds.
    pub iat: i64,
    /// Its version, counted by feed.
    pub ver: i64,
    /// What boards show, letter for letter, with its unit.
    pub value: String,
    /// When it was measured.
    pub at_ms: UtcMs,
    /// How long after that it may be shown, in seconds.
    pub stale_after_s: i64,
}

impl Feed {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        positive(self.ver, "ver")?;
        Refusal::limit("bytes of `value`", self.value.len(), limits::VALUE_BYTES)?;
        Refusal::limit("characters of `value`", self.value.chars().count(), limits::VALUE_CHARS)?;
        if self.value.trim().is_empty() || self.value.chars().any(char::is_control) {
            return Err(Refusal::content("`value` is empty or holds control characters"));
        }
        if self.at_ms <= UtcMs(0) {
            return Err(Refusal::content("`at_ms` is not above 0"));
        }
        if !(1..=limits::STALE_S).contains(&self.stale_after_s) {
            return Err(Refusal::content("`stale_after_s` is not within 1 and a week"));
        }
        // What was measured after it was signed was not measured.
        if self.at_ms.since(UtcMs::from_numeric_date(self.iat)) > AHEAD_MS + 1_000 {
            return Err(Refusal::content("`at_ms` lies after `iat`"));
        }
        Ok(())
    }

    /// Judges a value that came on the topic of `feed`.
    pub fn judge(
        doc: &Opened<Self>,
        me: &DeviceId,
        feed: &FeedId,
        last: Option<&Stamp>,
        now: Option<UtcMs>,
    ) -> Verdict {
        if doc.claims.feed != *feed {
            return Verdict::Refuse(Refusal::content("`feed` is not that of the topic"));
        }
        judge::judge(doc, me, last, now)
    }
}

impl Document for Feed {
    const TYP: Typ = Typ::Feed;

    fn check(&self) -> Result<(), Refusal> {
        Feed::check(self)
    }
}

impl Judged for Feed {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn ver(&self) -> Option<i64> {
        Some(self.ver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::doc::{open, sign};
    use crate::wire::jws::{OneKey, SecretKey};

    const NOW: i64 = 1_800_000_000;

    fn feed() -> Feed {
        Feed {
            v: 1,
            iss: "x".into(),
            feed: "muc-nuoc".parse().unwrap(),
            iat: NOW,
            ver: NOW * 1_000,
            value: "312 cm".into(),
            at_ms: UtcMs(NOW * 1_000),
            stale_after_s: 1_800,
        }
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[4; 32])
    }

    #[test]
    fn a_value_counts_for_its_own_topic_and_only_forward() {
        let keys = OneKey { key: key().public(), role: Feed::TYP.role() };
        let text = sign(&key(), &feed()).unwrap();
        let opened = open::<Feed>(text.as_bytes(), &keys).unwrap();
        assert_eq!(opened.claims, feed());
        let me = DeviceId::new("bang-1").unwrap();
        let judge = |topic: &str, last: Option<&Stamp>, now: i64| {
            Feed::judge(&opened, &me, &topic.parse().unwrap(), last, Some(UtcMs(now * 1_000)))
        };
        assert_eq!(judge("muc-nuoc", None, NOW), Verdict::Accept);
        assert_eq!(judge("muc-nuoc", Some(&Stamp::of(&opened)), NOW), Verdict::Same);
        assert!(matches!(judge("nhiet-do", None, NOW), Verdict::Refuse(_)));
        assert!(matches!(judge("muc-nuoc", None, NOW - 90_000), Verdict::Refuse(_)));
        let newer = Stamp { ver: opened.claims.ver + 1, ..Stamp::of(&opened) };
        assert!(matches!(judge("muc-nuoc", Some(&newer), NOW), Verdict::Refuse(_)));
    }

    #[test]
    fn what_no_board_could_show_is_not_signed() {
        for bad in [
            Feed { value: " ".into(), ..feed() },
            Feed { value: "a\nb".into(), ..feed() },
            Feed { value: "x".repeat(65), ..feed() },
            Feed { stale_after_s: 0, ..feed() },
            Feed { stale_after_s: 604_801, ..feed() },
            Feed { at_ms: UtcMs(NOW * 1_000 + 121_001), ..feed() },
            Feed { at_ms: UtcMs(0), ..feed() },
            Feed { ver: 0, ..feed() },
        ] {
            assert!(
                matches!(sign(&key(), &bad).unwrap_err().reason(), "content" | "limit"),
                "{bad:?}"
            );
        }
    }
}
