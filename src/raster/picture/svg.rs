//! Draws SVG icons, once, where they are taken in.
//!
//! SVG is a language; a few lines of it can draw for hours (copies of copies), fetch files, or
//! hang on fonts that a machine lacks. Only plain drawings are taken: shapes, groups, gradients.
//! Everything else is refused by its name before anything is drawn.

use super::Picture;
use crate::raster::board::{MOST_HEIGHT_PX, MOST_WIDTH_PX};
use crate::raster::colour::Rgb;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, roxmltree};

/// Largest file taken, in bytes.
const MOST_BYTES: usize = 64 << 10;
/// Most elements and texts of a file. Each may cover the whole board through a layer of its own,
/// so this bounds the time: the worst file found takes about five seconds at 1,024×256.
const MOST_NODES: u32 = 300;
/// Most elements inside each other.
const MOST_DEPTH: usize = 32;
/// Elements that are drawn, or that say something for people.
const KNOWN: &[&str] = &[
    "svg",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "defs",
    "linearGradient",
    "radialGradient",
    "stop",
    "title",
    "desc",
    "metadata",
];

/// Why an SVG is not drawn.
#[derive(Debug, thiserror::Error)]
pub enum SvgError {
    #[error("{bytes} bytes, more than an icon may have ({MOST_BYTES})")]
    Large { bytes: usize },
    #[error("not an SVG that can be read")]
    Xml(#[source] roxmltree::Error),
    #[error("line {line}: `<{name}>` is not drawn on boards")]
    Element { line: u32, name: String },
    #[error("line {line}: `{name}` is not drawn on boards")]
    Attribute { line: u32, name: String },
    #[error("line {line}: more than {MOST_DEPTH} elements inside each other")]
    Deep { line: u32 },
    #[error("not an SVG that can be drawn")]
    Drawing(#[source] resvg::usvg::Error),
    #[error(
        "a size of {width_px}×{height_px} pixels, outside of 1×1 to {MOST_WIDTH_PX}×{MOST_HEIGHT_PX}"
    )]
    Size { width_px: u32, height_px: u32 },
}

impl SvgError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Large { .. } | Self::Deep { .. } => "simplify the drawing",
            Self::Xml(_) | Self::Drawing(_) => "save it again as plain SVG",
            Self::Element { .. } => {
                "convert text and symbols to paths, take filters and pictures out"
            }
            Self::Attribute { .. } => "draw dashes as paths, take style sheets and references out",
            Self::Size { .. } => "ask for the size it shall have on the board",
        }
    }
}

impl Picture {
    /// Draws an SVG as large as fits into a box, in its own proportions, over black.
    pub fn svg(file: &[u8], width_px: u32, height_px: u32) -> Result<Self, SvgError> {
        if file.len() > MOST_BYTES {
            return Err(SvgError::Large { bytes: file.len() });
        }
        let fits = |side: u32, most: u32| (1..=most).contains(&side);
        if !fits(width_px, MOST_WIDTH_PX) || !fits(height_px, MOST_HEIGHT_PX) {
            return Err(SvgError::Size { width_px, height_px });
        }
        let text = String::from_utf8_lossy(file);
        let options = roxmltree::ParsingOptions {
            nodes_limit: MOST_NODES,
            ..roxmltree::ParsingOptions::default()
        };
        let document =
            roxmltree::Document::parse_with_options(&text, options).map_err(SvgError::Xml)?;
        plain(&document)?;
        let tree = Tree::from_xmltree(&document, &Options::default()).map_err(SvgError::Drawing)?;
        let (wide, high) = (tree.size().width(), tree.size().height());
        let scale = (width_px as f32 / wide).min(height_px as f32 / high);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "float casts saturate, and the sides are clamped"
        )]
        let side = |length: f32, most: u32| ((length * scale).round() as u32).clamp(1, most);
        let (width_px, height_px) = (side(wide, width_px), side(high, height_px));
        let mut pixels =
            Pixmap::new(width_px, height_px).ok_or(SvgError::Size { width_px, height_px })?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        // Premultiplied colours are already what shows over black.
        let pixels = pixels.pixels().iter().map(|p| Rgb(p.red(), p.green(), p.blue())).collect();
        Ok(Self { width_px, height_px, pixels })
    }
}

