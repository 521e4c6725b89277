//! Numbered, forward-only schema steps, embedded in the program; one transaction each.
//!
//! `migrations/sqlite` is what runs; `migrations/postgres` is kept in step for the next store,
//! and a test compares the two.

use crate::app::ports::StoreError;
use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use std::borrow::Cow;

/// Number, name, text for SQLite, text for PostgreSQL.
pub(super) const STEPS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "start",
        include_str!("../../migrations/sqlite/0001_start.sql"),
        include_str!("../../migrations/postgres/0001_start.sql"),
    ),
    (
        2,
        "people",
        include_str!("../../migrations/sqlite/0002_people.sql"),
        include_str!("../../migrations/postgres/0002_people.sql"),
    ),
    (
        3,
        "orders",
        include_str!("../../migrations/sqlite/0003_orders.sql"),
        include_str!("../../migrations/postgres/0003_orders.sql"),
    ),
    (
        4,
        "pending",
        include_str!("../../migrations/sqlite/0004_pending.sql"),
        include_str!("../../migrations/postgres/0004_pending.sql"),
    ),
    (
        5,
        "log",
        include_str!("../../migrations/sqlite/0005_log.sql"),
        include_str!("../../migrations/postgres/0005_log.sql"),
    ),
    (
        6,
        "plan",
        include_str!("../../migrations/sqlite/0006_plan.sql"),
        include_str!("../../migrations/postgres/0006_plan.sql"),
    ),
    (
        7,
        "report",
        include_str!("../../migrations/sqlite/0007_report.sql"),
        include_str!("../../migrations/postgres/0007_report.sql"),
    ),
    (
        8,
        "log",
        include_str!("../../migrations/sqlite/0008_log.sql"),
        include_str!("../../migrations/postgres/0008_log.sql"),
    ),
    (
        9,
        "draw",
        include_str!("../../migrations/sqlite/0009_draw.sql"),
        include_str!("../../migrations/postgres/0009_draw.sql"),
    ),
    (
        10,
        "told",
        include_str!("../../migrations/sqlite/0010_told.sql"),
        include_str!("../../migrations/postgres/0010_told.sql"),
    ),
    (
        11,
        "behind",
        include_str!("../../migrations/sqlite/0011_behind.sql"),
        include_str!("../../migrations/postgres/0011_behind.sql"),
    ),
    (
        12,
        "fleet",
        include_str!("../../migrations/sqlite/0012_fleet.sql"),
        include_str!("../../migrations/postgres/0012_fleet.sql"),
    ),
];

/// Brings the schema to the newest version.
pub(super) async fn run(pool: &SqlitePool) -> Result<(), StoreError> {
    run_to(pool, i64::MAX).await
}

/// Brings the schema to a version, or the newest below it.
pub(super) async fn run_to(pool: &SqlitePool, version: i64) -> Result<(), StoreError> {
    let steps = STEPS.iter().filter(|step| step.0 <= version);
    let steps = steps.map(|&(number, name, sqlite, _)| {
        Migration::new(
            number,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(sqlite),
            false,
        )
    });
    let migrator = Migrator::with_migrations(steps.collect());
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => {
            StoreError::TooNew { found, known: STEPS.last().map_or(0, |step| step.0) }
        }
        MigrateError::Execute(error) => super::failed("create its tables")(error),
        error => StoreError::Failed { what: "create its tables", source: error.into() },
    })
}

#[cfg(test)]
mod tests {
    use super::STEPS;
    use std::collections::BTreeMap;

    /// Table → columns, read from the text: enough to notice that one side was forgotten.
    fn tables(sql: &str) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        let mut current: Option<String> = None;
        for line in sql.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                let name = rest.split_whitespace().next().expect("a name").to_owned();
                found.insert(name.clone(), Vec::new());
                current = Some(name);
            } else if line.starts_with(')') {
                current = None;
            } else if let Some(table) = &current {
                let word = line.split([' ', '(']).next().unwrap_or_default();
                if !word.is_empty()
                    && word
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                {
                    found.get_mut(table).expect("entered above").push(word.to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn both_dialects_have_the_same_tables_and_columns() {
        for (number, _, sqlite, postgres) in STEPS {
            let (a, b) = (tables(sqlite), tables(postgres));
            assert!(*number > 1 || a.len() > 15, "reads the tables: {}", a.len());
            assert!(a.values().all(|columns| !columns.is_empty()));
            assert_eq!(a, b, "step {number}");
            let indexes = |sql: &str| {
                sql.lines()
                    .filter(|l| l.starts_with("CREATE INDEX"))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(indexes(sqlite), indexes(postgres), "step {number}");
        }
    }

    #[test]
    fn steps_are_in_order_and_none_is_forgotten() {
        assert!(STEPS.is_sorted_by(|a, b| a.0 < b.0));
        for dialect in ["sqlite", "postgres"] {
            let dir = format!("{}/migrations/{dialect}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<_> = std::fs::read_dir(dir)
                .expect("the folder")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII"))
                .collect();
            files.sort();
            let expected: Vec<_> =
                STEPS.iter().map(|(n, name, ..)| format!("{n:04}_{name}.sql")).collect();
            assert_eq!(files, expected, "{dialect}");
        }
    }

    #[test]
    fn sqlite_tables_are_strict() {
        for (number, _, sqlite, _) in STEPS {
            let tables = sqlite.matches("CREATE TABLE").count();
            assert_eq!(tables, sqlite.matches(") STRICT;").count(), "step {number}");
        }
    }
}
