//! What one core does with one bundle: hashes, takes leaves apart, verifies records.
//!
//! Knows nothing of what came before but who is enrolled; what depends on order (chains, outcomes)
//! is judged by those who take the results.

use super::checkpoints::Pin;
use super::hash::{self, Hash, sha256};
use super::leaf::{self, Came, Content, Statement};
use super::record::{Jws, Record, read};
use super::register::{Device, NoUse, Place, Register};
use super::verdict::{Fault, FaultKind};
use super::walk::{Bundle, Expected};
use std::collections::HashSet;
use std::sync::Mutex;

/// The `typ` of records.
const TYP: &str = "loa-record+jwt";
/// Leaves that count for nothing, remembered for later walks.
const BAD: usize = 500_000;

/// A leaf as far as it counts.
#[derive(Debug)]
pub enum Leaf {
    Statement(Statement),
    Record(Device, Box<Record>, Hash),
    /// A record that counts for nothing; why is a fault, or known from an earlier walk.
    Unverifiable,
    /// Not of interest in this walk.
    Other,
}

/// What became of a bundle.
#[derive(Debug)]
pub struct Done {
    pub log: usize,
    pub first: u64,
    pub name: String,
    pub faults: Vec<Fault>,
    /// With the time of receipt; empty when the bundle does not fit the tree.
    pub leaves: Vec<(i64, Leaf)>,
}

/// Leaves that count for nothing.
#[derive(Debug, Default)]
pub struct Bad(Mutex<HashSet<Place>>);

impl Bad {
    fn add(&self, place: Place) {
        if let Ok(mut places) = self.0.lock()
            && places.len() <= BAD
        {
            places.insert(place);
        }
    }

    fn has(&self, place: Place) -> bool {
        self.0.lock().is_ok_and(|places| places.contains(&place))
    }

    /// Says whether there were more than are remembered.
    pub fn is_full(&self) -> bool {
        self.0.lock().is_ok_and(|places| places.len() > BAD)
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_ok_and(|places| places.is_empty())
    }
}

/// What the work on bundles needs.
pub struct Worker<'a> {
    pub register: &'a Register,
    pub bad: &'a Bad,
    /// Whether this walk checks, or trusts what an earlier one checked.
    pub check: bool,
    /// Which devices this walk is about, once the first is done.
    pub wanted: &'a (dyn Fn(Device) -> bool + Sync),
}

impl Worker<'_> {
    /// Does the work.
    pub fn work(&self, bundle: Bundle) -> Done {
        let Bundle { log, tile, name, bytes, expected, listed, hashes, pins, above } = bundle;
        let first = tile.first_leaf();
        let mut done = Done { log, first, name, faults: Vec::new(), leaves: Vec::new() };
        if let (Some(bytes), Some(listed)) = (&bytes, listed)
            && sha256(bytes) != listed
        {
            done.fault(FaultKind::Manifest, "its SHA-256 is not the one listed");
        }
        let entries = match &bytes {
            Some(bytes) => leaf::entries(bytes, tile.width),
            None => None,
        };
        if bytes.is_some() && entries.is_none() {
            done.fault(FaultKind::Bundle, "it does not hold as many entries as named");
        }
        if !self.check {
            for (index, entry) in (first..).zip(entries.unwrap_or_default()) {
                done.leaves.push(self.again(entry, Place::new(log, index)));
            }
            return done;
        }
        let own: Option<Vec<Hash>> =
            entries.as_ref().map(|entries| entries.iter().map(|entry| hash::leaf(entry)).collect());
        let fits = done.fits(own.as_deref(), &expected, hashes.as_deref());
        let row = if fits.iter().all(|fits| *fits) { own.as_deref() } else { None };
        done.faults.extend(forks(&pins, hashes.as_deref().or(row), &above));
        for ((index, entry), fits) in (first..).zip(entries.unwrap_or_default()).zip(fits) {
            let place = Place::new(log, index);
            let leaf = if fits { self.judge(entry, place, &mut done) } else { (0, Leaf::Other) };
            if matches!(leaf.1, Leaf::Unverifiable) || !fits {
                self.bad.add(place);
            }
            done.leaves.push(leaf);
        }
        done
    }

    /// Judges a leaf that stands in the tree.
    fn judge(&self, entry: &[u8], place: Place, done: &mut Done) -> (i64, Leaf) {
        let index = place.index();
        let (received, content) = match leaf::parse(entry) {
            Ok(parsed) => parsed,
            Err(why) => {
                done.faults.push(Fault::new(FaultKind::Leaf, &*done.name, why).at(index));
                return (0, Leaf::Other);
            }
        };
        let leaf = match content {
            Content::Statement(content) => {
                if let Some(said) = leaf::statement(content) {
                    Leaf::Statement(said)
                } else {
                    let why = "a statement of the server that cannot be read";
                    done.faults.push(Fault::new(FaultKind::Statement, &*done.name, why).at(index));
                    Leaf::Other
                }
            }
            Content::Record(came, text) => match self.record(text, place, came) {
                Ok((device, record)) => Leaf::Record(device, Box::new(record), sha256(text)),
                Err(Some(fault)) => {
                    done.faults.push(Fault { place: done.name.clone(), ..fault }.at(index));
                    Leaf::Unverifiable
                }
                Err(None) => Leaf::Unverifiable,
            },
        };
        (received, leaf)
    }

    /// Verifies a record; what an operator brought of a revoked device is no fault, and counts
    /// for nothing.
    fn record(
        &self,
        text: &[u8],
        place: Place,
        came: Came,
    ) -> Result<(Device, Record), Option<Fault>> {
        let wrong = |kind, why: &str| Fault::new(kind, "", why);
        let Some(jws) = Jws::parse(text, TYP) else {
            return Err(Some(wrong(FaultKind::Signature, "it is no compact JWS of a record")));
        };
        let Some(known) = self.register.key(&jws.kid) else {
            return Err(Some(wrong(FaultKind::Key, "no device was enrolled with its key")));
        };
        let Some(claims) = jws.verify(&known.key) else {
            return Err(Some(wrong(FaultKind::Signature, "its signature does not fit")));
        };
        let Some(record) = read(&claims) else {
            let why = "it does not say to which chain and number it belongs";
            return Err(Some(wrong(FaultKind::Record, why)));
        };
        let named =
            |fault: Fault| Some(fault.of(record.dev.as_deref().unwrap_or("")).seq(record.seq));
        match self.register.judge(known, record.dev.as_deref(), place) {
            Ok(device) => Ok((device, record)),
            Err(NoUse::Foreign) => {
                Err(named(wrong(FaultKind::Key, "its key was enrolled for another device")))
            }
            Err(NoUse::Early) => {
                Err(named(wrong(FaultKind::Key, "its key was enrolled only later")))
            }
            Err(NoUse::Revoked) if came == Came::File => Err(None),
            Err(NoUse::Revoked) => {
                Err(named(wrong(FaultKind::Revoked, "its key had been revoked before")))
            }
        }
    }

    /// Reads a leaf again that an earlier walk has judged.
    fn again(&self, entry: &[u8], place: Place) -> (i64, Leaf) {
        let Ok((received, content)) = leaf::parse(entry) else { return (0, Leaf::Other) };
        let leaf = match content {
            _ if !self.bad.is_empty() && self.bad.has(place) => Leaf::Other,
            Content::Statement(content) => {
                leaf::statement(content).map_or(Leaf::Other, Leaf::Statement)
            }
            Content::Record(_, text) => {
                let read = || {
                    let jws = Jws::parse(text, TYP)?;
                    let known = self.register.key(&jws.kid)?;
                    known.uses.iter().find(|of| (self.wanted)(of.device))?;
                    let record = read(&jws.claims()?)?;
                    let device = self.register.judge(known, record.dev.as_deref(), place).ok()?;
                    (self.wanted)(device).then(|| (device, Box::new(record)))
                };
                match read() {
                    Some((device, record)) => Leaf::Record(device, record, sha256(text)),
                    None => Leaf::Other,
                }
            }
        };
        (received, leaf)
    }
}

