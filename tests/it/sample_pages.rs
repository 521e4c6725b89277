//! The sample's pages on the boards they address: each still page stands as a whole.

use loa::config::{self, ClipSource};
use loa::domain::ids::DeviceId;
use loa::domain::playlist::{Content, Effect};
use loa::domain::station::AssetFacts;
use loa::domain::time::UtcMs;
use loa::raster::{Board, Design, Faces, Pass, Scene};
use std::path::Path;

struct NoClips;

impl ClipSource for NoClips {
    fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
        Err("not needed here".to_owned())
    }
}

#[test]
fn every_still_page_of_the_sample_fits_on_its_boards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = config::load(&root.join("playlists"), &root.join("device-profiles"), &mut NoClips);
    let station = loaded.station.unwrap();
    let mut first = None;
    for (playlist, devices) in [
        ("bang-uy-ban", vec!["bang-uy-ban"]),
        ("canh-bao-lua-dao", vec!["bang-uy-ban", "bang-cho"]),
    ] {
        let playlist = station.playlists.values().find(|p| p.id.as_str() == playlist).unwrap();
        for device in devices {
            let device = &station.devices[&DeviceId::new(device).unwrap()];
            let board = station.profiles[&device.profile].board.as_ref().unwrap();
            for item in &playlist.items {
                let Content::Pages(pages) = &item.content else { continue };
                for page in pages.iter().filter(|page| page.effect == Effect::Still) {
                    let (design, scene) = (Design::from(page), Scene::at(UtcMs(0)));
                    let (sizes, faces) = (Board::from(board), Faces::of_profile(board));
                    let pass = Pass::new(&design, &sizes, &faces, &scene);
                    assert_eq!(pass.screen_count(), 1, "`{}` on {}", page.text, device.id);
                    assert_eq!(pass.duration_ms(), page.dwell_ms);
                    first.get_or_insert_with(|| pass.first().picture());
                }
            }
        }
    }
    insta::assert_snapshot!("gate", first.unwrap());
}
