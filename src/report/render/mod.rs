//! Documents as bytes: XLSX, CSV, JSON, PDF.
//!
//! Invariant: a document has one rendering in each format; nothing but the document enters it.

pub mod csv;
pub mod json;
pub mod pdf;
pub mod xlsx;

pub use xlsx::WorkbookError;

use super::document::Document;
use super::question::ReportError;
use crate::domain::ids::Digest;
use std::str::FromStr;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    Xlsx,
    Csv,
    Json,
    Pdf,
}

/// A word that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a format")]
pub struct FormatError {
    pub text: String,
}

impl FormatError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "one of xlsx, csv, json, pdf"
    }
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Xlsx, Self::Csv, Self::Json, Self::Pdf];

    /// Returns the ending of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Pdf => "pdf",
        }
    }

    /// Returns its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Pdf => "application/pdf",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| FormatError { text: text.chars().take(40).collect() })
    }
}

/// A rendered document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub format: Format,
    /// A name for it.
    pub file: String,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, to be logged.
    pub sha256: Digest,
}

/// Renders a document.
pub fn render(document: &Document, format: Format) -> Result<Rendered, ReportError> {
    let bytes = match format {
        Format::Xlsx => xlsx::workbook(document)?,
        Format::Csv => csv::document(document),
        Format::Json => json::document(document),
        Format::Pdf => pdf::document(document)?,
    };
    let file = format!("{}.{}", document.slug(), format.as_str());
    Ok(Rendered { format, file, sha256: Digest::of(&bytes), bytes })
}
