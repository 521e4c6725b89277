//! What the device believes of the server's evidence log. Pure.
//!
//! A receipt carries the newest checkpoint that witnesses vouched for. The device judges it by the
//! policy in `keys`, remembers the newest of each log over restarts, quotes it in its records, and
//! gives a record up only when such a checkpoint covers it. A checkpoint that contradicts what is
//! remembered covers nothing and is reported; the receipt around it still says what is durable.
//!
//! # Invariants
//! * Of each log the size never goes back, and one size never has two roots.
//! * Without a policy in `keys` nothing is judged, quoted or asked for.

use crate::domain::proof::record::Seen;
use crate::wire::Refusal;
use crate::wire::doc::Receipt;
use crate::wire::epoch::LogTrust;
use crate::wire::tlog::{Checkpoint, SignedCheckpoint};
use serde::{Deserialize, Serialize};

/// Logs that are remembered: those of the policy, and not more.
const LOGS: usize = 16;

/// What survives a restart; the log that was heard of last stands last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    logs: Vec<Seen>,
    /// The note that counted last, with what it was judged by: the next receipt often carries it
    /// again.
    #[serde(skip)]
    note: Option<(LogTrust, String)>,
}

/// What the checkpoint of a receipt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing: there is none, or an older one.
    Nothing,
    /// It counts, and so does `logged`.
    Counts {
        /// It is newer than what was remembered: persist, then quote it.
        fresh: bool,
    },
}

impl Vouched {
    /// Reads what was remembered; a file that cannot be read is as good as none.
    pub fn restore(bytes: &[u8]) -> Self {
        let mut read: Self = serde_json::from_slice(bytes).unwrap_or_default();
        read.logs.truncate(LOGS);
        read
    }

    /// Writes what is to be remembered.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the checkpoint to quote in records.
    pub fn newest(&self) -> Option<&Seen> {
        self.logs.last()
    }

    /// Judges the checkpoint of a rightly signed receipt.
    pub fn judge(&mut self, trust: &LogTrust, receipt: &Receipt) -> Result<Word, Refusal> {
        let (LogTrust::By(policy), Some(note)) = (trust, &receipt.checkpoint) else {
            return Ok(Word::Nothing);
        };
        if self.note.as_ref().is_some_and(|(by, known)| by == trust && known == note) {
            return Ok(Word::Counts { fresh: false });
        }
        let no = |why: &str| Err(Refusal::Checkpoint { why: why.to_owned() });
        let signed = match SignedCheckpoint::parse(note.as_bytes()) {
            Ok(signed) => signed,
            Err(error) => return no(&error.to_string()),
        };
        let verdict = match policy.judge_signed(&signed) {
            Ok(verdict) => verdict,
            Err(error) => return no(&error.to_string()),
        };
        if !verdict.quorum.is_enough() {
            return no("too few witnesses");
        }
        let Checkpoint { origin, size, root } = verdict.checkpoint;
        let seen = Seen { origin: origin.to_string(), size, root: root.to_string() };
        let known = self.logs.iter().position(|log| log.origin == seen.origin);
        let mut fresh = true;
        if let Some(at) = known {
            let known = &self.logs[at];
            if size < known.size {
                return Ok(Word::Nothing); // an old receipt that the broker kept
            }
            if size == known.size && seen.root != known.root {
                return no("the log contradicts what was vouched for before");
            }
            // A log that an older receipt named again does not become the newest.
            fresh = size > known.size;
            if fresh {
                self.logs.remove(at);
            }
        }
        if fresh {
            let origins: Vec<&str> = policy.logs().iter().map(|key| key.name().as_str()).collect();
            if self.logs.len() >= LOGS {
                self.logs.retain(|log| origins.contains(&log.origin.as_str()));
            }
            if self.logs.len() >= LOGS {
                self.logs.remove(0);
            }
            self.logs.push(seen);
        }
        self.note = Some((trust.clone(), note.clone()));
        Ok(Word::Counts { fresh })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ChainId, Digest};
    use crate::wire::jws::SecretKey;
    use crate::wire::tlog::{Cosigner, LogSigner, Name, Policy, TreeHash};
    use std::fmt::Write as _;

    const ORIGIN: &str = "loa.example/log/2027";

    fn log(origin: &str) -> LogSigner {
        LogSigner::new(Name::new(origin).unwrap(), SecretKey::from_seed(&[1; 32]))
    }

    fn witness(n: u8) -> Cosigner {
        let name = Name::new(format!("w{n}.example")).unwrap();
        Cosigner::new(name, SecretKey::from_seed(&[10 + n; 32]))
    }

    fn trust() -> LogTrust {
        let mut text = format!("log {}\n", log(ORIGIN).verifier());
        for n in 1..=3 {
            writeln!(text, "witness w{n} {}", witness(n).verifier()).unwrap();
        }
        text.push_str("group two 2 w1 w2 w3\nquorum two\n");
        LogTrust::By(Box::new(Policy::parse(text.as_bytes()).unwrap()))
    }

