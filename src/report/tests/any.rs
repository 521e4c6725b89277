//! Whatever text comes in: no renderer fails, panics or loses a row.

use super::month::question;
use crate::domain::time::UtcMs;
use crate::report::document::{Cell, Document, Part, ReportKind, Table, column};
use crate::report::letter::Letter;
use crate::report::question::{Checkpoint, Standing};
use crate::report::render::{Format, render};
use calamine::{Reader, Xlsx};
use proptest::prelude::*;
use std::io::Cursor;

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Empty),
        any::<String>().prop_map(|text| Cell::text(&text)),
        "[=+@\\-]?[a-zđơư \u{300}-\u{30f}\u{202e}\u{0}\u{ffff}\u{e000}ꨀ😀]{0,300}"
            .prop_map(|text| Cell::text(&text)),
        any::<u64>().prop_map(Cell::Count),
        (any::<u64>(), any::<u64>()).prop_map(|(part, whole)| Cell::Share { part, whole }),
        any::<i64>().prop_map(Cell::Length),
        any::<i64>().prop_map(|ms| Cell::Instant(UtcMs(ms))),
        (-200_000_i64..2_000_000).prop_map(|days| {
            Cell::Date(UtcMs(days.saturating_mul(86_400_000)).datetime().date_naive())
        }),
    ]
}

fn any_letter() -> impl Strategy<Value = Option<Letter>> {
    let texts = proptest::collection::vec(any::<String>(), 0..3);
    proptest::option::of((any::<String>(), any::<String>(), texts, any::<Option<u32>>()).prop_map(
        |(one, two, texts, number)| Letter {
            above: Some(two.clone()),
            agency: one.clone(),
            number,
            symbol: two.clone(),
            place: one.clone(),
            date: None,
            to: texts.clone(),
            about: two,
            grounds: texts.clone(),
            recipients: texts,
            archive: one.clone(),
            behalf: Some(one.clone()),
            office: one.clone(),
            signer: Some(one),
        },
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_renderer_takes_every_document(
        rows in proptest::collection::vec(proptest::collection::vec(any_cell(), 0..6), 0..12),
        texts in proptest::collection::vec(any::<String>(), 0..4),
        letter in any_letter(),
    ) {
        let mut question = question("51");
        question.checkpoint = texts.first().map(|text| Checkpoint {
            origin: text.clone(), size: u64::MAX, root: text.clone(),
        });
        let mut document =
            Document::new(ReportKind::Heard, texts.concat(), &question, Standing::Final);
        let columns = ["a", "b", "c", "d"].map(|key| column(key, "Cột", "Column", 20));
        let mut table = Table::new("any", "Bảng [1]: 'a/b'*?", &columns);
        let count = rows.len();
        for mut row in rows {
            // Readers leave out rows of blanks at the end.
            row.insert(0, Cell::Count(1));
            table.push(row);
        }
        document.asked = texts.iter().map(|text| ("Hỏi", "asked", text.clone())).collect();
        document.parts = texts.iter().cloned().map(Part::Text).collect();
        document.parts.push(Part::Annex(texts.concat()));
        document.parts.push(Part::Table(table));
        document.notes = texts;
        document.letter = letter.map(|letter| letter.checked().unwrap());
        for format in Format::ALL {
            let rendered = render(&document, format).unwrap();
            prop_assert_eq!(&rendered, &render(&document, format).unwrap());
            if format == Format::Xlsx {
                let mut book = Xlsx::new(Cursor::new(rendered.bytes)).unwrap();
                let names = book.sheet_names();
                let range = book.worksheet_range(&names[1]).unwrap();
                prop_assert_eq!(range.height(), count + 1);
            } else if format == Format::Json {
                let json: serde_json::Value = serde_json::from_slice(&rendered.bytes).unwrap();
                prop_assert_eq!(json["tables"]["any"]["rows"].as_array().unwrap().len(), count);
            }
        }
    }
}
