//! `calendars/*.toml`: named dates, such as Tết or days of mourning, as data.

use super::problem::Problem;
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use crate::domain::ids::CalendarId;
use crate::domain::recurrence::Calendar;
use chrono::NaiveDate;

pub(super) static CALENDAR: Shape = Shape {
    of: "the calendar",
    keys: &[
        must("title", Kind::Text(200), "what it is, for people"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        must(
            "spans",
            Kind::Tables(&SPAN, 1_000),
            "its dates: `[[spans]]` with `from`, `to` and `name`",
        ),
    ],
};

static SPAN: Shape = Shape {
    of: "a span",
    keys: &[
        must("from", Kind::Date, "first day"),
        may("to", Kind::Date, "last day, inclusive; the first unless said"),
        must("name", Kind::Text(120), "what these days are"),
    ],
};

/// Reads a calendar.
pub(super) fn read(source: &Source<'_>, id: &CalendarId) -> Option<Calendar> {
    source.toml(&CALENDAR, |top| {
        super::check_id(top, id.as_str());
        let spans = top.tables("spans").unwrap_or_default();
        Calendar {
            id: id.clone(),
            title: top.text("title").map(|t| t.value).unwrap_or_default(),
            spans: spans.iter().filter_map(span).collect(),
        }
    })
}

fn span(table: &Reader<'_>) -> Option<(NaiveDate, NaiveDate, String)> {
    let (from, to, name) = (table.date("from"), table.date("to"), table.text("name"));
    let from = from?.value;
    let to = match to {
        Some(to) if to.value < from => {
            let (from, last) = (from.to_string(), to.value.to_string());
            table.fault(to.place, &Problem::DatesReversed { from, to: last });
            return None;
        }
        Some(to) => to.value,
        None => from,
    };
    Some((from, to, name?.value))
}
