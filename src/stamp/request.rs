//! Asking an authority for a time stamp (RFC 3161 §2.4.1), and taking its answer.

use super::TOKEN_BYTES;
use super::algorithm::Hash;
use super::chain::Trust;
use super::der::{self, BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, Reader, SEQUENCE, UTF8_STRING};
use super::error::StampError;
use super::oid::Oid;
use super::token::{Stamp, Token};

/// A request for a time stamp over a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    imprint: Vec<u8>,
    nonce: [u8; 16],
    policy: Option<Oid>,
}

impl Request {
    /// Returns a request over a file, for a checkpoint its whole note. The nonce is random and
    /// never used twice: it keeps an old answer from passing as the one to this request.
    pub fn of(file: &[u8], nonce: [u8; 16]) -> Self {
        Self { imprint: Hash::Sha256.of(file), nonce, policy: None }
    }

    /// Asks for a stamp under one policy of the authority.
    pub fn under(mut self, policy: Oid) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Returns the bytes to send.
    pub fn bytes(&self) -> Vec<u8> {
        let hash = der::element(OCTET_STRING, &self.imprint);
        let imprint = [Hash::sha256_identifier(), hash].concat();
        let mut body = der::unsigned(&[1]);
        body.extend(der::element(SEQUENCE, &imprint));
        body.extend(self.policy.iter().flat_map(Oid::element));
        body.extend(der::unsigned(&self.nonce));
        // The certificates shall come along: who judges later has only the token.
        body.extend(der::element(BOOLEAN, &[0xff]));
        der::element(SEQUENCE, &body)
    }

    /// Judges the answer to this request; the token is to be kept, as it is, beside the file.
    pub fn accept(
        &self,
        answer: &[u8],
        file: &[u8],
        trust: &Trust,
    ) -> Result<(Token, Stamp), StampError> {
        let token = token_of(answer)?;
        let statement = token.statement()?;
        let said =
            self.nonce.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &self.nonce[at..]);
        if statement.nonce != Some(said) {
            return Err(StampError::Foreign { what: "nonce" });
        }
        if self.policy.as_ref().is_some_and(|policy| *policy != statement.policy) {
            return Err(StampError::Foreign { what: "policy" });
        }
        let stamp = token.verify(file, trust)?;
        Ok((token, stamp))
    }
}

/// Takes the token out of an answer (`TimeStampResp`); judges nothing but the answer's status.
pub fn token_of(answer: &[u8]) -> Result<Token, StampError> {
    if answer.len() > TOKEN_BYTES {
        return Err(StampError::Long { got: answer.len() });
    }
    let fault = StampError::der("answer");
    let mut file = Reader::new(answer);
    let mut outer = file.take(SEQUENCE, "answer").map_err(&fault)?.reader();
    file.end("answer").map_err(&fault)?;
    let mut info = outer.take(SEQUENCE, "status").map_err(&fault)?.reader();
    let status = info.take(INTEGER, "status").and_then(|n| n.small("status")).map_err(&fault)?;
    let mut detail = String::new();
    if let Some(texts) = info.optional(SEQUENCE, "status text").map_err(&fault)? {
        let mut texts = texts.reader();
        while !texts.is_empty() {
            let text = texts.take(UTF8_STRING, "status text").map_err(&fault)?;
            let text = String::from_utf8_lossy(text.body);
            let plain: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            if detail.len() < 400 {
                detail.extend([", `", &plain, "`"]);
            }
        }
    }
    if let Some(bits) = info.optional(BIT_STRING, "failure").map_err(&fault)? {
        detail.push_str(failure(bits.body));
    }
    info.end("status").map_err(&fault)?;
    // 0 is granted, 1 is granted with changes, which the checks of the token will show.
    if status > 1 {
        return Err(StampError::Refused { status, detail });
    }
    if outer.is_empty() {
        return Err(StampError::Empty);
    }
    let token = outer.any("time stamp").map_err(&fault)?;
    outer.end("answer").map_err(&fault)?;
    Token::parse(token.raw)
}

/// Names the first reason of a refusal; bits count from the highest of the second byte.
fn failure(bits: &[u8]) -> &'static str {
    let known = [
        (0, ", it does not know the hash"),
        (2, ", it does not allow such a request"),
        (5, ", it cannot read the request"),
        (14, ", its source of time is not available"),
        (15, ", it does not know the policy"),
        (16, ", it does not know the extension"),
        (17, ", it cannot give what was asked beside"),
        (25, ", its system failed"),
    ];
    let set = |bit: usize| bits.get(1 + bit / 8).is_some_and(|byte| byte << (bit % 8) & 0x80 != 0);
    known.iter().find(|(bit, _)| set(*bit)).map_or("", |(_, text)| text)
}
