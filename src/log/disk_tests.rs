//! Tests of files on the machine's own disk.

use super::*;

#[test]
fn files_are_replaced_as_wholes_with_the_folders_they_need() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("x/y/a"), dir.path().join("x/b"));
    replace(&RealDisk, dir.path(), &[(a.clone(), b"one"), (b.clone(), b"two")]).unwrap();
    replace(&RealDisk, dir.path(), &[(a.clone(), b"three")]).unwrap();
    assert_eq!(RealDisk.read(&a, 10).unwrap(), Some(b"three".to_vec()));
    assert_eq!(RealDisk.read(&b, 3).unwrap(), Some(b"two".to_vec()));
    assert_eq!(RealDisk.list(&dir.path().join("x")).unwrap(), ["b", "y"]);
    RealDisk.remove(&a).unwrap();
    RealDisk.remove(&a).unwrap();
    RealDisk.remove_folder(&dir.path().join("x/y")).unwrap();
    RealDisk.remove_folder(&dir.path().join("x/y")).unwrap();
    assert_eq!(RealDisk.list(&dir.path().join("x")).unwrap(), ["b"]);
    assert!(RealDisk.remove_folder(&dir.path().join("x")).is_err(), "it is not empty");
}

#[test]
fn reading_is_bounded_and_what_is_not_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, b"12345").unwrap();
    let error = RealDisk.read(&path, 4).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(RealDisk.read(&dir.path().join("b"), 4).unwrap(), None);
    assert_eq!(RealDisk.read(&path.join("below a file"), 4).unwrap(), None);
    assert!(RealDisk.list(&dir.path().join("none")).unwrap().is_empty());
    assert!(RealDisk.read(dir.path(), 4).is_err(), "a folder is no file");
}

#[test]
fn a_failed_step_names_place_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), b"").unwrap();
    let error = replace(&RealDisk, dir.path(), &[(dir.path().join("a/b"), b"x")]).unwrap_err();
    assert!(error.to_string().contains("/a"), "{error}");
    assert!(error.hint().contains("belongs to this user"));
    let full = DiskError::at("write", Path::new("/x"))(io::ErrorKind::StorageFull.into());
    assert_eq!(full.to_string(), "cannot write `/x`");
    assert!(full.hint().contains("free space"));
}
