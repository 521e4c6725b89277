//! Who may reach what, written down once, for people: both brokers are judged by this table.
//!
//! `me` is `loa-1` of hamlet `00070-thon1`; `loa-3` lives in the same hamlet, `loa-2` elsewhere.

use crate::support::mosquitto::Account;
use loa::domain::chunk::ChunkSize;
use loa::domain::ids::{DeviceId, Digest, UnitId};
use loa::wire::topic::{Topic, Topics, partition};
use std::collections::BTreeSet;

/// What a device may do with each kind of topic. Write: `-` nothing arrives, `pass` what it sends
/// goes through but is not kept, `keep` it may also be kept. mosquitto's list cannot say that a
/// topic is not kept; that it keeps a device's own records harms nobody, the server knows each.
const RIGHTS: &str = "
# kind      whose                     read  write: embedded  mosquitto
Keys        everybody                 yes          -         -
Server      everybody                 yes          -         -
Epoch       everybody                 -            -         -
Sheet       everybody                 yes          -         -
Chunk       everybody                 yes          -         -
Sums        everybody                 yes          -         -
Feed        everybody                 yes          -         -
Timetable   mine                      yes          -         -
Timetable   same-unit                 -            -         -
Timetable   other-unit                -            -         -
Floor       mine                      yes          -         -
Floor       same-unit                 -            -         -
Floor       other-unit                -            -         -
Behind      mine                      yes          -         -
Behind      same-unit                 -            -         -
Behind      other-unit                -            -         -
Command     mine                      yes          -         -
Command     same-unit                 -            -         -
Command     other-unit                -            -         -
Time        mine                      yes          -         -
Time        same-unit                 -            -         -
Time        other-unit                -            -         -
Receipt     mine                      yes          -         -
Receipt     same-unit                 -            -         -
Receipt     other-unit                -            -         -
State       mine                      yes          keep      keep
State       same-unit                 -            -         -
State       other-unit                -            -         -
Records     mine                      -            pass      keep
Records     mine-in-other-partition   -            -         -
Records     same-unit                 -            -         -
Records     other-unit                -            -         -
Records     other-in-my-partition     -            -         -
Urgent      my-hamlet                 yes          -         -
Urgent      my-commune                yes          -         -
Urgent      my-province               yes          -         -
Urgent      next-hamlet               -            -         -
Urgent      other-commune             -            -         -
Urgent      other-province            -            -         -
Hold        my-hamlet                 yes          -         -
Hold        my-commune                yes          -         -
Hold        my-province               yes          -         -
Hold        next-hamlet               -            -         -
Hold        other-commune             -            -         -
Hold        other-province            -            -         -
";

/// Filters with wildcards or of a broker's own kind; whether the embedded broker grants them.
/// mosquitto grants all and delivers what the table above says.
pub const FILTERS: &[(&str, bool)] = &[
    ("#", false),
    ("+", false),
    ("+/#", false),
    ("/#", false),
    ("$SYS/#", false),
    ("$SYS/broker/+", false),
    ("loa/#", false),
    ("loa/+/#", false),
    ("+/1/#", false),
    ("+/1/d/loa-2/command", false),
    ("loa/1/#", false),
    ("loa/1/+", false),
    ("loa/1/d/#", false),
    ("loa/1/d/+/#", false),
    ("loa/1/d/+/+", false),
    ("loa/1/d/+/state", false),
    ("loa/1/d/+/command", false),
    ("loa/1/d/loa-1/#", false),
    ("loa/1/d/loa-1/+", true),
    ("loa/1/d/loa-1/+/#", false),
    ("loa/1/d/loa-3/+", false),
    ("loa/1/d/loa-2/#", false),
    ("loa/1/r/#", false),
    ("loa/1/r/+/+", false),
    ("loa/1/r/+/loa-1", false),
    ("loa/1/r/+/loa-2", false),
    ("loa/1/s/+", false),
    ("loa/1/s/#", false),
    ("loa/1/a/#", false),
    ("loa/1/a/+/+/+", false),
    ("loa/1/a/+/64/+", false),
    ("loa/1/u/#", false),
    ("loa/1/u/+/hold", false),
    ("loa/1/u/+/urgent/+", false),
    ("loa/1/u/00070-thon1/urgent/+", true),
    ("loa/1/u/00070/urgent/+", true),
    ("loa/1/u/01/urgent/+", true),
    ("loa/1/u/00070/#", false),
    ("loa/1/u/00070/+", false),
    ("loa/1/u/00070-thon2/urgent/+", false),
    ("loa/1/u/00071/urgent/+", false),
    ("loa/1/u/00071/#", false),
    ("loa/1/f/+", false),
    ("loa/2/#", false),
    ("$exclusive/loa/1/d/loa-2/timetable", false),
    ("$limit/1/loa/1/d/loa-2/timetable", false),
    ("$queue/loa/1/r/+/+", false),
    ("$share/g/#", false),
    ("$share/g/loa/1/#", false),
    ("$share/g/loa/1/d/loa-1/+", false),
    ("$share/g/loa/1/d/loa-2/+", false),
    ("$share/g/loa/1/r/+/+", false),
];

