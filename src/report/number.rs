//! Figures, lengths and instants as Vietnamese papers write them.
//!
//! Invariant: no floating point; shares are rounded half up from whole numbers, so that the same
//! counts give the same text everywhere.

use super::period::local;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;

/// Writes a count with dots between thousands: `1.234.567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// Returns the share in tenths of a percent, or `None` of nothing.
pub fn permille(part: u64, whole: u64) -> Option<u64> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    (whole > 0).then(|| u64::try_from((part * 2_000 + whole) / (whole * 2)).unwrap_or(u64::MAX))
}

/// Writes a share with what it is a share of: `37/40 (92,5 %)`; of nothing: `0/0`.
pub fn share(part: u64, whole: u64) -> String {
    let counts = format!("{}/{}", count(part), count(whole));
    match permille(part, whole) {
        // What is not all is never written as all, and what is not nothing never as nothing.
        Some(1_000) if part < whole => format!("{counts} (99,9 %)"),
        Some(0) if part > 0 => format!("{counts} (0,1 %)"),
        Some(tenths) => format!("{counts} ({},{} %)", tenths / 10, tenths % 10),
        None => counts,
    }
}

/// Writes a length as hours, minutes and seconds: `1:02:03`, `2:03`; rounded to seconds.
pub fn duration(ms: i64) -> String {
    let seconds = ms.saturating_add(500).max(0) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Writes a day: `05/10/2026`.
pub fn date(day: NaiveDate) -> String {
    day.format("%d/%m/%Y").to_string()
}

/// Writes an instant in the zone: `05/10/2026 17:00:00`.
pub fn instant(at: UtcMs, zone: Tz) -> String {
    local(at, zone).format("%d/%m/%Y %H:%M:%S").to_string()
}

/// Writes the time of day in the zone: `17:00`, with seconds where there are some.
pub fn clock(at: UtcMs, zone: Tz) -> String {
    let local = local(at, zone);
    let whole = at.0.rem_euclid(60_000) < 1_000;
    local.format(if whole { "%H:%M" } else { "%H:%M:%S" }).to_string()
}

/// Writes an instant for machines: RFC 3339 with the zone's offset.
pub fn rfc3339(at: UtcMs, zone: Tz) -> String {
    local(at, zone).to_rfc3339_opts(chrono::SecondsFormat::Millis, false)
}

/// Writes centibels as decibels: `-16,0`.
pub fn decibel(cb: i64) -> String {
    let sign = if cb < 0 { "-" } else { "" };
    format!("{sign}{},{}", cb.unsigned_abs() / 10, cb.unsigned_abs() % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_dots_and_shares_never_round_up_to_all() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1.000");
        assert_eq!(count(u64::MAX), "18.446.744.073.709.551.615");
        assert_eq!(share(37, 40), "37/40 (92,5 %)");
        assert_eq!(share(40, 40), "40/40 (100,0 %)");
        assert_eq!(share(9_999, 10_000), "9.999/10.000 (99,9 %)");
        assert_eq!(share(1, 100_000), "1/100.000 (0,1 %)");
        assert_eq!(share(0, 0), "0/0");
        assert_eq!(permille(1, 8), Some(125));
        assert_eq!(permille(1, 3), Some(333));
        assert_eq!(permille(2, 3), Some(667));
        assert_eq!(permille(u64::MAX, 1), Some(u64::MAX));
    }

    #[test]
    fn lengths_and_instants_are_local_and_whole() {
        assert_eq!(duration(-5), "0:00");
        assert_eq!(duration(123_499), "2:03");
        assert_eq!(duration(123_500), "2:04");
        assert_eq!(duration(3_723_000), "1:02:03");
        assert_eq!(duration(i64::MAX), "2562047788015:12:55");
        let zone = chrono_tz::Asia::Ho_Chi_Minh;
        let at = UtcMs(1_790_935_200_000);
        assert_eq!(instant(at, zone), "02/10/2026 17:00:00");
        assert_eq!(clock(at, zone), "17:00");
        assert_eq!(clock(at.plus(5_000), zone), "17:00:05");
        assert_eq!(rfc3339(at, zone), "2026-10-02T17:00:00.000+07:00");
        // Devices may sign any number.
        assert_eq!(instant(UtcMs(i64::MIN), zone), "02/01/0001 07:06:30");
        assert_eq!(instant(UtcMs(i64::MAX), zone), "01/01/9999 07:00:00");
        assert_eq!(decibel(-160), "-16,0");
        assert_eq!(decibel(-5), "-0,5");
        assert_eq!(decibel(i64::MIN), "-922337203685477580,8");
    }
}
