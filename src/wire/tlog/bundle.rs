//! Entry bundles: up to 256 entries, each behind its length (C2SP tlog-tiles).

use super::tile::TILE;

/// Bytes of the longest entry: its length has 16 bits.
pub const ENTRY_BYTES: usize = 65_535;

/// Why bytes are no bundle, or an entry fits into none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum BundleError {
    #[error("an entry has {got} bytes, at most {ENTRY_BYTES} are possible")]
    Long { got: usize },
    #[error("the bundle holds {TILE} entries already")]
    Full,
    #[error("the bundle ends within entry {entry}")]
    Cut { entry: u16 },
    #[error("the bundle has {extra} bytes after its {width} entries")]
    Rest { width: u16, extra: usize },
}

impl BundleError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Long { .. } => "log the hash of so long a text instead of the text",
            Self::Full => "begin the next bundle",
            Self::Cut { .. } | Self::Rest { .. } => "the file is damaged: take it from a copy",
        }
    }
}

/// The bytes of a bundle with the place of each entry in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Bundle {
    /// Most bytes a bundle of that width can have.
    pub fn most_bytes(width: u16) -> u64 {
        u64::from(width) * (2 + ENTRY_BYTES as u64)
    }

    /// Reads a bundle of exactly `width` entries.
    pub fn parse(bytes: Vec<u8>, width: u16) -> Result<Self, BundleError> {
        let mut ends = Vec::with_capacity(usize::from(width));
        let mut at = 0;
        for entry in 0..width {
            let cut = BundleError::Cut { entry };
            let (length, rest) = bytes[at..].split_first_chunk::<2>().ok_or(cut.clone())?;
            let length = usize::from(u16::from_be_bytes(*length));
            if rest.len() < length {
                return Err(cut);
            }
            at += 2 + length;
            ends.push(at);
        }
        match bytes.len() - at {
            0 => Ok(Self { bytes, ends }),
            extra => Err(BundleError::Rest { width, extra }),
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: &[u8]) -> Result<(), BundleError> {
        let Ok(length) = u16::try_from(entry.len()) else {
            return Err(BundleError::Long { got: entry.len() });
        };
        if self.ends.len() == usize::from(TILE) {
            return Err(BundleError::Full);
        }
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(entry);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Returns how many entries it holds.
    pub fn width(&self) -> u16 {
        u16::try_from(self.ends.len()).unwrap_or(TILE)
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the entry at that place, if there is one.
    pub fn entry(&self, at: u16) -> Option<&[u8]> {
        let at = usize::from(at);
        let start = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start + 2..*self.ends.get(at)?)
    }

    /// Returns the first `width` entries as a bundle of their own.
    pub fn beginning(mut self, width: u16) -> Self {
        self.ends.truncate(usize::from(width));
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
        self
    }

    /// Returns the entries in order.
    pub fn entries(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.width()).filter_map(|at| self.entry(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn an_entry_that_cannot_be_stored_is_refused() {
        let mut bundle = Bundle::default();
        assert_eq!(
            bundle.push(&vec![0; ENTRY_BYTES + 1]),
            Err(BundleError::Long { got: ENTRY_BYTES + 1 })
        );
        bundle.push(&vec![7; ENTRY_BYTES]).unwrap();
        for _ in 1..TILE {
            bundle.push(b"").unwrap();
        }
        assert_eq!(bundle.push(b""), Err(BundleError::Full));
        assert_eq!(bundle.entry(0).map(<[u8]>::len), Some(ENTRY_BYTES));
        assert_eq!((bundle.entry(255), bundle.entry(256)), (Some(&b""[..]), None));
    }

    proptest! {
        #[test]
        fn a_bundle_is_read_as_it_was_written(entries in vec(vec(any::<u8>(), 0..40), 0..256)) {
            let mut bundle = Bundle::default();
            for entry in &entries {
                bundle.push(entry).unwrap();
            }
            let width = bundle.width();
            let bytes = bundle.bytes().to_vec();
            prop_assert!(bytes.len() as u64 <= Bundle::most_bytes(width));
            let read = Bundle::parse(bytes.clone(), width).unwrap();
            prop_assert!(read.entries().eq(entries.iter().map(Vec::as_slice)));
            prop_assert_eq!(&read, &bundle);
            let half = bundle.clone().beginning(width / 2);
            prop_assert!(half.entries().eq(entries.iter().take(entries.len() / 2).map(Vec::as_slice)));
            prop_assert!(Bundle::parse(bytes.clone(), width + 1).is_err());
            if width > 0 {
                prop_assert!(Bundle::parse(bytes.clone(), width - 1).is_err());
                prop_assert!(Bundle::parse(bytes[..bytes.len() - 1].to_vec(), width).is_err());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600), width in 0_u16..=256) {
            if let Ok(bundle) = Bundle::parse(bytes.clone(), width) {
                prop_assert_eq!(bundle.entries().count(), usize::from(width));
            }
        }
    }
}
