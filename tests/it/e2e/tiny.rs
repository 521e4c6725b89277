//! A disk of a few MiB that can be full: a real file system of its own, mounted in a namespace in
//! which the test runs itself once more; the kernel unmounts it with the last process there.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DISK: &str = "LOA_TEST_DISK";
/// How the shell says that it may not mount.
const CANNOT: i32 = 97;

/// Runs another test, which is ignored otherwise, where a disk of so many MiB is mounted.
pub fn run_with_disk(mib: u32, test: &str) {
    let at = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={mib}m tmpfs \"${DISK}\" || exit {CANNOT}; exec \"$0\" \"$@\""
    );
    // A namespace of users first: it needs no rights. Some containers forbid that one alone.
    for way in [["-Urm", "--"].as_slice(), ["-m", "--"].as_slice()] {
        let status = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1", test])
            .env(DISK, at.path())
            .stdin(Stdio::null())
            .status()
            .expect("unshare is part of util-linux");
        match status.code() {
            Some(0) => return,
            // 1 is what unshare itself says; a test that fails ends with 101.
            Some(CANNOT | 1) => {}
            _ => panic!("`{test}` ended with {status}; see above"),
        }
    }
    panic!(
        "no file system can be mounted here: run as root, or allow it with \
         `sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000`"
    );
}

/// The disk under a test that [`run_with_disk`] runs.
pub struct TinyDisk(PathBuf);

impl TinyDisk {
    /// Finds it.
    pub fn here() -> Self {
        Self(std::env::var_os(DISK).expect("run by another test").into())
    }

    /// Where its root lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves not one byte free.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for piece in [65_536, 4_096, 1] {
            loop {
                match ballast.write(&vec![7; piece]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("filling the disk: {error}"),
                }
            }
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast.part")
    }
}
