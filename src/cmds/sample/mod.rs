//! A small station to begin with: what `loa init` puts into a folder that is not there.

use anyhow::Context as _;
use std::fs;
use std::path::Path;

const STATION: &[(&str, &str)] = &[
    ("station.toml", include_str!("files/station.toml")),
    ("units.csv", include_str!("files/units.csv")),
    ("devices.csv", include_str!("files/devices.csv")),
    ("policies/gio-yen-tinh.toml", include_str!("files/gio-yen-tinh.toml")),
    ("bang-chao-mung.toml", include_str!("files/bang-chao-mung.toml")),
];

const PROFILES: &[(&str, &str)] = &[
    ("loa-ip.toml", include_str!("files/loa-ip.toml")),
    ("bang-led-p10.toml", include_str!("files/bang-led-p10.toml")),
];

/// Puts the sample station where no folder is; says whether it did.
pub fn copy_station(folder: &Path) -> anyhow::Result<bool> {
    let copied = copy(folder, STATION)?;
    if copied {
        let clips = folder.join("clips");
        fs::create_dir_all(&clips).with_context(|| format!("making `{}`", clips.display()))?;
    }
    Ok(copied)
}

/// Puts the sample profiles where no folder is; says whether it did.
pub fn copy_profiles(folder: &Path) -> anyhow::Result<bool> {
    copy(folder, PROFILES)
}

fn copy(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<bool> {
    if folder.exists() {
        return Ok(false);
    }
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("making `{}`", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, ClipSource};
    use crate::domain::station::AssetFacts;

    struct NoClips;

    impl ClipSource for NoClips {
        fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
            Err("the sample has no clips".to_owned())
        }
    }

    #[test]
    fn the_sample_has_no_faults_and_is_never_written_over() {
        let root = tempfile::tempdir().unwrap();
        let (station, profiles) = (root.path().join("đài"), root.path().join("profiles"));
        assert!(copy_station(&station).unwrap() && copy_profiles(&profiles).unwrap());
        let loaded = config::load(&station, &profiles, &mut NoClips);
        assert_eq!(loaded.faults, []);
        assert_eq!(loaded.station.unwrap().devices.len(), 3);
        fs::write(station.join("station.toml"), "mine").unwrap();
        assert!(!copy_station(&station).unwrap());
        assert_eq!(fs::read_to_string(station.join("station.toml")).unwrap(), "mine");
    }
}
