//! A seeded mutator: the same seed gives the same mutations.

/// Pieces that parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e9",
    b"9007199254740992",
    b"-9007199254740993",
    b"18446744073709551616",
    b"\n",
    b"\r\n",
    b"\0",
    b"..",
    b"/",
    b"//",
    b"#",
    b"+",
    b"*",
    b"*/0",
    b"1-0",
    b"@",
    b"=",
    b"'",
    b"'''",
    b"\"\"\"",
    b"[[",
    b"\xff",
    b"\xc3\xa9",
    b"e\xcc\x81",
    "ế".as_bytes(),
    "\u{202e}".as_bytes(),
    b"\xef\xbb\xbf",
    b"2026-02-30",
    b"24:00",
    b"05:00/04:00",
    b"AAAA",
    b"==",
    b".",
    b"ID3",
    b"ftyp",
    b"\xff\xfb\x90\x00",
];

/// A generator of numbers (SplitMix64): small, and the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}

/// Changes bytes in one to four ways; `other` lends pieces.
pub fn mutate(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len() + 1);
        let span = at..at + random.below((out.len() - at).min(64) + 1);
        match random.below(9) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 if at < out.len() => out[at] = u8::try_from(random.below(256)).unwrap_or(0),
            2 => drop(out.drain(span)),
            3 => drop(out.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            4 => drop(out.splice(span, WORDS[random.below(WORDS.len())].iter().copied())),
            5 => {
                let piece = out[span].to_vec();
                out.splice(at..at, piece);
            }
            6 => {
                let from = random.below(other.len() + 1);
                let to = from + random.below((other.len() - from).min(256) + 1);
                out.splice(span, other[from..to].iter().copied());
            }
            7 => out.truncate(at),
            8 => {
                // Long runs: depth, length, repetition.
                let byte = b"[{(a\"0 \xff"[random.below(8)];
                out.splice(at..at, std::iter::repeat_n(byte, 1 << random.below(12)));
            }
            _ => {}
        }
    }
    out
}
