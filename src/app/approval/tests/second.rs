//! Around the second person: whoever tries to do without.

use super::*;
use crate::app::approval::{Back, Scope};

const NIGHT: &str = "[standby.storm]\nclip = \"clips/coi.wav\"\ntext = \"BÃO\"\n";

impl Town {
    async fn trail(&self) -> Vec<String> {
        let entries = self.store.trail(Page::After { position: 0, limit: 1000 }).await.unwrap();
        entries.into_iter().map(|one| format!("{} {}", one.entry.who, one.entry.action)).collect()
    }
}

#[tokio::test]
async fn a_move_in_the_register_that_waits_does_not_name_those_who_approve_it() {
    let mut town = Town::new().await;
    let units = UNITS.to_owned() + "52,Tỉnh Gia Lai,\n";
    town.save("units.csv", &units);
    town.accept("units.csv").await;
    let grant = Grant { role: Role::Approver, unit: Some("52".parse().unwrap()) };
    let nam = Person::new("nam".parse().unwrap(), "Nam", NOW, vec![grant]);
    town.store.put_person(&nam, &Actor::server().did(NOW, "add-person", "nam")).await.unwrap();
    // The register puts the west into the other province; what is in force does not.
    let moved = units.replace("Tây Hoà,51", "Tây Hoà,52");
    let register = crate::config::units_from_csv("units.csv", moved.as_bytes(), &[]).unwrap();
    town.store.put_units(&register).await.unwrap();
    town.save("tay.toml", &list("99902", "17:30"));
    let west = town.waits("tay.toml").await.hash;
    town.propose("lan", &west).await.unwrap();
    let refused = town.approve("nam", &west).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    town.save("units.csv", &moved);
    let moved = town.waits("units.csv").await.hash;
    town.propose("lan", &moved).await.unwrap();
    let refused = town.approve("nam", &moved).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    assert_eq!(town.approve("minh", &moved).await, Ok(Decided::InForce { hash: moved }));
    let west = town.waits("tay.toml").await.hash;
    assert_eq!(town.approve("nam", &west).await, Ok(Decided::InForce { hash: west }));
}

#[tokio::test]
async fn a_commune_that_names_the_siren_cannot_exchange_it_for_everybody() {
    let mut town = Town::new().await;
    town.save("station.toml", &format!("name = \"Đài\"\n{NIGHT}"));
    town.accept("station.toml").await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.accept("dong.toml").await;
    town.clip = b"khac".to_vec();
    let other = town.waits("clips/coi.wav").await;
    town.propose("lan", &other.hash).await.unwrap();
    let refused = town.approve("dong", &other.hash).await.unwrap_err();
    assert!(refused.contains("for unit `51`"), "{refused}");
    assert!(town.approve("minh", &other.hash).await.is_ok());
}

#[tokio::test]
async fn a_rollback_leaves_the_siren_of_now_and_never_puts_another_in_its_place() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00").replace("coi.wav", "tin.wav"));
    let first = town.accept("tin.toml").await;
    town.save("tin.toml", &list("99901", "18:00").replace("coi.wav", "tin.wav"));
    town.accept("tin.toml").await;
    // The clip stands by from now on, with other bytes than at the first approval.
    town.clip = b"khac".to_vec();
    assert_eq!(town.look_at_all().await, [], "nothing names it yet");
    town.save("station.toml", &format!("name = \"Đài\"\n{NIGHT}"));
    town.accept("station.toml").await;
    let siren = |station: &Station| {
        let storm = crate::domain::standby::Template::ALL.into_iter();
        storm.filter_map(|one| station.standby_clip(one)).map(|facts| facts.sha256).next()
    };
    assert_eq!(siren(&town.in_force().await), Some(Digest::of(b"khac")));
    let back = Back { scope: Scope::Station, to: Some(first) };
    town.at_desk("hoa", async |desk| desk.go_back(&back, "nhầm").await).await.unwrap();
    assert!(town.sounds().await.contains("17:00"));
    assert_eq!(siren(&town.in_force().await), Some(Digest::of(b"khac")), "it stays");
}

