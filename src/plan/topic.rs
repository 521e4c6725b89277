//! What programmes are about: lists of topics, versioned, since plans and decrees change.

use crate::domain::ids::TopicListId;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The code of a topic in its list: `T4`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicCode(String);

/// A text that is no code of a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a code of a topic")]
pub struct TopicError {
    pub text: String,
}

impl TopicError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "1 to 12 of A-Z and 0-9: `T4`"
    }
}

impl FromStr for TopicCode {
    type Err = TopicError;

    /// Reads a code in either case.
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let plain =
            (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if plain {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(TopicError { text: text.chars().take(40).collect() })
        }
    }
}

impl TopicCode {
    /// Returns the code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TopicCode {
    type Error = TopicError;

    fn try_from(text: String) -> Result<Self, TopicError> {
        text.parse()
    }
}

impl From<TopicCode> for String {
    fn from(code: TopicCode) -> Self {
        code.0
    }
}

/// A topic of a list: `nd-49-2024-dieu-6/D4`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicRef {
    pub list: TopicListId,
    pub code: TopicCode,
}

impl TryFrom<String> for TopicRef {
    type Error = TopicError;

    fn try_from(text: String) -> Result<Self, TopicError> {
        let refuse = || TopicError { text: text.chars().take(80).collect() };
        let (list, code) = text.split_once('/').ok_or_else(refuse)?;
        Ok(Self { list: list.parse().map_err(|_| refuse())?, code: code.parse()? })
    }
}

impl From<TopicRef> for String {
    fn from(topic: TopicRef) -> Self {
        format!("{}/{}", topic.list, topic.code)
    }
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    pub code: TopicCode,
    pub title: String,
    /// The same in English.
    pub english: Option<String>,
    /// What it is in other lists. Many to many.
    pub also: Vec<TopicRef>,
}

/// A list of topics in one version. A version that was in use never changes: its successor has a
/// higher number, and counts name the version they were made by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicList {
    pub id: TopicListId,
    pub title: String,
    /// From 1.
    pub version: u32,
    pub valid_from: NaiveDate,
    /// Where it comes from.
    pub source: String,
    /// In the order of the source; codes are unique.
    pub topics: Vec<Topic>,
}

impl TopicList {
    /// Returns the topic of a code.
    pub fn topic(&self, code: &TopicCode) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.code == *code)
    }

    /// Finds the topic that a playlist names: its code, alone or before a title in any words.
    pub fn named(&self, text: &str) -> Option<&Topic> {
        let word = text.split_whitespace().next()?.trim_end_matches([':', '.', ',']);
        self.topic(&word.parse().ok()?)
    }
}
