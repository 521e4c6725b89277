//! A frame as SVG: sharp at any size, for pages and printed reports.

use super::Look;
use crate::raster::colour::Rgb;
use crate::raster::frame::Frame;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Returns the frame as SVG, one path for each colour; `title` is read aloud in place of it.
///
/// Lamps side by side are one stroke of the path, so that a full board stays small.
pub fn svg(frame: &Frame, look: Look, title: &str) -> String {
    let (width, height) = (frame.width_px(), frame.height_px());
    let mut paths: BTreeMap<Rgb, String> = BTreeMap::new();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let colour = frame.pixel(x, y);
            let from = x;
            while x < width && frame.pixel(x, y) == colour {
                x += 1;
            }
            if colour != Rgb::BLACK {
                let shown = if frame.is_mono() { look.lamp } else { colour };
                // Writing to a string cannot fail.
                let _ =
                    write!(paths.entry(shown).or_default(), "M{from} {y}h{}v1H{from}z", x - from);
            }
        }
    }
    let scale = look.scale.clamp(1, 16);
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" shape-rendering=\"crispEdges\"><title>{}</title>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#141414\"/>",
        width * scale,
        height * scale,
        escaped(title),
    );
    for (Rgb(r, g, b), path) in paths {
        let _ = write!(text, "<path fill=\"#{r:02x}{g:02x}{b:02x}\" d=\"{path}\"/>");
    }
    text.push_str("</svg>\n");
    text
}

/// The text with what SVG would read as markup written out; controls, which XML forbids, go.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
