//! What records say of cues and notices, a dozen bytes each.
//!
//! A month of ten thousand devices has millions of such words, which wait until their device is
//! judged. What they speak of is named once for all of them ([`Subjects`]); of each word the
//! difference to the one before is kept.

use super::hash::Hash;
use super::record::{Said, Subject, Told, What};
use super::register::Place;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What a record says of a cue or notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Which, as [`Subjects`] know it.
    pub subject: u32,
    /// The day sheet, or of a notice the asset, that it was played from, likewise; 0 for none.
    pub source: u32,
    pub seq: u64,
    pub place: Place,
    /// How long it sounded or was shown.
    pub ms: u32,
    pub chain: u16,
    pub what: What,
    pub said: Said,
    pub grade: u8,
    /// By its own word it belongs to the window.
    pub asked: bool,
    /// By its own word it happened when the log lost its tail.
    pub lost: bool,
    pub notice: bool,
}

/// Names of what records speak of, each kept once.
#[derive(Debug)]
pub struct Subjects {
    names: Vec<[u8; 16]>,
    numbers: HashMap<[u8; 16], u32>,
}

impl Default for Subjects {
    fn default() -> Self {
        // Number 0 is that of nothing.
        Self { names: vec![[0; 16]], numbers: HashMap::new() }
    }
}

impl Subjects {
    /// Returns the number of a name, new or known.
    pub fn number(&mut self, name: [u8; 16]) -> u32 {
        match self.numbers.entry(name) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // There are fewer than leaves that fit into memory.
                let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.push(name);
                *new.insert(number)
            }
        }
    }

    /// Returns the number of what a record was played from.
    fn source(&mut self, source: Option<&Hash>) -> u32 {
        source.and_then(|source| source.first_chunk()).map_or(0, |name| self.number(*name))
    }

    /// Finds a name.
    pub fn name(&self, number: u32) -> [u8; 16] {
        self.names.get(number as usize).copied().unwrap_or_default()
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.names.capacity() * 16 + self.numbers.capacity() * 24
    }
}

impl Fact {
    /// Returns what a record says.
    pub fn new(told: &Told, seq: u64, place: Place, chain: usize, subjects: &mut Subjects) -> Self {
        let (name, notice) = match told.subject {
            Subject::Cue(cue) => (cue, false),
            Subject::Notice(name) => (name, true),
        };
        Self {
            subject: subjects.number(name),
            source: subjects.source(told.source.as_ref()),
            seq,
            place,
            ms: u32::try_from(told.ms).unwrap_or(u32::MAX),
            chain: u16::try_from(chain).unwrap_or(u16::MAX),
            what: told.what,
            said: told.said,
            grade: told.grade,
            asked: false,
            lost: false,
            notice,
        }
    }

    fn key(&self) -> (u32, bool, u16) {
        (self.subject, self.notice, self.chain)
    }
}

/// The facts of one device, in the order in which they were logged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    bytes: Vec<u8>,
    /// The newest, not yet among the bytes, and the one before it.
    last: Option<Fact>,
    before: Option<Fact>,
}

impl Facts {
    /// Adds one.
    pub fn push(&mut self, fact: Fact) {
        if let Some(last) = self.last.replace(fact) {
            // A start says nothing more once the play is there.
            let same = last.key() == fact.key();
            if !(last.what == What::Start && fact.what == What::Play && same) {
                self.write(&last);
            }
        }
    }

    fn write(&mut self, fact: &Fact) {
        grow(&mut self.bytes, 64);
        let (subject, source, seq, place) = Self::base(self.before.as_ref());
        self.bytes.push(code(fact));
        let flags = u64::from(fact.asked)
            | u64::from(fact.lost) << 1
            | u64::from(fact.notice) << 2
            | u64::from(fact.chain) << 3;
        put(&mut self.bytes, flags);
        put_step(&mut self.bytes, subject, u64::from(fact.subject));
        put_step(&mut self.bytes, source, u64::from(fact.source));
        put_step(&mut self.bytes, seq, fact.seq);
        put_step(&mut self.bytes, place, fact.place.number());
        put(&mut self.bytes, u64::from(fact.ms));
        self.before = Some(*fact);
    }

