//! The card of a device: what a technician needs to find it and to know whose hands it went through.
//!
//! Nothing of it decides what sounds. Invariants: texts are NFC lines without control characters,
//! bounded; a point lies on the globe, and within Viet Nam unless somebody insisted.

use crate::domain::ids::Digest;
use chrono::NaiveDate;
use std::fmt;
use std::str::FromStr;

/// What the register knows of a device beside what decides where it plays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Where it hangs, in words: `cột điện trước nhà văn hoá`.
    pub place: String,
    /// Where on the map (WGS 84).
    pub point: Option<Point>,
    /// The maker's serial number.
    pub serial: String,
    /// Who put it up.
    pub installer: String,
    /// When it was put up.
    pub installed: Option<NaiveDate>,
    /// SHA-256 of a photograph among the files that persons brought.
    pub photo: Option<Digest>,
    /// Anything else.
    pub notes: String,
}

/// A place on the map, in millionths of a degree (WGS 84): about 11 cm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// North of the equator.
    pub lat_e6: i32,
    /// East of Greenwich.
    pub lon_e6: i32,
}

/// Why a card is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("`{key}` is `{text}`, which is no angle in degrees")]
    Angle { key: &'static str, text: String },
    #[error("`{text}` is not two angles")]
    Pair { text: String },
    #[error("`{lat}` north, `{lon}` east is not in Viet Nam")]
    Abroad { lat: String, lon: String },
    #[error("`{lat}` and `{lon}` are exchanged")]
    Exchanged { lat: String, lon: String },
    #[error("`{key}` is given without `{other}`")]
    Half { key: &'static str, other: &'static str },
    #[error("`{key}` has {length} characters, more than the {most} allowed")]
    Long { key: &'static str, length: usize, most: usize },
    #[error("installed on {date}, which is outside 1990 to {last}")]
    Installed { date: NaiveDate, last: NaiveDate },
}

impl CardError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Angle { .. } => "degrees with a point, at most seven decimals: `16.067780`",
            Self::Pair { .. } => "latitude first, as maps show it: `16.067780,108.220830`",
            Self::Abroad { .. } => {
                "latitude 6 to 23.5, longitude 102 to 118, Hoàng Sa and Trường Sa included; \
                 insist with `--anywhere` if the device does stand there"
            }
            Self::Exchanged { .. } => "latitude comes first: in Viet Nam it is the smaller number",
            Self::Half { .. } => "give both, or neither",
            Self::Long { .. } => "shorten the text",
            Self::Installed { .. } => "year, month, day: `2026-02-17`",
        }
    }
}

/// Millionths of a degree.
const E6: i32 = 1_000_000;

impl Point {
    /// Reads two angles as maps write them; decimal commas are understood, too.
    pub fn read(lat: &str, lon: &str) -> Result<Self, CardError> {
        let (lat_e6, lon_e6) = (angle("lat", lat, 90)?, angle("lon", lon, 180)?);
        Ok(Self { lat_e6, lon_e6 })
    }

    /// Says whether it lies in Viet Nam, its islands and waters included (Hoàng Sa, Trường Sa): a
    /// box, so that exchanged or mistyped numbers are found, not a border.
    pub fn is_in_viet_nam(self) -> bool {
        (6 * E6..=23 * E6 + E6 / 2).contains(&self.lat_e6)
            && (102 * E6..=118 * E6).contains(&self.lon_e6)
    }

    /// Refuses what is not in Viet Nam.
    pub fn must_be_in_viet_nam(self) -> Result<(), CardError> {
        if self.is_in_viet_nam() {
            return Ok(());
        }
        let exchanged = Self { lat_e6: self.lon_e6, lon_e6: self.lat_e6 };
        let (lat, lon) = (self.lat(), self.lon());
        Err(if exchanged.is_in_viet_nam() {
            CardError::Exchanged { lat, lon }
        } else {
            CardError::Abroad { lat, lon }
        })
    }

    /// Writes the latitude.
    pub fn lat(self) -> String {
        degrees(self.lat_e6)
    }

    /// Writes the longitude.
    pub fn lon(self) -> String {
        degrees(self.lon_e6)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.lat(), self.lon())
    }
}

