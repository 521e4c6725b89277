use super::bdf::BdfError;
use super::compose::ComposeError;
use super::coverage::{Coverage, charset, letters};
use super::*;
use crate::raster::face::Face;
use proptest::prelude::*;

fn file(name: &str) -> &'static str {
    match name {
        "loa-11" => include_str!("../fonts/loa-11.bdf"),
        _ => include_str!("../fonts/loa-13.bdf"),
    }
}

#[test]
fn vietnamese_has_134_letters_outside_ascii() {
    let all = letters();
    let mut distinct = all.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((all.len(), distinct.len()), (134, 134));
    assert_eq!(all.iter().filter(|c| c.is_lowercase()).count(), 67);
    let blocks = |c: &char| matches!(u32::from(*c), 0xC0..=0x1B0 | 0x1EA0..=0x1EF9);
    assert!(all.iter().all(blocks));
    assert_eq!(all.iter().filter(|c| u32::from(**c) >= 0x1EA0).count(), 90);
}

#[test]
fn every_built_in_font_has_all_letters_and_draws_no_two_alike() {
    for name in ["loa-11", "loa-13", "unifont"] {
        let face = Face::built_in(name).unwrap();
        let glyphs: BTreeMap<char, Glyph> =
            charset().into_iter().filter_map(|c| Some((c, face.glyph(c)?.into_owned()))).collect();
        let coverage = Coverage::of(|c| glyphs.get(&c));
        assert!(coverage.is_whole(), "{name}: {coverage:?}");
    }
}

#[test]
fn our_fonts_have_the_heights_they_are_named_for_and_no_letter_touches_the_next() {
    for (name, height) in [("loa-11", 11), ("loa-13", 13)] {
        let font = bdf::read(name, file(name).as_bytes()).unwrap();
        assert_eq!(font.height_px(), height);
        for (c, glyph) in font.glyphs() {
            assert!(glyph.ink_px() < glyph.advance_px(), "{name} {c}");
        }
        let lowest: Vec<char> = font
            .glyphs()
            .filter(|(_, g)| g.rows()[height as usize - 1] != 0)
            .map(|(c, _)| c)
            .collect();
        assert!(lowest.contains(&'ạ') && lowest.contains(&'Ộ') && lowest.contains(&'g'));
    }
}

