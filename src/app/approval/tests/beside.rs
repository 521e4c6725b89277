//! Several changes beside each other: each is decided by itself.

use super::*;

fn names(one: &Proposal) -> Vec<&str> {
    one.names()
}

fn files(names: &[&str]) -> std::collections::BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn two_communes_decide_each_for_itself_and_neither_waits_for_the_other() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    let all = town.look_at_all().await;
    assert_eq!(all.iter().map(names).collect::<Vec<_>>(), [["dong.toml"], ["tay.toml"]]);
    let (east, west) = (all[0].hash, all[1].hash);
    town.propose("lan", &east).await.unwrap();
    town.propose("lan", &west).await.unwrap();
    let refused = town.approve("dong", &west).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    // The version moves under the other one, which is not looked at again in between.
    assert_eq!(town.approve("dong", &east).await, Ok(Decided::InForce { hash: east }));
    assert_eq!(town.approve("minh", &west).await, Ok(Decided::InForce { hash: west }));
    let sounds = town.sounds().await;
    assert!(sounds.contains("17:00") && sounds.contains("17:30"), "{sounds}");
    assert_eq!(town.look_at_all().await, []);
}

#[tokio::test]
async fn what_is_returned_or_taken_back_holds_up_no_other_and_stays_so() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    let (east, west) = (town.waits("dong.toml").await.hash, town.waits("tay.toml").await.hash);
    town.propose("lan", &east).await.unwrap();
    town.at_desk("minh", async |desk| desk.give_back(&east, "sai giờ").await).await.unwrap();
    town.propose("lan", &west).await.unwrap();
    let refused = town.at_desk("sep", async |desk| desk.take_back(&west).await).await.unwrap_err();
    assert!(refused.contains("did not propose"), "{refused}");
    town.at_desk("lan", async |desk| desk.take_back(&west).await).await.unwrap();
    let refused = town.approve("minh", &west).await.unwrap_err();
    assert!(refused.ends_with("is taken-back"), "{refused}");
    town.save("nam.toml", &list("99902", "18:30"));
    town.accept("nam.toml").await;
    let states: Vec<_> =
        town.look_at_all().await.iter().map(|one| (one.hash, one.stand.word())).collect();
    assert_eq!(states, [(east, "returned"), (west, "taken-back")]);
    assert!(town.sounds().await.contains("18:30"));
}

#[tokio::test]
async fn an_approval_is_refused_once_the_change_would_do_something_else_on_air() {
    let mut town = Town::new().await;
    town.save("mot.toml", &list("99901", "17:00"));
    town.save("hai.toml", &list("99901", "17:00"));
    let second = town.waits("mot.toml").await.hash;
    town.propose("lan", &second).await.unwrap();
    let first = town.accept("hai.toml").await;
    assert_ne!(first, second);
    let refused = town.approve("minh", &second).await.unwrap_err();
    assert!(refused.contains("would now do something else on air"), "{refused}");
    let one = town.waits("mot.toml").await;
    assert_eq!((one.stand.word(), one.hash), ("stale", second));
    assert_eq!(one.author, Some("lan".parse().unwrap()), "he is told whose it is");
    assert!(town.approve("minh", &second).await.unwrap_err().ends_with("is stale"));
    town.propose("lan", &second).await.unwrap();
    let one = town.waits("mot.toml").await;
    assert_eq!(one.stand, Stand::Open, "looked at again");
    assert_eq!(town.approve("minh", &second).await, Ok(Decided::InForce { hash: second }));
}

#[tokio::test]
async fn a_first_vote_survives_what_happens_elsewhere() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    let east = town.waits("dong.toml").await.hash;
    assert_eq!(town.approve("minh", &east).await, Ok(Decided::Lacks { hash: east, more: 1 }));
    town.save("tay.toml", &list("99902", "17:30"));
    town.accept("tay.toml").await;
    assert_eq!(town.waits("dong.toml").await.votes.len(), 1);
    assert_eq!(town.approve("hoa", &east).await, Ok(Decided::InForce { hash: east }));
}

#[tokio::test]
async fn files_proposed_together_are_decided_as_a_whole_by_who_answers_for_all_of_them() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    town.look_at_all().await;
    let both = files(&["dong.toml", "tay.toml"]);
    let missing = files(&["bac.toml"]);
    let refused = town.at_desk("lan", async |desk| desk.propose_files(&missing).await).await;
    assert_eq!(refused.unwrap_err(), "`bac.toml` does not wait for approval");
    let one = town.at_desk("lan", async |desk| desk.propose_files(&both).await).await.unwrap();
    assert_eq!((names(&one).len(), one.together, one.lacks()), (2, Together::Person, 1));
    let seen = town.look().await.expect("they stay together");
    assert_eq!((seen.hash, seen.author), (one.hash, one.author));
    let part = files(&["dong.toml"]);
    let refused = town.at_desk("lan", async |desk| desk.propose_files(&part).await).await;
    assert!(refused.unwrap_err().starts_with("`dong.toml` waits together with `tay.toml`"));
    let refused = town.approve("dong", &one.hash).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    // Taken back, they are two again, and somebody must stand for each.
    town.at_desk("lan", async |desk| desk.take_back(&one.hash).await).await.unwrap();
    assert_eq!(town.look_at_all().await.len(), 2);
    let one = town.at_desk("lan", async |desk| desk.propose_files(&both).await).await.unwrap();
    assert_eq!(town.approve("minh", &one.hash).await, Ok(Decided::InForce { hash: one.hash }));
    let sounds = town.sounds().await;
    assert!(sounds.contains("17:00") && sounds.contains("17:30"), "{sounds}");
}

