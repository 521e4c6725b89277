//! Keeps heads for auditors: one a minute, the last of every busy stretch, the last of a shard.
//!
//! # Invariants
//! * A head that was too near behind the last one kept is kept once the minute is over, unless a
//!   larger one took its place: what is logged before a long silence is enclosed in time as well.
//! * Of a head that nobody vouched for nothing is kept.

use super::NEWEST;
use super::gather::Gathered;
use crate::app::enclose::Head;
use crate::domain::time::UtcMs;
use crate::log::disk::{RealDisk, replace};
use crate::log::folder::Folder;
use crate::log::history;
use crate::log::shard::ShardName;
use crate::wire::tlog::{Policy, Resource, SignedCheckpoint};
use std::path::{Path, PathBuf};

/// Cosigned heads are kept this far apart.
const KEEP_S: u64 = 60;

/// See the module.
pub struct Keeper {
    folder: PathBuf,
    kept_s: Option<u64>,
    waits: Option<(String, SignedCheckpoint, Option<u64>)>,
    /// What was kept and encloses records in time, oldest first.
    kept: Vec<Head>,
}

impl Keeper {
    /// Keeps in the shards of this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, kept_s: None, waits: None, kept: Vec::new() }
    }

    /// Lays a head out for all processes, and keeps it for auditors if it is time to.
    pub fn lay(&mut self, gathered: &Gathered, now_s: u64) -> anyhow::Result<()> {
        let note = gathered.head.note().to_string();
        replace(&RealDisk, &self.folder, &[(self.folder.join(NEWEST), note.as_bytes())])?;
        if gathered.witnessed {
            let (shard, head) = (gathered.shard.clone(), gathered.head.clone());
            self.waits = Some((shard, head, gathered.met_s));
            self.keep(now_s)?;
        }
        Ok(())
    }

    /// Returns in how many seconds something is to be kept; `None` when nothing waits.
    pub fn due_s(&self, now_s: u64) -> Option<u64> {
        self.waits.as_ref()?;
        let last = self.kept_s.filter(|last| *last <= now_s);
        Some(last.map_or(0, |last| last.saturating_add(KEEP_S).saturating_sub(now_s)))
    }

    /// Keeps what waits, if it is time to.
    pub fn keep(&mut self, now_s: u64) -> anyhow::Result<()> {
        let Some((shard, head, met_s)) = &self.waits else { return Ok(()) };
        if self.due_s(now_s).is_some_and(|rest| rest > 0) {
            return Ok(());
        }
        let folder = Folder::new(RealDisk, self.folder.join(shard));
        // What is there already, or was outgrown by a clock that went back, is not kept again.
        if history::keep(&folder, head, now_s, None, 0)? {
            self.kept.extend(met_s.map(|met_s| enclosing(shard, head, met_s)));
        }
        (self.kept_s, self.waits) = (Some(now_s), None);
        Ok(())
    }

    /// Publishes the last head of a shard that is closed, vouched for since.
    pub fn close(&mut self, gathered: &Gathered, now_s: u64) -> anyhow::Result<()> {
        let folder = Folder::new(RealDisk, self.folder.join(&gathered.shard));
        let note = gathered.head.note().to_string();
        replace(
            &RealDisk,
            folder.path(),
            &[(folder.place(Resource::Checkpoint), note.as_bytes())],
        )?;
        if gathered.witnessed {
            let kept = history::keep(&folder, &gathered.head, now_s, None, 0)?;
            let met_s = gathered.met_s.filter(|_| kept);
            self.kept.extend(met_s.map(|met| enclosing(&gathered.shard, &gathered.head, met)));
        }
        Ok(())
    }

    /// Takes what was kept since.
    pub fn kept(&mut self) -> Vec<Head> {
        std::mem::take(&mut self.kept)
    }
}

fn enclosing(shard: &str, head: &SignedCheckpoint, met_s: u64) -> Head {
    let met_ms = UtcMs::from_numeric_date(i64::try_from(met_s).unwrap_or(i64::MAX));
    Head { shard: shard.to_owned(), size: head.checkpoint().size, met_ms }
}

