//! Reads columns back into checked types; what does not fit is [`StoreError::Damaged`].

use crate::app::ports::StoreError;
use crate::domain::ids::{ChainId, CueId, Digest};
use crate::domain::time::UtcMs;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use std::fmt::Display;
use std::str::FromStr;

/// A row, and what it is a row of.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    what: &'static str,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow, what: &'static str) -> Self {
        Self { row, what }
    }

    /// Returns the error for a value of this row that does not fit.
    pub(super) fn damaged(&self, column: &str) -> StoreError {
        StoreError::Damaged { what: self.what, key: column.to_owned() }
    }

    pub(super) fn get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.damaged(column))
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(super) fn parse<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.get::<&str>(column)?.parse().map_err(|_| self.damaged(column))
    }

    pub(super) fn parse_option<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| self.damaged(column))).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(self.get(column)?).map_err(|_| self.damaged(column))
    }

    pub(super) fn at(&self, column: &str) -> Result<UtcMs, StoreError> {
        Ok(UtcMs(self.get(column)?))
    }

    pub(super) fn at_option(&self, column: &str) -> Result<Option<UtcMs>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(UtcMs))
    }

    pub(super) fn int<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        T::try_from(self.get(column)?).map_err(|_| self.damaged(column))
    }

    pub(super) fn int_option<T: TryFrom<i64>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let value: Option<i64> = self.get(column)?;
        value.map(|value| T::try_from(value).map_err(|_| self.damaged(column))).transpose()
    }

    pub(super) fn bytes<const N: usize>(&self, column: &str) -> Result<[u8; N], StoreError> {
        self.get::<&[u8]>(column)?.try_into().map_err(|_| self.damaged(column))
    }

    pub(super) fn digest(&self, column: &str) -> Result<Digest, StoreError> {
        self.bytes(column).map(Digest)
    }

    pub(super) fn digest_option(&self, column: &str) -> Result<Option<Digest>, StoreError> {
        let bytes: Option<&[u8]> = self.get(column)?;
        bytes.map(|b| b.try_into().map(Digest).map_err(|_| self.damaged(column))).transpose()
    }

    pub(super) fn chain(&self, column: &str) -> Result<ChainId, StoreError> {
        self.bytes(column).map(ChainId)
    }

    pub(super) fn cue_option(&self, column: &str) -> Result<Option<CueId>, StoreError> {
        let bytes: Option<&[u8]> = self.get(column)?;
        bytes.map(|b| b.try_into().map(CueId).map_err(|_| self.damaged(column))).transpose()
    }
}

/// Returns the number as the database keeps it; the contract bounds numbers at 2^53.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns JSON of a list that can always be written.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("lists of text and numbers are always JSON")
}

/// Returns the text of each.
pub(super) fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
