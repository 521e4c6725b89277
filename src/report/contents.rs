//! What was aired, each thing once: titles and people by number, so that rows stay small.
//!
//! Facts are those of the schedule and the records at the time, never the library's of today: an
//! item whose title changes is two contents. Invariant: numbers depend on the order of arrival and
//! never reach a document; documents sort by what the contents say.

use crate::domain::timetable::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A content's place in [`Contents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentNo(pub u32);

/// A subject's place in [`Contents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectNo(pub u32);

/// What a content is about and which order it serves: what devices are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub kind: Kind,
    /// The plan line it serves.
    pub line: Option<String>,
    /// Topics by code, sorted.
    pub topics: Vec<String>,
}

/// An item as it was aired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content {
    /// `playlist/item`.
    pub item: String,
    pub title: String,
    pub author: Option<String>,
    pub reader: Option<String>,
    /// The document it rests on.
    pub document: Option<String>,
    pub subject: Subject,
}

impl Content {
    /// Returns it with its text made fit and its topics sorted, each once.
    pub fn fit(mut self) -> Self {
        super::words::clean_all(&mut self);
        self.subject.topics.sort();
        self.subject.topics.dedup();
        self
    }
}

/// All contents that rows name.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    all: Vec<(Content, SubjectNo)>,
    subjects: Vec<Subject>,
    by_content: BTreeMap<Content, ContentNo>,
    by_subject: BTreeMap<Subject, SubjectNo>,
}

impl Contents {
    /// Returns the number of a content, the same for the same content; text becomes NFC.
    pub fn add(&mut self, content: Content) -> ContentNo {
        let content = content.fit();
        if let Some(no) = self.by_content.get(&content) {
            return *no;
        }
        let subject = self.subject_no(&content.subject);
        let no = ContentNo(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.by_content.insert(content.clone(), no);
        self.all.push((content, subject));
        no
    }

    fn subject_no(&mut self, subject: &Subject) -> SubjectNo {
        if let Some(no) = self.by_subject.get(subject) {
            return *no;
        }
        let no = SubjectNo(u32::try_from(self.subjects.len()).unwrap_or(u32::MAX));
        self.by_subject.insert(subject.clone(), no);
        self.subjects.push(subject.clone());
        no
    }

    /// Returns a content, or `None` when the number is of others.
    pub fn get(&self, no: ContentNo) -> Option<&Content> {
        self.all.get(no.0 as usize).map(|(content, _)| content)
    }

    /// Returns what a content is about.
    pub fn subject_of(&self, no: ContentNo) -> Option<SubjectNo> {
        self.all.get(no.0 as usize).map(|(_, subject)| *subject)
    }

    /// Returns all contents, by number.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        self.all.iter().map(|(content, _)| content)
    }

    /// Returns all subjects, by number.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.iter()
    }

    /// Returns the number of a subject that one of the contents has.
    pub fn find(&self, subject: &Subject) -> Option<SubjectNo> {
        self.by_subject.get(subject).copied()
    }

    /// Returns a subject, or `None` when the number is of others.
    pub fn subject(&self, no: SubjectNo) -> Option<&Subject> {
        self.subjects.get(no.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(title: &str, topics: &[&str]) -> Content {
        Content {
            item: "sang/tin".into(),
            title: title.into(),
            author: None,
            reader: None,
            document: None,
            subject: Subject {
                kind: Kind::Clip,
                line: Some("kh-1".into()),
                topics: topics.iter().map(ToString::to_string).collect(),
            },
        }
    }

    #[test]
    fn the_same_content_has_one_number_in_whatever_form_its_letters_come() {
        let mut contents = Contents::default();
        let composed = contents.add(content("Bản tin thời sự", &["t5", "t1", "t5"]));
        let decomposed =
            contents.add(content("Ba\u{309}n tin thơ\u{300}i sư\u{323}", &["t1", "t5"]));
        assert_eq!(composed, decomposed);
        let renamed = contents.add(content("Bản tin khác", &["t1", "t5"]));
        assert_ne!(composed, renamed);
        assert_eq!(contents.subject_of(composed), contents.subject_of(renamed));
        assert_eq!(contents.get(composed).unwrap().subject.topics, ["t1", "t5"]);
        assert!(contents.get(ContentNo(9)).is_none());
    }
}
