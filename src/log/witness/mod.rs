//! The witness: vouches that a log only ever grew (C2SP tlog-witness).
//!
//! Deciding is pure ([`decide`]); [`Witness`] keeps the little that must outlive a start – one
//! small file a log – and writes it before it answers. HTTP is wired elsewhere: the answer holds
//! status, type and body.
//!
//! # Invariants
//! * What was cosigned is durable before the cosignature leaves, so no two cosigned heads of a log
//!   contradict each other, whatever is cut off or asked at once.
//! * The time of a cosignature never goes back.
//! * A checkpoint of an unknown log, or that the log did not sign, costs no write; a signed
//!   contradiction is kept as evidence, a bounded number of them.

mod decide;
mod state;

pub use decide::{Answer, Known, Refusal, Verdict, WitnessedLog, decide, keys_of};
pub use state::{Memory, Witness, WitnessError, remembered};

#[cfg(test)]
mod tests;