/// Returns the last head of the shard before this one, where too few have vouched for it.
pub fn unfinished(folder: &Path, shard: &str, policy: &Policy) -> Option<SignedCheckpoint> {
    let this: ShardName = shard.parse().ok()?;
    let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| {
        entry.ok()?.file_name().to_str()?.parse::<ShardName>().ok().filter(|name| *name < this)
    });
    let before = folder.join(names.max()?.to_string());
    let note = super::read(&Folder::new(RealDisk, before).place(Resource::Checkpoint))?;
    let signed = SignedCheckpoint::parse(note.as_bytes()).ok()?;
    let verdict = policy.judge_signed(&signed).ok()?;
    (!verdict.quorum.is_enough()).then_some(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jws::SecretKey;
    use crate::wire::tlog::{Checkpoint, Cosigner, LogSigner, Name, TreeHash};
    use std::fs;

    const NOW: u64 = 1_800_000_000;

    fn log(shard: &str) -> LogSigner {
        let name = Name::new(format!("loa.example/log/{shard}")).unwrap();
        LogSigner::new(name, SecretKey::from_seed(&[1; 32]))
    }

    fn witness() -> Cosigner {
        Cosigner::new(Name::new("w.example").unwrap(), SecretKey::from_seed(&[2; 32]))
    }

    fn gathered(shard: &str, size: u64, witnessed: bool) -> Gathered {
        let signer = log(shard);
        let root = TreeHash::leaf(&size.to_be_bytes());
        let tree = Checkpoint { origin: signer.verifier().name().clone(), size, root };
        let mut head = tree.sign(&[signer]);
        if witnessed {
            let mut lines = head.note().lines().to_vec();
            lines.push(witness().sign(NOW, head.note().text()));
            head = head.with_note(head.note().with_lines(lines)).unwrap();
        }
        Gathered {
            head,
            shard: shard.to_owned(),
            enough: witnessed,
            witnessed,
            met_s: witnessed.then_some(NOW),
            troubles: Vec::new(),
        }
    }

    fn kept(folder: &Path, shard: &str) -> Vec<u64> {
        let shard = Folder::new(RealDisk, folder.join(shard));
        let kept = history::of_day(&shard, NOW).unwrap();
        kept.iter().map(|kept| kept.checkpoint().size).collect()
    }

    #[test]
    fn the_last_head_before_a_silence_is_kept_when_its_minute_is_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("2027")).unwrap();
        let mut keeper = Keeper::new(folder.path().to_owned());
        assert_eq!(keeper.due_s(NOW), None);
        keeper.lay(&gathered("2027", 5, true), NOW).unwrap();
        assert_eq!((kept(folder.path(), "2027"), keeper.due_s(NOW)), (vec![5], None));
        keeper.lay(&gathered("2027", 7, true), NOW + 2).unwrap();
        keeper.lay(&gathered("2027", 9, true), NOW + 4).unwrap();
        assert_eq!((kept(folder.path(), "2027"), keeper.due_s(NOW + 4)), (vec![5], Some(56)));
        keeper.keep(NOW + 59).unwrap();
        assert_eq!(kept(folder.path(), "2027"), [5]);
        keeper.keep(NOW + 60).unwrap();
        assert_eq!((kept(folder.path(), "2027"), keeper.due_s(NOW + 60)), (vec![5, 9], None));
        // A clock that goes back does not hold it up until it has caught up.
        keeper.lay(&gathered("2027", 11, true), NOW + 10).unwrap();
        assert_eq!(kept(folder.path(), "2027"), [5, 9, 11]);
        let newest = fs::read_to_string(folder.path().join(NEWEST)).unwrap();
        assert_eq!(newest, gathered("2027", 11, true).head.note().to_string());
        let sizes = |heads: Vec<Head>| heads.iter().map(|head| head.size).collect::<Vec<_>>();
        assert_eq!(sizes(keeper.kept()), [5, 9, 11]);
        assert_eq!(keeper.kept(), []);
        // What nobody vouched for encloses nothing.
        keeper.lay(&gathered("2027", 12, false), NOW + 200).unwrap();
        assert_eq!((kept(folder.path(), "2027").len(), keeper.due_s(NOW)), (3, None));
    }

    #[test]
    fn the_last_head_of_a_closed_shard_is_vouched_for_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2026");
        fs::create_dir(&path).unwrap();
        fs::create_dir(folder.path().join("2027")).unwrap();
        let text = format!(
            "log {}\nwitness w {} https://w/\nquorum w\n",
            LogSigner::new(Name::new("loa.example/log").unwrap(), SecretKey::from_seed(&[1; 32]))
                .verifier(),
            witness().verifier()
        );
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert!(unfinished(folder.path(), "2027", &policy).is_none(), "it has no head");
        let bare = gathered("2026", 40, false);
        fs::write(path.join("checkpoint"), bare.head.note().to_string()).unwrap();
        assert!(unfinished(folder.path(), "2026", &policy).is_none(), "it is none before itself");
        let open = unfinished(folder.path(), "2027", &policy).unwrap();
        assert_eq!(open.checkpoint().size, 40);
        let mut keeper = Keeper::new(folder.path().to_owned());
        keeper.close(&gathered("2026", 40, true), NOW).unwrap();
        assert!(unfinished(folder.path(), "2027", &policy).is_none());
        assert_eq!(kept(folder.path(), "2026"), [40]);
        assert_eq!(keeper.kept().len(), 1);
    }
}