/// Refuses what is no plain drawing.
fn plain(document: &roxmltree::Document<'_>) -> Result<(), SvgError> {
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let line = || document.text_pos_at(node.range().start).row;
        let name = node.tag_name().name();
        if node.ancestors().take(MOST_DEPTH + 3).count() > MOST_DEPTH + 2 {
            return Err(SvgError::Deep { line: line() });
        }
        let is_drawn = node.tag_name().namespace() == Some("http://www.w3.org/2000/svg");
        if is_drawn && !KNOWN.contains(&name) {
            let name = name.chars().take(40).collect();
            return Err(SvgError::Element { line: line(), name });
        }
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            // Dashes may be a million; references may name files, or the element itself.
            let odd = name.starts_with("stroke-dash")
                || (name == "style" && value.contains("dash"))
                || (name == "href" && !value.starts_with('#'))
                || value.matches("url(").count() > 1;
            if odd {
                let name = name.chars().take(40).collect();
                return Err(SvgError::Attribute { line: line(), name });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(inside: &str) -> Result<Picture, SvgError> {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             viewBox=\"0 0 8 4\">\n{inside}</svg>"
        );
        Picture::svg(text.as_bytes(), 16, 16)
    }

    #[test]
    fn shapes_become_pixels_in_their_proportions() {
        let picture = drawn("<rect x=\"4\" width=\"4\" height=\"4\" fill=\"#f00\"/>").unwrap();
        assert_eq!((picture.width_px(), picture.height_px()), (16, 8));
        assert_eq!(picture.pixel(0, 0), Rgb::BLACK);
        assert_eq!((picture.pixel(8, 0), picture.pixel(15, 7)), (Rgb(255, 0, 0), Rgb(255, 0, 0)));
        let half = drawn("<rect width=\"8\" height=\"4\" fill=\"#fff\" opacity=\"0.5\"/>").unwrap();
        assert!((126..=129).contains(&half.pixel(3, 3).0), "white through half is grey");
        let kept = Picture::png(&picture.to_png().unwrap()).unwrap();
        assert_eq!(kept, picture);
    }

    #[test]
    fn what_is_no_plain_drawing_is_refused_by_name_and_line() {
        for (inside, message) in [
            ("<text>Xã</text>", "line 2: `<text>` is not drawn on boards"),
            ("<image href=\"/etc/passwd\"/>", "line 2: `<image>` is not drawn on boards"),
            ("<g>\n<use href=\"#a\"/></g>", "line 3: `<use>` is not drawn on boards"),
            ("<style>*{}</style>", "line 2: `<style>` is not drawn on boards"),
            ("<g xlink:href=\"file:///x\"/>", "line 2: `href` is not drawn on boards"),
            (
                "<path stroke-dasharray=\"0.0001\"/>",
                "line 2: `stroke-dasharray` is not drawn on boards",
            ),
            ("<g", "not an SVG that can be read"),
        ] {
            let error = drawn(inside).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!error.hint().is_empty());
        }
        let entities = "<!DOCTYPE svg [<!ENTITY a \"&a;&a;\">]><svg xmlns=\"http://www.w3.org/2000/svg\">&a;</svg>";
        assert!(matches!(Picture::svg(entities.as_bytes(), 8, 8), Err(SvgError::Xml(_))));
        let many = "<g/>".repeat(6_000);
        assert!(matches!(drawn(&many), Err(SvgError::Xml(_))));
        let deep = drawn(&format!("{}{}", "<g>".repeat(250), "</g>".repeat(250)));
        assert!(matches!(deep, Err(SvgError::Deep { line: 2 })), "{deep:?}");
        let large = Picture::svg(&vec![b' '; MOST_BYTES + 1], 8, 8);
        assert!(matches!(large, Err(SvgError::Large { .. })));
        assert!(matches!(Picture::svg(b"", 0, 8), Err(SvgError::Size { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_drawn_or_refused(inside in "(<(g|path|rect|circle|line)( (d|x|width|r|fill|transform|stroke-width)=\"[-#a-zA-Z0-9(,. ]{0,12}\"){0,4}/>){0,6}|\\PC{0,80}") {
            if let Ok(picture) = drawn(&inside) {
                prop_assert!(picture.width_px() <= 16 && picture.height_px() <= 16);
            }
        }
    }
}
