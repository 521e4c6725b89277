//! Every message of this room with its remedy, as a person reads them.

use super::collect::Trouble;
use super::disk::DiskError;
use super::edge::EdgeError;
use super::folder::FolderError;
use super::head::HeadError;
use super::leaf::{Leaf, LeafError, ServerLeafError};
use super::sequencer::{AppendError, OpenError, RebuildError};
use super::shard::{ShardLost, ShardNameError};
use super::testing::{name, origin};
use super::witness::{Refusal, WitnessError};
use crate::wire::tlog::{
    BundleError, CheckpointError, HashError, KeyError, KeyId, NameError, NoteError, PolicyFault,
    ProofError, ProofFileError, RequestError, TileError, TreeHash,
};
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

fn path() -> PathBuf {
    PathBuf::from("/var/lib/loa/log/2027/checkpoint")
}

fn disk(kind: io::ErrorKind) -> DiskError {
    DiskError::at("write", Path::new("/var/lib/loa/log/2027"))(kind.into())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").unwrap();
        source = error.source();
    }
    text
}

macro_rules! told {
    ($($error:expr),* $(,)?) => {{
        let mut text = String::new();
        $({
            let error = $error;
            writeln!(text, "{}\n    {}", chain(&error), error.hint()).unwrap();
        })*
        text
    }};
}

