//! `device-profiles/*.toml`: what a hardware model can do.

use super::board;
use super::dialect::{self, Outputs};
use super::fonts::Fonts;
use super::problem::Problem;
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use super::text::{nearest, shown};
use crate::dialect::model::Dialect;
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::ProfileId;
use crate::domain::profile::{Profile, SpeakerProfile};

pub(super) static PROFILE: Shape = Shape {
    of: "the profile",
    keys: &[
        must("title", Kind::Text(120), "maker and model, for people"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        may("storage_mib", Kind::Number(1, 1_048_576), "MiB for assets; 512 unless said"),
        may(
            "sheet_bytes",
            Kind::Number(4_096, 65_536),
            "largest day sheet in bytes; 65536 unless said",
        ),
        may(
            "chunk_kib",
            Kind::Number(16, 64),
            "size of the pieces of a clip: 16, 32 or 64; 32 unless said, 16 where memory is short",
        ),
        may(
            "clock_ppm",
            Kind::Number(1, 10_000),
            "drift of the clock in parts per million; 50 unless said",
        ),
        may(
            "gateway",
            Kind::Flag,
            "it has no output of its own and acts for foreign devices (`loa gateway`)",
        ),
        may("speaker", Kind::Table(&SPEAKER), "the loudspeaker output"),
        may("board", Kind::Table(&board::BOARD), "the board output"),
        may(
            "dialect",
            Kind::Table(&dialect::DIALECT),
            "how to speak to a device that does not speak our contract",
        ),
    ],
};

static SPEAKER: Shape = Shape {
    of: "`speaker`",
    keys: &[
        must("codecs", Kind::Texts(10), "what it decodes: mp3, aac, wav, flac, vorbis"),
        may("longest", Kind::Duration, "longest clip; `60m` unless said"),
    ],
};

/// Names of codecs as people write them, and their media types.
const CODECS: &[(&str, &str)] = &[
    ("mp3", "audio/mpeg"),
    ("aac", "audio/mp4"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("vorbis", "audio/ogg"),
];

/// Colours that pages and profiles may name.
pub(super) const COLOURS: &[&str] =
    &["red", "green", "blue", "amber", "yellow", "white", "cyan", "magenta"];

/// Names a media type as people do.
pub(super) fn codec_name(media_type: &str) -> &str {
    CODECS.iter().find(|(_, media)| *media == media_type).map_or(media_type, |(name, _)| name)
}

/// A profile, and how to speak to the device if it is a foreign one.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub profile: Profile,
    pub dialect: Option<Dialect>,
}

/// Reads a profile; a faulty dialect is noted, and the profile then has none.
pub(super) fn read(source: &Source<'_>, id: &ProfileId, fonts: &Fonts<'_>) -> Option<Described> {
    source.toml(&PROFILE, |top| profile(top, id, fonts)).flatten()
}

fn profile(top: &Reader<'_>, id: &ProfileId, fonts: &Fonts<'_>) -> Option<Described> {
    super::check_id(top, id.as_str());
    let speaker = top.table("speaker").map(|t| speaker(&t));
    let board = top.table("board").map(|t| board::read(&t, fonts));
    let gateway = top.flag("gateway").is_some_and(|flag| flag.value);
    let outputs = ["speaker", "board", "dialect"].into_iter().find(|name| top.has(name));
    match outputs {
        Some(name) if gateway => {
            top.fault(top.place_of("gateway"), &Problem::GatewayOutput { name });
        }
        None if !gateway => top.fault(top.place, &Problem::EmptyProfile),
        _ => {}
    }
    if !gateway && outputs == Some("dialect") {
        top.fault(top.place, &Problem::EmptyProfile);
    }
    let small = |key, default| top.small(key).map_or(default, |n| n.value);
    let chunk_kib = small("chunk_kib", ChunkSize::USUAL.kib());
    if ChunkSize::from_kib(chunk_kib).is_none() {
        let (key, text) = ("chunk_kib".to_owned(), chunk_kib.to_string());
        let problem = Problem::Choice { key, text, near: None, all: "16, 32, 64".to_owned() };
        top.fault(top.place_of("chunk_kib"), &problem);
    }
    let outputs = Outputs { board: board.as_ref(), speaker: speaker.is_some() };
    let dialect = top.table("dialect").and_then(|table| dialect::read(&table, outputs));
    let profile = Profile {
        id: id.clone(),
        title: top.text("title")?.value,
        speaker,
        board,
        storage_bytes: u64::from(small("storage_mib", 512)) << 20,
        sheet_bytes: small("sheet_bytes", 65_536),
        chunk_kib,
        clock_ppm: small("clock_ppm", 50),
    };
    Some(Described { profile, dialect })
}

fn speaker(table: &Reader<'_>) -> SpeakerProfile {
    let mut codecs = Vec::new();
    for text in table.texts("codecs").unwrap_or_default() {
        let word = text.value.to_lowercase();
        let known = CODECS.iter().find(|(name, media)| *name == word || *media == word);
        if let Some((_, media)) = known {
            codecs.push((*media).to_owned());
            continue;
        }
        let names = CODECS.iter().map(|(name, _)| *name);
        let near = nearest(&word, names.clone()).map(str::to_owned);
        let all = names.collect::<Vec<_>>().join(", ");
        let text_shown = shown(&text.value);
        let problem = Problem::Choice { key: "codecs".to_owned(), text: text_shown, near, all };
        table.fault(text.place, &problem);
    }
    codecs.dedup();
    let longest = table.duration("longest", (1_000, "1s"), (6 * 3_600_000, "6h"));
    SpeakerProfile { codecs, longest_ms: longest.map_or(3_600_000, |l| l.value) }
}
