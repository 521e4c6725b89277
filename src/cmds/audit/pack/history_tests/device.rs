//! A loudspeaker with bad habits: power cuts, clocks that jump, lost and doubled records.

use super::{CueId, Draw, MINUTE};
use crate::app::ingest::Arrived;
use crate::app::ports::StoredSheet;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use crate::domain::time::UtcMs;
use crate::wire::jws::SecretKey;
use crate::wire::record;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A cue as the device knows it.
#[derive(Clone)]
pub(in super::super) struct Known {
    at_ms: UtcMs,
    end_ms: UtcMs,
    item: String,
    title: String,
    /// Whether it is in the newest schedule.
    newest: bool,
    done: bool,
}

pub(in super::super) struct Loa {
    pub id: DeviceId,
    pub cues: BTreeMap<CueId, Known>,
    pub notices: Vec<String>,
    key: SecretKey,
    seed: u8,
    chain: u8,
    boot: u64,
    seq: u64,
    last: Option<Digest>,
    /// By how much its clock is wrong.
    off_ms: i64,
    dark_until: UtcMs,
    looked: UtcMs,
    /// Written and not delivered.
    waiting: Vec<String>,
    delivered: Vec<String>,
    /// Numbers that never come, and the hash of the last.
    dropped: Option<(u64, u64, Digest)>,
    /// A cue that began before the power went.
    open: Option<CueId>,
    /// Whether it ever spoke of a cue a day before or after.
    pub far: bool,
}

impl Loa {
    pub fn new(id: DeviceId, key: SecretKey, seed: u8) -> Self {
        Self {
            id,
            cues: BTreeMap::new(),
            notices: Vec::new(),
            key,
            seed,
            chain: 0,
            boot: 1,
            seq: 0,
            last: None,
            off_ms: 0,
            dark_until: UtcMs(0),
            looked: UtcMs(0),
            waiting: Vec::new(),
            delivered: Vec::new(),
            dropped: None,
            open: None,
            far: false,
        }
    }

    /// Takes note of the newest schedule.
    pub fn plan(&mut self, sheets: &[StoredSheet]) {
        for known in self.cues.values_mut() {
            known.newest = false;
        }
        for row in sheets.iter().flat_map(|sheet| sheet.cues.iter()) {
            let done = self.cues.get(&row.cue).is_some_and(|known| known.done);
            let known = Known {
                at_ms: row.at_ms,
                end_ms: row.end_ms,
                item: row.item.clone(),
                title: row.title.clone(),
                newest: true,
                done,
            };
            self.cues.insert(row.cue, known);
        }
    }

    fn chain_id(&self) -> ChainId {
        let mut id = [self.seed; 16];
        id[0] = self.chain;
        ChainId(id)
    }

