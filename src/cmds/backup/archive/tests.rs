//! What comes out of a backup, and what does not.

use super::*;

fn manifest() -> Manifest {
    Manifest {
        v: 1,
        made: "2026-12-01T05:00:00+07:00".into(),
        loa: "0.1.0".into(),
        station: "Đài xã".into(),
        keys: false,
        sealed: Vec::new(),
        records: 0,
        devices: 0,
        left_out: Vec::new(),
        members: Vec::new(),
    }
}

/// A small backup, and the folder it lies in.
fn packed() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("station/clips/{}.mp3", "bản tin ".repeat(20).trim());
    fs::write(dir.path().join("a"), "một").unwrap();
    fs::write(dir.path().join("b"), vec![7; 100_000]).unwrap();
    let path = dir.path().join("sao lưu.loa");
    let mut packer = Packer::create(&path).unwrap();
    packer.add("data/store.db", &dir.path().join("a")).unwrap();
    packer.add(&long, &dir.path().join("b")).unwrap();
    packer.finish(manifest()).unwrap();
    (dir, path)
}

fn refused(path: &Path) -> String {
    let error = verify(path, None).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn what_is_packed_comes_out_as_it_was() {
    let (dir, path) = packed();
    let held = verify(&path, None).unwrap();
    let names: Vec<_> = held.members.iter().map(|m| (&m.path[..13], m.bytes)).collect();
    assert_eq!(names, [("data/store.db", 5), ("station/clips", 100_000)]);
    let out = dir.path().join("ra");
    assert_eq!(unpack(&path, None, |folder| out.join(folder)).unwrap(), held);
    assert_eq!(fs::read(out.join("data/store.db")).unwrap(), "một".as_bytes());
    assert_eq!(fs::read(out.join(&held.members[1].path)).unwrap().len(), 100_000);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(Packer::create(&path), Err(ArchiveError::Write { .. })), "never over");
    let again = unpack(&path, None, |folder| out.join(folder));
    assert!(matches!(again, Err(ArchiveError::Read { .. })), "nor over what is there");
}

#[test]
fn cut_foreign_and_flipped_files_are_refused() {
    let (dir, path) = packed();
    let good = fs::read(&path).unwrap();
    let bad = dir.path().join("hỏng");
    for keep in [0, 1, 512, good.len() / 2, good.len() - 1] {
        fs::write(&bad, &good[..keep]).unwrap();
        assert!(refused(&bad).contains("no backup of loa, or it is cut short"), "{keep}");
    }
    for at in (0..good.len() - LAST.len() - 65).step_by(997) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        fs::write(&bad, flipped).unwrap();
        assert!(refused(&bad).contains("is damaged"), "{at}");
    }
    fs::write(&bad, "không phải".repeat(5_000)).unwrap();
    assert!(refused(&bad).contains("no backup of loa"));
}

/// Writes an archive by other means and gives it a right last line.
fn forged(path: &Path, write: impl FnOnce(&mut tar::Builder<Vec<u8>>)) {
    let mut tar = tar::Builder::new(Vec::new());
    write(&mut tar);
    let mut bytes = tar.into_inner().unwrap();
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(LAST);
    bytes.extend_from_slice(format!("{digest}\n").as_bytes());
    fs::write(path, bytes).unwrap();
}

