//! The table of a run as JSON and JUnit.

use super::rows::{Rows, Verdict};
use serde::Serialize;
use std::fmt::Write as _;

/// A run as JSON; names are stable.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    pub device: &'a str,
    pub kind: &'a str,
    pub passed: bool,
    pub checks: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
pub struct Line<'a> {
    pub id: &'a str,
    pub place: &'a str,
    pub says: &'a str,
    pub verdict: Verdict,
    pub evidence: &'a str,
    pub ms: i64,
}

impl<'a> Document<'a> {
    pub fn new(device: &'a str, kind: &'a str, rows: &'a Rows) -> Self {
        let line = |row: &'a super::rows::Row| Line {
            id: row.check.id,
            place: row.check.place,
            says: row.check.says,
            verdict: row.verdict,
            evidence: &row.evidence,
            ms: row.ms,
        };
        Self { device, kind, passed: rows.passed(), checks: rows.all().iter().map(line).collect() }
    }
}

/// Writes a run as JUnit XML.
pub fn junit(device: &str, rows: &Rows) -> String {
    let count = |verdict| rows.count(verdict);
    let total: i64 = rows.all().iter().map(|row| row.ms).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"loa conform {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">\n",
        escaped(device),
        rows.all().len(),
        count(Verdict::Fail),
        count(Verdict::Unreached),
        count(Verdict::Skip),
        seconds(total),
    );
    for row in rows.all() {
        let class = row.check.id.split('-').next().unwrap_or_default();
        let _ = write!(
            text,
            "<testcase classname=\"{}\" name=\"{}: {}\" time=\"{}\">",
            escaped(class),
            escaped(row.check.id),
            escaped(row.check.says),
            seconds(row.ms),
        );
        let said = format!("{} {}", row.check.place, row.evidence);
        let said = escaped(said.trim());
        match row.verdict {
            Verdict::Pass => {
                let _ = write!(text, "<system-out>{said}</system-out>");
            }
            Verdict::Fail => {
                let _ = write!(text, "<failure message=\"{said}\"/>");
            }
            Verdict::Unreached => {
                let _ = write!(text, "<error message=\"{said}\"/>");
            }
            Verdict::Skip => {
                let _ = write!(text, "<skipped message=\"{said}\"/>");
            }
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text as XML allows it: what a device says may hold anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Check, Row};
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::default();
        let all = [
            ("a-1", Verdict::Pass, "fine"),
            ("a-2", Verdict::Fail, "said <\"x\" & \u{1}y>"),
            ("b-1", Verdict::Skip, "no board"),
            ("b-2", Verdict::Unreached, ""),
        ];
        for (id, verdict, evidence) in all {
            let check = Check { id, place: "§1", says: "does it" };
            rows.put(Row { check, verdict, evidence: evidence.to_owned(), ms: 1_234 });
        }
        rows
    }

    #[test]
    fn junit_counts_what_failed_and_escapes_what_a_device_says() {
        let text = junit("bang-1", &rows());
        assert!(
            text.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\" time=\"4.936\"")
        );
        assert!(
            text.contains("message=\"§1 said &lt;&quot;x&quot; &amp; \u{fffd}y&gt;\""),
            "{text}"
        );
        assert_eq!(text.matches("<testcase").count(), 4);
    }

    #[test]
    fn json_names_each_verdict_in_a_word() {
        let rows = rows();
        let document = serde_json::to_value(Document::new("bang-1", "board", &rows)).unwrap();
        assert_eq!(document["passed"], false);
        let words: Vec<_> =
            document["checks"].as_array().unwrap().iter().map(|c| c["verdict"].clone()).collect();
        assert_eq!(words, ["pass", "fail", "skip", "unreached"]);
    }

    #[test]
    fn a_run_with_anything_not_reached_has_not_passed() {
        let mut rows = Rows::default();
        assert!(!rows.passed(), "nothing was judged");
        let row = |id, verdict| Row {
            check: Check { id, place: "§1", says: "" },
            verdict,
            evidence: String::new(),
            ms: 0,
        };
        rows.put(row("a", Verdict::Pass));
        rows.put(row("b", Verdict::Skip));
        assert!(rows.passed());
        rows.put(row("c", Verdict::Unreached));
        assert!(!rows.passed());
    }
}
