//! How records lie in a file: framed, so that a torn tail is told from damage in the middle.
//!
//! A frame is `LOAr`, the length, the number and the time of the record (all little-endian), four
//! bytes of SHA-256 over those and the text, then the text. Reading never fails: what is no frame
//! is passed over until the next one.

use sha2::{Digest as _, Sha256};

const MARK: [u8; 4] = *b"LOAr";
const HEAD: usize = 4 + 4 + 8 + 8 + 4;
/// Longest text; records are far below.
const MOST: usize = 65_536;

/// A record's place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the chain.
    pub seq: u64,
    /// When it was written, milliseconds.
    pub at_ms: i64,
    /// Where its text begins.
    pub offset: usize,
    /// How long its text is.
    pub len: usize,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The whole frames, in order.
    pub entries: Vec<Entry>,
    /// Where the last whole frame ends: what lies behind is a torn tail.
    pub good: usize,
}

/// Appends a frame to a buffer.
pub fn push(buffer: &mut Vec<u8>, seq: u64, at_ms: i64, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let start = buffer.len();
    buffer.extend(MARK);
    buffer.extend(length.to_le_bytes());
    buffer.extend(seq.to_le_bytes());
    buffer.extend(at_ms.to_le_bytes());
    let check = check(&buffer[start + 4..], text.as_bytes());
    buffer.extend(check);
    buffer.extend(text.as_bytes());
}

/// Reads a file's frames.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut found = Scan::default();
    let mut at = 0;
    while at + HEAD <= bytes.len() {
        if let Some(entry) = read(bytes, at) {
            at = entry.offset + entry.len;
            found.good = at;
            found.entries.push(entry);
        } else {
            let next = bytes[at + 1..].windows(4).position(|four| four == MARK);
            match next {
                Some(skip) => at += 1 + skip,
                None => break,
            }
        }
    }
    found
}

fn read(bytes: &[u8], at: usize) -> Option<Entry> {
    let head = bytes.get(at..at + HEAD)?;
    if head[..4] != MARK {
        return None;
    }
    let len = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
    if len > MOST {
        return None;
    }
    let offset = at + HEAD;
    let text = bytes.get(offset..offset + len)?;
    if head[24..28] != check(&head[4..24], text) || !text.is_ascii() {
        return None;
    }
    let seq = u64::from_le_bytes(head[8..16].try_into().ok()?);
    let at_ms = i64::from_le_bytes(head[16..24].try_into().ok()?);
    Some(Entry { seq, at_ms, offset, len })
}

fn check(head: &[u8], text: &[u8]) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new().chain_update(head).chain_update(text).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> usize {
        HEAD + text.len()
    }

    fn three() -> Vec<u8> {
        let mut file = Vec::new();
        for (seq, text) in [(7, "a.b.c"), (8, "LOAr.d"), (9, "e")] {
            push(&mut file, seq, 1_000, text);
        }
        file
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_every_whole_record() {
        let file = three();
        let ends = [size("a.b.c"), size("a.b.c") + size("LOAr.d"), file.len()];
        for cut in 0..=file.len() {
            let scan = scan(&file[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(scan.entries.len(), whole, "cut at {cut}");
            assert_eq!(scan.good, if whole == 0 { 0 } else { ends[whole - 1] });
        }
    }

    #[test]
    fn damage_at_any_byte_costs_one_record_only() {
        let file = three();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            let scan = scan(&damaged);
            assert_eq!(scan.entries.len(), 2, "damage at {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let scan = scan(&bytes);
            prop_assert!(scan.good <= bytes.len());
        }
    }
}
