//! Time-stamp tokens: a signed statement that a file existed at a time (RFC 3161 §2.4.2).

use super::TOKEN_BYTES;
use super::certificate::Certificate;
use super::chain::{BROUGHT, Search, Trust};
use super::der::{Element, INTEGER, OBJECT, OCTET_STRING, Reader, SEQUENCE, SET, context};
use super::error::StampError;
use super::oid::Oid;
use super::signer::Signer;
use super::statement::{STATEMENT, Statement};
use crate::domain::time::UtcMs;

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// A token that has the right form; nothing in it is believed before [`Token::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    bytes: Vec<u8>,
}

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file existed at this time.
    pub at: UtcMs,
    /// How far the time may be off, in milliseconds, where the authority says so.
    pub accuracy_ms: Option<i64>,
    /// The token's number at the authority, in hexadecimal digits.
    pub serial: String,
    /// The policy under which it was made.
    pub policy: Oid,
    /// The common name of the signer's certificate.
    pub authority: String,
    /// Until when the certificates behind it hold. Afterwards the token still says that the file
    /// existed then, as long as nobody could have had the key since: renew by stamping again.
    pub holds_until: UtcMs,
}

/// The parts of the signed message.
struct Parts<'a> {
    statement: Element<'a>,
    certificates: Vec<&'a [u8]>,
    signer: Signer<'a>,
}

impl Token {
    /// Takes a token as it was kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, StampError> {
        if bytes.len() > TOKEN_BYTES {
            return Err(StampError::Long { got: bytes.len() });
        }
        let token = Self { bytes: bytes.to_vec() };
        token.statement()?;
        Ok(token)
    }

    /// Returns the bytes to keep.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the time that it states, which nobody has judged.
    pub fn stated_at(&self) -> Result<UtcMs, StampError> {
        Ok(self.statement()?.at)
    }

    pub(super) fn statement(&self) -> Result<Statement<'_>, StampError> {
        let parts = self.parts()?;
        Statement::read(parts.statement).map_err(StampError::der("time stamp's statement"))
    }

    fn parts(&self) -> Result<Parts<'_>, StampError> {
        let fault = StampError::der("time stamp");
        let mut file = Reader::new(&self.bytes);
        let mut outer = file.take(SEQUENCE, "time stamp").map_err(&fault)?.reader();
        file.end("time stamp").map_err(&fault)?;
        kind(&mut outer, SIGNED_DATA, "content of the time stamp", "signed data")?;
        let mut wrapper = outer.take(context(0), "signed data").map_err(&fault)?.reader();
        outer.end("time stamp").map_err(&fault)?;
        let mut data = wrapper.take(SEQUENCE, "signed data").map_err(&fault)?.reader();
        wrapper.end("signed data").map_err(&fault)?;

        data.take(INTEGER, "version").map_err(&fault)?;
        data.take(SET, "hashes").map_err(&fault)?;
        let mut content = data.take(SEQUENCE, "signed content").map_err(&fault)?.reader();
        kind(&mut content, STATEMENT, "signed content", "a time stamp's statement")?;
        let mut wrapper = content.take(context(0), "signed content").map_err(&fault)?.reader();
        content.end("signed content").map_err(&fault)?;
        let statement = wrapper.take(OCTET_STRING, "signed content").map_err(&fault)?;
        wrapper.end("signed content").map_err(&fault)?;

        let mut certificates = Vec::new();
        if let Some(set) = data.optional(context(0), "certificates").map_err(&fault)? {
            let mut set = set.reader();
            while !set.is_empty() {
                let one = set.any("certificates").map_err(&fault)?;
                // Other kinds (attribute certificates) say nothing here.
                if one.tag == SEQUENCE {
                    certificates.push(one.raw);
                }
                if certificates.len() > BROUGHT {
                    let why = "are more than 16";
                    return Err(fault(set.fail("certificates", why)));
                }
            }
        }
        data.optional(context(1), "revocation lists").map_err(&fault)?;
        let mut signers = data.take(SET, "signers").map_err(&fault)?.reader();
        data.end("signed data").map_err(&fault)?;
        let mut found = Vec::new();
        while !signers.is_empty() && found.len() < 2 {
            found.push(signers.take(SEQUENCE, "signer").map_err(&fault)?);
        }
        let [signer] = found[..] else {
            return Err(StampError::Signers { got: found.len() });
        };
        let signer = Signer::read(signer).map_err(&fault)?;
        Ok(Parts { statement, certificates, signer })
    }

    /// Judges the token over a file.
    pub fn verify(&self, file: &[u8], trust: &Trust) -> Result<Stamp, StampError> {
        let parts = self.parts()?;
        let statement =
            Statement::read(parts.statement).map_err(StampError::der("time stamp's statement"))?;
        if let Some(oid) = statement.critical {
            return Err(StampError::Critical { what: "the time stamp", oid });
        }
        if statement.hash.hash("the time stamp")?.of(file) != statement.imprint {
            return Err(StampError::File);
        }
        if !trust.policies.is_empty() && !trust.policies.contains(&statement.policy) {
            return Err(StampError::Policy { got: statement.policy });
        }
        let trusted = trust.certificates();
        let brought: Vec<Certificate<'_>> = parts
            .certificates
            .iter()
            .map(|raw| Certificate::parse(raw))
            .collect::<Result<_, _>>()?;
        let signer = &parts.signer;
        let mut all = brought.iter().chain(&trusted);
        let certificate = all.find(|one| signer.is(one)).ok_or(StampError::NoSigner)?;
        certificate.check_signer()?;
        signer.verify(parts.statement.body, certificate)?;
        let search = Search::new(&trusted, &brought, statement.at);
        let holds_until = search.up_from(certificate)?;
        Ok(Stamp {
            at: statement.at,
            accuracy_ms: statement.accuracy_ms,
            serial: hex(statement.serial),
            policy: statement.policy,
            authority: certificate.name.clone(),
            holds_until,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Refuses content of another kind.
fn kind(
    reader: &mut Reader<'_>,
    wanted: &[u8],
    what: &'static str,
    want: &'static str,
) -> Result<(), StampError> {
    let oid = reader.take(OBJECT, what).and_then(|oid| oid.oid(what));
    let oid = oid.map_err(StampError::der("time stamp"))?;
    if oid.is(wanted) {
        return Ok(());
    }
    Err(StampError::Kind { what, got: oid.to_string(), want })
}
