//! How well the device knows the time. Pure.
//!
//! Time comes from the machine (its NTP, or a real-time clock that was once right) or from the
//! server's signed answer to a nonce; half the round trip is its error, which then grows with the
//! drift of the clock. What is not known is not guessed: without trusted time nothing plays.
//!
//! # Invariants
//! * Never below the highest signed `iat` that was persisted, but for what counts as its error: a
//!   clock that lags further behind is unknown. Two clocks that both run right differ by seconds,
//!   and a server that is ahead by those must not silence its loudspeakers with every receipt.
//! * An answer never moves a trusted clock by more than a day.
//! * Between answers, time runs on the clock that never steps.

use super::executor::Time;
use crate::domain::proof::record::{ClockNote, ClockSource};
use crate::domain::time::UtcMs;
use crate::wire::limits;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Above this error nothing plays.
pub const UNFIT_MS: i64 = 120_000;
/// An answer with a longer round trip is not used: another one is asked for.
const SLOW_MS: i64 = 60_000;
/// Error of a real-time clock that was read at boot: it counts whole seconds.
const RTC_MS: i64 = 1_000;
/// An `iat` says no more than its second.
const SECOND_MS: i64 = 1_000;
/// Error of a machine that says it follows NTP.
const NTP_MS: i64 = 100;

/// Whom the device believes about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The machine when it follows NTP, else the server, else a real-time clock once right.
    Auto,
    /// The machine, whatever it says of itself.
    System,
    /// The server alone.
    Server,
}

/// A text that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a source of time")]
pub struct ClockModeError {
    pub text: String,
}

impl ClockModeError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "one of `auto`, `system`, `server`"
    }
}

impl FromStr for ClockMode {
    type Err = ClockModeError;

    fn from_str(text: &str) -> Result<Self, ClockModeError> {
        match text {
            "auto" => Ok(Self::Auto),
            "system" => Ok(Self::System),
            "server" => Ok(Self::Server),
            _ => Err(ClockModeError { text: text.chars().take(80).collect() }),
        }
    }
}

/// What the machine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its wall clock.
    pub wall: UtcMs,
    /// Its clock that never steps.
    pub mono_ms: i64,
    /// How long it has been running, where it says so.
    pub uptime_ms: Option<i64>,
    /// It says that it follows NTP.
    pub ntp: bool,
}

/// What is known of the machine for as long as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Names this run of the machine, so that its clock is known to have gone on.
    pub boot_id: String,
    /// It has a clock that goes on without power.
    pub rtc: bool,
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Highest signed `iat` accepted, as an instant.
    pub floor: UtcMs,
    /// The last answer, against the machine's wall clock.
    pub sync: Option<SavedSync>,
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSync {
    boot_id: String,
    wall: UtcMs,
    #[serde(default)]
    uptime_ms: Option<i64>,
    utc: UtcMs,
    err_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Sync {
    src: ClockSource,
    mono_ms: i64,
    utc: UtcMs,
    err_ms: i64,
    /// Age of the answer when it was restored.
    age_ms: i64,
}

/// The device's time at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Its best idea of UTC.
    pub utc: UtcMs,
    /// How good it is.
    pub time: Time,
    /// As records say it.
    pub note: ClockNote,
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// It came too late to say much.
    Slow,
    /// It would move a trusted clock by more than a day.
    Far,
    /// It lies before something that was signed.
    Old,
}

/// See the module.
#[derive(Debug)]
pub struct Trust {
    mode: ClockMode,
    ppm: i64,
    machine: Machine,
    floor: UtcMs,
    sync: Option<Sync>,
}

