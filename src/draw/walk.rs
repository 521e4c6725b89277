//! The walking list: which clusters to go to, and which plays to ask about there.

use super::ground::{Ground, Seed};
use super::sample::{MOST_DRAWN, draw};
use crate::domain::ids::{CueId, DeviceId};
use chrono::NaiveDateTime;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// Digits and letters that nobody mistakes for each other in handwriting: no I, L, O, U.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE: usize = 5;

/// A play that was drawn, with what a person needs to ask about it. Texts come from records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnPlay {
    /// Its number in the list that was drawn from.
    pub number: u64,
    pub device: DeviceId,
    pub device_name: String,
    /// Where it stands: hamlet, commune.
    pub place: String,
    pub cue: CueId,
    /// When it began, by the clock on the wall there.
    pub began: NaiveDateTime,
    pub title: String,
    /// Where its record stands in the log.
    pub index: u64,
}

/// The short name of a cluster on one list: what the inspector writes down on the spot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterCode([u8; CODE]);

/// A text that is no code of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a code of a cluster")]
pub struct CodeError {
    pub text: String,
}

impl CodeError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "five digits or letters as on the walking list: `7K3QD`"
    }
}

impl ClusterCode {
    fn of(seed: &Seed, device: &DeviceId, attempt: u16) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(seed.0)
            .chain_update([2])
            .chain_update(attempt.to_be_bytes())
            .chain_update(device.as_str())
            .finalize()
            .into();
        let mut letters = [0; CODE];
        for (letter, byte) in letters.iter_mut().zip(hash) {
            *letter = LETTERS[usize::from(byte & 31)];
        }
        Self(letters)
    }

    /// Says whether one slip of the pen can make one code of the other.
    fn is_near(self, other: Self) -> bool {
        self.0.into_iter().zip(other.0).filter(|(a, b)| a != b).count() < 2
    }
}

impl FromStr for ClusterCode {
    type Err = CodeError;

    /// Reads a code in either case; the letters that are left out count as what they look like.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let refuse = || CodeError { text: text.chars().take(40).collect() };
        let letter = |byte: u8| match byte.to_ascii_uppercase() {
            b'O' => Some(b'0'),
            b'I' | b'L' => Some(b'1'),
            upper => LETTERS.contains(&upper).then_some(upper),
        };
        let read: Option<Vec<u8>> = text.bytes().map(letter).collect();
        let letters = read.and_then(|letters| letters.try_into().ok()).ok_or_else(refuse)?;
        Ok(Self(letters))
    }
}

impl fmt::Display for ClusterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| f.write_char(char::from(*letter)))
    }
}

impl fmt::Debug for ClusterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ClusterCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A play on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Its number on the list, from 1, in the order of the draw.
    pub play: u32,
    /// Its number in what was drawn from.
    pub number: u64,
    pub cue: CueId,
    /// When it began, by the clock on the wall there.
    pub began: NaiveDateTime,
    pub title: String,
    /// Where its record stands in the log.
    pub index: u64,
}

/// A cluster to go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    pub code: ClusterCode,
    pub device: DeviceId,
    pub name: String,
    pub place: String,
    /// By their time.
    pub plays: Vec<Visit>,
}

/// The walking list: JSON as it stands, text by [`WalkingList::text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WalkingList {
    ground: Ground,
    seed: Seed,
    drawn: u32,
    clusters: Vec<Cluster>,
}

/// Why plays make no walking list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    #[error("{got} plays were brought, {want} were drawn")]
    Count { got: usize, want: usize },
    #[error("play {place} is number {got} of the list, drawn was {want}")]
    NotDrawn { place: usize, got: u64, want: u64 },
}

impl WalkError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        "look up the plays by the numbers that were drawn, in that order"
    }
}

impl WalkingList {
    /// Makes the list of the plays that were drawn, in the order of the draw. Plays that the
    /// ground did not draw make none; that each is the one of its number in the list that was
    /// hashed, those see to who look it up there, and everybody who has the log can check.
    pub fn new(ground: Ground, wanted: usize, plays: Vec<DrawnPlay>) -> Result<Self, WalkError> {
        let seed = ground.seed();
        let drawn = draw(&seed, ground.plays(), wanted.min(MOST_DRAWN));
        if plays.len() != drawn.len() {
            return Err(WalkError::Count { got: plays.len(), want: drawn.len() });
        }
        for ((place, play), want) in (1..).zip(&plays).zip(&drawn) {
            if play.number != *want {
                return Err(WalkError::NotDrawn { place, got: play.number, want: *want });
            }
        }
        let drawn = u32::try_from(plays.len()).unwrap_or(u32::MAX);
        let clusters = clusters(&seed, plays);
        Ok(Self { ground, seed, drawn, clusters })
    }

