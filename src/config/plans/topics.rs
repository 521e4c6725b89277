//! `topics/*.toml`: a list of topics in one version.

use super::super::fault::{At, Fault, Place};
use super::super::problem::Problem;
use super::super::read::Reader;
use super::super::shape::{Kind, Shape, may, must};
use super::{MOST_TOML, Told, gather, unique};
use crate::domain::ids::TopicListId;
use crate::plan::{Topic, TopicCode, TopicList, TopicRef};
use std::collections::BTreeMap;

pub(in crate::config) static TOPIC_LIST: Shape = Shape {
    of: "the topic list",
    keys: &[
        must("title", Kind::Text(300), "what it is, for people"),
        must("id", Kind::Text(40), "its id, the same in all its versions"),
        must("version", Kind::Number(1, 1_000_000), "1, and one more for each change"),
        must("valid_from", Kind::Date, "first day on which this version counts"),
        must("source", Kind::Text(600), "where it comes from"),
        must("topics", Kind::Tables(&TOPIC, 500), "its topics: `[[topics]]`"),
    ],
};

static TOPIC: Shape = Shape {
    of: "a topic",
    keys: &[
        must("code", Kind::Text(40), "its code, unique in the list: `T4`"),
        must("title", Kind::Text(400), "what it is about"),
        may("english", Kind::Text(400), "the same in English"),
        may("also", Kind::Texts(50), "what it is in other lists: `list/code`"),
    ],
};

/// Reads a list of topics.
pub fn topics_from_toml(label: &str, bytes: &[u8]) -> Result<Told<TopicList>, Vec<Fault>> {
    gather(label, bytes, MOST_TOML, |source| source.toml(&TOPIC_LIST, list).flatten())
}

fn list(top: &Reader<'_>) -> Option<TopicList> {
    let mut seen = BTreeMap::new();
    let mut topics = Vec::new();
    for table in top.tables("topics").unwrap_or_default() {
        let sink = |place: Place, problem: &Problem| table.fault(place, problem);
        let code = table.text("code").and_then(|code| parse(&table, code));
        if let Some(code) = &code {
            unique("topic", code, &mut seen, &sink);
        }
        let title = table.text("title");
        let english = table.text("english").map(|text| text.value);
        let named = table.texts("also").unwrap_or_default();
        let also = named.into_iter().filter_map(|name| other(&table, name)).collect();
        if let (Some(code), Some(title)) = (code, title) {
            topics.push(Topic { code: code.value, title: title.value, english, also });
        }
    }
    let (id, title) = (top.id::<TopicListId>("id"), top.text("title"));
    let (version, from) = (top.small("version"), top.date("valid_from"));
    let source = top.text("source")?.value;
    Some(TopicList {
        id: id?.value,
        title: title?.value,
        version: version?.value,
        valid_from: from?.value,
        source,
        topics,
    })
}

fn parse(table: &Reader<'_>, text: At<String>) -> Option<At<TopicCode>> {
    match text.value.parse() {
        Ok(value) => Some(At { value, place: text.place }),
        Err(error) => {
            table.fault(text.place, &Problem::Topic(error));
            None
        }
    }
}

fn other(table: &Reader<'_>, name: At<String>) -> Option<TopicRef> {
    let At { value, place } = name;
    let (list, code) = value.split_once('/').unwrap_or(("", &value));
    let list = list.parse::<TopicListId>();
    if let Err(error) = &list {
        table.fault(place, &Problem::Id(error.clone()));
    }
    let code = parse(table, At { value: code.to_owned(), place });
    Some(TopicRef { list: list.ok()?, code: code?.value })
}
