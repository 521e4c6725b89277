//! Where a pack's bytes come from: one file, read at places, never beyond its end.

use std::io;

/// Bytes that can be read at any place by several threads at once.
pub trait Source: Sync {
    /// Returns how many bytes there are.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `at` on; refuses when the source ends before.
    fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(at).ok();
        let found = from.and_then(|from| self.get(from..from.checked_add(buffer.len())?));
        match found {
            Some(found) => {
                buffer.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(unix)]
impl Source for std::fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, at)
    }
}

/// The source could not be read: nothing is said about the pack.
#[derive(Debug, thiserror::Error)]
#[error("the pack cannot be read at byte {at}")]
pub struct ReadError {
    pub at: u64,
    #[source]
    pub source: io::Error,
}

impl ReadError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        "copy the pack to another disk and try again; it must not change while it is read"
    }
}

/// Reads `length` bytes at a place; the caller has bounded the length.
pub(super) fn read<S: Source + ?Sized>(
    source: &S,
    at: u64,
    length: usize,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; length];
    source.fill(at, &mut bytes).map_err(|source| ReadError { at, source })?;
    Ok(bytes)
}