impl Trust {
    /// Returns what is known at the start of the program.
    pub fn new(
        mode: ClockMode,
        ppm: u32,
        machine: Machine,
        saved: Saved,
        reading: &Reading,
    ) -> Self {
        let ppm = i64::from(ppm.min(100_000));
        let sync = saved.sync.filter(|_| mode != ClockMode::System).and_then(|saved| {
            let same = saved.boot_id == machine.boot_id && !machine.boot_id.is_empty();
            // While the machine runs its own uptime counts: somebody may have set the wall clock
            // while this program was away.
            let passed = match (saved.uptime_ms, reading.uptime_ms) {
                (Some(before), Some(now)) if same => now.saturating_sub(before),
                _ => reading.wall.since(saved.wall),
            };
            if passed < 0 || !(same || machine.rtc) {
                return None;
            }
            let (src, more) =
                if same { (ClockSource::Server, 0) } else { (ClockSource::Rtc, RTC_MS) };
            Some(Sync {
                src,
                mono_ms: reading.mono_ms,
                utc: saved.utc.plus(passed),
                err_ms: saved.err_ms.saturating_add(drift(passed, ppm)).saturating_add(more),
                age_ms: passed,
            })
        });
        Self { mode, ppm, machine, floor: saved.floor, sync }
    }

    /// Returns the time.
    pub fn read(&self, reading: &Reading) -> Timing {
        let follows_machine = match self.mode {
            ClockMode::System => true,
            ClockMode::Auto => reading.ntp,
            ClockMode::Server => false,
        };
        let (utc, mut time, mut note) = if follows_machine {
            let src = if reading.ntp { ClockSource::Ntp } else { ClockSource::Rtc };
            let err_ms = reading.ntp.then_some(NTP_MS);
            (reading.wall, Time::Fit, ClockNote { src, age_s: None, err_ms })
        } else if let Some(sync) = &self.sync {
            let passed = reading.mono_ms.saturating_sub(sync.mono_ms).max(0);
            let err_ms = sync.err_ms.saturating_add(drift(passed, self.ppm));
            let time = if err_ms <= UNFIT_MS { Time::Fit } else { Time::Drifted };
            let age_s = Some(sync.age_ms.saturating_add(passed) / 1000);
            (sync.utc.plus(passed), time, ClockNote { src: sync.src, age_s, err_ms: Some(err_ms) })
        } else {
            let note = ClockNote { src: ClockSource::None, age_s: None, err_ms: None };
            (reading.wall, Time::Unknown, note)
        };
        let lag = self.floor.since(utc);
        if lag > UNFIT_MS {
            time = Time::Unknown;
        } else if lag > SECOND_MS {
            note.err_ms = Some(note.err_ms.map_or(lag, |err_ms| err_ms.max(lag)));
        }
        Timing { utc, time, note }
    }

    /// Takes the server's answer to a question asked at `asked_mono`.
    pub fn answer(
        &mut self,
        now_ms: UtcMs,
        asked_mono: i64,
        reading: &Reading,
    ) -> Result<(), Untaken> {
        let trip = reading.mono_ms.saturating_sub(asked_mono).max(0);
        if trip > SLOW_MS {
            return Err(Untaken::Slow);
        }
        let utc = now_ms.plus(trip / 2);
        if utc < self.floor.plus(-SECOND_MS) {
            return Err(Untaken::Old);
        }
        let known = self.read(reading);
        let far = utc.since(known.utc).saturating_abs() > limits::AHEAD_MS;
        if known.time != Time::Unknown && far {
            return Err(Untaken::Far);
        }
        let err_ms = trip - trip / 2;
        let mono_ms = reading.mono_ms;
        self.sync = Some(Sync { src: ClockSource::Server, mono_ms, utc, err_ms, age_ms: 0 });
        Ok(())
    }

    /// Takes note of a signed `iat`; says whether it is the highest so far, so that it must be
    /// persisted.
    pub fn signed_at(&mut self, iat: UtcMs) -> bool {
        let higher = iat > self.floor;
        self.floor = self.floor.max(iat);
        higher
    }

