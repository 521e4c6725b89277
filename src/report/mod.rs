//! Reports: what was broadcast where and when, as documents for people, made from evidence.
//!
//! Pure: rows go in (judged airings, registers, plan lines, notices), documents come out, and
//! renderers turn documents into bytes. Reading the store, judging outcomes, asking the log for a
//! checkpoint and logging a file's hash belong to those who call.
//!
//! | Module | Holds |
//! |---|---|
//! | [`question`] | what is asked: kind, scope, period, cut-off, and the checkpoint answered from |
//! | [`period`] | whole local days: months, years, closing periods |
//! | [`places`], [`contents`], [`airing`] | the rows: registers, what was aired, one cue on one device |
//! | [`evidence`] | registers and roll-ups handed around as one |
//! | [`rollup`] | a day of a commune added up, kept by a store and made anew from the log |
//! | [`document`], [`words`], [`number`] | documents as data; Vietnamese words and figures |
//! | [`diary`], [`pay`], [`heard`], [`compare`], [`as_run`], [`coverage`], [`urgent`], [`yearly`] | one file a kind of report |
//! | [`walk`] | the walking list of a draw on paper |
//! | [`manual`] | what people entered, always apart |
//! | [`letter`] | the administrative form (NĐ 30/2020/NĐ-CP) |
//! | [`render`] | XLSX, CSV, JSON, PDF |
//!
//! # Invariants
//! * The same question on the same rows gives the same bytes: no clock, no chance, no order of
//!   arrival; dates inside files are the cut-off's.
//! * Every document says what was asked, for which days, from which checkpoint, and whether its
//!   numbers may still change.
//! * Numbers are devices, communes and confirmed airings, each beside what it is counted of; people
//!   reached are never claimed.
//! * What is not known is said to be not known: a silent device is no proof of silence.
//!
//! # Why roll-ups
//! A province airs two million cues a month on its devices, and nearly all of them say the same of
//! one broadcast. A day of a commune added up is forty times smaller, is made anew in one pass when
//! a late record changes it, and answers every question but those that name single devices.

pub mod airing;
pub mod as_run;
pub mod compare;
pub mod contents;
pub mod coverage;
pub mod diary;
pub mod document;
pub mod evidence;
pub mod heard;
pub mod letter;
pub mod manual;
pub mod number;
pub mod pay;
pub mod period;
pub mod places;
pub mod question;
pub mod render;
pub mod rollup;
pub mod urgent;
pub mod walk;
pub mod words;
pub mod yearly;

#[cfg(test)]
mod tests;
