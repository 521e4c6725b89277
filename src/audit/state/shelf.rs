//! What devices share: sheets, lists of sheets and what records speak of, each kept once.

use super::super::facts::Subjects;
use super::super::hash::Hash;
use super::Tracked;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// See the module.
#[derive(Debug, Default)]
pub struct Shelf {
    sheets: Vec<Hash>,
    numbers: HashMap<Hash, u32>,
    lists: Vec<Rc<[u32]>>,
    known: HashMap<Rc<[u32]>, u32>,
    listed: usize,
    pub subjects: Subjects,
}

impl Shelf {
    /// Puts a list of sheets on it; returns its number.
    pub fn put(&mut self, sheets: &[Hash]) -> u32 {
        let list: Rc<[u32]> = sheets.iter().map(|sheet| self.number(sheet)).collect();
        match self.known.entry(list) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let number = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
                self.listed += new.key().len();
                self.lists.push(new.key().clone());
                *new.insert(number)
            }
        }
    }

    fn number(&mut self, sheet: &Hash) -> u32 {
        match self.numbers.entry(*sheet) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let number = u32::try_from(self.sheets.len()).unwrap_or(u32::MAX);
                self.sheets.push(*sheet);
                *new.insert(number)
            }
        }
    }

    /// Returns the sheets of a list.
    pub fn sheets(&self, list: u32) -> Vec<Hash> {
        let list = self.lists.get(list as usize).map_or(&[][..], |list| list);
        list.iter().filter_map(|number| self.sheets.get(*number as usize).copied()).collect()
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let sheets = self.sheets.capacity() * 32 + self.numbers.capacity() * 40;
        let lists = self.lists.capacity() * 16 + self.known.capacity() * 28;
        sheets + lists + self.lists.len() * 32 + self.listed * 4 + self.subjects.bytes()
    }

    /// Keeps only what these devices need.
    pub fn clear<'t>(&mut self, of: impl Iterator<Item = &'t mut Tracked>) {
        let old = std::mem::take(self);
        for tracked in of {
            for published in &mut tracked.published {
                published.sheets = self.put(&old.sheets(published.sheets));
            }
            tracked.trail.facts.renumber(&old.subjects, &mut self.subjects);
        }
    }
}