/// Compares only the checkpoints whose size lies in a bundle with the tree.
pub fn quoted_forks(bundle: &Bundle) -> Vec<Fault> {
    let entries = bundle.bytes.as_deref().and_then(|b| leaf::entries(b, bundle.tile.width));
    let own: Option<Vec<Hash>> =
        entries.map(|entries| entries.iter().map(|entry| hash::leaf(entry)).collect());
    forks(&bundle.pins, bundle.hashes.as_deref().or(own.as_deref()), &bundle.above)
}

/// Returns the fault of each checkpoint that vouches for another tree.
fn forks(pins: &[Pin], row: Option<&[Hash]>, above: &[Vec<Hash>]) -> Vec<Fault> {
    let differs = |pin: &&Pin| {
        let count = usize::try_from(pin.size % 256).unwrap_or(0);
        let level0 = row.and_then(|row| row.get(..count));
        let rows = level0.into_iter().chain(above.iter().map(Vec::as_slice));
        level0.is_none() || hash::root(rows) != pin.root
    };
    pins.iter().filter(differs).map(Pin::fault).collect()
}

impl Done {
    fn fault(&mut self, kind: FaultKind, why: &str) {
        self.faults.push(Fault::new(kind, &*self.name, why));
    }

    /// Says of each entry whether it stands in the tree.
    fn fits(
        &mut self,
        own: Option<&[Hash]>,
        expected: &Expected,
        hashes: Option<&[Hash]>,
    ) -> Vec<bool> {
        let hashes = match (expected, hashes) {
            (Expected::Node(node), Some(hashes)) if hash::join(hashes) != *node => {
                let why = "the tile of hashes beside it does not fit the tree";
                self.fault(FaultKind::Tile, why);
                None
            }
            (_, hashes) => hashes,
        };
        let Some(own) = own else { return Vec::new() };
        let each = |row: &[Hash]| -> Vec<bool> {
            own.iter().enumerate().map(|(at, own)| row.get(at) == Some(own)).collect()
        };
        let fits = match (expected, hashes) {
            (Expected::Row(row), _) => each(row),
            (Expected::Node(node), None) => vec![hash::join(own) == *node; own.len()],
            (Expected::Node(_), Some(row)) => each(row),
            (Expected::Unknown, _) => vec![false; own.len()],
        };
        if matches!(expected, Expected::Unknown) {
            return fits;
        }
        match fits.iter().filter(|fits| !**fits).count() {
            0 => {}
            all if all == fits.len()
                && hashes.is_none()
                && !matches!(expected, Expected::Row(_)) =>
            {
                self.fault(FaultKind::Bundle, "its entries are not those of the tree");
            }
            _ => {
                for (index, _) in (self.first..).zip(&fits).filter(|(_, fits)| !**fits) {
                    let why = "the entry is not that of the tree";
                    let fault = Fault::new(FaultKind::Bundle, &*self.name, why);
                    self.faults.push(fault.at(index));
                }
            }
        }
        fits
    }
}
