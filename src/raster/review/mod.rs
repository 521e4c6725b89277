//! What is wrong with a page before it is shown: rules with reasons.
//!
//! Leaves places in files to those who read them; a finding says what and why with its values,
//! [`Finding::hint`] what to do, [`Finding::weight`] whether the page is refused. The findings of
//! a page come all at once, in a fixed order.
//!
//! # How long reading takes
//! A still text gets the longer of two seconds a screen and one second a word (TRB, *Human
//! Factors Guidelines*, changeable message signs: one second for a word of four to eight
//! letters). Vietnamese writes syllables apart, and most words are two of them, so neighbours of
//! together at most eight letters count as one word here.

mod legacy;
mod pace;
mod syllable;

pub use legacy::Legacy;
pub use pace::reading_ms;

use super::board::Board;
use super::colour::named;
use super::design::{Design, Motion};
use super::face::{Face, Faces};
use super::pass::Pass;
use super::scene::Scene;
use super::template::Template;
use unicode_normalization::UnicodeNormalization as _;

/// Whether a finding keeps a page from the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// The page can be shown, and would be better otherwise.
    Advice,
    /// The page would show something else than what was written, or not all of it.
    Refusal,
}

/// Something about a page that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("a line takes {rows_px} rows of pixels, the board has {board_px}")]
    TooHigh { rows_px: u32, board_px: u32 },
    #[error(
        "the text takes {screens} screens and {need_ms} ms to be read, the page stays {dwell_ms} ms"
    )]
    DoesNotFit { screens: usize, need_ms: i64, dwell_ms: i64 },
    #[error("`{word}` is wider than the board and is broken inside")]
    WordSplit { word: String },
    #[error("the font `{font}` has no `{letters}`")]
    Lacking { font: String, letters: String },
    #[error("the font `{font}` draws `{letters}` alike")]
    Alike { font: String, letters: String },
    #[error("{words} words need {need_ms} ms to be read, the page stays {dwell_ms} ms")]
    TooFast { words: u32, need_ms: i64, dwell_ms: i64 },
    #[error("text moves past at {letters_s} letters a second")]
    ScrollFast { letters_s: u32 },
    #[error("each word is in sight for {sight_ms} ms")]
    ScrollBrief { sight_ms: i64 },
    #[error("one full pass takes {pass_ms} ms, the slot has {slot_ms} ms")]
    SlotShort { pass_ms: i64, slot_ms: i64 },
    #[error("`{words}` cannot be read without marks")]
    LostMarks { words: String },
    #[error("the text is written in {name}, not in Unicode; it seems to say `{says}`", name = encoding.name())]
    Encoding { encoding: Legacy, says: String },
    #[error("`{letter}` (U+{code:04X}) only looks like `Đ`")]
    Eth { letter: char, code: u32 },
    #[error("`{letter}` (U+{code:04X}) belongs to a script that runs from right to left")]
    RightToLeft { letter: char, code: u32 },
    #[error(
        "`{letter}` (U+{code:04X}) belongs to a script whose letters change with their neighbours"
    )]
    Shaped { letter: char, code: u32 },
    #[error("the text holds U+{code:04X}, which nobody sees")]
    Unseen { code: u32 },
    #[error("`{{{name}}}` is no field")]
    UnknownField { name: String },
    #[error("the feed `{name}` has no value that may be shown")]
    NoValue { name: String },
    #[error("there is no picture `{name}`")]
    NoPicture { name: String },
    #[error("the board does not show `{name}`")]
    Colour { name: String },
    #[error("the board has no font `{name}`")]
    NoFont { name: String },
    #[error("the page blinks")]
    Blinks,
    #[error("the text is {beyond} letters too long and would be cut")]
    TooLong { beyond: usize },
}