impl FromStr for Point {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let parts: Vec<&str> = text.split([',', ';']).map(str::trim).collect();
        match parts.as_slice() {
            [lat, lon] => Self::read(lat, lon),
            _ => Err(CardError::Pair { text: short(text) }),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn degrees(e6: i32) -> String {
    let sign = if e6 < 0 { "-" } else { "" };
    let abs = e6.unsigned_abs();
    format!("{sign}{}.{:06}", abs / 1_000_000, abs % 1_000_000)
}

/// Reads an angle exactly: a seventh decimal is rounded, more are refused.
fn angle(key: &'static str, text: &str, most: i32) -> Result<i32, CardError> {
    let refused = || CardError::Angle { key, text: short(text) };
    let plain = text.trim().replace(',', ".");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || whole.len() > 3 || part.len() > 7 {
        return Err(refused());
    }
    let whole: i64 = whole.parse().map_err(|_| refused())?;
    let tenths: i64 = format!("{part:0<7}").parse().map_err(|_| refused())?;
    let e6 = whole * 1_000_000 + (tenths + 5) / 10;
    if e6 > i64::from(most) * 1_000_000 {
        return Err(refused());
    }
    i32::try_from(sign * e6).map_err(|_| refused())
}

impl Card {
    /// Longest text of a member in characters.
    pub const TEXT: usize = 200;
    /// Longest note.
    pub const NOTES: usize = 1_000;

    /// Says whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts texts in order and refuses what does not fit; `today` bounds the date.
    pub fn checked(mut self, today: NaiveDate) -> Result<Self, CardError> {
        let texts: [(&'static str, &mut String, usize); 4] = [
            ("place", &mut self.place, Self::TEXT),
            ("serial", &mut self.serial, Self::TEXT),
            ("installer", &mut self.installer, Self::TEXT),
            ("notes", &mut self.notes, Self::NOTES),
        ];
        for (key, text, most) in texts {
            *text = line(text);
            let length = text.chars().count();
            if length > most {
                return Err(CardError::Long { key, length, most });
            }
        }
        // A day ahead: the clock of whoever writes may stand in another zone.
        let last = today.succ_opt().unwrap_or(today);
        let first = NaiveDate::from_ymd_opt(1990, 1, 1).unwrap_or(NaiveDate::MIN);
        match self.installed {
            Some(date) if !(first..=last).contains(&date) => {
                Err(CardError::Installed { date, last })
            }
            _ => Ok(self),
        }
    }

    /// Says what differs from what was before, for the trail: `before` and `after`, changed members
    /// alone; `None` when nothing does.
    pub fn difference(&self, before: &Self) -> Option<(String, String)> {
        let (mut was, mut is) = (Vec::new(), Vec::new());
        for ((key, old), (_, new)) in before.members().into_iter().zip(self.members()) {
            if old != new {
                was.push(format!("{key}={old}"));
                is.push(format!("{key}={new}"));
            }
        }
        (!is.is_empty()).then(|| (was.join("; "), is.join("; ")))
    }

    fn members(&self) -> [(&'static str, String); 7] {
        [
            ("place", self.place.clone()),
            ("at", self.point.map(|point| point.to_string()).unwrap_or_default()),
            ("serial", self.serial.clone()),
            ("installer", self.installer.clone()),
            ("installed", self.installed.map(|date| date.to_string()).unwrap_or_default()),
            ("photo", self.photo.map(|photo| photo.to_string()).unwrap_or_default()),
            ("notes", self.notes.clone()),
        ]
    }
}

/// NFC, one line, without white space around it.
fn line(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.nfc().map(plain).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn angles_are_read_exactly_and_bounded() {
        let point: Point = "16.0677799, 108.2208300".parse().unwrap();
        assert_eq!((point.lat_e6, point.lon_e6), (16_067_780, 108_220_830));
        assert_eq!(Point::read("8,65", "111,92").unwrap().to_string(), "8.650000,111.920000");
        assert_eq!(Point::read("-33.5", "-70").unwrap().to_string(), "-33.500000,-70.000000");
        for (lat, lon) in [("91", "0"), ("0", "181"), ("", "1"), ("1e1", "1"), ("1.12345678", "1")]
        {
            assert!(matches!(Point::read(lat, lon), Err(CardError::Angle { .. })), "{lat} {lon}");
        }
        assert!(matches!("16.0".parse::<Point>(), Err(CardError::Pair { .. })));
    }

    #[test]
    fn the_islands_are_in_viet_nam_and_exchanged_numbers_are_named_as_such() {
        for text in ["16.5,112.0", "8.65,111.92", "7.3,117.5", "23.39,105.32", "8.56,104.84"] {
            let point: Point = text.parse().unwrap();
            point.must_be_in_viet_nam().unwrap();
        }
        let paris: Point = "48.85,2.35".parse().unwrap();
        assert!(matches!(paris.must_be_in_viet_nam(), Err(CardError::Abroad { .. })));
        // A latitude of 108 is none at all.
        assert!("108.22,16.06".parse::<Point>().is_err());
        let swapped = Point { lat_e6: 108 * E6, lon_e6: 16 * E6 };
        assert!(matches!(swapped.must_be_in_viet_nam(), Err(CardError::Exchanged { .. })));
    }

    #[test]
    fn a_card_is_put_in_order_and_tells_what_changed() {
        let today = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let card =
            Card { place: " Nha\u{0300} va\u{0306}n\nhoa\u{0301} ".into(), ..Card::default() };
        let card = card.checked(today).unwrap();
        assert_eq!(card.place, "Nhà văn hoá");
        let moved = Card { place: "Cổng chợ".into(), ..card.clone() };
        let (was, is) = moved.difference(&card).unwrap();
        assert_eq!((was.as_str(), is.as_str()), ("place=Nhà văn hoá", "place=Cổng chợ"));
        assert_eq!(card.difference(&card), None);
        let late = Card { installed: NaiveDate::from_ymd_opt(2026, 3, 3), ..Card::default() };
        assert!(matches!(late.checked(today), Err(CardError::Installed { .. })));
        let long = Card { notes: "đ".repeat(1_001), ..Card::default() };
        assert!(matches!(long.checked(today), Err(CardError::Long { length: 1_001, .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_nothing_panics(
            lat_e6 in -90_000_000..=90_000_000_i32,
            lon_e6 in -180_000_000..=180_000_000_i32,
            text in ".{0,30}",
        ) {
            let point = Point { lat_e6, lon_e6 };
            prop_assert_eq!(point.to_string().parse::<Point>().unwrap(), point);
            let _ = text.parse::<Point>();
        }
    }
}
