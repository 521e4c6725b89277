//! People and the trail in memory.

use super::{MemoryStore, State};
use crate::app::people::Person;
use crate::app::ports::{Page, People, StoreError, Trail, Trailed};
use crate::app::trail::Entry;
use crate::domain::ids::PersonId;
use async_trait::async_trait;

impl State {
    pub(super) fn put_person(&mut self, person: &Person) {
        let since_ms = self.people.get(&person.id).map_or(person.since_ms, |old| old.since_ms);
        self.people.insert(person.id.clone(), Person { since_ms, ..person.clone() });
    }
}

#[async_trait]
impl People for MemoryStore {
    async fn people(&self) -> Result<Vec<Person>, StoreError> {
        Ok(self.read().people.values().cloned().collect())
    }

    async fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        Ok(self.read().people.get(id).cloned())
    }

    async fn put_person(&self, person: &Person, entry: &Entry) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.put_person(person);
        state.trail.push(entry.clone());
        Ok(())
    }
}

#[async_trait]
impl Trail for MemoryStore {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        self.write()?.trail.push(entry.clone());
        Ok(())
    }

    async fn trail(&self, page: Page) -> Result<Vec<Trailed>, StoreError> {
        let state = self.read();
        let all = state.trail.iter().zip(1_i64..);
        let mut all: Vec<_> =
            all.map(|(entry, position)| Trailed { position, entry: entry.clone() }).collect();
        let limit = match page {
            Page::Newest { limit } => {
                all.reverse();
                limit
            }
            Page::After { position, limit } => {
                all.retain(|one| one.position > position);
                limit
            }
        };
        all.truncate(limit as usize);
        Ok(all)
    }
}
