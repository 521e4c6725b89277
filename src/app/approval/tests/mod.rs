//! From a saved file to what sounds, over the in-memory store.

mod back;
mod beside;
mod measure;
mod second;

use super::*;
use crate::app::people::{Grant, Person, Role};
use crate::app::ports::{Approvals as _, Page, People as _, Registry as _, Trail as _};
use crate::app::trail::Actor;
use crate::domain::station::{Station, Unit};
use crate::domain::timetable::{Compiler, Horizon};
use crate::store::memory::MemoryStore;
use std::collections::BTreeMap;
use std::sync::Arc;

/// 16:59 in Viet Nam.
const NOW: UtcMs = UtcMs(1_795_226_340_000 / 86_400_000 * 86_400_000 + 35_940_000);

const UNITS: &str =
    "id,name,parent\n51,Tỉnh Quảng Ngãi,\n99901,Xã Đông Hoà,51\n99902,Xã Tây Hoà,51\n";
const DEVICES: &str =
    "id,name,unit,tags,profile\nloa-dong,Loa,99901,,loa-ip\nloa-tay,Loa,99902,,loa-ip\n";
const PROFILE: &str = "title = \"Loa\"\nstorage_mib = 64\n[speaker]\ncodecs = [\"wav\"]\n";

fn list(unit: &str, time: &str) -> String {
    format!(
        "title = \"Tin\"\n[targets]\nunits = [\"{unit}\"]\n[[items]]\nid = \"coi\"\ntitle = \"Còi\"\n\
         clip = \"clips/coi.wav\"\n[[slots]]\nid = \"s\"\nat = [\"{time}\"]\nlongest = \"1m\"\n\
         items = [\"coi\"]\n"
    )
}

/// A station folder in memory, with the store beside it.
struct Town {
    store: MemoryStore,
    files: BTreeMap<String, String>,
    clip: Vec<u8>,
    bench: Bench,
}

impl Town {
    async fn new() -> Self {
        let store = MemoryStore::default();
        let unit = |id: &str, parent: Option<&str>| Unit {
            id: id.parse().unwrap(),
            name: id.into(),
            parent: parent.map(|id| id.parse().unwrap()),
            valid_from: None,
            valid_until: None,
            successors: vec![],
            population: None,
        };
        let units = [unit("51", None), unit("99901", Some("51")), unit("99902", Some("51"))];
        store.put_units(&units).await.unwrap();
        for (id, role, at) in [
            ("lan", Role::Operator, None),
            ("minh", Role::Approver, None),
            ("hoa", Role::Approver, None),
            ("dong", Role::Approver, Some("99901")),
            ("sep", Role::Administrator, None),
        ] {
            let grant = Grant { role, unit: at.map(|id| id.parse().unwrap()) };
            let person = Person::new(id.parse().unwrap(), id, NOW, vec![grant]);
            store.put_person(&person, &Actor::server().did(NOW, "add-person", id)).await.unwrap();
        }
        let mut town =
            Self { store, files: BTreeMap::new(), clip: b"mot".to_vec(), bench: Bench::default() };
        town.save("station.toml", "name = \"Đài\"\n");
        town.save("units.csv", UNITS);
        town.save("devices.csv", DEVICES);
        town.save("profiles/loa-ip.toml", PROFILE);
        town.look().await;
        town
    }

    fn save(&mut self, name: &str, text: &str) {
        self.files.insert(name.to_owned(), text.to_owned());
    }

    fn target(&mut self) -> Manifest {
        let mut target = Manifest::default();
        for (name, text) in &self.files {
            let sha256 = Digest::of(text.as_bytes());
            self.bench.blobs.insert(sha256, Arc::from(text.as_bytes()));
            let entry = FileEntry { sha256, accepted: 1, approval: None };
            target.files.insert(name.clone(), entry);
        }
        let clip = FrozenClip {
            sha256: Digest::of(&self.clip),
            bytes: 3,
            media_type: "audio/wav".into(),
            ms: 20_000,
            gain_cb: 0,
            lufs_cb: -160,
            sums: BTreeMap::new(),
            title: "coi".into(),
        };
        let other = FrozenClip { sha256: Digest::of(b"tin"), ..clip.clone() };
        target.clips.insert("clips/coi.wav".into(), clip);
        target.clips.insert("clips/tin.wav".into(), other);
        target
    }

