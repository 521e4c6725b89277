//! The board of a device profile: size, colours, fonts, panels, lamps.

use super::fonts::{Font, Fonts};
use super::problem::Problem;
use super::profile::COLOURS;
use super::read::Reader;
use super::shape::{Kind, Shape, may, must};
use super::text::{nearest, shown};
use crate::domain::profile::{
    ANY_COLOUR, BoardProfile, FontFile, LampOrder, LampRows, Lamps, Panel, Turn,
};

pub(super) static BOARD: Shape = Shape {
    of: "`board`",
    keys: &[
        must("width_px", Kind::Number(16, 1_024), "width in pixels"),
        must("height_px", Kind::Number(8, 256), "height in pixels"),
        may(
            "colours",
            Kind::Texts(8),
            "colours it shows, first the default; `rgb` alone for every colour; none for monochrome",
        ),
        may(
            "fonts",
            Kind::Texts(8),
            "fonts it has, first the default: `loa-13`, `loa-11`, `unifont`, or a BDF file beside \
             the profile such as `fonts/t0-13.bdf`; those that fit its height unless said",
        ),
        may(
            "scroll_px_s",
            Kind::Number(1, 500),
            "pixels a second of scrolling text; 40 unless said",
        ),
        may("grid", Kind::Table(&GRID), "equal panels side by side in rows; one panel unless said"),
        may(
            "panels",
            Kind::Tables(&PANEL, 256),
            "each panel in the order of the chain, where they are not equal",
        ),
        may("lamps", Kind::Table(&LAMPS), "how outputs that send pixels drive the lamps"),
    ],
};

static GRID: Shape = Shape {
    of: "`board.grid`",
    keys: &[
        must("width_px", Kind::Number(1, 1_024), "width of one panel in pixels"),
        must("height_px", Kind::Number(1, 256), "height of one panel in pixels"),
        may(
            "serpentine",
            Kind::Flag,
            "whether the chain runs back in every second row, its panels upside down",
        ),
    ],
};

static PANEL: Shape = Shape {
    of: "a panel",
    keys: &[
        must("left_px", Kind::Number(0, 1_023), "its left edge in the whole picture"),
        must("top_px", Kind::Number(0, 255), "its top edge in the whole picture"),
        must("width_px", Kind::Number(1, 1_024), "its own width as made, before it is turned"),
        must("height_px", Kind::Number(1, 1_024), "its own height as made, before it is turned"),
        may("turn", Kind::Number(0, 270), "degrees clockwise it is turned: 0, 90, 180, 270"),
    ],
};

static LAMPS: Shape = Shape {
    of: "`board.lamps`",
    keys: &[
        may(
            "order",
            Kind::Choice(&["rgb", "rbg", "grb", "gbr", "brg", "bgr"]),
            "in which order a lamp takes its colours; `rgb` unless said",
        ),
        may(
            "rows",
            Kind::Choice(&["straight", "zigzag"]),
            "whether each row of a panel begins at the left, or every second one at the right",
        ),
        may(
            "gamma_percent",
            Kind::Number(100, 400),
            "exponent of the curve of light in hundredths, such as 220; 100 unless said",
        ),
        may("brightness_percent", Kind::Number(1, 100), "full light; 100 unless said"),
    ],
};

pub(super) fn read(table: &Reader<'_>, fonts: &Fonts<'_>) -> BoardProfile {
    let small = |key, default| table.small(key).map_or(default, |n| n.value);
    let (fonts, font_files) = named_fonts(table, fonts);
    let mut board = BoardProfile {
        width_px: small("width_px", 64),
        height_px: small("height_px", 16),
        colours: colours(table),
        fonts,
        font_files,
        scroll_px_s: small("scroll_px_s", 40),
        panels: Vec::new(),
        lamps: table.table("lamps").map(|lamps| read_lamps(&lamps)).unwrap_or_default(),
    };
    board.panels = panels(table, &board);
    board
}