#[tokio::test]
async fn a_rollback_goes_to_the_newest_of_several_approvals_of_the_same_change() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    let east = town.accept("dong.toml").await;
    town.save("tay.toml", &list("99902", "17:30"));
    town.accept("tay.toml").await;
    let out = Back { scope: Scope::Playlist("dong".parse().unwrap()), to: None };
    town.at_desk("hoa", async |desk| desk.go_back(&out, "tang").await).await.unwrap();
    assert_eq!(town.accept("dong.toml").await, east, "approved anew, the same change");
    let all = Back { scope: Scope::Unit("51".parse().unwrap()), to: None };
    town.at_desk("hoa", async |desk| desk.go_back(&all, "tang").await).await.unwrap();
    assert_eq!(town.sounds().await, "");
    let back = Back { scope: Scope::Station, to: Some(east) };
    town.at_desk("hoa", async |desk| desk.go_back(&back, "xong").await).await.unwrap();
    let sounds = town.sounds().await;
    assert!(sounds.contains("17:00") && sounds.contains("17:30"), "{sounds}");
    // A step back is no approval: what it mixed is nothing to go back to.
    let part = Back { scope: Scope::Playlist("tay".parse().unwrap()), to: None };
    town.at_desk("hoa", async |desk| desk.go_back(&part, "x").await).await.unwrap();
    let part = Back { scope: Scope::Playlist("tay".parse().unwrap()), to: Some(east) };
    town.at_desk("hoa", async |desk| desk.go_back(&part, "x").await).await.unwrap();
    assert!(town.sounds().await.contains("17:30"));
    let told = town.trail().await;
    let of = |action: &str| told.iter().filter(|one| **one == format!("hoa {action}")).count();
    assert_eq!((of("withdraw-playlist"), of("withdraw-unit"), of("roll-back")), (2, 1, 2));
}

#[tokio::test]
async fn an_approval_of_what_was_shown_over_an_older_version_is_of_that() {
    let mut town = Town::new().await;
    town.save("mot.toml", &list("99901", "17:00"));
    town.save("hai.toml", &list("99901", "17:00"));
    let shown = town.waits("mot.toml").await;
    // Nobody stands for it yet: it is judged anew over what came first, without a word.
    town.accept("hai.toml").await;
    let now = town.waits("mot.toml").await;
    assert_eq!((now.hash, now.stand.clone()), (shown.hash, Stand::Open));
    assert_ne!(now.preview, shown.preview);
    town.propose("lan", &now.hash).await.unwrap();
    let approve =
        |seen: i64| town.at_desk("minh", async move |d| d.approve(&now.hash, Some(seen)).await);
    let refused = approve(shown.base).await.unwrap_err();
    assert!(refused.contains("would now do something else on air"), "{refused}");
    assert!(approve(99).await.is_err(), "a version that never was");
    assert_eq!(approve(now.base).await, Ok(Decided::InForce { hash: shown.hash }));
}

#[tokio::test]
async fn what_waits_is_shown_over_all_that_came_into_force_in_the_same_look() {
    let mut town = Town::new().await;
    town.save("ba.toml", &list("99901", "17:00"));
    town.accept("ba.toml").await;
    // `ba` falls silent by a calendar that comes with it; `aa` wants the same time.
    let calendar =
        "title = \"Nghỉ\"\n[[spans]]\nfrom = 2020-01-01\nto = 2040-01-01\nname = \"x\"\n";
    town.save("calendars/le.toml", calendar);
    let quiet = list("99901", "17:00").replace("longest", "except = [\"calendar:le\"]\nlongest");
    town.save("ba.toml", &quiet);
    town.save("aa.toml", &list("99901", "17:00"));
    let one = town.look().await.expect("one sounds and waits");
    assert_eq!(town.sounds().await, "");
    let newest = town.store.newest_version().await.unwrap().unwrap();
    assert_eq!(one.base, newest.number);
    let with = town.bench.station(&newest.manifest.with(&one.change, None)).unwrap();
    let fresh = crate::domain::approval::preview(&town.in_force().await, &with, NOW);
    assert!(one.preview == fresh, "{:?} instead of {:?}", one.preview.units, fresh.units);
}

#[tokio::test]
async fn what_somebody_stood_for_does_not_go_without_a_word() {
    let mut town = Town::new().await;
    town.save("tin.toml", &list("99901", "17:00"));
    town.look().await;
    town.save("tin.toml", &list("99901", "17:10"));
    let hash = town.look().await.unwrap().hash;
    let gone = "server supersede-proposal".to_owned();
    assert!(!town.trail().await.contains(&gone), "nobody stood for the first");
    town.propose("lan", &hash).await.unwrap();
    town.save("tin.toml", &list("99901", "17:20"));
    town.look().await;
    assert!(town.trail().await.contains(&gone));
    let refused = town.approve("minh", &hash).await.unwrap_err();
    assert!(refused.ends_with("is superseded"), "{refused}");
}
