//! How often somebody may ask, and what happens after wrong secrets.
//!
//! Three counts a minute: of enrolments and log-ins by address, of API requests by address and by
//! token. After [`WRONG`] wrong secrets (ten for enrolment: devices are configured by hand) within
//! a quarter of an hour an address is locked out for a quarter of an hour, for that kind alone.
//! What was refused is answered with 429 and `Retry-After`. A good token comes in all the same: it
//! has 256 bits, so that nobody finds one by guessing, and a proxy may stand before many people.
//!
//! # Invariants
//! * Whoever asks cannot make this grow: beyond [`PLACES`] the rest shares one count, and an IPv6
//!   subscriber (a /64) is one address.
//! * Time is the clock that never steps: setting the clock neither locks nor unlocks anybody.
//! * No secret is kept here; a token is known by the digest that the store has too.

use super::error::ApiError;
use crate::domain::ids::Digest;
use axum::http::StatusCode;
use metrics::counter;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Wrong secrets before an address is locked out.
pub const WRONG: u32 = 5;
/// How long it then stays out, and how long a wrong secret counts.
const LOCK_MS: i64 = 15 * 60_000;
const MINUTE_MS: i64 = 60_000;
/// Counts kept at the same time.
pub const PLACES: usize = 10_000;
/// A full table is cleared of what is over no more often than this.
const CLEAR_MS: i64 = 1_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// A device with a code.
    Enrolment,
    /// A person with a one-time link.
    LogIn,
    /// A program with a token.
    Api,
    /// A browser with a session.
    Page,
    /// A log that asks to be witnessed.
    Witness,
}

impl Door {
    fn a_minute(self) -> u32 {
        match self {
            Self::Enrolment | Self::LogIn => 30,
            Self::Api => 1_200,
            Self::Page | Self::Witness => 600,
        }
    }

    /// An old session is no attack: browsers come again with it by themselves.
    fn wrong_allowed(self) -> Option<u32> {
        match self {
            Self::Enrolment => Some(2 * WRONG),
            Self::LogIn | Self::Api => Some(WRONG),
            Self::Page | Self::Witness => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Address(IpAddr),
    Token([u8; 32]),
    /// All for whom there is no place.
    Others,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    minute_ms: i64,
    asked: u32,
    wrong_since_ms: i64,
    wrong: u32,
    locked_until_ms: i64,
}

impl Count {
    fn locked(&self, now: i64) -> Result<(), ApiError> {
        if now < self.locked_until_ms {
            return Err(too_many("too many wrong secrets", self.locked_until_ms - now));
        }
        Ok(())
    }

    fn pace(&mut self, door: Door, now: i64) -> Result<(), ApiError> {
        if now - self.minute_ms >= MINUTE_MS {
            (self.minute_ms, self.asked) = (now, 0);
        }
        self.asked = self.asked.saturating_add(1);
        if self.asked > door.a_minute() {
            return Err(too_many("too many requests", self.minute_ms + MINUTE_MS - now));
        }
        Ok(())
    }

    fn is_over(&self, now: i64) -> bool {
        now >= self.locked_until_ms
            && now - self.minute_ms >= MINUTE_MS
            && (self.wrong == 0 || now - self.wrong_since_ms >= LOCK_MS)
    }
}

#[derive(Debug, Default)]
struct Table {
    counts: BTreeMap<(Door, Who), Count>,
    cleared_ms: i64,
}

impl Table {
    fn count(&mut self, door: Door, who: Who, now: i64) -> &mut Count {
        let mut key = (door, who);
        if !self.counts.contains_key(&key) && self.counts.len() >= PLACES {
            if now - self.cleared_ms >= CLEAR_MS {
                self.cleared_ms = now;
                self.counts.retain(|_, count| !count.is_over(now));
            }
            if self.counts.len() >= PLACES {
                key.1 = Who::Others;
            }
        }
        let new = Count { minute_ms: now, ..Count::default() };
        self.counts.entry(key).or_insert(new)
    }
}

/// Counts who asks how often; shared by all handlers.
#[derive(Clone, Debug, Default)]
pub struct Turnstile(Arc<Mutex<Table>>);

impl Turnstile {
    /// Counts a request of an address and says whether it may go on.
    pub fn admit(&self, door: Door, from: IpAddr, now_mono: i64) -> Result<(), ApiError> {
        self.ask(door, Who::Address(subscriber(from)), now_mono)
    }

    /// Counts a request of an address that may be locked out: a good secret still comes in, so
    /// that wrong ones of somebody behind the same proxy keep nobody else out.
    pub fn pace(&self, door: Door, from: IpAddr, now_mono: i64) -> Result<(), ApiError> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.count(door, Who::Address(subscriber(from)), now_mono).pace(door, now_mono)
    }

    /// Counts a wrong secret of an address that was let in by [`Turnstile::pace`]; what to answer.
    pub fn refuse(&self, door: Door, from: IpAddr, now_mono: i64) -> ApiError {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = table.count(door, Who::Address(subscriber(from)), now_mono).locked(now_mono);
        drop(table);
        locked.err().unwrap_or_else(|| {
            self.wrong(door, from, now_mono);
            ApiError::unauthorised()
        })
    }

    /// Counts a request with a good token and says whether it may go on.
    pub fn admit_token(&self, token: &Digest, now_mono: i64) -> Result<(), ApiError> {
        self.ask(Door::Api, Who::Token(token.0), now_mono)
    }

    fn ask(&self, door: Door, who: Who, now: i64) -> Result<(), ApiError> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.count(door, who, now);
        count.locked(now)?;
        count.pace(door, now)
    }