fn colours(table: &Reader<'_>) -> Vec<String> {
    let mut colours = Vec::new();
    let texts = table.texts("colours").unwrap_or_default();
    let alone = texts.len() == 1;
    for text in texts {
        let word = text.value.to_lowercase();
        if word == ANY_COLOUR && !alone {
            table.fault(text.place, &Problem::AnyColour);
        } else if word == ANY_COLOUR || COLOURS.contains(&word.as_str()) {
            colours.push(word);
        } else {
            let near = nearest(&word, COLOURS.iter().copied()).map(str::to_owned);
            let (key, all) = ("colours".to_owned(), format!("{}, rgb", COLOURS.join(", ")));
            table.fault(text.place, &Problem::Choice { key, text: shown(&text.value), near, all });
        }
    }
    colours
}

/// Fonts that boards of our contract draw with.
pub(super) const FONTS: &[&str] = &["loa-13", "loa-11", "unifont"];

/// Returns the names by which pages call the fonts, and those that came as files.
fn named_fonts(table: &Reader<'_>, fonts: &Fonts<'_>) -> (Vec<String>, Vec<FontFile>) {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for (at, text) in table.texts("fonts").unwrap_or_default().into_iter().enumerate() {
        let (value, place) = (text.value, text.place);
        let fault = |problem: Problem| table.fault(place, &problem);
        if FONTS.contains(&value.as_str()) {
            names.push(value);
            continue;
        }
        let Some(path) = value.strip_suffix(".bdf") else {
            let near = nearest(&value, FONTS.iter().copied()).map(str::to_owned);
            let all = format!("{}, or a file such as `fonts/t0-13.bdf`", FONTS.join(", "));
            let key = "fonts".to_owned();
            fault(Problem::Choice { key, text: shown(&value), near, all });
            continue;
        };
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        if FONTS.contains(&name.as_str()) || names.contains(&name) || name.len() > 40 {
            fault(Problem::FontName { name: shown(&name) });
            continue;
        }
        match fonts.find(&value) {
            Font::Read { bytes, weak } => {
                let (name, first) = (name, at == 0);
                for says in weak {
                    fault(Problem::WeakFont { name: name.clone(), says, first });
                }
                files.push(FontFile { name: name.clone(), bytes });
                names.push(name);
            }
            // Told at the file itself.
            Font::Faulty => {}
            Font::Missing { near } => fault(Problem::NoFont { path: shown(&value), near }),
        }
    }
    (names, files)
}

fn read_lamps(table: &Reader<'_>) -> Lamps {
    let rows = [("straight", LampRows::Straight), ("zigzag", LampRows::Zigzag)];
    let small = |key| table.small(key).map_or(100, |n| n.value);
    Lamps {
        order: table.choice("order", &LampOrder::ALL).map_or(LampOrder::Rgb, |o| o.value),
        rows: table.choice("rows", &rows).map_or(LampRows::Straight, |r| r.value),
        gamma_percent: small("gamma_percent"),
        brightness_percent: small("brightness_percent"),
    }
}

/// Returns the panels, when they make up the board.
fn panels(table: &Reader<'_>, board: &BoardProfile) -> Vec<Panel> {
    let grid = table.table("grid");
    let listed = table.tables("panels");
    if grid.is_some() && listed.is_some() {
        let (one, other) = ("grid", "panels");
        table.fault(table.place_of(other), &Problem::Both { one, other });
        return Vec::new();
    }
    if let Some(grid) = grid {
        let size = (grid.small("width_px"), grid.small("height_px"));
        let serpentine = grid.flag("serpentine").is_some_and(|flag| flag.value);
        let (Some(width), Some(height)) = size else { return Vec::new() };
        return wall(table, "grid", rows(board, (width.value, height.value), serpentine));
    }
    let Some(listed) = listed else { return Vec::new() };
    let mut panels = Vec::new();
    for panel in &listed {
        let number = |key| panel.small(key).map(|n| n.value);
        let degrees = panel.small("turn");
        let turn = match degrees.as_ref().map_or(0, |turn| turn.value) {
            0 => Turn::None,
            90 => Turn::Quarter,
            180 => Turn::Half,
            270 => Turn::ThreeQuarters,
            other => {
                let (key, text) = ("turn".to_owned(), other.to_string());
                let (near, all) = (None, "0, 90, 180, 270".to_owned());
                let place = panel.place_of("turn");
                panel.fault(place, &Problem::Choice { key, text, near, all });
                return Vec::new();
            }
        };
        let (place, size) =
            ((number("left_px"), number("top_px")), (number("width_px"), number("height_px")));
        let ((Some(left_px), Some(top_px)), (Some(width_px), Some(height_px))) = (place, size)
        else {
            return Vec::new();
        };
        panels.push(Panel { left_px, top_px, width_px, height_px, turn });
    }
    wall(table, "panels", made(board, panels))
}