    /// Returns what the draw rests on.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Returns how many plays are to be checked.
    pub fn drawn(&self) -> u32 {
        self.drawn
    }

    /// Returns the clusters by place.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Returns the list for paper.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let (drawn, plays) = (self.drawn, self.ground.plays());
        writeln!(out, "PHIẾU KIỂM TRA THỰC ĐỊA (Field check of plays drawn by lot)\n")?;
        writeln!(
            out,
            "Số lượt phát kiểm tra: {drawn} trong {plays} lượt phát (drawn of all plays)"
        )?;
        writeln!(out, "Số cụm loa, bảng phải đến: {} (clusters to visit)", self.clusters.len())?;
        writeln!(out, "Hạt giống (seed): {}", self.seed)?;
        writeln!(out, "\nCăn cứ bốc thăm, SHA-256 của mười dòng dưới đây là hạt giống")?;
        writeln!(out, "(The SHA-256 of these ten lines is the seed):\n")?;
        for line in self.ground.text().lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out, "\nKết quả ghi vào tệp CSV: code,play,finding,by,date,note")?;
        writeln!(out, "finding: đúng, không đúng hoặc không xác định")?;
        for (number, cluster) in (1..).zip(&self.clusters) {
            let Cluster { code, device, name, place, plays } = cluster;
            writeln!(out, "\n{number}. {place}: {name} ({device})")?;
            writeln!(out, "   Mã cụm (code): {code}")?;
            for visit in plays {
                let at = visit.began.format("%d/%m/%Y %H:%M:%S");
                let Visit { play, title, index, .. } = visit;
                writeln!(out, "   [{play:>3}] {at}  {title}  (bản ghi số {index})")?;
                writeln!(out, "         [ ] đúng   [ ] không đúng   [ ] không xác định")?;
            }
        }
        Ok(())
    }
}

/// Gathers plays by their clusters, each with its code, by place.
fn clusters(seed: &Seed, plays: Vec<DrawnPlay>) -> Vec<Cluster> {
    let mut by_device: BTreeMap<DeviceId, Cluster> = BTreeMap::new();
    for (play, drawn) in (1..).zip(plays) {
        let DrawnPlay { number, device, device_name, place, cue, began, title, index } = drawn;
        let cluster = by_device.entry(device.clone()).or_insert_with(|| Cluster {
            code: ClusterCode::of(seed, &device, 0),
            device,
            name: plain(&device_name),
            place: plain(&place),
            plays: Vec::new(),
        });
        let title = plain(&title);
        cluster.plays.push(Visit { play, number, cue, began, title, index });
    }
    let mut taken: Vec<ClusterCode> = Vec::new();
    let mut clusters: Vec<Cluster> = by_device.into_values().collect();
    // By device, so that the codes hang on nothing but the seed and the devices drawn.
    for cluster in &mut clusters {
        cluster.code = code(seed, &cluster.device, &taken);
        taken.push(cluster.code);
        cluster.plays.sort_by_key(|visit| (visit.began, visit.play));
    }
    clusters.sort_by(|a, b| (&a.place, &a.device).cmp(&(&b.place, &b.device)));
    clusters
}

/// Returns the first code of the device that no slip makes of another.
fn code(seed: &Seed, device: &DeviceId, taken: &[ClusterCode]) -> ClusterCode {
    let mut candidates = (0..=u16::MAX).map(|attempt| ClusterCode::of(seed, device, attempt));
    let free = |code: &ClusterCode| !taken.iter().any(|other| code.is_near(*other));
    // A thousand codes leave 99 of 100 candidates free: the search ends at once.
    candidates.find(free).unwrap_or_else(|| ClusterCode::of(seed, device, 0))
}

/// Makes a text of a record fit for one line of paper.
fn plain(text: &str) -> String {
    // Marks of direction could turn the text around them.
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| {
        if c.is_control() || turns(c) || (c.is_whitespace() && c != ' ') { '\u{FFFD}' } else { c }
    };
    text.chars().take(200).map(shown).collect()
}
