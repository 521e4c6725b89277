//! Writes audit packs: one archive that `audit` reads, and that any machine can unpack.
//!
//! Pure: files come in through a closure, bytes go out. What a pack holds and in which order is
//! told on the page of `audit`; this is written for itself, so that neither side can hide a
//! mistake of the other.
//!
//! # Invariants
//! * The same content makes the same bytes: no clock, owner or mode of the machine gets in.
//! * Memory does not grow with the content, but for about a hundred bytes a file (the manifest).

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The page for whoever finds the file.
const README: &str = "\
GÓI KIỂM TRA BẰNG CHỨNG PHÁT THANH (Loa)\n\
\n\
Tệp này là bằng chứng ghi lại những gì loa truyền thanh và bảng điện tử đã phát, kèm chữ ký của\n\
từng thiết bị. Ai cũng kiểm tra được, không cần máy chủ và không cần mạng:\n\
\n\
    loa audit verify TỆP-NÀY --policy TỆP-CHÍNH-SÁCH\n\
\n\
Tệp chính sách phải lấy từ nguồn khác (cơ quan giám sát), không lấy từ trong gói này.\n\
Kiểm tra nhanh xem bản sao có bị hỏng không:  tar -xf TỆP-NÀY && sha256sum -c manifest.sha256\n\
\n\
AUDIT PACK OF BROADCAST EVIDENCE (Loa)\n\
\n\
Holds what loudspeakers and boards did, signed by each device, in a log that witnesses vouch for.\n\
Check it anywhere, without server or network:\n\
\n\
    loa audit verify THIS-FILE --policy POLICY-FILE\n\
\n\
Take the policy from elsewhere (the witness, the inspectorate), never from this pack.\n\
pack.json       the window asked about, and the logs\n\
timetables/     schedules as signed, named by their SHA-256      sheets/  their days, with titles\n\
notices/        urgent notices as signed, named by their SHA-256\n\
logs/N/         transparency logs (C2SP tlog-tiles): checkpoint, cosigned, tokens, tile\n\
manifest.sha256 SHA-256 of every file before it\n";

/// What the pack is about.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    v: u8,
    format: &'static str,
    from_ms: i64,
    to_ms: i64,
    unit: Option<String>,
    logs: Vec<AboutLog>,
}

/// A log of the pack.
#[derive(Clone, Debug, Serialize)]
pub struct AboutLog {
    /// Its name.
    pub origin: String,
    /// From this leaf on nothing is left out.
    pub first: u64,
}

impl About {
    /// Returns the description of a window, for all units or one; logs oldest first.
    pub fn new(from_ms: i64, to_ms: i64, unit: Option<String>, logs: Vec<AboutLog>) -> Self {
        Self { v: 1, format: "loa-audit-pack", from_ms, to_ms, unit, logs }
    }
}

/// Which tiles of a log go into the pack.
#[derive(Clone, Debug, Default)]
pub struct Tiles {
    /// Leaves of the newest checkpoint.
    pub size: u64,
    /// From this leaf on all bundles.
    pub first: u64,
    /// Bundles before that which hold statements about keys and approvals.
    pub kept: BTreeSet<u64>,
    /// Bundles before that of which only the hashes are needed: a checkpoint ends in them.
    pub hashes: BTreeSet<u64>,
}

impl Tiles {
    /// Returns the paths, below the log's folder, in the order of a pack.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let levels = (0..8).rev();
        let row = |level: u32| self.size.checked_shr(8 * level).unwrap_or(0);
        let edge = levels.clone().filter(move |level| row(*level) % 256 != 0).map(move |level| {
            let row = row(level);
            format!("tile/{level}/{}.p/{}", groups(row / 256), row % 256)
        });
        let bundles = (0..self.size.div_ceil(256)).flat_map(move |bundle| {
            // Tiles that begin with this bundle, highest first.
            let above = levels.clone().filter(move |level| {
                let below = 8 * level;
                let begins =
                    *level > 0 && bundle % 1_u64.checked_shl(below).unwrap_or(0).max(1) == 0;
                begins && (bundle >> below) < row(*level) / 256
            });
            let above =
                above.map(move |level| format!("tile/{level}/{}", groups(bundle >> (8 * level))));
            let whole = bundle >= self.first / 256 || self.kept.contains(&bundle);
            let hashes = !whole && self.hashes.contains(&bundle);
            let rest = self.size - bundle * 256;
            let width = if rest < 256 { format!(".p/{rest}") } else { String::new() };
            let own = whole.then(|| format!("tile/entries/{}{width}", groups(bundle)));
            above.chain(hashes.then(|| format!("tile/0/{}", groups(bundle)))).chain(own)
        });
        edge.chain(bundles)
    }
}

/// Writes an index in groups of three digits.
fn groups(index: u64) -> String {
    let mut text = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    text
}

/// Writes a pack file by file, in the order that `audit` tells.
pub struct Writer<W: Write> {
    archive: tar::Builder<W>,
    manifest: String,
}

impl<W: Write> Writer<W> {
    /// Begins with the page for people and the description.
    pub fn new(out: W, about: &About) -> io::Result<Self> {
        let mut writer = Self { archive: tar::Builder::new(out), manifest: String::new() };
        writer.add("README.txt", README.as_bytes())?;
        writer.add("pack.json", &serde_json::to_vec_pretty(about)?)?;
        Ok(writer)
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let digest = Sha256::digest(bytes);
        for byte in digest {
            let _ = write!(self.manifest, "{byte:02x}");
        }
        let _ = writeln!(self.manifest, "  {name}");
        self.put(name, bytes)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.archive.append(&header, bytes)
    }

    /// Adds the tiles of log `number` (from 1), read by their paths.
    pub fn tiles(
        &mut self,
        number: usize,
        tiles: &Tiles,
        mut read: impl FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        for path in tiles.paths() {
            let bytes = read(&path)?;
            self.add(&format!("logs/{number}/{path}"), &bytes)?;
        }
        Ok(())
    }

    /// Ends with the manifest.
    pub fn finish(mut self) -> io::Result<W> {
        let manifest = std::mem::take(&mut self.manifest);
        self.put("manifest.sha256", manifest.as_bytes())?;
        self.archive.into_inner()
    }
}