/// Topics outside the contract: nobody may write there, and only `mine` of mosquitto's
/// `d/{device}/+` may be read, where only the server writes.
pub const OUTSIDE: &[&str] = &[
    "other/topic",
    "loa",
    "loa/1",
    "loa/10/keys",
    "loa/2/keys",
    "loa/1/keys/x",
    "loa/1/x",
    "loa/1/d/loa-1",
    "loa/1/d/loa-1/state/x",
    "loa/1/d/loa-1/unknown",
    "loa/1/d/loa-2/unknown",
    "loa/1/u/00070/unknown",
    "loa/1/r/loa-1",
    "$SYS/broker/version",
    "$delayed/1/loa/1/keys",
    "$share/g/loa/1/keys",
];

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Never,
    Passing,
    Kept,
}

/// A line of the table with the topic it stands for.
#[derive(Clone, Debug)]
pub struct Row {
    pub topic: String,
    pub name: String,
    pub read: bool,
    pub embedded: Write,
    pub mosquitto: Write,
}

/// The devices of the table.
pub fn accounts() -> Vec<Account> {
    let account = |id: &str, units: &[&str]| Account {
        id: id.parse().unwrap(),
        password: format!("mật khẩu của {id}"),
        units: units.iter().map(|unit| unit.parse().unwrap()).collect(),
    };
    vec![
        account("loa-1", &["00070-thon1", "00070", "01"]),
        account("loa-2", &["00071", "02"]),
        account("loa-3", &["00070-thon1", "00070", "01"]),
    ]
}

fn device(whose: &str) -> DeviceId {
    let id = match whose {
        "mine" => "loa-1".to_owned(),
        "same-unit" => "loa-3".to_owned(),
        "other-unit" => "loa-2".to_owned(),
        // The first id that shares the partition of `loa-1`.
        "other-in-my-partition" => {
            let mine = partition(&"loa-1".parse().unwrap());
            let other = (4..).map(|n| format!("loa-{n}"));
            other.into_iter().find(|id| partition(&id.parse().unwrap()) == mine).unwrap()
        }
        other => panic!("`{other}` is nobody's device"),
    };
    id.parse().unwrap()
}

fn unit(whose: &str) -> UnitId {
    let unit = match whose {
        "my-hamlet" => "00070-thon1",
        "my-commune" => "00070",
        "my-province" => "01",
        "next-hamlet" => "00070-thon2",
        "other-commune" => "00071",
        "other-province" => "02",
        other => panic!("`{other}` is nobody's unit"),
    };
    unit.parse().unwrap()
}

