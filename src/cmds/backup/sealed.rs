//! The private files of a backup, sealed by a passphrase: a file of the age format, version 1
//! (age-encryption.org/v1, recipient `scrypt`), so that `age -d` opens it without us.
//!
//! Scrypt turns the passphrase into a key that wraps the key of the file; the header is
//! authenticated, the body is ChaCha20-Poly1305 in pieces of 64 KiB, the last one marked.
//!
//! # Invariants
//! * Nothing is handed out that was not authenticated, and an end is only taken for one when it
//!   is marked: cut short is not whole.
//! * The work that a file may ask for is bounded ([`MOST_LOG_N`]), since anybody could write one.
//!
//! # Why not the crate `age`
//! It brings fifty crates, most of them for translated messages; this needs one (`scrypt`) beside
//! what TLS uses here already. A test reads what the original writes, and Python what we write.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::io::{self, BufRead, Read, Write};
use zeroize::Zeroizing;

/// Work of the passphrase: 2^17, a third of a second and 128 MiB.
pub const LOG_N: u8 = 17;
/// Most work that a file may ask for: 1 GiB.
const MOST_LOG_N: u8 = 20;
const INTRO: &str = "age-encryption.org/v1";
const PIECE: usize = 65_536;
const TAG: usize = 16;
/// Longest line of a header.
const LINE: u64 = 256;

/// Why something sealed does not open.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the passphrase does not open it")]
    Passphrase,
    #[error("its sealed part is damaged or cut short")]
    Damaged,
    #[error("its sealed part is not sealed by a passphrase as this program does it")]
    Foreign,
    #[error("its sealed part asks for 2^{log_n} of work, more than 2^{MOST_LOG_N}")]
    Work { log_n: u8 },
    #[error("the system gave no random numbers")]
    Random(#[from] getrandom::Error),
    #[error("reading or writing the sealed part")]
    Io(#[from] io::Error),
}

/// The key of a file.
type FileKey = Zeroizing<[u8; 16]>;

/// Seals what is written; [`Sealer::finish`] must be called.
pub struct Sealer<W> {
    to: W,
    cipher: Cipher,
    piece: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the header.
    pub fn new(mut to: W, passphrase: &str, log_n: u8) -> Result<Self, SealError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 16]);
        let mut file_key = FileKey::default();
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut nonce)?;
        getrandom::fill(&mut *file_key)?;
        let wrap = wrapping(passphrase, &salt, log_n)?;
        let mut body = Zeroizing::new(file_key.to_vec());
        // Nonce zero: the key is used this once, being of a salt of its own.
        wrap.seal_in_place_append_tag(nonce_of([0; 12]), Aad::empty(), &mut *body)
            .map_err(|_| SealError::Damaged)?;
        let header = format!(
            "{INTRO}\n-> scrypt {} {log_n}\n{}\n---",
            BASE64.encode(salt),
            BASE64.encode(&*body)
        );
        let mac = hmac::sign(&header_key(&file_key)?, header.as_bytes());
        writeln!(to, "{header} {}", BASE64.encode(mac.as_ref()))?;
        to.write_all(&nonce)?;
        let cipher = Cipher::new(&file_key, &nonce)?;
        Ok(Self { to, cipher, piece: Zeroizing::new(Vec::with_capacity(PIECE + TAG)) })
    }

    /// Writes the last piece, marked as such.
    pub fn finish(mut self) -> Result<W, SealError> {
        self.cipher.seal(&mut self.piece, true)?;
        self.to.write_all(&self.piece)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.cipher.seal(&mut self.piece, false).map_err(io::Error::other)?;
            self.to.write_all(&self.piece)?;
            self.piece.clear();
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Opens what was sealed, piece by piece.
pub struct Opener<R> {
    from: R,
    cipher: Cipher,
    piece: Zeroizing<Vec<u8>>,
    read: usize,
    ended: bool,
}

impl<R: BufRead> Opener<R> {
    /// Reads the header; an error unless the passphrase opens it.
    pub fn new(mut from: R, passphrase: &str) -> Result<Self, SealError> {
        let mut line = || -> Result<String, SealError> {
            let mut text = String::new();
            (&mut from).take(LINE).read_line(&mut text).map_err(|_| SealError::Foreign)?;
            text.strip_suffix('\n').map(str::to_owned).ok_or(SealError::Foreign)
        };
        let (intro, stanza, body, mac) = (line()?, line()?, line()?, line()?);
        if intro != INTRO {
            return Err(SealError::Foreign);
        }
        let mut words = stanza.strip_prefix("-> scrypt ").ok_or(SealError::Foreign)?.split(' ');
        let (Some(salt), Some(log_n), None) = (words.next(), words.next(), words.next()) else {
            return Err(SealError::Foreign);
        };
        let salt: [u8; 16] = exact(salt)?;
        let log_n = log_n.parse().map_err(|_| SealError::Foreign)?;
        let mut sealed: [u8; 32] = exact(&body)?;
        let wrap = wrapping(passphrase, &salt, log_n)?;
        let opened = wrap.open_in_place(nonce_of([0; 12]), Aad::empty(), &mut sealed);
        let mut file_key = FileKey::default();
        file_key.copy_from_slice(opened.map_err(|_| SealError::Passphrase)?);
        let mac: [u8; 32] = exact(mac.strip_prefix("--- ").ok_or(SealError::Foreign)?)?;
        let header = format!("{intro}\n{stanza}\n{body}\n---");
        hmac::verify(&header_key(&file_key)?, header.as_bytes(), &mac)
            .map_err(|_| SealError::Damaged)?;
        let mut nonce = [0; 16];
        from.read_exact(&mut nonce).map_err(|_| SealError::Damaged)?;
        let cipher = Cipher::new(&file_key, &nonce)?;
        Ok(Self { from, cipher, piece: Zeroizing::default(), read: 0, ended: false })
    }

    fn next_piece(&mut self) -> Result<(), SealError> {
        let mut piece = Zeroizing::new(Vec::with_capacity(PIECE + TAG));
        (&mut self.from).take((PIECE + TAG) as u64).read_to_end(&mut piece)?;
        self.ended = self.from.fill_buf()?.is_empty();
        let first = self.cipher.count == 0;
        self.cipher.open(&mut piece, self.ended)?;
        // An empty last piece is only that of an empty file: else something was cut and mended.
        if piece.is_empty() && !first {
            return Err(SealError::Damaged);
        }
        (self.piece, self.read) = (piece, 0);
        Ok(())
    }
}

impl<R: BufRead> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() && !self.ended {
            self.next_piece().map_err(io::Error::other)?;
        }
        let read = (&self.piece[self.read..]).read(into)?;
        self.read += read;
        Ok(read)
    }
}

