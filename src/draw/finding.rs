//! What the inspector found, and what it proves.

use super::interval::Interval;
use super::walk::{ClusterCode, WalkingList};
use chrono::{Days, NaiveDate};
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fmt::Write as _;

/// What was found about one play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It sounded or showed as recorded.
    Confirmed,
    /// It did not.
    Refuted,
    /// Nobody could say.
    Undetermined,
}

impl Verdict {
    /// The words of a table, Vietnamese first.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("đúng", Self::Confirmed),
        ("không đúng", Self::Refuted),
        ("không xác định", Self::Undetermined),
        ("confirmed", Self::Confirmed),
        ("refuted", Self::Refuted),
        ("undetermined", Self::Undetermined),
    ];
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The code of the cluster where it was found.
    pub code: ClusterCode,
    /// The number of the play on the list.
    pub play: u32,
    pub finding: Verdict,
    /// Who found it.
    pub by: String,
    /// On which day.
    pub date: NaiveDate,
    pub note: Option<String>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindingError {
    #[error("no cluster of the list has the code `{code}`")]
    Code { code: ClusterCode },
    #[error("the list has no play {play}")]
    Play { play: u32, most: u32 },
    #[error("play {play} belongs to the cluster `{right}`, not to `{code}`")]
    Cluster { play: u32, code: ClusterCode, right: ClusterCode },
    #[error("play {play} is judged a second time")]
    Twice { play: u32 },
    #[error("play {play} was judged on {date}, before the draw")]
    Early { play: u32, date: NaiveDate },
}

impl FindingError {
    /// Says what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Code { .. } => "compare with the code on the walking list".to_owned(),
            Self::Play { most, .. } => format!("plays are numbered from 1 to {most}"),
            Self::Cluster { .. } => "see which of the two was written down wrongly".to_owned(),
            Self::Twice { .. } => "keep the line that is right".to_owned(),
            Self::Early { .. } => "see whether the date is right".to_owned(),
        }
    }
}

/// What all findings together prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Plays that were drawn from.
    pub plays: u64,
    /// Plays that were drawn.
    pub drawn: u32,
    pub confirmed: u32,
    pub refuted: u32,
    pub undetermined: u32,
    /// Drawn, and without a finding.
    pub open: u32,
    /// The share confirmed of those judged, unless none was.
    pub judged: Option<Interval>,
    /// The same with all that is undetermined or open counted as refuted.
    pub at_worst: Option<Interval>,
}

impl WalkingList {
    /// Says whether a finding fits this list by itself.
    pub fn check(&self, finding: &Finding) -> Result<(), FindingError> {
        let (code, play) = (finding.code, finding.play);
        if !self.clusters().iter().any(|cluster| cluster.code == code) {
            return Err(FindingError::Code { code });
        }
        let has = |visits: &[super::walk::Visit]| visits.iter().any(|visit| visit.play == play);
        let Some(cluster) = self.clusters().iter().find(|cluster| has(&cluster.plays)) else {
            return Err(FindingError::Play { play, most: self.drawn() });
        };
        if cluster.code != code {
            return Err(FindingError::Cluster { play, code, right: cluster.code });
        }
        // A local date may be a day behind that of UTC.
        let vouched = self.ground().vouched_ms().datetime().date_naive();
        let first = vouched.checked_sub_days(Days::new(1)).unwrap_or(vouched);
        if finding.date < first {
            return Err(FindingError::Early { play, date: finding.date });
        }
        Ok(())
    }

    /// Counts the findings; all that do not fit, by their place in the slice.
    pub fn tally(&self, findings: &[Finding]) -> Result<Tally, Vec<(usize, FindingError)>> {
        let mut faults = Vec::new();
        let mut judged: BTreeMap<u32, Verdict> = BTreeMap::new();
        for (place, finding) in findings.iter().enumerate() {
            if let Err(error) = self.check(finding) {
                faults.push((place, error));
            } else if let Entry::Vacant(free) = judged.entry(finding.play) {
                free.insert(finding.finding);
            } else {
                faults.push((place, FindingError::Twice { play: finding.play }));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let count = |verdict| {
            u32::try_from(judged.values().filter(|one| **one == verdict).count())
                .unwrap_or(u32::MAX)
        };
        let (confirmed, refuted) = (count(Verdict::Confirmed), count(Verdict::Refuted));
        let undetermined = count(Verdict::Undetermined);
        let drawn = self.drawn();
        Ok(Tally {
            plays: self.ground().plays(),
            drawn,
            confirmed,
            refuted,
            undetermined,
            open: drawn.saturating_sub(confirmed + refuted + undetermined),
            judged: Interval::of(confirmed, confirmed + refuted),
            at_worst: Interval::of(confirmed, drawn),
        })
    }
}

impl Tally {
    /// Returns the result for paper, Vietnamese first.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { plays, drawn, confirmed, refuted, undetermined, open, .. } = self;
        writeln!(out, "KẾT QUẢ KIỂM TRA THỰC ĐỊA (Result of the field check)\n")?;
        writeln!(out, "Tổng số lượt phát (all plays)          {plays:>12}")?;
        writeln!(out, "Bốc thăm (drawn)                       {drawn:>12}")?;
        writeln!(out, "  đúng (confirmed)                     {confirmed:>12}")?;
        writeln!(out, "  không đúng (refuted)                 {refuted:>12}")?;
        writeln!(out, "  không xác định (undetermined)        {undetermined:>12}")?;
        writeln!(out, "  chưa kiểm tra (not visited)          {open:>12}\n")?;
        match self.judged {
            Some(share) => {
                let of = confirmed + refuted;
                writeln!(out, "Tỷ lệ xác nhận {confirmed}/{of}: {}", share.text())?;
                writeln!(out, "(share confirmed of those judged)")?;
            }
            None => writeln!(out, "Chưa có lượt phát nào được kết luận (no play was judged)")?,
        }
        if let Some(share) = self.at_worst
            && undetermined + open > 0
        {
            writeln!(
                out,
                "Nếu coi số còn lại là không đúng {confirmed}/{drawn}: {}",
                share.text()
            )?;
            writeln!(out, "(if all others count as refuted)")?;
        }
        writeln!(
            out,
            "\nKhoảng tin cậy 95%, phương pháp Clopper-Pearson (95 % confidence interval)"
        )
    }
}

impl Interval {
    /// Writes the share with its interval, with the decimal comma of Vietnamese.
    fn text(self) -> String {
        let percent = |per_10k: u32| format!("{},{:02} %", per_10k / 100, per_10k % 100);
        let (share, low) = (percent(self.share_per_10k), percent(self.low_per_10k));
        format!("{share} (từ {low} đến {})", percent(self.high_per_10k))
    }
}