/// Pixels in which two glyphs differ.
fn distance(a: &Glyph, b: &Glyph) -> u32 {
    a.rows().iter().zip(b.rows()).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[test]
fn one_dead_lamp_turns_no_letter_into_another() {
    for name in ["loa-11", "loa-13"] {
        let font = bdf::read(name, file(name).as_bytes()).unwrap();
        let all = letters();
        for first in &all {
            for second in all.iter().filter(|second| *second > first) {
                let apart = distance(font.glyph(*first).unwrap(), font.glyph(*second).unwrap());
                assert!(apart >= 2, "{name}: {first} and {second} differ in {apart} pixels");
            }
        }
    }
}

#[test]
fn between_a_letter_and_the_mark_above_it_is_a_dark_row() {
    for name in ["loa-11", "loa-13"] {
        let font = bdf::read(name, file(name).as_bytes()).unwrap();
        // Letters without a horn, whose tip may stand in that row.
        for c in "áàảãâấầẩẫăắằẳẵéèẻẽêếềểễóòỏõôốồổỗúùủũýỳỷỹÁÀẢÃÂẤẦẨẪĂẮẰẲẴÉÈẺẼÊẾỀỂỄÓÒỎÕÔỐỒỔỖÚÙỦŨÝỲỶỸ"
            .chars()
        {
            let rows = font.glyph(c).unwrap().rows();
            let mark = rows.iter().position(|row| *row != 0).unwrap();
            let dark = rows[mark..].iter().position(|row| *row == 0).unwrap();
            assert!(rows[mark + dark + 1] != 0 && (2..=4).contains(&dark), "{name}: {c}");
        }
    }
}

#[test]
fn the_bdf_in_the_tree_is_what_the_drawings_make() {
    for (name, source) in own::SOURCES {
        let font = compose::compose(source).unwrap();
        assert_eq!(font.name(), name);
        let made = write::bdf(&font, own::COPYRIGHT);
        assert!(made == file(name), "run `cargo run --example fonts` and look at the letters");
        assert_eq!(bdf::read(name, made.as_bytes()), Ok(font));
    }
}

#[test]
fn a_letter_is_put_together_from_its_parts() {
    let font = bdf::read("loa-13", file("loa-13").as_bytes()).unwrap();
    let pictures: Vec<String> = "ẵỂợ".chars().map(|c| font.glyph(c).unwrap().picture()).collect();
    insta::assert_snapshot!("composed", pictures.join("\n"));
}

#[test]
fn drawings_that_make_no_font_are_refused_with_their_line() {
    let (_, source) = own::SOURCES[0];
    let without = |text: &str| source.replacen(text, "", 1);
    let cases = [
        without("font loa-11\n"),
        source.replace("above 9", "above 33"),
        source.replacen(".##. ###.", ".##. ###", 1),
        source.replacen(".##. ###.", ".##. ##x.", 1),
        source.replacen(".##. ###.", "###.", 1),
        source.replacen("| a b", "| aa b", 1),
        source.replace("^ small", "^ large"),
        source.replacen(" circumflex+hook@1", " circumflex+hoop@1", 1),
        source.replace("above 9", "above 8"),
    ];
    let errors: Vec<String> = cases
        .iter()
        .map(|source| compose::compose(source).map_err(|e| format!("{e}\n  {}", e.hint())))
        .map(|made| made.unwrap_err())
        .collect();
    insta::assert_snapshot!("source_errors", errors.join("\n"));
    assert_eq!(compose::compose(""), Err(ComposeError::Head { key: "font" }));
}

#[test]
fn a_font_that_draws_two_letters_alike_or_lacks_one_is_found_out() {
    let font = bdf::read("f", file("loa-11").as_bytes()).unwrap();
    let mut glyphs: BTreeMap<char, Glyph> = font.glyphs().map(|(c, g)| (c, g.clone())).collect();
    glyphs.insert('ỉ', glyphs[&'í'].clone());
    glyphs.remove(&'Ư');
    let coverage = Coverage::of_font(&Font::new("f", 9, 2, glyphs));
    assert_eq!(coverage, Coverage { missing: vec!['Ư'], alike: vec![vec!['í', 'ỉ']] });
}

/// A font of one letter, three columns and two rows, with an offset.
fn small(change: impl Fn(String) -> String) -> Result<Font, BdfError> {
    let text = "STARTFONT 2.1\nCOMMENT made for a test\nFONT x\nSIZE 4 72 72\n\
        FONTBOUNDINGBOX 4 4 -1 -1\nSTARTPROPERTIES 2\nFONT_ASCENT 3\nFONT_DESCENT 1\nENDPROPERTIES\n\
        CHARS 1\nSTARTCHAR a\nENCODING 97\nSWIDTH 500 0\nDWIDTH 4 0\nBBX 3 2 0 0\nBITMAP\nA0\n40\n\
        ENDCHAR\nENDFONT\n";
    bdf::read("x", change(text.to_owned()).as_bytes())
}

#[test]
fn a_glyph_stands_where_its_box_says() {
    let font = small(|text| text).unwrap();
    assert_eq!(font.glyph('a').unwrap().picture(), "....\n#.#.\n.#..\n....\n");
    let left = small(|text| text.replace("BBX 3 2 0 0", "BBX 3 2 -1 -1")).unwrap();
    assert_eq!(left.glyph('a').unwrap().picture(), "....\n....\n#.#.\n.#..\n");
    // Windows line ends, and a property that is no ASCII.
    assert_eq!(small(|text| text.replace('\n', "\r\n")).as_ref(), Ok(&font));
    let bytes = b"STARTFONT 2.1\nCOPYRIGHT \"\xa9\"\nFONTBOUNDINGBOX 4 4 -1 -1\nFONT_ASCENT 3\n\
        CHARS 1\nSTARTCHAR a\nENCODING 97\nDWIDTH 4 0\nBBX 3 2 0 0\nBITMAP\nA0\n40\nENDCHAR\nENDFONT\n";
    assert_eq!(bdf::read("x", bytes).as_ref(), Ok(&font));
}

#[test]
fn fonts_that_are_cut_or_lie_are_refused_with_their_line() {
    let replaced = |from: &'static str, to: &'static str| {
        small(move |text| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    };
    let cases = [
        replaced("STARTFONT 2.1", "%PDF-1.7"),
        replaced("ENDFONT\n", ""),
        replaced("CHARS 1", "CHARS 2"),
        replaced("CHARS 1", "CHARS 99999999"),
        replaced("CHARS 1", "CHARS -1"),
        replaced("FONTBOUNDINGBOX 4 4 -1 -1\n", ""),
        replaced("FONTBOUNDINGBOX 4 4", "FONTBOUNDINGBOX 4 65"),
        replaced("FONT_ASCENT 3", "FONT_ASCENT 64"),
        replaced("BBX 3 2 0 0", "BBX 3 5 0 0"),
        replaced("BBX 3 2 0 0", "BBX 3 3 0 0"),
        replaced("BBX 3 2 0 0", "BBX 3 1 0 0"),
        replaced("BBX 3 2 0 0", "BBX 9 2 0 0"),
        replaced("BBX 3 2 0 0", "BBX 4000000000 2 0 0"),
        replaced("A0\n", "A\n"),
        replaced("A0\n", "GG\n"),
        replaced("DWIDTH 4 0", "DWIDTH 4000 0"),
        replaced("ENCODING 97\n", ""),
        replaced("ENCODING 97", "ENCODING -1"),
        replaced("ENDCHAR\n", "ENDCHAR\nSTARTCHAR b\n"),
    ];
    let errors: Vec<String> = cases
        .into_iter()
        .map(|read| read.map_err(|e| format!("{e}\n  {}", e.hint())).unwrap_err())
        .collect();
    insta::assert_snapshot!("bdf_errors", errors.join("\n"));
    let twice = small(|text| {
        let one = text.split("CHARS 1\n").nth(1).unwrap().replace("ENDFONT\n", "");
        text.replace("CHARS 1", "CHARS 2").replace("ENDFONT\n", "") + &one + "ENDFONT\n"
    });
    assert_eq!(twice, Err(BdfError::Twice { line: 28, code: 97 }));
    let large = bdf::read("x", &vec![b'\n'; bdf::MOST_BYTES + 1]);
    assert_eq!(large, Err(BdfError::Large { bytes: bdf::MOST_BYTES + 1 }));
}

#[test]
fn a_font_cut_anywhere_is_refused() {
    let whole = file("loa-11").as_bytes();
    // The last line end is not needed.
    for end in (0..whole.len() - 1).step_by(97).chain(whole.len() - 40..whole.len() - 1) {
        assert!(bdf::read("x", &whole[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = bdf::read("x", &bytes);
    }

    #[test]
    fn any_change_of_a_font_is_read_or_refused(
        at in 0..2_000_usize,
        byte in any::<u8>(),
        word in "-?[0-9]{1,12}| |\n|BBX 64 64 -64 -64\n|ENDCHAR\n",
    ) {
        let mut bytes = file("loa-11").as_bytes()[..4_000].to_vec();
        bytes[at] = byte;
        bytes.splice(at + 1..at + 3, word.bytes());
        if let Ok(font) = bdf::read("x", &bytes) {
            prop_assert!(font.glyphs().all(|(_, g)| g.rows().len() == font.height_px() as usize));
        }
    }

    #[test]
    fn any_drawings_make_a_font_or_are_refused(text in "[:^|@ab#. \n0-9]{0,200}") {
        let _ = compose::compose(&format!("font x\nabove 5\nbelow 2\n{text}"));
    }
}