    /// Counts a wrong secret.
    pub fn wrong(&self, door: Door, from: IpAddr, now: i64) {
        let Some(allowed) = door.wrong_allowed() else { return };
        let from = subscriber(from);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.count(door, Who::Address(from), now);
        if count.wrong == 0 || now - count.wrong_since_ms >= LOCK_MS {
            (count.wrong_since_ms, count.wrong) = (now, 0);
        }
        count.wrong += 1;
        if count.wrong >= allowed {
            count.wrong = 0;
            count.locked_until_ms = now + LOCK_MS;
            counter!("loa_http_lockouts_total").increment(1);
            tracing::warn!(peer = %from, ?door, "Locked an address out after wrong secrets");
        }
    }

    /// Forgets wrong secrets after a right one.
    pub fn right(&self, door: Door, from: IpAddr) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = table.counts.get_mut(&(door, Who::Address(subscriber(from)))) {
            count.wrong = 0;
        }
    }
}

/// Who pays for the line: an IPv6 subscriber has 2^64 addresses.
pub(super) fn subscriber(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn too_many(what: &str, wait_ms: i64) -> ApiError {
    counter!("loa_http_limited_total").increment(1);
    let wait_s = u32::try_from(wait_ms.max(1).div_euclid(1000) + 1).unwrap_or(u32::MAX);
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many", format!("{what} from here"))
        .hint(format!("try again in {wait_s} s"))
        .retry_after(wait_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    #[test]
    fn an_address_has_its_requests_a_minute_and_others_have_theirs() {
        let turnstile = Turnstile::default();
        let ask = |n, now| turnstile.admit(Door::Enrolment, address(n), now);
        assert!((0..30).all(|_| ask(1, 5).is_ok()));
        let refused = ask(1, 20_005).unwrap_err();
        assert_eq!(
            (refused.status, refused.code, refused.retry_after_s),
            (429, "too-many", Some(41))
        );
        assert!(ask(2, 20_005).is_ok() && ask(1, MINUTE_MS + 5).is_ok());
        assert!(turnstile.admit(Door::LogIn, address(1), 20_005).is_ok(), "doors are apart");
    }

    #[test]
    fn a_token_has_its_requests_wherever_it_comes_from() {
        let turnstile = Turnstile::default();
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        assert!((0..1_200).all(|_| turnstile.admit_token(&a, 0).is_ok()));
        assert!(turnstile.admit_token(&a, 1).is_err() && turnstile.admit_token(&b, 1).is_ok());
    }

    #[test]
    fn wrong_secrets_lock_an_address_out_for_a_quarter_of_an_hour() {
        let turnstile = Turnstile::default();
        let (door, bad) = (Door::Api, address(1));
        for n in 0..4 {
            turnstile.wrong(door, bad, n);
        }
        turnstile.right(door, bad);
        for n in 4..8 {
            turnstile.wrong(door, bad, n);
        }
        assert!(turnstile.admit(door, bad, 8).is_ok(), "a right one in between");
        turnstile.wrong(door, bad, 8);
        let refused = turnstile.admit(door, bad, 9).unwrap_err();
        assert_eq!(refused.retry_after_s, Some(900));
        assert!(turnstile.admit(door, address(2), 9).is_ok());
        assert!(turnstile.admit(Door::Page, bad, 9).is_ok(), "what is open stays open");
        assert!(turnstile.admit(door, bad, 8 + LOCK_MS).is_ok());
        // Far apart they are mistakes of a person.
        for n in 0..20 {
            turnstile.wrong(door, address(3), n * LOCK_MS);
            assert!(turnstile.admit(door, address(3), n * LOCK_MS).is_ok());
        }
    }

    #[test]
    fn hostile_peers_cannot_make_it_grow_and_whoever_was_locked_out_stays_so() {
        let turnstile = Turnstile::default();
        for now in 0..i64::from(WRONG) {
            turnstile.wrong(Door::Api, address(1), now);
        }
        for n in 0..60_000 {
            let _ = turnstile.admit(Door::LogIn, address(n), 10);
            turnstile.wrong(Door::LogIn, address(n), 10);
        }
        let places = || turnstile.0.lock().unwrap().counts.len();
        assert!(places() <= PLACES + 4, "{}", places());
        assert!(turnstile.admit(Door::Api, address(1), 20).is_err());
        // Once their time is over there is room again.
        assert!(turnstile.admit(Door::LogIn, address(70_000), LOCK_MS + 100).is_ok());
        assert!(places() < 10, "{}", places());
        let v6 = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
        for n in 0..10 {
            turnstile.wrong(Door::LogIn, v6(n), LOCK_MS + 100);
        }
        assert!(turnstile.admit(Door::LogIn, v6(99), LOCK_MS + 101).is_err(), "one subscriber");
    }
}
