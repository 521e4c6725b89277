//! People and their grants.

use super::rows::Columns;
use super::trail::append;
use super::{SqliteStore, commit, failed};
use crate::app::people::{Grant, Person};
use crate::app::ports::{People, StoreError};
use crate::app::trail::Entry;
use crate::domain::ids::{PersonId, UnitId};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

fn person(row: &SqliteRow) -> Result<Person, StoreError> {
    let row = Columns::new(row, "person");
    Ok(Person {
        id: row.parse("id")?,
        name: row.text("name")?,
        since_ms: row.at("since_ms")?,
        ended_ms: row.at_option("ended_ms")?,
        grants: Vec::new(),
    })
}

fn grant(row: &SqliteRow) -> Result<(PersonId, Grant), StoreError> {
    let row = Columns::new(row, "grant");
    let unit = match row.get::<&str>("unit")? {
        "" => None,
        _ => Some(row.parse::<UnitId>("unit")?),
    };
    Ok((row.parse("person")?, Grant { role: row.parse("role")?, unit }))
}

#[async_trait]
impl People for SqliteStore {
    async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let rows = sqlx::query("SELECT * FROM people ORDER BY id")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read people"))?;
        let mut people: Vec<Person> = rows.iter().map(person).collect::<Result<_, _>>()?;
        let rows = sqlx::query("SELECT * FROM grants")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read grants"))?;
        for (of, grant) in rows.iter().map(grant).collect::<Result<Vec<_>, _>>()? {
            if let Ok(at) = people.binary_search_by(|person| person.id.cmp(&of)) {
                people[at].grant(grant);
            }
        }
        Ok(people)
    }

    async fn person(&self, id: &PersonId) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query("SELECT * FROM people WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a person"))?;
        let Some(mut found) = row.as_ref().map(person).transpose()? else { return Ok(None) };
        let rows = sqlx::query("SELECT * FROM grants WHERE person = $1")
            .bind(id.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read grants"))?;
        for row in &rows {
            found.grant(grant(row)?.1);
        }
        Ok(Some(found))
    }

    async fn put_person(&self, person: &Person, entry: &Entry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put_person(&mut tx, person).await?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }
}

/// Adds a person or replaces what is known, with all grants, within a write.
pub(super) async fn put_person(
    conn: &mut SqliteConnection,
    person: &Person,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO people (id, name, since_ms, ended_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, ended_ms = excluded.ended_ms",
    )
    .bind(person.id.as_str())
    .bind(&person.name)
    .bind(person.since_ms.0)
    .bind(person.ended_ms.map(|at| at.0))
    .execute(&mut *conn)
    .await
    .map_err(failed("keep a person"))?;
    sqlx::query("DELETE FROM grants WHERE person = $1")
        .bind(person.id.as_str())
        .execute(&mut *conn)
        .await
        .map_err(failed("replace grants"))?;
    for grant in &person.grants {
        sqlx::query("INSERT INTO grants (person, role, unit) VALUES ($1, $2, $3)")
            .bind(person.id.as_str())
            .bind(grant.role.word())
            .bind(grant.unit.as_ref().map_or("", UnitId::as_str))
            .execute(&mut *conn)
            .await
            .map_err(failed("keep a grant"))?;
    }
    Ok(())
}
