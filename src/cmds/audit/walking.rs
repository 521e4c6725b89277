//! A walking list for programs and for spreadsheets.

use crate::app::draws::Document;
use crate::draw::WalkingList;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Returns a draw with its list; `draw` alone makes the list again.
pub fn document_json(document: &Document, list: &WalkingList) -> Value {
    json!({ "draw": document, "list": list })
}

/// Returns the table to fill in, with a byte order mark for spreadsheets.
pub fn csv(list: &WalkingList) -> String {
    let mut text = "\u{FEFF}code,play,finding,by,date,note\r\n".to_owned();
    for cluster in list.clusters() {
        for visit in &cluster.plays {
            let at = visit.began.format("%d/%m/%Y %H:%M");
            let note = format!("{}: {} – {at} {}", cluster.place, cluster.name, visit.title);
            // Writing to a string cannot fail.
            let _ = write!(text, "{},{},,,,{}\r\n", cluster.code, visit.play, field(&note));
        }
    }
    text
}

/// Writes a text as a field: in quotes, and never as a formula.
fn field(text: &str) -> String {
    let neutral = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{neutral}{}\"", text.replace('"', "\"\""))
}
