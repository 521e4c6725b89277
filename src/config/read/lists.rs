//! Lists and tables below a table.

use super::super::fault::At;
use super::super::problem::Problem;
use super::super::shape::Kind;
use super::super::text::nfc;
use super::Reader;
use crate::domain::ids::IdError;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

impl<'a> Reader<'a> {
    /// Returns the texts of a list; `None` when the key is absent or is no list.
    pub fn texts(&self, name: &str) -> Option<Vec<At<String>>> {
        let (key, value, place) = self.get(name)?;
        let Kind::Texts(most) = key.kind else { return None };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong(key, value.get_ref(), place);
            return None;
        };
        if array.len() > most {
            let problem =
                Problem::TooManyEntries { key: name.to_owned(), length: array.len(), most };
            self.fault(place, &problem);
            return None;
        }
        let text = |entry: &'a Spanned<DeValue<'a>>| {
            let place = self.place_at(entry);
            if let DeValue::String(raw) = entry.get_ref() {
                return self.checked(name, raw, 200, false, place);
            }
            self.wrong_kind(
                name,
                "a list of texts",
                "each entry in quotes",
                entry.get_ref(),
                place,
            );
            None
        };
        Some(array.iter().filter_map(text).collect())
    }

    /// Returns the ids of a list without doubles; empty when absent.
    pub fn ids<T: FromStr<Err = IdError> + PartialEq>(&self, name: &str) -> Vec<At<T>> {
        let mut ids: Vec<At<T>> = Vec::new();
        for text in self.texts(name).unwrap_or_default() {
            if let Some(id) = self.parse_id::<T>(text)
                && !ids.iter().any(|known| known.value == id.value)
            {
                ids.push(id);
            }
        }
        ids
    }

    /// Returns a table below this one.
    pub fn table(&self, name: &str) -> Option<Reader<'a>> {
        let (key, value, place) = self.get(name)?;
        let (Kind::Table(shape) | Kind::ChoiceOrTable(_, shape)) = key.kind else { return None };
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Reader::new(&self.source, table, place, shape));
        }
        self.wrong(key, value.get_ref(), place);
        None
    }

    /// Says whether the key stands with a table.
    pub fn is_table(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|value| value.get_ref().is_table())
    }

    /// Returns the tables of a list of tables; `None` when absent or no such list.
    pub fn tables(&self, name: &str) -> Option<Vec<Reader<'a>>> {
        let (key, value, place) = self.get(name)?;
        let Kind::Tables(shape, most) = key.kind else { return None };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong(key, value.get_ref(), place);
            return None;
        };
        if array.len() > most {
            let problem =
                Problem::TooManyEntries { key: name.to_owned(), length: array.len(), most };
            self.fault(place, &problem);
            return None;
        }
        let mut tables = Vec::new();
        for entry in array {
            let place = self.place_at(entry);
            if let DeValue::Table(table) = entry.get_ref() {
                tables.push(Reader::new(&self.source, table, place, shape));
            } else {
                self.wrong(key, entry.get_ref(), place);
            }
        }
        Some(tables)
    }

    /// Returns the names and texts of a table of the author's own names; empty when absent.
    pub fn map(&self, name: &str) -> Vec<(At<String>, At<String>)> {
        let Some((table, most)) = self.named(name) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, value) in table.iter().take(most) {
            let place = self.place_at(value);
            let DeValue::String(raw) = value.get_ref() else {
                let (wanted, hint) = ("a text", "text stands in double quotes");
                self.wrong_kind(key.get_ref(), wanted, hint, value.get_ref(), place);
                continue;
            };
            let text = self.checked(key.get_ref(), raw, 200, false, place);
            let name = At { value: nfc(key.get_ref()), place: self.place_at_key(key) };
            found.extend(text.map(|text| (name, text)));
        }
        found
    }

    /// Returns the names and tables of a table of the author's own names; empty when absent.
    pub fn table_map(&self, name: &str) -> Vec<(At<String>, Reader<'a>)> {
        let Some((table, most)) = self.named(name) else { return Vec::new() };
        let shape = match self.shape.key(name).map(|key| &key.kind) {
            Some(Kind::TableMap(shape, _)) => *shape,
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        for (key, value) in table.iter().take(most) {
            let place = self.place_at(value);
            let name = At { value: nfc(key.get_ref()), place: self.place_at_key(key) };
            if let DeValue::Table(table) = value.get_ref() {
                found.push((name, Reader::new(&self.source, table, place, shape)));
            } else {
                let (wanted, hint) = ("a table", "as in `[name]` with its keys below");
                self.wrong_kind(key.get_ref(), wanted, hint, value.get_ref(), place);
            }
        }
        found
    }

    /// Returns a table of the author's own names and how many it may hold.
    fn named(&self, name: &str) -> Option<(&'a DeTable<'a>, usize)> {
        let (key, value, place) = self.get(name)?;
        let (Kind::Map(most) | Kind::TableMap(_, most)) = key.kind else { return None };
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(key, value.get_ref(), place);
            return None;
        };
        if table.len() > most {
            let length = table.len();
            self.fault(place, &Problem::TooManyEntries { key: name.to_owned(), length, most });
        }
        Some((table, most))
    }
}