    /// What the server does when it has read the folder.
    async fn look_at_all(&mut self) -> Vec<Proposal> {
        let target = self.target();
        let newest = self.store.newest_version().await.unwrap();
        let over = newest.as_ref().map_or(0, |version| version.number);
        let in_force = newest.map_or_else(|| baseline(&target), |version| version.manifest);
        let candidate = self.bench.station(&target).expect("a folder without faults");
        let pending = Desk::pending(&self.store).await.unwrap();
        if over == 0 {
            let step = put_in_force(&self.bench, 0, in_force, NOW);
            self.store.approval_step(&step).await.unwrap();
            return Vec::new();
        }
        let over = Over { number: over, manifest: &in_force };
        let settled = settle(&self.bench, over, &target, &candidate, &pending, NOW).unwrap();
        keep(&self.store, &self.bench, over, settled, pending, NOW, None).await.unwrap()
    }

    /// The only one that waits.
    async fn look(&mut self) -> Option<Proposal> {
        let mut all = self.look_at_all().await;
        assert!(all.len() < 2, "{all:#?}");
        all.pop()
    }

    /// The one that changes this file.
    async fn waits(&mut self, file: &str) -> Proposal {
        let all = self.look_at_all().await;
        let found = all.into_iter().find(|one| one.names().contains(&file));
        found.unwrap_or_else(|| panic!("`{file}` does not wait"))
    }

    /// Lan proposes what changes this file, Minh approves.
    async fn accept(&mut self, file: &str) -> Digest {
        let hash = self.waits(file).await.hash;
        self.propose("lan", &hash).await.unwrap();
        assert_eq!(self.approve("minh", &hash).await, Ok(Decided::InForce { hash }));
        hash
    }

    async fn in_force(&self) -> Station {
        let newest = self.store.newest_version().await.unwrap().unwrap();
        self.bench.station(&newest.manifest).unwrap()
    }

    /// What sounds today: device, local time, approval, clip.
    async fn sounds(&self) -> String {
        let station = self.in_force().await;
        let from = NOW.datetime().with_timezone(&station.zone).date_naive();
        let compiled = Compiler::new().compile(&station, Horizon { from, days: 1 });
        let mut lines = Vec::new();
        for (id, plan) in compiled.devices() {
            for day in plan.days() {
                for cue in &day.sheet.cues {
                    let at = cue.at_ms.datetime().with_timezone(&station.zone).format("%H:%M");
                    let by =
                        cue.approval.map_or("-".into(), |hash| hash.to_string()[..6].to_owned());
                    let assets: Vec<_> =
                        day.sheet.assets.keys().map(|a| a.to_string()[..4].to_owned()).collect();
                    lines.push(format!(
                        "{id} {at} {} v{} {by} {}",
                        cue.item,
                        cue.volume,
                        assets.join(",")
                    ));
                }
            }
        }
        lines.join("\n")
    }