    /// Returns what must survive a restart.
    pub fn save(&self, reading: &Reading) -> Saved {
        let sync = self.sync.map(|sync| {
            let passed = reading.mono_ms.saturating_sub(sync.mono_ms).max(0);
            SavedSync {
                boot_id: self.machine.boot_id.clone(),
                wall: reading.wall,
                uptime_ms: reading.uptime_ms,
                utc: sync.utc.plus(passed),
                err_ms: sync.err_ms.saturating_add(drift(passed, self.ppm)),
            }
        });
        Saved { floor: self.floor, sync }
    }

    /// Says whether the server should be asked.
    pub fn wants_answer(&self, reading: &Reading) -> bool {
        match self.mode {
            ClockMode::System => false,
            ClockMode::Auto if reading.ntp => false,
            ClockMode::Auto | ClockMode::Server => self.sync.is_none_or(|sync| {
                let passed = reading.mono_ms.saturating_sub(sync.mono_ms);
                sync.src != ClockSource::Server || sync.age_ms > 0 || passed > 6 * 3_600_000
            }),
        }
    }
}

fn drift(passed_ms: i64, ppm: i64) -> i64 {
    passed_ms.saturating_mul(ppm) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn reading(wall: UtcMs, mono_ms: i64) -> Reading {
        Reading { wall, mono_ms, uptime_ms: None, ntp: false }
    }

    fn machine(rtc: bool) -> Machine {
        Machine { boot_id: "one".to_owned(), rtc }
    }

    fn trust(mode: ClockMode) -> Trust {
        Trust::new(mode, 50, machine(false), Saved::default(), &reading(UtcMs(0), 0))
    }

    #[test]
    fn without_a_source_time_is_unknown_and_half_the_round_trip_is_the_error() {
        let mut trust = trust(ClockMode::Auto);
        assert_eq!(trust.read(&reading(NOW, 0)).time, Time::Unknown);
        assert!(trust.wants_answer(&reading(NOW, 0)));
        assert_eq!(trust.answer(NOW, 1_000, &reading(UtcMs(5), 1_300)), Ok(()));
        let timing = trust.read(&reading(UtcMs(5), 1_300));
        assert_eq!((timing.utc, timing.time), (NOW.plus(150), Time::Fit));
        assert_eq!((timing.note.src, timing.note.err_ms), (ClockSource::Server, Some(150)));
        // The wall clock of the machine does not matter any more.
        assert_eq!(trust.read(&reading(UtcMs(-7), 2_300)).utc, NOW.plus(1_150));
    }

    #[test]
    fn the_error_grows_until_nothing_may_play() {
        let mut trust = trust(ClockMode::Server);
        trust.answer(NOW, 0, &reading(UtcMs(0), 0)).unwrap();
        let days = |n: i64| reading(UtcMs(0), n * 86_400_000);
        assert_eq!(trust.read(&days(14)).note.err_ms, Some(60_480));
        assert_eq!(trust.read(&days(14)).time, Time::Fit, "14 days offline");
        assert_eq!(trust.read(&days(28)).time, Time::Drifted);
    }

    #[test]
    fn an_answer_moves_a_trusted_clock_by_a_day_at_most_and_never_before_what_was_signed() {
        let mut trust = trust(ClockMode::Server);
        trust.signed_at(NOW);
        let old = NOW.plus(-2_000);
        assert_eq!(trust.answer(old, 0, &reading(UtcMs(0), 0)), Err(Untaken::Old));
        trust.answer(NOW, 0, &reading(UtcMs(0), 0)).unwrap();
        let far = NOW.plus(limits::AHEAD_MS + 1);
        assert_eq!(trust.answer(far, 0, &reading(UtcMs(0), 0)), Err(Untaken::Far));
        assert_eq!(trust.answer(NOW, 0, &reading(UtcMs(0), SLOW_MS + 1)), Err(Untaken::Slow));
    }

    #[test]
    fn a_machine_set_before_what_was_signed_is_not_believed() {
        let mut trust = trust(ClockMode::System);
        assert_eq!(trust.read(&reading(UtcMs(1_000_000), 0)).time, Time::Fit);
        assert!(trust.signed_at(NOW));
        assert!(!trust.signed_at(NOW));
        assert_eq!(trust.read(&reading(UtcMs(1_000_000), 0)).time, Time::Unknown);
        assert_eq!(trust.read(&reading(NOW.plus(5), 0)).time, Time::Fit);
    }

    #[test]
    fn a_server_that_is_seconds_ahead_does_not_make_the_time_unknown_but_less_exact() {
        let mut trust = trust(ClockMode::Auto);
        let ntp = |wall| Reading { ntp: true, ..reading(wall, 0) };
        assert_eq!(trust.read(&ntp(NOW)).note.err_ms, Some(NTP_MS));
        // A receipt by a server whose clock is five seconds ahead.
        trust.signed_at(NOW.plus(5_000));
        let timing = trust.read(&ntp(NOW));
        assert_eq!((timing.utc, timing.time), (NOW, Time::Fit));
        assert_eq!(timing.note.err_ms, Some(5_000), "and every record says so");
        assert_eq!(trust.read(&ntp(NOW.plus(5_000))).note.err_ms, Some(NTP_MS));
        trust.signed_at(NOW.plus(UNFIT_MS));
        assert_eq!(trust.read(&ntp(NOW)).time, Time::Fit);
        assert_eq!(trust.read(&ntp(NOW.plus(-1))).time, Time::Unknown);
    }

    #[test]
    fn a_wall_clock_set_while_the_program_was_away_moves_nothing() {
        let at = |wall, mono_ms, uptime_ms| Reading {
            uptime_ms: Some(uptime_ms),
            ..reading(wall, mono_ms)
        };
        let mut trust = trust(ClockMode::Server);
        trust.answer(NOW, 0, &at(UtcMs(50_000), 0, 7_000)).unwrap();
        let saved = trust.save(&at(UtcMs(50_000), 0, 7_000));
        let (days, mode) = (3 * 86_400_000, ClockMode::Server);
        for wall in [UtcMs(52_000), UtcMs(50_000 + days), UtcMs(50_000 - days)] {
            let later = at(wall, 3, 9_000);
            let next = Trust::new(mode, 50, machine(false), saved.clone(), &later);
            assert_eq!(next.read(&later).utc, NOW.plus(2_000), "{wall:?}");
            assert_eq!(next.read(&later).time, Time::Fit);
        }
    }

    #[test]
    fn a_restart_keeps_an_answer_and_a_cut_keeps_it_only_with_a_real_time_clock() {
        let mut trust = trust(ClockMode::Auto);
        trust.answer(NOW, 0, &reading(UtcMs(50_000), 0)).unwrap();
        let saved = trust.save(&reading(UtcMs(51_000), 1_000));
        let text = serde_json::to_string(&saved).unwrap();
        let saved: Saved = serde_json::from_str(&text).unwrap();
        let later = reading(UtcMs(60_000), 3);
        let same = Trust::new(ClockMode::Auto, 50, machine(false), saved.clone(), &later);
        assert_eq!(same.read(&later).utc, NOW.plus(10_000));
        assert_eq!(same.read(&later).note.src, ClockSource::Server);
        assert!(same.wants_answer(&later), "an old answer is refreshed");
        let other = |rtc| Machine { boot_id: "two".to_owned(), rtc };
        let cut = Trust::new(ClockMode::Auto, 50, other(false), saved.clone(), &later);
        assert_eq!(cut.read(&later).time, Time::Unknown);
        let rtc = Trust::new(ClockMode::Auto, 50, other(true), saved.clone(), &later);
        assert_eq!(
            (rtc.read(&later).time, rtc.read(&later).note.src),
            (Time::Fit, ClockSource::Rtc)
        );
        let back = reading(UtcMs(10), 3);
        let stopped = Trust::new(ClockMode::Auto, 50, other(true), saved, &back);
        assert_eq!(stopped.read(&back).time, Time::Unknown, "a clock that went back was stopped");
    }
}
