//! Whether a rightly signed document may take effect: for whom, when, and against the last one.
//!
//! Pure: the caller hands over what it persisted and its trusted time, and persists
//! [`Stamp::of`] the accepted document *before* acting on it.

use super::jws::Opened;
use super::limits;
use super::refusal::Refusal;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

/// What is remembered of the newest accepted document of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Key epoch of its signer.
    pub epoch: u32,
    /// Its version.
    pub ver: i64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// What a document says about whom and when it is for.
pub trait Judged {
    /// Whom it is for; `None` when for all.
    fn aud(&self) -> Option<&DeviceId>;
    /// When it was made, NumericDate.
    fn iat(&self) -> i64;
    /// When it ends, NumericDate.
    fn exp(&self) -> Option<i64> {
        None
    }
    /// From when it holds, NumericDate.
    fn nbf(&self) -> Option<i64> {
        None
    }
    /// Its version.
    fn ver(&self) -> Option<i64> {
        None
    }
}

/// What to do with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Persist its stamp, then act.
    Accept,
    /// The same document again: nothing to do, nothing to report.
    Same,
    /// Keep what is in force; count the refusal.
    Refuse(Refusal),
}

impl Stamp {
    /// Returns what to remember of an accepted document.
    pub fn of<T: Judged>(doc: &Opened<T>) -> Self {
        Self { epoch: doc.epoch, ver: doc.claims.ver().unwrap_or(0), digest: doc.digest }
    }
}

/// Judges a versioned document.
///
/// `now` is trusted time, `None` while there is none: then nothing is judged by the clock (a
/// device without trusted time plays nothing either).
pub fn judge<T: Judged>(
    doc: &Opened<T>,
    me: &DeviceId,
    last: Option<&Stamp>,
    now: Option<UtcMs>,
) -> Verdict {
    if let Err(refusal) = addressed(&doc.claims, me) {
        return Verdict::Refuse(refusal);
    }
    let new = Stamp::of(doc);
    if let Some(last) = last {
        if (new.epoch, new.ver) < (last.epoch, last.ver) {
            return Verdict::Refuse(Refusal::VersionLow { ver: new.ver, last: last.ver });
        }
        if (new.epoch, new.ver) == (last.epoch, last.ver) {
            return if new.digest == last.digest {
                Verdict::Same
            } else {
                Verdict::Refuse(Refusal::Conflict { ver: new.ver })
            };
        }
    }
    match timely(&doc.claims, now) {
        Ok(()) => Verdict::Accept,
        Err(refusal) => Verdict::Refuse(refusal),
    }
}

/// Refuses what is meant for another device.
pub fn addressed<T: Judged>(claims: &T, me: &DeviceId) -> Result<(), Refusal> {
    match claims.aud() {
        Some(aud) if aud != me => Err(Refusal::Aud { got: aud.to_string() }),
        _ => Ok(()),
    }
}

/// Refuses what has expired, does not hold yet, or lies more than a day ahead.
pub fn timely<T: Judged>(claims: &T, now: Option<UtcMs>) -> Result<(), Refusal> {
    let Some(now) = now else { return Ok(()) };
    if let Some(exp) = claims.exp().filter(|exp| UtcMs::from_numeric_date(*exp) <= now) {
        return Err(Refusal::Expired { exp });
    }
    if let Some(nbf) = claims.nbf().filter(|nbf| UtcMs::from_numeric_date(*nbf) > now) {
        return Err(Refusal::NotYet { nbf });
    }
    let latest = now.plus(limits::AHEAD_MS);
    if UtcMs::from_numeric_date(claims.iat()) > latest {
        return Err(Refusal::Ahead { member: "iat" });
    }
    if claims.ver().is_some_and(|ver| UtcMs(ver) > latest) {
        return Err(Refusal::Ahead { member: "ver" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::doc::Floor;
    use crate::wire::key::Kid;

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn me() -> DeviceId {
        DeviceId::new("loa-thon-1").unwrap()
    }

    fn floor(epoch: u32, ver: i64, bytes: &str) -> Opened<Floor> {
        let claims = Floor::first(me(), ver, NOW.numeric_date(), 420);
        Opened { claims, kid: Kid([0; 32]), epoch, digest: Digest::of(bytes.as_bytes()) }
    }

    fn word(verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Accept => "accept",
            Verdict::Same => "same",
            Verdict::Refuse(refusal) => refusal.reason(),
        }
    }

    #[test]
    fn key_epoch_comes_before_version_and_equal_versions_need_equal_bytes() {
        let last = Stamp::of(&floor(2, 100, "a"));
        for (epoch, ver, bytes, wanted) in [
            (2, 101, "b", "accept"),
            (2, 100, "a", "same"),
            (2, 100, "b", "conflict"),
            (2, 99, "b", "version-low"),
            (1, 500, "b", "version-low"),
            (3, 1, "b", "accept"),
        ] {
            let verdict = judge(&floor(epoch, ver, bytes), &me(), Some(&last), Some(NOW));
            assert_eq!(word(verdict), wanted, "epoch {epoch}, version {ver}");
        }
    }

    #[test]
    fn more_than_a_day_ahead_is_refused_only_by_trusted_time() {
        let day = limits::AHEAD_MS;
        let at = |ver| word(judge(&floor(1, ver, "a"), &me(), None, Some(NOW)));
        assert_eq!(at(NOW.0 + day), "accept");
        assert_eq!(at(NOW.0 + day + 1), "ahead");
        let early = NOW.plus(-day - 1_000);
        assert_eq!(word(judge(&floor(1, 1, "a"), &me(), None, Some(early))), "ahead");
        assert_eq!(word(judge(&floor(1, NOW.0 + 2 * day, "a"), &me(), None, None)), "accept");
    }

    #[test]
    fn a_document_for_another_device_is_refused_first() {
        let other = DeviceId::new("loa-thon-2").unwrap();
        let last = Stamp::of(&floor(2, 100, "a"));
        assert_eq!(word(judge(&floor(1, 1, "a"), &other, Some(&last), Some(NOW))), "aud");
    }
}