    async fn person(&self, id: &str) -> Person {
        self.store.person(&id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Lets somebody act at the desk.
    async fn at_desk<T>(
        &self,
        who: &str,
        act: impl AsyncFnOnce(&Desk<'_>) -> Result<T, DeskError>,
    ) -> Result<T, String> {
        let person = self.person(who).await;
        let actor = Actor::new(who, "127.0.0.1");
        let desk = Desk { store: &self.store, person: &person, actor: &actor, now: NOW };
        act(&desk).await.map_err(|error| error.to_string())
    }

    async fn approve(&self, who: &str, hash: &Digest) -> Result<Decided, String> {
        self.at_desk(who, async |desk| desk.approve(hash, None).await).await
    }

    async fn propose(&self, who: &str, hash: &Digest) -> Result<Proposal, String> {
        self.at_desk(who, async |desk| desk.propose(hash).await).await
    }
}

#[tokio::test]
async fn a_file_saved_at_16_59_does_not_sound_at_17_00_until_a_second_person_approves() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let one = town.look().await.expect("it waits");
    assert_eq!(town.sounds().await, "");
    assert_eq!(one.lacks(), 2, "a file has no proven author");
    town.propose("lan", &one.hash).await.unwrap();
    let refused = town.approve("lan", &one.hash).await.unwrap_err();
    assert!(refused.contains("does not have the role `approver`"), "{refused}");
    assert_eq!(town.approve("minh", &one.hash).await, Ok(Decided::InForce { hash: one.hash }));
    let short = &one.hash.to_string()[..6];
    let sounds = town.sounds().await;
    assert_eq!(
        sounds,
        format!("loa-dong 17:00 tin/coi v100 {short} {}", &Digest::of(b"mot").to_string()[..4])
    );
    assert_eq!(town.look().await, None, "and nothing waits");
}

#[tokio::test]
async fn the_author_cannot_approve_it_even_as_an_administrator() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let hash = town.look().await.unwrap().hash;
    town.propose("sep", &hash).await.unwrap();
    let refused = town.approve("sep", &hash).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`sep` proposed it, and somebody else must approve");
    assert_eq!(town.sounds().await, "");
}

#[tokio::test]
async fn what_nobody_stands_for_needs_two() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let hash = town.look().await.unwrap().hash;
    assert_eq!(town.approve("minh", &hash).await, Ok(Decided::Lacks { hash, more: 1 }));
    assert_eq!(town.sounds().await, "");
    let refused = town.approve("minh", &hash).await.unwrap_err();
    assert!(refused.contains("has approved it already"), "{refused}");
    assert_eq!(town.approve("hoa", &hash).await, Ok(Decided::InForce { hash }));
    assert!(town.sounds().await.contains("17:00"));
}

#[tokio::test]
async fn an_approver_of_one_unit_does_not_speak_for_another() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("51", "17:00"));
    let hash = town.look().await.unwrap().hash;
    town.propose("lan", &hash).await.unwrap();
    let refused = town.approve("dong", &hash).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`dong` does not have the role `approver` for unit `51`");
    town.save("tin.toml", &list("99901", "17:00"));
    let hash = town.look().await.unwrap().hash;
    town.propose("lan", &hash).await.unwrap();
    assert_eq!(town.approve("dong", &hash).await, Ok(Decided::InForce { hash }));
}

#[tokio::test]
async fn a_clip_exchanged_under_the_same_name_does_not_sound() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let first = town.look().await.unwrap().hash;
    town.propose("lan", &first).await.unwrap();
    town.approve("minh", &first).await.unwrap();
    let before = town.sounds().await;
    town.clip = b"khac".to_vec();
    let one = town.look().await.expect("it waits");
    assert_eq!(one.change.files.len(), 0);
    assert_eq!(one.change.clips.keys().collect::<Vec<_>>(), ["clips/coi.wav"]);
    assert_ne!(one.hash, first);
    assert_eq!(town.sounds().await, before);
    town.propose("lan", &one.hash).await.unwrap();
    town.approve("minh", &one.hash).await.unwrap();
    let after = town.sounds().await;
    assert!(after.contains(&one.hash.to_string()[..6]), "the cue names the new approval: {after}");
}

#[tokio::test]
async fn approving_one_playlist_leaves_the_cues_of_another_as_they_are() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    let first = town.look().await.unwrap().hash;
    town.propose("lan", &first).await.unwrap();
    town.approve("minh", &first).await.unwrap();
    let before = town.sounds().await;
    town.save("tay.toml", &list("99902", "17:30"));
    let second = town.look().await.unwrap().hash;
    town.propose("lan", &second).await.unwrap();
    town.approve("minh", &second).await.unwrap();
    let after = town.sounds().await;
    assert!(after.starts_with(&before), "{after}");
    assert!(after.contains(&second.to_string()[..6]) && after.contains(&first.to_string()[..6]));
}