    fn note(origin: &str, size: u64, root: &[u8], witnesses: &[u8]) -> String {
        let root = TreeHash::leaf(root);
        let tree = Checkpoint { origin: Name::new(origin).unwrap(), size, root };
        let signed = tree.sign(&[log(origin)]);
        let mut lines = signed.note().lines().to_vec();
        lines.extend(witnesses.iter().map(|n| witness(*n).sign(1_800_000_000, &tree.text())));
        signed.note().with_lines(lines).to_string()
    }

    fn receipt(note: Option<String>) -> Receipt {
        Receipt {
            v: 1,
            aud: "loa-1".parse().unwrap(),
            iat: 1,
            chain: ChainId([1; 16]),
            upto: 9,
            head: Some(Digest::of(b"9")),
            logged: note.is_some().then_some(9),
            checkpoint: note,
        }
    }

    fn take(vouched: &mut Vouched, note: &str) -> Result<Word, &'static str> {
        let receipt = receipt(Some(note.to_owned()));
        vouched.judge(&trust(), &receipt).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn a_note_that_counted_is_judged_again_when_keys_name_other_witnesses() {
        let mut vouched = Vouched::default();
        let good = note(ORIGIN, 9, b"a", &[1, 3]);
        assert_eq!(take(&mut vouched, &good), Ok(Word::Counts { fresh: true }));
        let one = format!(
            "log {}\nwitness w2 {}\nquorum w2\n",
            log(ORIGIN).verifier(),
            witness(2).verifier()
        );
        let other = LogTrust::By(Box::new(Policy::parse(one.as_bytes()).unwrap()));
        let judged = vouched.judge(&other, &receipt(Some(good.clone())));
        assert_eq!(judged.unwrap_err().reason(), "checkpoint");
        assert_eq!(take(&mut vouched, &good), Ok(Word::Counts { fresh: false }));
    }

    #[test]
    fn a_checkpoint_counts_when_the_log_and_enough_witnesses_signed_it() {
        let mut vouched = Vouched::default();
        assert_eq!(take(&mut vouched, &note(ORIGIN, 9, b"a", &[1])), Err("checkpoint"));
        assert_eq!(take(&mut vouched, &note("other/2027", 9, b"a", &[1, 2])), Err("checkpoint"));
        assert_eq!(take(&mut vouched, "x"), Err("checkpoint"));
        let mut forged = note(ORIGIN, 9, b"a", &[1, 3]);
        forged = forged.replacen("\n9\n", "\n10\n", 1);
        assert_eq!(take(&mut vouched, &forged), Err("checkpoint"));
        assert_eq!(vouched.newest(), None);
        let good = note(ORIGIN, 9, b"a", &[1, 3]);
        assert_eq!(take(&mut vouched, &good), Ok(Word::Counts { fresh: true }));
        assert_eq!(take(&mut vouched, &good), Ok(Word::Counts { fresh: false }));
        assert_eq!(vouched.newest().map(|seen| seen.size), Some(9));
        // The same tree by other witnesses is no news.
        let others = note(ORIGIN, 9, b"a", &[2, 3]);
        assert_eq!(take(&mut vouched, &others), Ok(Word::Counts { fresh: false }));
    }

    #[test]
    fn a_log_never_goes_back_nor_contradicts_itself_over_restarts() {
        let mut vouched = Vouched::default();
        take(&mut vouched, &note(ORIGIN, 9, b"a", &[1, 2])).unwrap();
        let mut again = Vouched::restore(&vouched.to_bytes());
        assert_eq!(again.newest(), vouched.newest());
        assert_eq!(take(&mut again, &note(ORIGIN, 8, b"b", &[1, 2])), Ok(Word::Nothing));
        assert_eq!(take(&mut again, &note(ORIGIN, 9, b"b", &[1, 2])), Err("checkpoint"));
        assert_eq!(again.newest(), vouched.newest(), "what was vouched for stays");
        assert!(matches!(
            take(&mut again, &note(ORIGIN, 12, b"c", &[1, 2])),
            Ok(Word::Counts { .. })
        ));
        assert_eq!(Vouched::restore(b"no JSON"), Vouched::default());
    }

    #[test]
    fn without_a_policy_nothing_counts_and_nothing_is_refused() {
        let mut vouched = Vouched::default();
        for trust in [LogTrust::None, LogTrust::Unread] {
            let receipt = receipt(Some("x".to_owned()));
            assert_eq!(vouched.judge(&trust, &receipt), Ok(Word::Nothing));
        }
        assert_eq!(vouched.judge(&trust(), &receipt(None)), Ok(Word::Nothing));
    }
}