impl Finding {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooHigh { .. } => "take a lower font, or a smaller scale",
            Self::DoesNotFit { .. } => "shorten the text, let it stay longer, or let it scroll",
            Self::WordSplit { .. } => "shorten the word, take a narrower font, or let it scroll",
            Self::Lacking { .. } => {
                "take `unifont` for this page, write otherwise, or use a picture"
            }
            Self::Alike { .. } => "take a font of 11 rows or more, such as `loa-11`",
            Self::TooFast { .. } => "let it stay longer: one second a word, two at least",
            Self::ScrollFast { .. } => "ten letters a second are read with ease; slow it down",
            Self::ScrollBrief { .. } => {
                "two seconds are read with ease; slow it down, or turn pages"
            }
            Self::SlotShort { .. } => "make the slot longer, or take a page out",
            Self::LostMarks { .. } => "write the marks; boards show capitals with all of them",
            Self::Encoding { .. } => "write it in Unicode, or convert it (Unikey: Ctrl+Shift+F6)",
            Self::Eth { .. } => "write `Đ` (U+0110) or `đ` (U+0111)",
            Self::RightToLeft { .. } | Self::Shaped { .. } => "send the page as a picture",
            Self::Unseen { .. } => "delete it and write the place anew",
            Self::UnknownField { .. } => {
                "fields are `{time}`, `{date}`, `{lunar}`, `{feed:NAME}`, …; write `{{` for a brace"
            }
            Self::NoValue { .. } => "check the feed's source; the board shows `--` meanwhile",
            Self::NoPicture { .. } => "name a PNG of the station, without its ending",
            Self::Colour { .. } => "name a colour of the board's profile; its first is shown else",
            Self::NoFont { .. } => "name a font of the board's profile; its first is used else",
            Self::Blinks => "leave it out: still text is read sooner",
            Self::TooLong { .. } => "write several pages",
        }
    }

    /// Says whether the page is refused for it.
    pub fn weight(&self) -> Weight {
        match self {
            Self::WordSplit { .. }
            | Self::TooFast { .. }
            | Self::ScrollFast { .. }
            | Self::ScrollBrief { .. }
            | Self::LostMarks { .. }
            | Self::Unseen { .. }
            | Self::NoValue { .. }
            | Self::Colour { .. }
            | Self::Blinks => Weight::Advice,
            _ => Weight::Refusal,
        }
    }
}

/// Returns everything that is to be said about a page on a board.
pub fn review(design: &Design, board: &Board, faces: &Faces, scene: &Scene) -> Vec<Finding> {
    let template = Template::read(&design.text);
    let mut found = Vec::new();
    letters(&template.words(), &mut found);
    names(design, board, faces, scene, &template, &mut found);
    let pass = Pass::new(design, board, faces, scene);
    let block = pass.block(0);
    let face = faces.face(design.font.as_deref());
    let rows_px = face.height_px() * design.scale_px();
    if rows_px > board.height_px() {
        found.push(Finding::TooHigh { rows_px, board_px: board.height_px() });
    }
    if block.beyond > 0 {
        found.push(Finding::TooLong { beyond: block.beyond });
    }
    // What another finding explains needs no other font.
    let explained = |cluster: &str| {
        let told = |c| is_eth(c) || is_right_to_left(c) || is_shaped(c);
        cluster.starts_with(told)
            || found.iter().any(|finding| matches!(finding, Finding::Encoding { .. }))
    };
    let lacking: Vec<&str> =
        block.lacking.iter().map(String::as_str).filter(|cluster| !explained(cluster)).collect();
    if !lacking.is_empty() {
        let letters = listed(lacking.into_iter());
        found.push(Finding::Lacking { font: face.name().to_owned(), letters });
    }
    alike(face, &template.words(), &mut found);
    found.extend(block.split.iter().map(|word| Finding::WordSplit { word: shown(word) }));
    pace::pace(design, board, &pass, &block, &mut found);
    if design.blink.is_some() {
        found.push(Finding::Blinks);
    }
    found
}

/// A finding and the page it is about, from 0; `None` for the item as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub page: Option<usize>,
    pub finding: Finding,
}

/// Returns what is to be said about the pages of an item that shares a slot of this length.
///
/// `others_ms` is what the other items of the slot's rotation take for one pass.
pub fn review_item(
    designs: &[Design],
    board: &Board,
    faces: &Faces,
    scene: &Scene,
    slot_ms: i64,
    others_ms: i64,
) -> Vec<Located> {
    let mut found = Vec::new();
    let mut pass_ms = others_ms;
    for (page, design) in designs.iter().enumerate() {
        let of_page = review(design, board, faces, scene);
        found.extend(of_page.into_iter().map(|finding| Located { page: Some(page), finding }));
        pass_ms = pass_ms.saturating_add(Pass::new(design, board, faces, scene).duration_ms());
    }
    if pass_ms > slot_ms {
        found.push(Located { page: None, finding: Finding::SlotShort { pass_ms, slot_ms } });
    }
    found
}

/// A text of the author's in a message: short, without controls.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Some letters in a message.
fn listed<'a>(letters: impl Iterator<Item = &'a str>) -> String {
    shown(&letters.take(20).collect::<Vec<_>>().join(" "))
}