/// Spells the topic of a row; a new kind of topic must come in here to be tested at all.
fn topic(kind: &str, whose: &str) -> String {
    let topics = Topics::default();
    let sha256 = Digest::of(b"x");
    let size = ChunkSize::Kib64;
    if whose == "mine-in-other-partition" {
        let right = partition(&device("mine"));
        let wrong = if right == '0' { '1' } else { '0' };
        return format!("loa/1/r/{wrong}/{}", device("mine"));
    }
    topics.of(&match kind {
        "Keys" => Topic::Keys,
        "Server" => Topic::Server,
        "Epoch" => Topic::Epoch,
        "Sheet" => Topic::Sheet(sha256),
        "Chunk" => Topic::Chunk { sha256, size, n: 3 },
        "Sums" => Topic::Sums { sha256, size },
        "Feed" => Topic::Feed("nhiet-do".parse().unwrap()),
        "Timetable" => Topic::Timetable(device(whose)),
        "Floor" => Topic::Floor(device(whose)),
        "Behind" => Topic::Behind(device(whose)),
        "Command" => Topic::Command(device(whose)),
        "Time" => Topic::Time(device(whose)),
        "Receipt" => Topic::Receipt(device(whose)),
        "State" => Topic::State(device(whose)),
        "Records" => Topic::Records(device(whose)),
        "Urgent" => Topic::Urgent { unit: unit(whose), id: "u-1".into() },
        "Hold" => Topic::Hold(unit(whose)),
        other => panic!("`{other}` is no kind of topic"),
    })
}

/// Reads the table.
pub fn rows() -> Vec<Row> {
    let write = |word: &str| match word {
        "-" => Write::Never,
        "pass" => Write::Passing,
        "keep" => Write::Kept,
        other => panic!("`{other}` is no right"),
    };
    let lines = RIGHTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, whose, read, embedded, mosquitto] = words[..] else { panic!("{line}") };
        Row {
            topic: topic(kind, whose),
            name: format!("{kind} ({whose})"),
            read: read == "yes",
            embedded: write(embedded),
            mosquitto: write(mosquitto),
        }
    };
    lines.map(row).collect()
}

/// MQTT's rule of matching, written anew: the code under test has its own.
pub fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/').peekable(), topic.split('/').peekable());
    if topic.peek().is_some_and(|level| level.starts_with('$'))
        && filter.peek().is_some_and(|level| !level.starts_with('$'))
    {
        return false;
    }
    while let Some(level) = filter.next() {
        match (level, topic.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (want, Some(have)) if want == have => {}
            // `a/#` also matches `a`.
            _ => return false,
        }
        if topic.peek().is_none() && filter.peek() == Some(&"#") {
            return true;
        }
    }
    topic.next().is_none()
}

/// Every kind that the contract's source names has its lines in the table, and no other.
#[test]
fn each_kind_of_topic_has_a_row_for_each_relation() {
    let source = include_str!("../../../src/wire/topic.rs");
    let body = source.split("pub enum Topic {").nth(1).unwrap().split("\n}").next().unwrap();
    let kinds: BTreeSet<&str> = body
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
        .collect();
    assert!(kinds.len() >= 16, "{kinds:?}");
    let lines = RIGHTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let ruled: BTreeSet<&str> = lines.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ruled, kinds, "a kind of topic without a row in the table, or the reverse");
    let rows = rows();
    let topics: BTreeSet<&str> = rows.iter().map(|row| &*row.topic).collect();
    assert_eq!(topics.len(), rows.len(), "two rows for one topic");
    for line in RIGHTS.lines().filter(|line| line.contains(" mine ")) {
        let kind = line.split(' ').next().unwrap();
        for whose in ["same-unit", "other-unit"] {
            let name = format!("{kind} ({whose})");
            assert!(rows.iter().any(|row| row.name == name), "no row for {name}");
        }
    }
}

#[test]
fn the_table_reads_filters_as_mqtt_does() {
    for (filter, topic, want) in [
        ("#", "a/b", true),
        ("#", "$SYS/a", false),
        ("+/a", "$SYS/a", false),
        ("a/#", "a", true),
        ("a/+", "a", false),
        ("a/+/#", "a/b", true),
        ("a/+/#", "a", false),
        ("a/b", "a/b/c", false),
        ("a/b/c", "a/b", false),
        ("/#", "a/b", false),
    ] {
        assert_eq!(matches(filter, topic), want, "{filter} {topic}");
    }
}
