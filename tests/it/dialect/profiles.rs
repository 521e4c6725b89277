//! What shipped profiles promise.

use loa::config::device_profile;
use loa::dialect::machine::Why;
use loa::dialect::model::Dialect;

fn dialect(name: &str) -> Dialect {
    let path = format!("{}/device-profiles/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let (described, faults) = device_profile(name, &std::fs::read(path).unwrap());
    assert_eq!(faults, [], "{name}");
    described.unwrap().dialect.unwrap()
}

#[test]
fn every_shipped_profile_is_read_without_a_fault() {
    let folder = format!("{}/device-profiles", env!("CARGO_MANIFEST_DIR"));
    let mut faulty = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (described, faults) = device_profile(name, &std::fs::read(&path).unwrap());
        for fault in &faults {
            faulty.push(format!("{fault} ({})", fault.hint.as_deref().unwrap_or("-")));
        }
        assert!(described.is_some() || !faults.is_empty(), "{name}");
    }
    assert_eq!(faulty, Vec::<String>::new());
}

#[test]
fn vietnamese_goes_as_pixels_where_the_dialect_allows_and_is_refused_before_air_elsewhere() {
    use loa::dialect::machine::Way;
    let text = Some("Đài truyền thanh xã");
    assert_eq!(dialect("awtrix3").way(text, true), Ok(Way::Frame));
    assert_eq!(dialect("wled-2d").way(text, true), Ok(Way::Frame));
    assert_eq!(dialect("esphome-text").way(text, true), Ok(Way::Text));
    let stripped = Way::Stripped("Dai truyen thanh xa".to_owned());
    assert_eq!(dialect("line-board").way(text, false), Ok(stripped));
    let Err(Why::Text(refused)) = dialect("pixelix").way(text, true) else { panic!() };
    assert_eq!(refused.to_string(), "the device cannot draw `àãĐề`");
    let Err(Why::Text(_)) = dialect("awtrix3").way(text, false) else { panic!() };
    assert_eq!(dialect("awtrix3").way(Some("{{a}}"), true), Ok(Way::Frame), "no placeholder");
}