/// Why panels make no board, and what to do about it.
type NoWall = (String, &'static str);

fn wall(table: &Reader<'_>, key: &str, made: Result<Vec<Panel>, NoWall>) -> Vec<Panel> {
    made.unwrap_or_else(|(says, hint)| {
        table.fault(table.place_of(key), &Problem::Panels { says, hint });
        Vec::new()
    })
}

#[cfg(feature = "raster")]
fn rows(board: &BoardProfile, size: (u32, u32), serpentine: bool) -> Result<Vec<Panel>, NoWall> {
    use crate::raster::board::{Board, Wall};
    let wall = Wall::rows(&Board::from(board), size, serpentine);
    wall.map(|wall| wall.panels().to_vec()).map_err(|e| (e.to_string(), e.hint()))
}

#[cfg(feature = "raster")]
fn made(board: &BoardProfile, panels: Vec<Panel>) -> Result<Vec<Panel>, NoWall> {
    use crate::raster::board::{Board, Wall};
    let wall = Wall::new(&Board::from(board), panels);
    wall.map(|wall| wall.panels().to_vec()).map_err(|e| (e.to_string(), e.hint()))
}

/// A program that draws nothing has no use for panels.
#[cfg(not(feature = "raster"))]
fn rows(_: &BoardProfile, _: (u32, u32), _: bool) -> Result<Vec<Panel>, NoWall> {
    Ok(Vec::new())
}

#[cfg(not(feature = "raster"))]
fn made(_: &BoardProfile, panels: Vec<Panel>) -> Result<Vec<Panel>, NoWall> {
    Ok(panels)
}

#[cfg(test)]
#[cfg(feature = "raster")]
mod tests {
    use super::*;
    use crate::config::profiles;
    use std::fs;

    const LOA_13: &str = include_str!("../raster/fonts/loa-13.bdf");

    /// Reads one profile with this board; the folder holds these fonts.
    fn read(board: &str, fonts: &[(&str, &[u8])]) -> (Option<BoardProfile>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("fonts")).unwrap();
        for (name, bytes) in fonts {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let text = format!("title = \"Bảng\"\n[board]\nwidth_px = 64\nheight_px = 32\n{board}\n");
        fs::write(dir.path().join("bang.toml"), text).unwrap();
        let (found, faults) = profiles(dir.path());
        let root = format!("{}/", dir.path().display());
        let told = faults.iter().map(|fault| {
            let hint = fault.hint.as_deref().unwrap_or("no hint");
            format!("{}\n    {hint}", fault.to_string().replace(&root, ""))
        });
        (found.into_iter().next().and_then(|profile| profile.board), told.collect())
    }

    /// Our font of 13 rows without a letter, and with two letters alike.
    fn weak() -> String {
        let glyph = |code: u32| {
            let at = LOA_13.find(&format!("ENCODING {code}\n")).unwrap();
            let begins = LOA_13[..at].rfind("STARTCHAR").unwrap();
            let ends = at + LOA_13[at..].find("ENDCHAR\n").unwrap() + "ENDCHAR\n".len();
            LOA_13[begins..ends].to_owned()
        };
        let (gone, same, like) = (glyph(0x1B0), glyph(0x1EC9), glyph(0xED));
        let copy = like.replace("ENCODING 237\n", "ENCODING 7881\n");
        let count = LOA_13.lines().find_map(|line| line.strip_prefix("CHARS ")).unwrap();
        let fewer: u32 = count.parse::<u32>().unwrap() - 1;
        LOA_13
            .replace(&gone, "")
            .replace(&same, &copy)
            .replace(&format!("CHARS {count}\n"), &format!("CHARS {fewer}\n"))
    }

    #[test]
    fn a_board_of_any_colour_has_panels_lamps_and_fonts_from_files() {
        let board = "colours = [\"rgb\"]\nfonts = [\"fonts/xa.bdf\", \"loa-11\", \"so.bdf\"]\n\
            [board.grid]\nwidth_px = 32\nheight_px = 16\nserpentine = true\n\
            [board.lamps]\norder = \"grb\"\nrows = \"zigzag\"\ngamma_percent = 220\n\
            brightness_percent = 40";
        let files = [("fonts/xa.bdf", LOA_13.as_bytes()), ("so.bdf", LOA_13.as_bytes())];
        let (found, faults) = read(board, &files);
        assert_eq!(faults, Vec::<String>::new());
        let found = found.unwrap();
        assert_eq!(found.fonts, ["xa", "loa-11", "so"]);
        assert!(found.has_colour("magenta"));
        assert_eq!(found.panels.len(), 4);
        assert_eq!((found.panels[2].left_px, found.panels[2].turn), (32, Turn::Half));
        let lamps = found.lamps;
        assert_eq!((lamps.order, lamps.rows), (LampOrder::Grb, LampRows::Zigzag));
        assert_eq!((lamps.gamma_percent, lamps.brightness_percent), (220, 40));
        let faces = crate::raster::Faces::of_profile(&found);
        assert_eq!(faces.names().collect::<Vec<_>>(), ["xa", "loa-11", "so"]);
    }

    #[test]
    fn what_is_wrong_with_a_board_is_told_with_place_value_and_remedy() {
        let cut = &LOA_13.as_bytes()[..LOA_13.len() / 2];
        let lies = LOA_13.replacen("BBX ", "BBX 60", 1);
        let files = [
            ("fonts/cut.bdf", cut),
            ("lies.bdf", lies.as_bytes()),
            ("weak.bdf", weak().as_bytes()),
            ("loa-11.bdf", LOA_13.as_bytes()),
        ]
        .map(|(name, bytes)| (name, bytes.to_vec()));
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
        let mut told = Vec::new();
        for board in [
            "colours = [\"amber\", \"rgb\"]",
            "fonts = [\"fonts/cut.bdf\"]",
            "fonts = [\"lies.bdf\", \"loa-13\"]",
            "fonts = [\"weak.bdf\"]",
            "fonts = [\"loa-13\", \"weak.bdf\"]",
            "fonts = [\"fonts/weka.bdf\"]",
            "fonts = [\"../weak.bdf\"]",
            "fonts = [\"loa-11.bdf\"]",
            "fonts = [\"weak.ttf\"]",
            "[board.grid]\nwidth_px = 30\nheight_px = 16",
            "[board.grid]\nwidth_px = 64\nheight_px = 16\n[[board.panels]]\nleft_px = 0\n\
             top_px = 0\nwidth_px = 64\nheight_px = 32",
            "[[board.panels]]\nleft_px = 0\ntop_px = 0\nwidth_px = 64\nheight_px = 32\nturn = 90",
            "[[board.panels]]\nleft_px = 0\ntop_px = 0\nwidth_px = 64\nheight_px = 32\nturn = 45",
            "[board.lamps]\norder = \"grbw\"\ngamma_percent = 0",
        ] {
            let (_, faults) = read(board, &files);
            assert!(!faults.is_empty(), "{board}");
            told.push(format!("{board}\n{}", faults.join("\n")));
        }
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn more_fonts_than_memory_is_for_are_refused() {
        let large = vec![b'\n'; 4 << 20];
        let names: Vec<String> = (0..9).map(|at| format!("fonts/{at}.bdf")).collect();
        let mut files: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), large.as_slice())).collect();
        let more = vec![b'\n'; (4 << 20) + 1];
        files.push(("fonts/a.bdf", &more));
        let (_, faults) = read("", &files);
        let told: Vec<&str> = faults.iter().filter_map(|fault| fault.lines().next()).collect();
        assert_eq!(
            told,
            [
                "fonts/8.bdf:1:1: more than 33554432 bytes of fonts",
                "fonts/a.bdf:1:1: 4194305 bytes, more than the 4194304 allowed"
            ]
        );
    }
}
