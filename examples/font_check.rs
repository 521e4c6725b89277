//! Says of BDF files whether they are whole for Vietnamese: `cargo run --example font_check FILE…`.

use loa::raster::font::{bdf, coverage::Coverage};
use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for path in std::env::args().skip(1) {
        match bdf::read(&path, &std::fs::read(&path)?) {
            Err(error) => writeln!(out, "{path}: refused: {error} ({})", error.hint())?,
            Ok(font) => {
                let Coverage { missing, alike } = Coverage::of_font(&font);
                let groups: Vec<String> = alike.iter().map(|g| g.iter().collect()).collect();
                let (rows, count, lacks) = (font.height_px(), font.len(), missing.len());
                writeln!(
                    out,
                    "{path}: {rows} rows, {count} characters, lacks {lacks}, {groups:?}"
                )?;
            }
        }
    }
    Ok(())
}
