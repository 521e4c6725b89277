//! Draws a text as a board shows it: `cargo run --example specimen OUT.png WIDTH HEIGHT FONT TEXT…`.

use loa::raster::{Board, Design, Faces, Pass, Scene, colour::Depth, encode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [out, width, height, font, texts @ ..] = args.as_slice() else {
        return Err("OUT.png WIDTH HEIGHT FONT TEXT…".into());
    };
    let board = Board::new(width.parse()?, height.parse()?, Depth::Mono, 60);
    let (faces, scene) = (Faces::built_in(), Scene::at(loa::domain::time::UtcMs(0)));
    let mut design = Design::still(&texts.join("\n").replace("\\n", "\n"), 4_000);
    design.font = Some(font.clone());
    let pass = Pass::new(&design, &board, &faces, &scene);
    std::fs::write(out, encode::preview(&pass.first(), encode::Look::default())?)?;
    Ok(())
}
