//! What may stand in a TOML file: keys, their kinds and bounds, in one table for each file.
//!
//! The table is the single source for reading ([`super::read`]), for the message on a misspelt
//! key, and for the JSON Schema that editors use ([`super::schema`]).
//!
//! # Why not serde
//! A derived reader stops at the first fault of a file; an operator who mends one mistake a run
//! loses the morning. Here every key is looked at, whatever stands in the others.

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Shape {
    /// What the table is, for messages: `a slot`.
    pub of: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub must: Must,
    /// What it means, in a sentence without full stop; also the hint where it is missing.
    pub doc: &'static str,
}

/// Whether a key may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    Stand,
    MayStand,
}

/// What a key's value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text of so many characters at most, on one line.
    Text(usize),
    /// Text that may hold line breaks.
    Lines(usize),
    /// A whole number within bounds.
    Number(i64, i64),
    /// `true` or `false`.
    Flag,
    /// A date, bare or in quotes.
    Date,
    /// A length of time: `15m`.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of so many texts at most.
    Texts(usize),
    /// A table.
    Table(&'static Shape),
    /// So many tables at most: `[[…]]`.
    Tables(&'static Shape, usize),
    /// A table of so many texts at most under names of the author's choice.
    Map(usize),
    /// So many tables at most under names of the author's choice.
    TableMap(&'static Shape, usize),
    /// One of these words, or a table.
    ChoiceOrTable(&'static [&'static str], &'static Shape),
}

impl Kind {
    /// Names the kind for a message, and says how it is written.
    pub fn wanted(&self) -> (&'static str, &'static str) {
        match self {
            Self::Text(_) | Self::Lines(_) => ("a text", "text stands in double quotes"),
            Self::Choice(_) => ("a word", "words stand in double quotes"),
            Self::Number(..) => ("a whole number", "digits, without quotes"),
            Self::Flag => ("`true` or `false`", "without quotes"),
            Self::Date => ("a date", "as in `2026-02-17`"),
            Self::Duration => ("a length of time", "in quotes with its unit, as in `\"15m\"`"),
            Self::Texts(_) => ("a list of texts", "as in `[\"one\", \"two\"]`"),
            Self::Map(_) => ("a table of texts", "as in `name = \"value\"` below `[table]`"),
            Self::TableMap(..) => ("a table of tables", "each begins with `[table.name]`"),
            Self::Table(_) => ("a table", "as in `[name]` with its keys below"),
            Self::Tables(..) => ("a list of tables", "each begins with `[[name]]`"),
            Self::ChoiceOrTable(..) => {
                ("a word or a table", "as in `\"cut\"` or `{ finish = \"2m\" }`")
            }
        }
    }
}

impl Shape {
    /// Returns the key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// Returns the names of all keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|k| k.name)
    }
}

/// Makes a key that must stand.
pub(super) const fn must(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, must: Must::Stand, doc }
}

/// Makes a key that may be absent.
pub(super) const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, must: Must::MayStand, doc }
}