#[tokio::test]
async fn silence_is_at_once_while_what_adds_waits_beside_it() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    town.accept("dong.toml").await;
    town.accept("tay.toml").await;
    town.files.remove("dong.toml");
    town.save("tay.toml", &list("99902", "18:00"));
    let one = town.look().await.expect("the moved one waits");
    assert_eq!(one.change.files.keys().collect::<Vec<_>>(), ["tay.toml"]);
    let sounds = town.sounds().await;
    assert!(!sounds.contains("17:00") && sounds.contains("17:30"), "{sounds}");
    town.save("tay.toml", &list("99902", "17:30"));
    town.save(
        "skips.toml",
        &format!(
            "[[skips]]\nplaylist = \"tay\"\nslot = \"s\"\ndate = {}\nreason = \"tang lễ\"\n",
            NOW.datetime().date_naive()
        ),
    );
    assert_eq!(town.look().await, None, "a skip waits for nobody");
    assert_eq!(town.sounds().await, "");
}

#[tokio::test]
async fn rollback_and_withdrawal_are_one_step_and_the_way_back_needs_approval() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let first = town.look().await.unwrap().hash;
    town.propose("lan", &first).await.unwrap();
    town.approve("minh", &first).await.unwrap();
    let before = town.sounds().await;
    town.save("tin.toml", &list("99901", "18:00"));
    let second = town.look().await.unwrap().hash;
    town.propose("lan", &second).await.unwrap();
    town.approve("minh", &second).await.unwrap();
    assert!(town.sounds().await.contains("18:00"));
    let hoa = town.person("hoa").await;
    let actor = Actor::new("hoa", "127.0.0.1");
    let desk = Desk { store: &town.store, person: &hoa, actor: &actor, now: NOW };
    desk.roll_back(&first, "phát nhầm giờ").await.unwrap();
    assert_eq!(town.sounds().await, before);
    let unknown = desk.roll_back(&Digest::of(b"x"), "x").await.unwrap_err();
    assert!(unknown.to_string().starts_with("nothing came into force by approval"));
    assert!(desk.roll_back(&first, " ").await.is_err(), "a reason is required");
    let one = town.look().await.expect("the folder still holds the other one");
    assert_eq!((one.hash, one.lacks()), (second, 2), "approved once is not approved again");
    assert_eq!(town.sounds().await, before);
    let desk = Desk { store: &town.store, person: &hoa, actor: &actor, now: NOW };
    desk.withdraw(&"tin".parse().unwrap(), "có tang").await.unwrap();
    assert_eq!(town.sounds().await, "");
    assert!(town.look().await.is_some());
    assert_eq!(town.sounds().await, "");
}

#[tokio::test]
async fn what_is_sent_back_waits_until_it_is_proposed_anew() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    let hash = town.look().await.unwrap().hash;
    let minh = town.person("minh").await;
    let actor = Actor::new("minh", "127.0.0.1");
    let desk = Desk { store: &town.store, person: &minh, actor: &actor, now: NOW };
    desk.give_back(&hash, "sai ngày").await.unwrap();
    let refused = town.approve("hoa", &hash).await.unwrap_err();
    assert!(refused.ends_with("is returned"), "{refused}");
    town.propose("lan", &hash).await.unwrap();
    assert_eq!(town.approve("minh", &hash).await, Ok(Decided::InForce { hash }));
    let told: Vec<_> = town
        .store
        .trail(Page::After { position: 0, limit: 100 })
        .await
        .unwrap()
        .into_iter()
        .filter(|one| one.entry.who != "server")
        .map(|one| format!("{} {}", one.entry.who, one.entry.action))
        .collect();
    assert_eq!(told, ["minh return-proposal", "lan propose", "minh approve"]);
}

#[test]
fn the_hash_names_what_changes_and_nothing_else() {
    let file = |text: &str, accepted| {
        Some(FileEntry { sha256: Digest::of(text.as_bytes()), accepted, approval: None })
    };
    let change = |files: &[(&str, Option<FileEntry>)]| ChangeSet {
        files: files.iter().map(|(name, entry)| ((*name).to_owned(), *entry)).collect(),
        ..ChangeSet::default()
    };
    let one = change(&[("a.toml", file("x", 1))]).hash();
    assert_eq!(one, change(&[("a.toml", file("x", 2))]).hash());
    for other in [
        change(&[("a.toml", file("y", 1))]),
        change(&[("b.toml", file("x", 1))]),
        change(&[("a.toml", None)]),
        change(&[("a.toml", file("x", 1)), ("b.toml", None)]),
        change(&[]),
    ] {
        assert_ne!(one, other.hash());
    }
}
