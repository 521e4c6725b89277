//! Numbers and words as a device wants them: piecewise scales and maps of words.

use std::collections::BTreeMap;

/// Most points of a scale.
pub const MOST_POINTS: usize = 16;
/// Most decimals of a result.
pub const MOST_DECIMALS: u8 = 3;

/// A scale through given points, straight between them; beyond the ends the end's value.
///
/// Invariant: at least two points, inputs rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Input and output in units of the last decimal.
    points: Vec<(i64, i64)>,
    decimals: u8,
}

/// Why points are no scale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    #[error("`{text}` is not a point of a scale")]
    Point { text: String },
    #[error("{found} points, a scale has 2 to {MOST_POINTS}")]
    Count { found: usize },
    #[error("the input `{input}` does not rise")]
    Falls { input: i64 },
}

impl ScaleError {
    /// Says what to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Point { .. } => {
                "ours:theirs, as in `0:0` or `100:0.75`; no more decimals than `decimals` says"
            }
            Self::Count { .. } => "as in `[\"0:0\", \"100:21\"]`",
            Self::Falls { .. } => "sort the points by their first number; none twice",
        }
    }
}

impl Scale {
    /// Reads points such as `50:8`.
    pub fn new<'a>(
        points: impl IntoIterator<Item = &'a str>,
        decimals: u8,
    ) -> Result<Self, ScaleError> {
        let decimals = decimals.min(MOST_DECIMALS);
        let mut read: Vec<(i64, i64)> = Vec::new();
        for text in points {
            let wrong = || ScaleError::Point { text: text.chars().take(40).collect() };
            let (input, output) = text.split_once(':').ok_or_else(wrong)?;
            let input: i64 = input.trim().parse().map_err(|_| wrong())?;
            let output = decimal(output.trim(), decimals).ok_or_else(wrong)?;
            if input.unsigned_abs() > 1_000_000 {
                return Err(wrong());
            }
            if read.last().is_some_and(|(before, _)| *before >= input) {
                return Err(ScaleError::Falls { input });
            }
            read.push((input, output));
        }
        if !(2..=MOST_POINTS).contains(&read.len()) {
            return Err(ScaleError::Count { found: read.len() });
        }
        Ok(Self { points: read, decimals })
    }

    /// Returns the device's number for ours, as text.
    pub fn apply(&self, value: i64) -> String {
        let above = self.points.partition_point(|(input, _)| *input <= value);
        let units = match (above.checked_sub(1).map(|at| self.points[at]), self.points.get(above)) {
            (Some((x0, y0)), Some((x1, y1))) => {
                let (run, rise) = (x1 - x0, y1 - y0);
                // Half away from the lower end; run is positive.
                y0 + ((value - x0) * rise * 2 + run * rise.signum()) / (run * 2)
            }
            (Some((_, y)), None) => y,
            (None, Some((_, y))) => *y,
            (None, None) => 0,
        };
        written(units, self.decimals)
    }

    /// Most bytes of a result.
    pub fn most(&self) -> usize {
        self.points.iter().map(|(_, y)| written(*y, self.decimals).len()).max().unwrap_or(0)
    }
}

/// Reads `-1.25` as units of the last decimal.
fn decimal(text: &str, decimals: u8) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.len() <= 7 && t.bytes().all(|b| b.is_ascii_digit());
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > usize::from(decimals) {
        return None;
    }
    let unit = 10_i64.pow(u32::from(decimals));
    let mut fraction: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    for _ in part.len()..usize::from(decimals) {
        fraction *= 10;
    }
    Some(sign * (whole.parse::<i64>().ok()? * unit + fraction))
}

fn written(units: i64, decimals: u8) -> String {
    if decimals == 0 {
        return units.to_string();
    }
    let unit = 10_u64.pow(u32::from(decimals));
    let (sign, size) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    format!("{sign}{}.{:0width$}", size / unit, size % unit, width = usize::from(decimals))
}

/// Words of ours and what the device calls them; `*` stands for every other word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WordMap {
    words: BTreeMap<String, String>,
}

impl WordMap {
    /// Returns the map of these words.
    pub fn new(words: BTreeMap<String, String>) -> Self {
        Self { words }
    }

    /// Returns what the device calls it.
    pub fn apply(&self, word: &str) -> Option<&str> {
        self.words.get(word).or_else(|| self.words.get("*")).map(String::as_str)
    }

    /// Most bytes of a result.
    pub fn most(&self) -> usize {
        self.words.values().map(String::len).max().unwrap_or(0)
    }

    /// Returns all results, to try them.
    pub fn results(&self) -> impl Iterator<Item = &str> {
        self.words.values().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_hits_its_points_and_rounds_between_them() {
        let scale = Scale::new(["0:0", "100:21"], 0).unwrap();
        let told: Vec<String> = [0, 1, 3, 50, 99, 100, 101, -5].map(|v| scale.apply(v)).into();
        assert_eq!(told, ["0", "0", "1", "11", "21", "21", "21", "0"]);
        let falling = Scale::new(["0:10", "10:0"], 0).unwrap();
        assert_eq!([falling.apply(1), falling.apply(9)], ["9", "1"]);
        let bent = Scale::new(["0:0", "80:0.25", "100:1"], 2).unwrap();
        assert_eq!([bent.apply(80), bent.apply(90), bent.apply(40)], ["0.25", "0.63", "0.13"]);
    }

    #[test]
    fn what_is_no_scale_is_refused() {
        for points in [&["0:0"][..], &[], &["0:0", "0:1"], &["5:0", "1:1"]] {
            assert!(Scale::new(points.iter().copied(), 0).is_err(), "{points:?}");
        }
        for point in ["", "1", "1:", ":1", "1:1.5", "a:b", "1:99999999", "1:--1", "1:1e3"] {
            assert!(Scale::new(["0:0", point], 0).is_err(), "{point}");
        }
        let many: Vec<String> = (0..17).map(|n| format!("{n}:0")).collect();
        assert!(Scale::new(many.iter().map(String::as_str), 0).is_err());
    }
}
