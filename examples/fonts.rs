//! Writes the BDF files of our fonts from their drawings: `cargo run --example fonts`.

use loa::raster::font::{compose, coverage, own, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, source) in own::SOURCES {
        let font = compose::compose(source)?;
        let path = format!("src/raster/fonts/{name}.bdf");
        std::fs::write(&path, write::bdf(&font, own::COPYRIGHT))?;
        let coverage = coverage::Coverage::of_font(&font);
        let line = format!("{path}: {} characters, {coverage:?}\n", font.len());
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    }
    Ok(())
}