#[test]
fn messages_of_formats() {
    let hash = TreeHash::EMPTY;
    let short = || "x y".to_owned();
    insta::assert_snapshot!(told![
        NameError { text: short() },
        TileError { text: "tile/../x".into() },
        KeyError::Form { text: short() },
        KeyError::Name(NameError { text: short() }),
        KeyError::Id { name: name("w1"), got: "00000000".into(), want: KeyId([1, 2, 3, 4]) },
        KeyError::Kind { name: name("w1"), kind: 2 },
        KeyError::Weak { name: name("w1") },
        NoteError::Long { got: 999_999 },
        NoteError::Text,
        NoteError::Unsigned,
        NoteError::Line { line: 5, why: "its signature is not base64" },
        NoteError::Lines,
        NoteError::Signature { name: name("w1") },
        NoteError::Twice { name: name("w1") },
        NoteError::Unknown,
        CheckpointError::Note(NoteError::Unknown),
        CheckpointError::Origin(NameError { text: short() }),
        CheckpointError::Size { text: "07".into() },
        CheckpointError::Root { text: short() },
        CheckpointError::Lines { got: 4 },
        CheckpointError::Empty { root: hash },
        CheckpointError::Foreign { got: name("other"), want: origin() },
        ProofError::Outside { index: 7, size: 7 },
        ProofError::Shrunk { old: 9, new: 7 },
        ProofError::Length { got: 3 },
        ProofError::Root { got: hash, want: hash },
        ProofError::OldRoot { got: hash, want: hash },
        ProofFileError::Long { got: 999_999 },
        ProofFileError::Line { line: 2, text: "index 05".into(), want: "`index` and a number" },
        ProofFileError::Cut,
        ProofFileError::Checkpoint(CheckpointError::Lines { got: 4 }),
        RequestError::Long { got: 999_999 },
        RequestError::Line { line: 1, text: "odl 5".into(), want: "`old` and a size" },
        RequestError::Checkpoint(CheckpointError::Lines { got: 4 }),
        BundleError::Long { got: 70_000 },
        BundleError::Full,
        BundleError::Cut { entry: 3 },
        BundleError::Rest { width: 3, extra: 2 },
        PolicyFault::Unended,
        PolicyFault::NoQuorum,
        PolicyFault::None,
        PolicyFault::SameKey { first: 3 },
        PolicyFault::Kind { name: "w1".into(), who: "witness" },
        PolicyFault::Key { key: KeyError::Weak { name: name("w1") } },
        PolicyFault::Most { keyword: "group" },
        LeafError::Short { got: 3 },
        LeafError::Format { byte: 9 },
        LeafError::Time { ms: -1 },
        LeafError::Long { got: 9_999 },
        LeafError::Empty,
        ServerLeafError::Long { member: "reason", got: 900, most: 800 },
        ServerLeafError::Empty { member: "reason" },
        ServerLeafError::Number { member: "seq", got: u64::MAX },
        ServerLeafError::Gap { from: 3, to: 2 },
        ServerLeafError::Unknown,
        ServerLeafError::Version { v: 2 },
        ServerLeafError::Leaf(LeafError::Time { ms: -1 }),
    ]);
    assert_eq!(HashError.to_string(), "not a SHA-256 of 44 base64 characters");
    let wrong = Leaf::parse(vec![2, 0, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
    assert!(told![wrong.statement().unwrap().unwrap_err()].contains("compare with a backup"));
    assert_eq!(
        ShardNameError { text: "x".into() }.to_string(),
        "`x` is not a shard's name: a year such as `2027`, or `2027-2`"
    );
}

#[test]
fn messages_of_the_writer_and_of_witnesses() {
    let held = || HeadError::Held { path: "/mnt/usb/2027.head.held".into() };
    let missing = || FolderError::Missing { path: path() };
    let by = || "witness `tinh`".to_owned();
    type Store = RebuildError<io::Error>;
    insta::assert_snapshot!(told![
        disk(io::ErrorKind::StorageFull),
        disk(io::ErrorKind::PermissionDenied),
        disk(io::ErrorKind::FileTooLarge),
        held(),
        HeadError::Disk(disk(io::ErrorKind::NotFound)),
        HeadError::Inside { path: path() },
        HeadError::Damaged { path: path(), source: CheckpointError::Lines { got: 1 } },
        missing(),
        FolderError::Length { path: path(), got: 31, want: 32 },
        FolderError::Bundle { path: path(), source: BundleError::Cut { entry: 3 } },
        FolderError::Checkpoint { path: path(), source: NoteError::Unknown.into() },
        FolderError::Edge { path: path(), size: 9, source: EdgeError::Entry { index: 7 } },
        FolderError::Root { path: path(), size: 9 },
        FolderError::Outside { path: path(), index: 9, size: 9 },
        OpenError::NoKey { origin: origin() },
        OpenError::ForeignKey { name: name("other"), origin: origin() },
        OpenError::Folder(missing()),
        OpenError::Head(held()),
        OpenError::HeadMissing { path: "/mnt/usb/2027.head".into(), size: 9 },
        OpenError::HeadForeign { got: name("other"), want: origin() },
        OpenError::Behind { origin: origin(), by: by(), ours: 7, theirs: 9 },
        OpenError::Forked { origin: origin(), by: by(), size: 9 },
        AppendError::Gap { first: 9, next: 7 },
        AppendError::Differs { index: 7 },
        AppendError::Beginning,
        AppendError::Leaf { index: 7, source: BundleError::Long { got: 70_000 } },
        AppendError::Planted { path: path(), size: 7 },
        AppendError::Overtaken { size: 7, found: 9 },
        AppendError::Unsigned(NoteError::Unknown),
        Store::Lacking { held: 7, wanted: 9 },
        Store::Root { size: 9, got: TreeHash::EMPTY, want: TreeHash::EMPTY },
        Store::NoTarget,
        Store::Store(io::ErrorKind::BrokenPipe.into()),
        ShardLost { known: "2027".parse().unwrap(), found: None },
        Refusal::Request(RequestError::Long { got: 999_999 }),
        Refusal::Unknown { origin: origin() },
        Refusal::Signature(NoteError::Unknown),
        Refusal::Backwards { old: 9, new: 7 },
        Refusal::Size { old: 7, known: 9 },
        Refusal::Root { size: 9 },
        Refusal::Proof(ProofError::Length { got: 3 }),
        Refusal::Clock { now_s: 7, last_s: 9 },
        Refusal::Shards { origin: origin(), most: 256 },
        WitnessError::Held { path: path() },
        WitnessError::Damaged { path: path(), source: CheckpointError::Lines { got: 1 } },
        WitnessError::Foreign { path: path() },
        WitnessError::Forgot { path: path() },
        WitnessError::Remembers { path: path() },
        WitnessError::Twice { origin: origin() },
        WitnessError::OwnKey { origin: origin() },
        Trouble::Contradiction { status: 422 },
        Trouble::Ahead { known: 9, ours: 7 },
        Trouble::Newer { known: 9, ours: 7 },
        Trouble::Stranger { status: 404 },
        Trouble::Answer { status: 301 },
        Trouble::Clock { time_s: 9 },
        Trouble::Silent,
        Trouble::Uncheckable,
    ]);
}
