//! Why a text is no recurrence, and what to write instead.

use super::LocalTime;

/// A text that does not say when something recurs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    #[error("`{text}` is not a time of day")]
    Time { text: String },
    #[error("no time of day is given")]
    NoTimes,
    #[error("the time `{time}` is given twice")]
    TwiceTheSame { time: LocalTime },
    #[error("`{text}` is not a weekday")]
    Weekday { text: String },
    #[error("`{text}` is not a date, a span of dates or a calendar")]
    Dates { text: String },
    #[error("the span `{text}` ends before it begins")]
    Backwards { text: String },
    #[error("`{text}` has {found} fields, not five or six")]
    Fields { text: String, found: usize },
    #[error("`{text}` is not a schedule")]
    Nickname { text: String },
    #[error("`{part}` is not a {field}")]
    Value { field: &'static str, part: String },
    #[error("{field} `{part}`: {value} is outside {low}-{high}")]
    Range { field: &'static str, part: String, value: u32, low: u32, high: u32 },
    #[error("{field} `{part}` runs backwards")]
    Wraps { field: &'static str, part: String },
    #[error("{field} `{part}`: a step needs a range")]
    StepWithoutRange { field: &'static str, part: String, high: u32 },
    #[error("{field} `{part}`: a step is a whole number from 1 to {high}")]
    Step { field: &'static str, part: String, high: u32 },
    #[error("`{text}` restricts both day of month (`{day_of_month}`) and weekday (`{weekday}`)")]
    BothDays { text: String, day_of_month: String, weekday: String },
    #[error("`{text}` never happens")]
    Never { text: String },
}

impl RecurrenceError {
    /// Says what to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Time { .. } => "hours and minutes from 00:00 to 23:59, seconds if needed: `05:00`, `17:30:30`".into(),
            Self::NoTimes => "name at least one: `at = [\"05:00\", \"17:00\"]`".into(),
            Self::TwiceTheSame { time } => format!("write `{time}` once; for two items at once use two slots"),
            Self::Weekday { .. } => "Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range `Mon-Sat` or a list `Sat,Sun`".into(),
            Self::Dates { .. } => "`2026-02-17`, `2026-02-14/2026-02-22` or `calendar:tet`".into(),
            Self::Backwards { .. } => "first day, `/`, last day: `2026-02-14/2026-02-22`".into(),
            Self::Fields { .. } => "five fields, minute first: `30 7 * * Mon-Fri`; or six, seconds first: `0 30 7 * * Mon-Fri`".into(),
            Self::Nickname { .. } => "one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, or five fields: `0 5 * * *`".into(),
            Self::Value { field, .. } => match *field {
                "month" => "a number 1-12 or a name jan-dec, ranges `1-6`, steps `*/3`, lists `1,7`".into(),
                "weekday" => "a number 0-7 (0 and 7 are Sunday) or a name mon-sun, ranges `mon-fri`, lists `sat,sun`".into(),
                _ => "a number, `*`, ranges `8-17`, steps `*/15` or `8-17/3`, lists `0,30`; no `?`, `L`, `W`, `#`".into(),
            },
            Self::Range { low, high, .. } => format!("write a number from {low} to {high}"),
            Self::Wraps { part, .. } => match part.split_once('-') {
                Some((from, to)) => format!("write two ranges, as in `{from}-…,…-{to}`"),
                None => "write the smaller number first".into(),
            },
            Self::StepWithoutRange { part, high, .. } => match part.split_once('/') {
                Some((from, step)) => format!("cron programs differ here; write `{from}-{high}/{step}`, or `{from}` alone"),
                None => "write a range before the step: `0-59/10`".into(),
            },
            Self::Step { .. } => "`*/15` is every fifteenth; for once write the number itself".into(),
            Self::BothDays { .. } => "cron programs disagree whether both or either must hold; restrict one and leave the other `*`, or use two slots".into(),
            Self::Never { .. } => "no month named here has such a day; choose a day the month has".into(),
        }
    }

    /// Keeps a culprit short enough to print.
    pub(super) fn short(text: &str) -> String {
        text.chars().take(80).collect()
    }
}