/// The body's cipher with its count of pieces.
struct Cipher {
    key: LessSafeKey,
    count: u64,
}

impl Cipher {
    fn new(file_key: &FileKey, nonce: &[u8; 16]) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        derive(file_key, nonce, b"payload", &mut key)?;
        Ok(Self { key: chacha(&key)?, count: 0 })
    }

    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.count.to_be_bytes());
        nonce[11] = u8::from(last);
        self.count += 1;
        nonce_of(nonce)
    }

    fn seal(&mut self, piece: &mut Vec<u8>, last: bool) -> Result<(), SealError> {
        let nonce = self.nonce(last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), piece);
        sealed.map_err(|_| SealError::Damaged)
    }

    fn open(&mut self, piece: &mut Vec<u8>, last: bool) -> Result<(), SealError> {
        let nonce = self.nonce(last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), piece);
        let length = opened.map_err(|_| SealError::Damaged)?.len();
        piece.truncate(length);
        Ok(())
    }
}

fn nonce_of(bytes: [u8; 12]) -> Nonce {
    Nonce::assume_unique_for_key(bytes)
}

fn chacha(key: &[u8; 32]) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| SealError::Foreign)?;
    Ok(LessSafeKey::new(key))
}

fn wrapping(passphrase: &str, salt: &[u8; 16], log_n: u8) -> Result<LessSafeKey, SealError> {
    if log_n > MOST_LOG_N {
        return Err(SealError::Work { log_n });
    }
    let params = scrypt::Params::new(log_n, 8, 1, 32).map_err(|_| SealError::Foreign)?;
    let salt = [b"age-encryption.org/v1/scrypt".as_slice(), salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key)
        .map_err(|_| SealError::Foreign)?;
    chacha(&key)
}

