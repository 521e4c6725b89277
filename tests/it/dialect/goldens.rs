//! Conversations with every shipped profile, line by line, in `tests/golden/dialect/`.
//!
//! With `GOLDEN=write` the answers are written anew; read them before they are kept.

use super::conversation::Conversation;
use loa::config::device_profile;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dialect")
}

fn replay(profile: &str, text: &str) -> String {
    let mut talk = Conversation::with(profile);
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with('<')) {
        out.push_str(line);
        out.push('\n');
        if let Some(said) = line.strip_prefix('>') {
            talk.say(said);
            out.push_str(&std::mem::take(&mut talk.told));
        }
    }
    out
}

#[test]
fn every_conversation_goes_as_written() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let profile = name.split('~').next().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let told = replay(profile, &text);
        count += 1;
        if std::env::var_os("GOLDEN").is_some() {
            std::fs::write(&path, &told).unwrap();
        } else if told != text {
            let differs = told.lines().zip(text.lines()).find(|(a, b)| a != b);
            wrong.push(format!("{name}: {differs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 14, "only {count} conversations");
}

#[test]
fn every_foreign_profile_has_a_conversation() {
    let profiles = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
    for entry in std::fs::read_dir(profiles).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (described, _) = device_profile(name, &std::fs::read(&path).unwrap());
        // Devices that speak our contract have their vectors in `firmware-notes/`.
        let foreign = described.unwrap().dialect.is_some();
        assert!(!foreign || folder().join(format!("{name}.txt")).exists(), "{name} has none");
    }
}