fn header(name: &str, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // Past the checks of the crate, as a forger's own program would.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(1);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

#[test]
fn paths_that_leave_the_folders_and_links_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("giả");
    for name in [
        "../x",
        "data/../../x",
        "/etc/x",
        "data",
        "data/",
        "data//x",
        "other/x",
        "x",
        "./data/x",
        "data/a\\..\\x",
        "data/./x",
    ] {
        let plain = header(name, tar::EntryType::Regular);
        forged(&path, |tar| tar.append(&plain, &b"x"[..]).unwrap());
        assert!(refused(&path).contains("outside the folders"), "{name}");
    }
    for (kind, told) in [
        (tar::EntryType::Symlink, "no plain file"),
        (tar::EntryType::Directory, "no plain file"),
        (tar::EntryType::Link, "a link to nothing before it"),
    ] {
        let mut odd = header("data/x", kind);
        odd.set_size(0);
        odd.set_link_name("/etc/passwd").unwrap();
        odd.set_cksum();
        forged(&path, |tar| tar.append(&odd, &b""[..]).unwrap());
        assert!(refused(&path).contains(told), "{kind:?}");
    }
    let member = header("data/x", tar::EntryType::Regular);
    forged(&path, |tar| {
        tar.append(&member, &b"x"[..]).unwrap();
        tar.append(&member, &b"y"[..]).unwrap();
    });
    assert!(refused(&path).contains("there twice"));
    forged(&path, |tar| tar.append(&member, &b"x"[..]).unwrap());
    assert!(refused(&path).contains("member `manifest.json` is missing"));
    let list = |v, members: Vec<Member>| {
        serde_json::to_vec(&Manifest { v, members, ..manifest() }).unwrap()
    };
    for (list, told) in [
        (list(1, vec![]), "other than the members before it"),
        (list(3, vec![]), "has version 3"),
        (b"{}".to_vec(), "cannot be read"),
    ] {
        forged(&path, |tar| {
            tar.append(&member, &b"x"[..]).unwrap();
            let mut header = header(MANIFEST, tar::EntryType::Regular);
            header.set_size(list.len() as u64);
            header.set_cksum();
            tar.append(&header, &list[..]).unwrap();
        });
        assert!(refused(&path).contains(told), "{told}");
    }
}

#[test]
fn equal_files_are_stored_once_and_come_out_as_two() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), vec![7; 100_000]).unwrap();
    fs::write(dir.path().join("b"), vec![7; 100_000]).unwrap();
    fs::write(dir.path().join("c"), vec![8; 100_000]).unwrap();
    let path = dir.path().join("s.loa");
    let mut packer = Packer::create(&path).unwrap();
    for (name, from) in [("data/assets/x", "a"), ("station/clips/tin.mp3", "b"), ("station/c", "c")]
    {
        packer.add(name, &dir.path().join(from)).unwrap();
    }
    let held = packer.finish(manifest()).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 210_000);
    let same: Vec<_> = held.members.iter().map(|member| member.same.as_deref()).collect();
    assert_eq!(same, [None, Some("data/assets/x"), None]);
    assert_eq!(verify(&path, None).unwrap(), held);
    let out = dir.path().join("ra");
    assert_eq!(unpack(&path, None, |folder| out.join(folder)).unwrap(), held);
    fs::write(out.join("station/clips/tin.mp3"), "khác").unwrap();
    assert_eq!(fs::read(out.join("data/assets/x")).unwrap(), vec![7; 100_000], "a copy, no link");
    assert_eq!(fs::read(out.join("station/c")).unwrap(), vec![8; 100_000]);
}

#[test]
fn what_is_sealed_comes_out_with_the_passphrase_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("k"), "khoá của máy chủ").unwrap();
    let files = [("data/keys.json".to_owned(), dir.path().join("k"))];
    let (sealed, path) = (dir.path().join("s"), dir.path().join("s.loa"));
    seal(&sealed, &files, "bốn từ khó đoán").unwrap();
    let mut packer = Packer::create(&path).unwrap();
    packer.add(SEALED, &sealed).unwrap();
    let list = Manifest { keys: true, sealed: vec!["data/keys.json".into()], ..manifest() };
    let held = packer.finish(list).unwrap();
    let bytes = fs::read(&path).unwrap();
    let secret = "khoá của".as_bytes();
    assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    assert_eq!(verify(&path, None).unwrap(), held, "whole, also for who cannot open it");
    assert_eq!(verify(&path, Some("bốn từ khó đoán")).unwrap(), held);
    let wrong = verify(&path, Some("bốn từ dễ đoán")).unwrap_err();
    assert!(matches!(wrong, ArchiveError::Sealed { source: SealError::Passphrase, .. }), "{wrong}");
    let (with, without) = (dir.path().join("có"), dir.path().join("không"));
    unpack(&path, None, |folder| without.join(folder)).unwrap();
    assert!(!without.exists());
    unpack(&path, Some("bốn từ khó đoán"), |folder| with.join(folder)).unwrap();
    assert_eq!(fs::read_to_string(with.join("data/keys.json")).unwrap(), "khoá của máy chủ");
}
