//! Signed notes, checkpoints and the keys that sign them (C2SP signed-note, tlog-checkpoint,
//! tlog-cosignature), as a reader that believes nothing.
//!
//! # Invariants
//! * The kind of a signature comes from the configured key, never from the line.
//! * Lines of unknown keys are ignored; a line of a known key that does not fit refuses the note.

use super::hash::Hash;
use super::signature::{self, is_by};
use super::text::{base64, decimal, excerpt};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Bytes of the longest note that is read.
pub const NOTE_BYTES: usize = 131_072;
/// Signature lines of a note.
const LINES: usize = 64;
/// Bytes of the longest signature line with its name: ML-DSA-44 and more.
const LINE_BYTES: usize = 12_288;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0x01: a log, the text.
    Log,
    /// 0x04: a witness, text and time.
    Witness,
    /// 0x06: known and never counted; this version cannot check it.
    Unchecked,
}

/// A key as verifiers are configured with it: `NAME+ID+KEY`.
#[derive(Clone, Debug)]
pub struct NoteKey {
    pub name: String,
    pub kind: Kind,
    id: [u8; 4],
    bytes: Vec<u8>,
    key: Option<VerifyingKey>,
}

/// Says whether a text can be the name of a log or key.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=255).contains(&text.len()) && text.chars().all(plain)
}

/// Returns what names a key in signature lines: name and key with its type.
fn id_of(name: &str, typed: &[u8]) -> [u8; 4] {
    let digest =
        Sha256::new().chain_update(name).chain_update(b"\n").chain_update(typed).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

impl NoteKey {
    /// Reads a verifier key, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 2_048 {
            return Err("it is too long");
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it is not NAME+ID+KEY");
        };
        if !is_name(name) {
            return Err("its name cannot be one");
        }
        let typed = base64(key).ok_or("its key is not base64")?;
        let (kind, bytes) = match typed.split_first() {
            Some((1, bytes)) => (Kind::Log, bytes),
            Some((4, bytes)) => (Kind::Witness, bytes),
            Some((6, bytes)) if bytes.len() == 1_312 => (Kind::Unchecked, bytes),
            _ => return Err("its type is none of 0x01, 0x04, 0x06"),
        };
        let wanted = id_of(name, &typed);
        if id != format!("{:08x}", u32::from_be_bytes(wanted)) {
            return Err("its id does not belong to name and key");
        }
        let key = match kind {
            Kind::Unchecked => None,
            _ => Some(signature::key(bytes).ok_or("it is not a sound Ed25519 key")?),
        };
        Ok(Self { name: name.to_owned(), kind, id: wanted, bytes: bytes.to_vec(), key })
    }

    /// Returns the key under the name of a log: its own, or that of a shard, which has a slash and a
    /// year behind it (`/2027`), or a year and a number (`/2027-2`).
    pub fn of_log(&self, origin: &str) -> Option<Self> {
        if self.name == origin {
            return Some(self.clone());
        }
        let shard = origin.strip_prefix(&*self.name)?.strip_prefix('/')?;
        let (year, part) = shard.split_once('-').unwrap_or((shard, "2"));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let year = year.len() == 4 && digits(year);
        if !year || !(1..=5).contains(&part.len()) || !digits(part) || !is_name(origin) {
            return None;
        }
        let kind: u8 = match self.kind {
            Kind::Log => 1,
            Kind::Witness => 4,
            Kind::Unchecked => 6,
        };
        let typed = [&[kind], self.bytes.as_slice()].concat();
        Some(Self { name: origin.to_owned(), id: id_of(origin, &typed), ..self.clone() })
    }

    /// Returns the bytes: equal bytes are one key under any name.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks a signature; returns the time of a witness in seconds, 0 for a log.
    fn check(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let key = self.key.as_ref()?;
        let strict = |message: &[u8], signature: &[u8]| {
            let signature = Signature::from_slice(signature).ok()?;
            is_by(key, message, &signature).then_some(())
        };
        match self.kind {
            Kind::Log => strict(text.as_bytes(), signature).map(|()| 0),
            Kind::Witness => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time_s = u64::from_be_bytes(*time);
                i64::try_from(time_s).ok()?;
                let message = format!("cosignature/v1\ntime {time_s}\n{text}");
                strict(message.as_bytes(), signature).map(|()| time_s)
            }
            Kind::Unchecked => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// A checkpoint with its signature lines, not yet believed.
#[derive(Clone, Debug)]
pub struct Note {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    text: String,
    lines: Vec<Line>,
}

impl Note {
    /// Takes a note apart, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > NOTE_BYTES {
            return Err(format!("{} bytes, at most {NOTE_BYTES} are read", bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err("control characters".to_owned());
        }
        let at = note.rfind("\n\n").ok_or("no signature below an empty line")?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let mut lines = Vec::new();
        for line in signatures.strip_suffix('\n').ok_or("the last line does not end")?.split('\n') {
            if lines.len() == LINES {
                return Err(format!("more than {LINES} signatures"));
            }
            lines
                .push(read_line(line).ok_or_else(|| format!("no signature: `{}`", excerpt(line)))?);
        }
        let body: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').take(4).collect();
        let [origin, size, root] = body[..] else {
            return Err("a checkpoint has three lines".to_owned());
        };
        if !is_name(origin) {
            return Err(format!("`{}` is not the name of a log", excerpt(origin)));
        }
        let size = decimal(size).ok_or_else(|| format!("`{}` is no size", excerpt(size)))?;
        let root = base64(root)
            .and_then(|root| Hash::try_from(root).ok())
            .ok_or_else(|| format!("`{}` is no root", excerpt(root)))?;
        Ok(Self { origin: origin.to_owned(), size, root, text: text.to_owned(), lines })
    }

    /// Returns which of the keys signed, each with the witness's time in seconds; or the name of
    /// the one whose signature does not fit or stands there twice.
    pub fn signed_by(&self, keys: &[NoteKey]) -> Result<Vec<(usize, u64)>, String> {
        let mut found: Vec<(usize, u64)> = Vec::new();
        for line in &self.lines {
            let named = |key: &NoteKey| key.id == line.id && key.name == line.name;
            let Some(at) = keys.iter().position(named) else { continue };
            if keys[at].kind == Kind::Unchecked {
                continue;
            }
            if found.iter().any(|(other, _)| *other == at) {
                return Err(line.name.clone());
            }
            let time = keys[at].check(&self.text, &line.signature);
            found.push((at, time.ok_or_else(|| line.name.clone())?));
        }
        Ok(found)
    }
}

fn read_line(line: &str) -> Option<Line> {
    if line.len() > LINE_BYTES {
        return None;
    }
    let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = base64(signature)?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    let sound = is_name(name) && !signature.is_empty();
    sound.then(|| Line { name: name.to_owned(), id: *id, signature: signature.to_vec() })
}

/// Takes a file of notes apart, each followed by an empty line, in the order they stand.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // A note is a text, an empty line and signatures; another empty line ends it.
        let mut ends = rest.windows(2).enumerate().filter(|(_, pair)| *pair == b"\n\n");
        let end = ends.nth(1).map_or(rest.len(), |(at, _)| at + 1);
        let (note, more) = rest.split_at(end);
        rest = more.get(1..).unwrap_or(&[]);
        Some(note)
    })
}