fn header_key(file_key: &FileKey) -> Result<hmac::Key, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    derive(file_key, b"", b"header", &mut key)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &*key))
}

fn derive(
    file_key: &FileKey,
    salt: &[u8],
    info: &[u8],
    into: &mut [u8; 32],
) -> Result<(), SealError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&**file_key);
    let info = [info];
    let okm = prk.expand(&info, hkdf::HKDF_SHA256).map_err(|_| SealError::Foreign)?;
    okm.fill(into).map_err(|_| SealError::Foreign)
}

fn exact<const N: usize>(text: &str) -> Result<[u8; N], SealError> {
    let bytes = BASE64.decode(text).map_err(|_| SealError::Foreign)?;
    bytes.try_into().map_err(|_| SealError::Foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little work, for tests.
    const FAST: u8 = 4;

    fn seal(bytes: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), "mật khẩu", FAST).unwrap();
        sealer.write_all(bytes).unwrap();
        sealer.finish().unwrap()
    }

    fn open(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, SealError> {
        let mut bytes = Vec::new();
        let read = Opener::new(sealed, passphrase)?.read_to_end(&mut bytes);
        read.map_err(|error| match error.downcast::<SealError>() {
            Ok(error) => error,
            Err(error) => SealError::Io(error),
        })?;
        Ok(bytes)
    }

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_and_no_other() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let sealed = seal(&bytes);
            assert_eq!(open(&sealed, "mật khẩu").unwrap(), bytes, "{length}");
            assert!(matches!(open(&sealed, "mật khẩu "), Err(SealError::Passphrase)));
        }
    }

    #[test]
    fn what_the_original_wrote_is_read() {
        let sealed = base64::engine::general_purpose::STANDARD.decode(
            "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCB1Mi9tR3NVQlFpaDhId2RxcHk0VHdBIDE3CmRFUFBZUHJ0RG\
             9heTg5OGpHcFQrRTJzenJoZnhNQzRJeEowYUtoZm83VTQKLS0tIHJPdUtCMFByUWVoM3hTSjNNZ25jY1J2ekdrU01Y\
             UytiNG9zbDl4NDdSaUkKbTw6G+JbB/i8sWjxiFOrpWwrCkXVwDwsJELxaqa2W+jK5ZAoi9TWReoIn/lLiHYUYsqTUw\
             11+f5eq/6SeR0=",
        );
        let opened = open(&sealed.unwrap(), "mật khẩu thử nghiệm").unwrap();
        assert_eq!(String::from_utf8(opened).unwrap(), "Xin chào từ xã Đông Hoà");
    }

    #[test]
    fn cut_flipped_mended_and_greedy_files_are_refused() {
        let bytes = vec![7; PIECE + 100];
        let sealed = seal(&bytes);
        let cut_at_a_piece = sealed.len() - 100 - TAG;
        for keep in [0, 30, 120, 200, cut_at_a_piece, sealed.len() - 1] {
            assert!(open(&sealed[..keep], "mật khẩu").is_err(), "{keep}");
        }
        for at in (0..sealed.len()).step_by(1_013).chain([25, 60, 150, sealed.len() - 1]) {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(open(&flipped, "mật khẩu").is_err(), "{at}");
        }
        let mut longer = sealed.clone();
        longer.push(0);
        assert!(matches!(open(&longer, "mật khẩu"), Err(SealError::Damaged)));
        let text = String::from_utf8_lossy(&sealed[..80]).replace(" 4\n", " 30\n");
        let greedy = [text.as_bytes(), &sealed[80..]].concat();
        assert!(matches!(open(&greedy, "mật khẩu"), Err(SealError::Work { log_n: 30 })));
        assert!(matches!(open(b"age-encryption.org/v2\n", "x"), Err(SealError::Foreign)));
        assert!(matches!(open(&[b'x'; 5_000], "x"), Err(SealError::Foreign)));
    }
}
