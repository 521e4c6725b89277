//! People and their grants.

use super::StoreError;
use crate::app::people::Person;
use crate::app::trail::Entry;
use crate::domain::ids::PersonId;
use async_trait::async_trait;

/// The people who use the station.
#[async_trait]
pub trait People: Send + Sync {
    /// Returns all people by id, those who have ended too.
    async fn people(&self) -> Result<Vec<Person>, StoreError>;
    /// Returns one person.
    async fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError>;
    /// Adds a person or replaces what is known, with all grants; the entry of the trail goes with
    /// it in one step.
    async fn put_person(&self, person: &Person, entry: &Entry) -> Result<(), StoreError>;
}