/// The letters themselves: encodings, lookalikes, scripts, lost marks.
fn letters(text: &str, found: &mut Vec<Finding>) {
    if let Some((encoding, says)) = legacy::recognise(text) {
        found.push(Finding::Encoding { encoding, says: shown(&says) });
        return;
    }
    let first = |is: fn(char) -> bool| {
        text.chars().find(|c| is(*c)).map(|letter| (letter, u32::from(letter)))
    };
    if let Some((letter, code)) = first(is_eth) {
        found.push(Finding::Eth { letter, code });
    }
    if let Some((letter, code)) = first(is_right_to_left) {
        found.push(Finding::RightToLeft { letter, code });
    }
    if let Some((letter, code)) = first(is_shaped) {
        found.push(Finding::Shaped { letter, code });
    }
    let unseen =
        |c: char| super::face::is_unseen(c) && !matches!(c, '\n' | '\r' | '\t' | '\u{200b}');
    if let Some(c) = text.chars().find(|c| unseen(*c)) {
        found.push(Finding::Unseen { code: u32::from(c) });
    }
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1).collect();
    let lost: Vec<&str> = words.iter().copied().filter(|word| syllable::lost_marks(word)).collect();
    let upper: Vec<&str> =
        lost.iter().copied().filter(|word| !word.contains(|c: char| c.is_lowercase())).collect();
    // Names and foreign words have such endings too, so one is none; a whole text is.
    let plain = text.is_ascii() && lost.len() > 2 && lost.len() * 2 >= words.len();
    if upper.len() > 1 || plain {
        let words = if plain { lost } else { upper };
        found.push(Finding::LostMarks { words: listed(words.into_iter()) });
    }
}

/// Icelandic eth and African d, which look like `Đ` and are other letters to every machine.
fn is_eth(c: char) -> bool {
    matches!(c, 'Ð' | 'ð' | 'Ɖ' | 'ɖ')
}

/// Hebrew, Arabic, Syriac and their like, and the marks that turn the direction.
fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8FF | 0x200E..=0x200F | 0x202A..=0x202E | 0x2066..=0x2069
        | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC | 0x1_0800..=0x1_0FFF | 0x1_E800..=0x1_EFFF)
}

/// Scripts of India and its neighbours, Khmer and Cham of Viet Nam among them: a picture for each
/// code point in a row is not how they are written.
fn is_shaped(c: char) -> bool {
    matches!(u32::from(c), 0x900..=0xFFF | 0x1000..=0x109F | 0x1700..=0x17FF | 0x1800..=0x18AF
        | 0x19E0..=0x19FF | 0x1A00..=0x1AAF | 0x1B00..=0x1C4F | 0xA800..=0xA82F
        | 0xA840..=0xA8DF | 0xA980..=0xAADF | 0x1_1000..=0x1_1FFF)
}

/// Names of fields, feeds, pictures, colours, fonts.
fn names(
    design: &Design,
    board: &Board,
    faces: &Faces,
    scene: &Scene,
    template: &Template,
    found: &mut Vec<Finding>,
) {
    found.extend(template.unknown().iter().map(|n| Finding::UnknownField { name: shown(n) }));
    for name in template.feeds() {
        let fresh = scene.readings.get(name).filter(|reading| reading.is_fresh(scene.now));
        if fresh.and_then(|reading| reading.shown()).is_none() {
            found.push(Finding::NoValue { name: name.to_owned() });
        }
    }
    for name in template.icons().chain(design.picture.as_deref()) {
        if !scene.pictures.contains_key(name) {
            found.push(Finding::NoPicture { name: shown(name) });
        }
    }
    if let Some(name) = &design.colour
        && !named(name).is_some_and(|colour| board.depth().shows(colour))
    {
        found.push(Finding::Colour { name: shown(name) });
    }
    for colour in template.colours().filter(|colour| !board.depth().shows(*colour)) {
        let known = super::colour::COLOURS.iter().find(|(_, rgb)| *rgb == colour);
        found.push(Finding::Colour { name: known.map_or("?", |(name, _)| *name).to_owned() });
    }
    if let Some(name) = design.font.as_deref().filter(|name| faces.named(name).is_none()) {
        found.push(Finding::NoFont { name: shown(name) });
    }
}

/// Letters of the text that the font draws as another one.
fn alike(face: &Face, text: &str, found: &mut Vec<Finding>) {
    if face.alike().is_empty() {
        return;
    }
    let used: Vec<char> = text.nfc().collect();
    let met: Vec<String> = face
        .alike()
        .iter()
        .filter(|group| group.iter().any(|c| used.contains(c)))
        .map(|group| group.iter().collect())
        .collect();
    if !met.is_empty() {
        let letters = listed(met.iter().map(String::as_str));
        found.push(Finding::Alike { font: face.name().to_owned(), letters });
    }
}

#[cfg(test)]
mod tests;