#[tokio::test]
async fn files_that_only_fit_together_wait_together_and_others_beside_them() {
    let mut town = Town::new().await;
    let calendar = "title = \"Lễ\"\n[[spans]]\nfrom = 2027-01-01\nto = 2027-01-01\nname = \"Lễ\"\n";
    town.save("calendars/le.toml", calendar);
    assert_eq!(town.look().await, None, "a calendar that nothing names is heard nowhere");
    let named = list("99901", "17:00").replace("longest", "except = [\"calendar:le\"]\nlongest");
    town.save("dong.toml", &named);
    town.accept("dong.toml").await;
    town.files.remove("calendars/le.toml");
    town.save("dong.toml", &list("99901", "18:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    let all = town.look_at_all().await;
    let told: Vec<_> = all.iter().map(|one| (names(one), one.together)).collect();
    assert_eq!(
        told,
        [
            (vec!["calendars/le.toml", "dong.toml"], Together::Needed),
            (vec!["tay.toml"], Together::Alone)
        ]
    );
    town.accept("dong.toml").await;
    assert!(town.sounds().await.contains("18:00"));
}

#[tokio::test]
async fn what_would_sound_elsewhere_in_two_years_needs_that_units_approver_today() {
    let mut town = Town::new().await;
    let later = list("99902", "17:00").replace("[targets]", "valid_from = 2030-01-01\n[targets]");
    town.save("tin.toml", &later);
    let one = town.look().await.expect("it waits although it is not heard for years");
    assert!(one.preview.is_empty());
    town.propose("lan", &one.hash).await.unwrap();
    let refused = town.approve("dong", &one.hash).await.unwrap_err();
    assert!(refused.contains("for unit `99902`"), "{refused}");
    assert_eq!(town.approve("minh", &one.hash).await, Ok(Decided::InForce { hash: one.hash }));
}

#[tokio::test]
async fn a_clip_that_two_new_lists_name_is_approved_with_each_and_spoils_neither_hash() {
    let mut town = Town::new().await;
    town.save("dong.toml", &list("99901", "17:00"));
    town.save("tay.toml", &list("99902", "17:30"));
    let before = town.waits("tay.toml").await.hash;
    town.accept("dong.toml").await;
    let after = town.waits("tay.toml").await;
    assert_eq!(after.hash, before);
    assert!(after.change.clips.contains_key("clips/coi.wav"), "its hash names what is heard");
    // The same list with another clip under the same name is another proposal.
    town.clip = b"khac".to_vec();
    let other = town.waits("tay.toml").await;
    assert_ne!(other.hash, before);
    assert!(other.units().contains(&"99901".parse().unwrap()), "the clip sounds there too");
}

/// Whatever is saved in whatever order, nothing sounds that was not approved.
#[tokio::test]
async fn without_a_second_person_only_silence_comes_into_force() {
    let seed = std::env::var("LOA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261);
    println!("LOA_SEED={seed}");
    let mut state: u64 = seed;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % below).unwrap()
    };
    let mut town = Town::new().await;
    let approved = ["dong", "tay", "nam"].map(|name| format!("{name}.toml"));
    for (n, file) in approved.iter().enumerate() {
        town.save(file, &list(if n == 0 { "99901" } else { "99902" }, &format!("1{n}:00")));
        town.accept(file).await;
    }
    let heard = |sounds: String| -> std::collections::BTreeSet<String> {
        sounds.lines().map(str::to_owned).collect()
    };
    let before = heard(town.sounds().await);
    assert_eq!(before.len(), 3);
    for step in 0..24 {
        let file = ["dong.toml", "tay.toml", "nam.toml", "moi.toml"][next(4)];
        let unit = ["51", "99901", "99902"][next(3)];
        match next(6) {
            0 => drop(town.files.remove(file)),
            1 => town.clip = vec![b"abc"[next(3)]; 3],
            2 => town.save("policies/yen.toml", "title = \"Yên\"\nquiet = [\"10:30-11:30\"]\n"),
            3 => drop(town.files.remove("policies/yen.toml")),
            _ => town.save(file, &list(unit, &format!("1{}:00", next(4)))),
        }
        town.look_at_all().await;
        let now = heard(town.sounds().await);
        assert!(now.is_subset(&before), "step {step}: {now:#?} beyond {before:#?}");
    }
}