    fn signed(&self, seq: u64, at_ms: UtcMs, body: Body) -> String {
        let head = Head {
            v: 1,
            dev: self.id.clone(),
            chain: self.chain_id(),
            boot: self.boot,
            seq,
            prev: self.last.filter(|_| seq > 1),
            at_ms,
            mono_ms: 0,
            clock: ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) },
            seen: None,
            attestor: Attestor::Device,
        };
        record::sign(&self.key, &Record { head, body }).unwrap()
    }

    fn write(&mut self, now: UtcMs, body: Body) {
        self.seq += 1;
        let of = match &body {
            Body::Start { started_ms, .. } => Some(*started_ms),
            Body::Play(play) => Some(play.due_ms),
            _ => None,
        };
        let apart = of.map_or(0, |of| now.plus(self.off_ms).since(of));
        self.far |= !(-MINUTE * 59..=23 * 60 * MINUTE).contains(&apart);
        let line = self.signed(self.seq, now.plus(self.off_ms), body);
        self.last = Some(record::digest(&line));
        self.waiting.push(line);
    }

    fn play(&self, subject: Subject, cue: Option<&Known>, ms: i64, said: Said, grade: u8) -> Body {
        let (due_ms, len) = cue
            .map_or((self.looked, MINUTE), |known| (known.at_ms, known.end_ms.since(known.at_ms)));
        Body::Play(Play {
            subject,
            n: 1,
            sheet: None,
            item: cue.map_or("khac/x", |known| &known.item).to_owned(),
            asset: None,
            title: cue.map_or("Tin lạ", |known| &known.title).to_owned(),
            lufs_cb: None,
            gain_cb: None,
            due_ms,
            due_len_ms: len,
            started_ms: (ms > 0).then_some(due_ms),
            ended_ms: (ms > 0).then_some(due_ms.plus(ms)),
            played_ms: ms,
            outcome: said,
            cause: "end".into(),
            by: None,
            volume: 80,
            skew_ms: Some(2),
            grade,
            method: "samples".into(),
            score_permille: None,
        })
    }

    /// Lives until now, and writes what it has to say.
    pub fn live(&mut self, now: UtcMs, draw: &mut Draw) {
        if now < self.dark_until {
            return;
        }
        if self.dark_until > self.looked {
            self.boot += draw.below(2);
            if self.boot.is_multiple_of(2) {
                let body = Body::Boot { fw: "1".into(), reason: "power".into(), unclean: true };
                self.write(now, body);
            }
            if let Some(cue) = self.open.take() {
                let known = self.cues[&cue].clone();
                let subject = Subject::Cue { cue };
                let body = self.play(subject, Some(&known), 12_000, Said::Partial, 2);
                self.write(now, body);
            }
        }
        if draw.one_in(40) {
            // Storage was lost, or somebody cleared it.
            self.chain += 1;
            (self.seq, self.last, self.dropped) = (0, None, None);
            self.write(now, Body::Chain { why: "storage".into() });
        }
        if draw.one_in(30) {
            let old_ms = now.plus(self.off_ms);
            self.off_ms = match draw.below(6) {
                0 => draw.between(-200, 200) * MINUTE,
                1 => 400 * 24 * 60 * MINUTE,
                2 => draw.between(-40, 40) * MINUTE,
                _ => 0,
            };
            self.write(now, Body::Clock { old_ms, new_ms: now.plus(self.off_ms) });
        }
        self.cues_since(now, draw);
        if let Some(jti) = self.notices.pop() {
            let subject = Subject::Notice { jti };
            let body = self.play(subject, None, MINUTE, Said::Played, 3);
            self.write(now, body);
        }
        if draw.one_in(60) {
            let cue = CueId([u8::try_from(draw.below(256)).unwrap(); 16]);
            let body = self.play(Subject::Cue { cue }, None, 20_000, Said::Played, 3);
            self.write(now, body);
        }
        if let Some((from, to, hash)) = self.dropped.take_if(|_| draw.one_in(3)) {
            self.write(now, Body::Lost { from, to, n: to - from + 1, hash });
        }
        if !draw.one_in(6) {
            self.write(now, Body::Beat { head: None, pending: 0, stored: 0 });
        }
        self.looked = now;
        if draw.one_in(25) {
            self.dark_until = now.plus(draw.between(5, 600) * MINUTE);
        }
    }

    /// Plays what was due since it looked last, or says why not, or says nothing.
    fn cues_since(&mut self, now: UtcMs, draw: &mut Draw) {
        let since = self.looked;
        let due = |known: &Known| since < known.end_ms && known.end_ms <= now && !known.done;
        let due: Vec<(CueId, Known)> = self
            .cues
            .iter()
            .filter(|(_, known)| due(known))
            .map(|(cue, known)| (*cue, known.clone()))
            .collect();
        for (cue, known) in due {
            if !known.newest && !draw.one_in(4) {
                continue;
            }
            let subject = Subject::Cue { cue };
            let whole = known.end_ms.since(known.at_ms);
            let grade = u8::try_from(draw.below(7)).unwrap();
            if draw.one_in(3) {
                let (subject, started_ms) = (subject.clone(), known.at_ms);
                self.write(known.at_ms, Body::Start { subject, n: 1, started_ms });
            }
            let (ms, said) = match draw.below(16) {
                0 => (whole / 2, Said::Partial),
                1 => (0, Said::Failed),
                2 => (whole / 3, Said::PreEmpted),
                3 => (0, Said::Refused),
                4 => (whole * 9 / 10, Said::Played),
                5 => continue,
                6 => {
                    self.open = Some(cue);
                    self.dark_until = now.plus(draw.between(5, 3_000) * MINUTE);
                    continue;
                }
                7 => {
                    let body = self.play(subject.clone(), Some(&known), whole / 2, said(draw), 5);
                    self.write(known.end_ms, body);
                    (whole / 2 + 10, said(draw))
                }
                _ => (whole, Said::Played),
            };
            let body = self.play(subject, Some(&known), ms, said, grade);
            self.write(known.end_ms, body);
            if let Some(known) = self.cues.get_mut(&cue) {
                known.done = true;
            }
        }
    }

    fn arrived(&self, lines: &[String]) -> Arrived {
        Arrived { device: self.id.clone(), lines: Bytes::from(lines.join("\n")) }
    }

    /// Hands over what waits: in parts, in disorder, twice, or not at all.
    pub fn deliver(&mut self, draw: &mut Draw) -> Vec<Arrived> {
        let mut lines = std::mem::take(&mut self.waiting);
        if lines.is_empty() {
            return Vec::new();
        }
        if draw.one_in(12) && lines.len() > 2 && self.dropped.is_none() {
            // Its own chain alone: what follows names the last one that is gone.
            let count = 1 + usize::try_from(draw.below(2)).unwrap();
            let gone = lines.split_off(lines.len() - count);
            let own = self.chain_id();
            let places: Vec<_> = gone.iter().map(|line| place(line)).collect();
            if places.iter().all(|(chain, _)| *chain == own) {
                let hash = record::digest(&gone[count - 1]);
                self.dropped = Some((places[0].1, places[count - 1].1, hash));
            } else {
                lines.extend(gone);
            }
        }
        if draw.one_in(5) {
            let at = usize::try_from(draw.below(lines.len() as u64)).unwrap();
            self.waiting = lines.split_off(at);
        }
        if draw.one_in(6) {
            for n in (1..lines.len()).rev() {
                lines.swap(n, usize::try_from(draw.below(n as u64 + 1)).unwrap());
            }
        }
        if draw.one_in(8) {
            lines.extend(self.delivered.iter().rev().take(3).cloned());
        }
        if draw.one_in(20) && self.seq > 1 {
            // Somebody else signs with its key.
            let seq = 1 + draw.below(self.seq);
            lines.push(self.signed(seq, self.looked, Body::Chain { why: "bản sao".into() }));
        }
        self.delivered.extend(lines.iter().cloned());
        lines.chunks(20).map(|part| self.arrived(part)).collect()
    }

    /// All that was not delivered yet.
    pub fn rest(&self) -> Arrived {
        self.arrived(&self.waiting)
    }
}

fn place(line: &str) -> (ChainId, u64) {
    let payload = crate::wire::b64::decode(line.split('.').nth(1).unwrap()).unwrap();
    let record: Record = serde_json::from_slice(&payload).unwrap();
    (record.head.chain, record.head.seq)
}

fn said(draw: &mut Draw) -> Said {
    [Said::Played, Said::Partial, Said::Failed, Said::PreEmpted, Said::Refused]
        [usize::try_from(draw.below(5)).unwrap()]
}