    fn base(before: Option<&Fact>) -> (u64, u64, u64, u64) {
        before.map_or((0, 0, 0, 0), |fact| {
            (u64::from(fact.subject), u64::from(fact.source), fact.seq, fact.place.number())
        })
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = Fact> {
        let (mut rest, mut before) = (self.bytes.as_slice(), None);
        let written = std::iter::from_fn(move || {
            let fact = take(&mut rest, before.as_ref())?;
            before = Some(fact);
            Some(fact)
        });
        written.chain(self.last)
    }

    /// Names what they speak of by other subjects.
    pub fn renumber(&mut self, old: &Subjects, new: &mut Subjects) {
        let mut again = Self::default();
        for fact in self.iter() {
            let subject = new.number(old.name(fact.subject));
            let source = if fact.source == 0 { 0 } else { new.number(old.name(fact.source)) };
            again.push(Fact { subject, source, ..fact });
        }
        *self = again;
    }

    /// Returns how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Makes room for at least so many more, and little more than is used: a buffer that doubles is
/// empty by half.
pub fn grow<T>(buffer: &mut Vec<T>, more: usize) {
    if buffer.capacity() - buffer.len() < more {
        buffer.reserve_exact(more.max(buffer.len() / 8));
    }
}

const WHATS: [What; 3] = [What::Start, What::Play, What::Show];
const SAIDS: [Said; 5] =
    [Said::Played, Said::Partial, Said::Failed, Said::PreEmpted, Said::Refused];

fn code(fact: &Fact) -> u8 {
    fact.what as u8 | (fact.said as u8) << 2 | fact.grade.min(7) << 5
}

fn take(rest: &mut &[u8], before: Option<&Fact>) -> Option<Fact> {
    let (subject, source, seq, place) = Facts::base(before);
    let (code, more) = rest.split_first()?;
    *rest = more;
    let flags = get(rest)?;
    let number = |n: u64| u32::try_from(n).ok();
    Some(Fact {
        subject: number(get_step(rest, subject)?)?,
        source: number(get_step(rest, source)?)?,
        seq: get_step(rest, seq)?,
        place: Place::of(get_step(rest, place)?),
        ms: number(get(rest)?)?,
        chain: u16::try_from(flags >> 3).ok()?,
        what: *WHATS.get(usize::from(code & 3))?,
        said: *SAIDS.get(usize::from(code >> 2 & 7))?,
        grade: code >> 5,
        asked: flags & 1 != 0,
        lost: flags & 2 != 0,
        notice: flags & 4 != 0,
    })
}

/// Writes seven bits a byte, the last one without the highest bit.
fn put(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 128 {
        bytes.push(n.to_le_bytes()[0] | 128);
        n /= 128;
    }
    bytes.push(n.to_le_bytes()[0]);
}

fn get(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        n |= u64::from(byte % 128) << shift;
        if *byte < 128 {
            return Some(n);
        }
    }
    None
}

/// Writes the way from one number to another, small ways in either direction first.
fn put_step(bytes: &mut Vec<u8>, from: u64, to: u64) {
    let step = to.wrapping_sub(from).cast_signed();
    put(bytes, (step << 1 ^ step >> 63).cast_unsigned());
}

fn get_step(rest: &mut &[u8], from: u64) -> Option<u64> {
    let coded = get(rest)?;
    Some(from.wrapping_add(coded >> 1 ^ (coded & 1).wrapping_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn fact() -> impl Strategy<Value = Fact> {
        let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>());
        let words = (any::<u16>(), 0..3_usize, 0..5_usize, 0..7_u8);
        (numbers, words, any::<[bool; 3]>()).prop_map(|(numbers, words, [asked, lost, notice])| {
            let (subject, source, seq, place, ms) = numbers;
            let (chain, what, said, grade) = words;
            let (what, said, place) = (WHATS[what], SAIDS[said], Place::of(place));
            Fact { subject, source, seq, place, ms, chain, what, said, grade, asked, lost, notice }
        })
    }

    proptest! {
        #[test]
        fn what_was_added_comes_out_again(added in vec(fact(), 0..40)) {
            let mut facts = Facts::default();
            let mut expected: Vec<Fact> = Vec::new();
            for fact in added {
                facts.push(fact);
                let replaces = |last: &Fact| {
                    (last.what, fact.what) == (What::Start, What::Play) && last.key() == fact.key()
                };
                if expected.last().is_some_and(replaces) {
                    expected.pop();
                }
                expected.push(fact);
            }
            prop_assert_eq!(facts.iter().collect::<Vec<Fact>>(), expected);
        }
    }

    #[test]
    fn a_usual_word_takes_a_dozen_bytes_and_a_start_gives_way_to_its_play() {
        let mut subjects = Subjects::default();
        let mut facts = Facts::default();
        for n in 0..1_000_u64 {
            let mut name = [7; 16];
            name[..8].copy_from_slice(&(n * 3).to_be_bytes());
            let subject = subjects.number(name);
            let fact = Fact {
                subject,
                source: 0,
                seq: 2 * n,
                place: Place::new(1, n * 9_000),
                ms: 120_000,
                chain: 0,
                what: What::Start,
                said: Said::Played,
                grade: 3,
                asked: true,
                lost: false,
                notice: false,
            };
            facts.push(fact);
            facts.push(Fact { seq: 2 * n + 1, what: What::Play, ..fact });
        }
        assert_eq!(facts.iter().count(), 1_000);
        assert!(facts.iter().all(|fact| fact.what == What::Play));
        assert!(facts.bytes() < 13_000, "{}", facts.bytes());
        let mut again = Subjects::default();
        let mut moved = facts.clone();
        again.number([9; 16]);
        moved.renumber(&subjects, &mut again);
        let names = |facts: &Facts, subjects: &Subjects| -> Vec<[u8; 16]> {
            facts.iter().map(|fact| subjects.name(fact.subject)).collect()
        };
        assert_eq!(names(&moved, &again), names(&facts, &subjects));
    }
}
