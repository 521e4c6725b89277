//! The archive: POSIX `ustar`, uncompressed, read header by header with bounds.
//!
//! # Why tar
//! Its reader is this file. A header stands before each entry and says its length, so there is
//! one view of the content (a zip has two, which may differ), nothing has to be unpacked to know
//! how long it is, and any machine can list and unpack a pack without us. Only a strict subset is
//! read: regular files, names of at most 100 plain characters, no extensions. The order of entries
//! is fixed (see the room's page), so that one walk from the first to the last checks everything
//! in memory that does not grow with the pack.
//!
//! # Invariants
//! * No entry reaches beyond the end of the file, and none is larger than its kind may be.
//! * A name is only compared, never opened: nothing outside the pack is read or written.

use super::source::{ReadError, Source, read};

/// Bytes of a header; entries are padded to multiples of it.
pub const BLOCK: u64 = 512;
/// Zeros after the last entry: what writers pad with at most, and the end mark.
const TAIL: u64 = 20 * BLOCK;

/// An entry: what it is called and where its bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub at: u64,
    pub size: u64,
}

/// What is at a place where a header may be.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Entry(Entry),
    /// Nothing more, as it should be.
    End,
    /// Not what a pack has here.
    Bad(&'static str),
}

/// Reads the header at a place.
pub fn next<S: Source + ?Sized>(source: &S, at: u64) -> Result<Next, ReadError> {
    let size = source.size().map_err(|source| ReadError { at, source })?;
    let left = size.saturating_sub(at);
    if left < BLOCK {
        return Ok(Next::Bad("the pack ends without an end mark: its tail is cut off"));
    }
    let block: [u8; 512] = read(source, at, 512)?.try_into().unwrap_or([0; 512]);
    if block.iter().all(|b| *b == 0) {
        return end(source, at, left);
    }
    Ok(match header(&block) {
        Ok((name, length)) => {
            let from = at + BLOCK;
            // What is written is padded, so the padding must be there too.
            let padded = length.div_ceil(BLOCK).checked_mul(BLOCK);
            match padded.and_then(|padded| from.checked_add(padded)) {
                Some(end) if end <= size => Next::Entry(Entry { name, at: from, size: length }),
                _ => Next::Bad("an entry reaches beyond the end: the tail is cut off"),
            }
        }
        Err(why) => Next::Bad(why),
    })
}

/// Returns where the header after an entry lies.
pub fn after(entry: &Entry) -> u64 {
    entry.at + entry.size.div_ceil(BLOCK) * BLOCK
}

fn end<S: Source + ?Sized>(source: &S, at: u64, left: u64) -> Result<Next, ReadError> {
    let Some(length) = usize::try_from(left).ok().filter(|_| left <= TAIL) else {
        return Ok(Next::Bad("something follows the end mark"));
    };
    let tail = read(source, at, length)?;
    Ok(if left < 2 * BLOCK {
        Next::Bad("the end mark is cut off")
    } else if tail.iter().any(|b| *b != 0) {
        Next::Bad("something follows the end mark")
    } else {
        Next::End
    })
}

fn header(block: &[u8; 512]) -> Result<(String, u64), &'static str> {
    if &block[257..265] != b"ustar\x0000" {
        return Err("no header of a POSIX archive");
    }
    let sum =
        |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
    let wanted: u64 = block.iter().enumerate().map(sum).sum();
    if octal(&block[148..156]) != Some(wanted) {
        return Err("a header does not have its sum");
    }
    if block[156] != b'0' {
        return Err("an entry that is no regular file");
    }
    if block[345..].iter().any(|b| *b != 0) || block[157..257].iter().any(|b| *b != 0) {
        return Err("a header uses extensions");
    }
    let size = octal(&block[124..136]).ok_or("a header without a length")?;
    let name = &block[..100];
    let length = name.iter().position(|b| *b == 0).unwrap_or(100);
    let (name, rest) = name.split_at(length);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(*b, b'/' | b'.' | b'-' | b'_');
    if name.is_empty() || !name.iter().all(plain) || rest.iter().any(|b| *b != 0) {
        return Err("an entry whose name has other than plain characters");
    }
    Ok((String::from_utf8_lossy(name).into_owned(), size))
}

/// Reads an octal number that ends in a space or zero byte.
fn octal(field: &[u8]) -> Option<u64> {
    let length = field.iter().position(|b| matches!(b, b' ' | 0)).unwrap_or(field.len());
    let (digits, rest) = field.split_at(length);
    if digits.is_empty() || rest.iter().any(|b| !matches!(b, b' ' | 0)) {
        return None;
    }
    digits.iter().try_fold(0_u64, |n, digit| match digit {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}
