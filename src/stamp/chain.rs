//! Which certificates are trusted, and the way from a signer's to one of them.

use super::certificate::Certificate;
use super::error::StampError;
use super::oid::Oid;
use crate::domain::time::UtcMs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of the longest file of trusted certificates.
const ANCHORS_BYTES: usize = 262_144;
/// Certificates that are trusted.
const ANCHORS: usize = 32;
/// Certificates that a time stamp may bring along.
pub(super) const BROUGHT: usize = 16;
/// Certificates from the signer's to the trusted one, both counted.
const LONGEST_WAY: usize = 6;
/// Signatures that are verified in search of one way.
const ATTEMPTS: usize = 32;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Whose word on time counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    anchors: Vec<Vec<u8>>,
    /// Policies of the authority that are accepted; any when empty.
    pub policies: Vec<Oid>,
}

impl Trust {
    /// Reads trusted certificates, those of the authority's root or of the authority itself; text
    /// around the blocks is ignored, as `openssl` writes it there.
    pub fn from_pem(pem: &[u8]) -> Result<Self, StampError> {
        if pem.len() > ANCHORS_BYTES {
            return Err(StampError::Anchors { why: "the file is longer than 256 KiB" });
        }
        let text = std::str::from_utf8(pem)
            .map_err(|_| StampError::Anchors { why: "the file is no text" })?;
        let mut anchors: Vec<Vec<u8>> = Vec::new();
        let mut block: Option<(usize, String)> = None;
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            let fault = |why| StampError::Pem { line, why };
            match &mut block {
                None if content == BEGIN => block = Some((line, String::new())),
                None if content == END => return Err(fault("an end without its beginning")),
                None => {}
                Some((began, inside)) if content == END => {
                    let der = STANDARD
                        .decode(&*inside)
                        .map_err(|_| StampError::Pem { line: *began, why: "not base64" })?;
                    Certificate::parse(&der)?;
                    if anchors.len() == ANCHORS {
                        return Err(fault("more than 32 certificates"));
                    }
                    anchors.push(der);
                    block = None;
                }
                Some(_) if content == BEGIN => return Err(fault("a beginning within a block")),
                Some((_, inside)) => inside.push_str(content),
            }
        }
        if let Some((line, _)) = block {
            return Err(StampError::Pem { line, why: "the block has no end" });
        }
        if anchors.is_empty() {
            return Err(StampError::Anchors { why: "there is none" });
        }
        Ok(Self { anchors, policies: Vec::new() })
    }

    /// Accepts only time stamps under these policies.
    pub fn under(mut self, policies: Vec<Oid>) -> Self {
        self.policies = policies;
        self
    }

    /// Returns the trusted certificates taken apart.
    pub(super) fn certificates(&self) -> Vec<Certificate<'_>> {
        self.anchors.iter().filter_map(|raw| Certificate::parse(raw).ok()).collect()
    }
}

/// A search for the way to a trusted certificate.
pub(super) struct Search<'a, 'b> {
    pub trusted: &'b [Certificate<'a>],
    pub brought: &'b [Certificate<'a>],
    pub at: UtcMs,
    /// Signatures that may still be verified.
    attempts: usize,
    /// What went wrong with the candidate that came nearest.
    nearest: Option<StampError>,
}

impl<'a, 'b> Search<'a, 'b> {
    pub fn new(trusted: &'b [Certificate<'a>], brought: &'b [Certificate<'a>], at: UtcMs) -> Self {
        Self { trusted, brought, at, attempts: ATTEMPTS, nearest: None }
    }

    /// Returns until when all certificates of a way from the signer hold.
    pub fn up_from(mut self, signer: &Certificate<'a>) -> Result<UtcMs, StampError> {
        signer.check_at(self.at)?;
        if self.trusted.iter().any(|anchor| anchor.raw == signer.raw) {
            return Ok(signer.until);
        }
        let mut way = vec![signer];
        match self.climb(&mut way) {
            Some(until) => Ok(until),
            None => Err(self
                .nearest
                .unwrap_or_else(|| StampError::Untrusted { subject: signer.name.clone() })),
        }
    }

    /// Goes up from the last certificate of the way, trusted ones first.
    fn climb<'c>(&mut self, way: &mut Vec<&'c Certificate<'a>>) -> Option<UtcMs>
    where
        'b: 'c,
    {
        let last = *way.last()?;
        let below = u64::try_from(way.len() - 1).unwrap_or(u64::MAX);
        let (trusted, brought) = (self.trusted, self.brought);
        let candidates =
            trusted.iter().map(|c| (c, true)).chain(brought.iter().map(|c| (c, false)));
        for (above, anchor) in candidates {
            let known = way.iter().any(|one| one.raw == above.raw);
            if above.subject != last.issuer || known || self.attempts == 0 {
                continue;
            }
            self.attempts -= 1;
            let fits = last.verify(&above.key).and_then(|()| above.check_at(self.at));
            if let Err(error) = fits.and_then(|()| above.check_authority(below)) {
                self.nearest = Some(error);
                continue;
            }
            if anchor {
                return way.iter().map(|one| one.until).chain([above.until]).min();
            }
            if way.len() + 1 < LONGEST_WAY {
                way.push(above);
                if let Some(until) = self.climb(way) {
                    return Some(until);
                }
                way.pop();
            }
        }
        None
    }
}
