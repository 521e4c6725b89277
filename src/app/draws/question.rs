//! What is asked of a draw, written so that the same question has the same name.

use super::DrawError;
use crate::domain::ids::{Digest, UnitId};
use crate::domain::time::{Span, UtcMs};
use crate::draw::MOST_DRAWN;
use serde::{Deserialize, Serialize};

/// Longest period of one draw.
const MOST_MS: i64 = 366 * 86_400_000;
/// Characters of the longest plan line, as in playlists.
const LINE: usize = 200;

/// Which plays, how many of them, and which head of the log decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Plays that were due from here, inclusive.
    pub from_ms: UtcMs,
    /// Plays that were due before.
    pub to_ms: UtcMs,
    /// The first head that was vouched for at or after this instant decides.
    pub after_ms: UtcMs,
    /// A unit with all below it; the whole station when `None`.
    pub unit: Option<UnitId>,
    /// Plays to draw.
    pub plays: u32,
    /// The inspector's own word, or empty.
    pub word: String,
    /// Only plays of this plan line, in the words in which playlists name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

impl Question {
    /// Refuses a question that has no answer at that time.
    pub fn check(&self, now: UtcMs) -> Result<Span, DrawError> {
        let Self { from_ms, to_ms, after_ms, plays, .. } = self;
        let most = u32::try_from(MOST_DRAWN).unwrap_or(u32::MAX);
        if !(1..=most).contains(plays) {
            return Err(DrawError::Plays { got: *plays, most });
        }
        let period = Span::new(*from_ms, *to_ms).ok().filter(|span| span.len_ms() <= MOST_MS);
        let period = period.ok_or(DrawError::Period { from: *from_ms, to: *to_ms })?;
        let plain = |line: &String| {
            let length = line.chars().count();
            (1..=LINE).contains(&length) && line.trim() == line && !line.contains(char::is_control)
        };
        if let Some(line) = self.line.as_ref().filter(|line| !plain(line)) {
            return Err(DrawError::Line { line: line.chars().take(60).collect(), most: LINE });
        }
        if after_ms < to_ms {
            return Err(DrawError::Early { after: *after_ms, to: *to_ms });
        }
        if *after_ms > now {
            return Err(DrawError::Future { after: *after_ms, now });
        }
        Ok(period)
    }

    /// Returns the name of the question: 16 hex digits.
    pub fn id(&self) -> String {
        let Self { from_ms, to_ms, after_ms, unit, plays, word, line } = self;
        let unit = unit.as_ref().map_or("all", UnitId::as_str);
        let mut text = format!(
            "loa question 1\nfrom {}\nto {}\nafter {}\nscope {unit}\nplays {plays}\nword {word}\n",
            from_ms.0, to_ms.0, after_ms.0
        );
        if let Some(line) = line {
            text.push_str("line ");
            text.push_str(line);
            text.push('\n');
        }
        let mut id = Digest::of(text.as_bytes()).to_string();
        id.truncate(16);
        id
    }
}
