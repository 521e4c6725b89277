//! Back by one step: a playlist, a unit, the station.

use super::*;
use crate::app::approval::{Back, Scope};

/// Two lists of their own, one of both communes; each approved twice, at one hour and at another.
async fn town() -> (Town, Digest) {
    let mut town = Town::new().await;
    let mut first = None;
    for hour in ["16", "17"] {
        town.save("dong.toml", &list("99901", &format!("{hour}:00")));
        town.save("tay.toml", &list("99902", &format!("{hour}:20")));
        town.save("ca-tinh.toml", &list("51", &format!("{hour}:40")));
        for file in ["dong.toml", "tay.toml", "ca-tinh.toml"] {
            let hash = town.accept(file).await;
            first = first.filter(|_| hour == "17").or(Some(hash));
        }
    }
    (town, first.unwrap())
}

async fn step(town: &Town, who: &str, back: &Back) -> Result<Backed, String> {
    town.at_desk(who, async |desk| desk.go_back(back, "phát nhầm").await).await
}

/// The local times at which anything sounds.
async fn times(town: &Town) -> String {
    let sounds = town.sounds().await;
    let times = sounds.lines().filter_map(|line| line.split(' ').nth(1));
    let times: std::collections::BTreeSet<_> = times.collect();
    times.into_iter().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn one_playlist_goes_back_and_the_others_stay() {
    let (town, first) = town().await;
    assert_eq!(times(&town).await, "17:00 17:20 17:40");
    let back = |list: &str| Back { scope: Scope::Playlist(list.parse().unwrap()), to: Some(first) };
    let refused = step(&town, "dong", &back("tay")).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    // Shown first: nothing changes by looking.
    let hoa = town.person("hoa").await;
    let actor = Actor::new("hoa", "127.0.0.1");
    let desk = Desk { store: &town.store, person: &hoa, actor: &actor, now: NOW };
    let shown = desk.look_back(&back("dong")).await.unwrap();
    assert_eq!(shown.files, ["dong.toml"]);
    assert!(shown.preview.units.keys().all(|unit| unit.as_str() == "99901"));
    assert_eq!(times(&town).await, "17:00 17:20 17:40");
    step(&town, "dong", &back("dong")).await.unwrap();
    assert_eq!(times(&town).await, "16:00 17:20 17:40");
    assert_eq!(
        step(&town, "dong", &back("dong")).await.unwrap_err(),
        "nothing would change: this is in force"
    );
}

#[tokio::test]
async fn a_unit_goes_back_or_out_with_the_lists_that_are_its_own() {
    let (mut town, first) = town().await;
    let unit = Scope::Unit("99901".parse().unwrap());
    let stepped =
        step(&town, "dong", &Back { scope: unit.clone(), to: Some(first) }).await.unwrap();
    let stay: Vec<_> = stepped.stay.iter().map(ToString::to_string).collect();
    assert_eq!((stepped.files, stay), (vec!["dong.toml".to_owned()], vec!["ca-tinh".to_owned()]));
    assert_eq!(times(&town).await, "16:00 17:20 17:40");
    step(&town, "dong", &Back { scope: unit, to: None }).await.unwrap();
    assert_eq!(times(&town).await, "17:20 17:40");
    let waiting = town.waits("dong.toml").await;
    assert_eq!(waiting.lacks(), 2, "the folder still holds it: it needs its approvals again");
    let all = Back { scope: Scope::Unit("51".parse().unwrap()), to: None };
    assert!(step(&town, "dong", &all).await.is_err());
    step(&town, "hoa", &all).await.unwrap();
    assert_eq!(times(&town).await, "");
    let nowhere = Back { scope: Scope::Unit("77777".parse().unwrap()), to: None };
    assert_eq!(step(&town, "hoa", &nowhere).await.unwrap_err(), "no unit `77777`");
}
