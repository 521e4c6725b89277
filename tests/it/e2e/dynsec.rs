//! A mosquitto whose accounts the server keeps: nobody touches it after its installation.

use super::commune::{Commune, claims, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::{Running, run, wait_for};

#[test]
fn devices_come_and_go_at_a_foreign_broker_that_nobody_touches() {
    let mut commune = Commune::new();
    commune.init();
    let mut broker = Mosquitto::install_dynsec(&commune);
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let mut speaker = commune.device("loa-dinh-lang");
    let plays = || {
        let at = in_seconds(8);
        commune.playlist(&[at]);
        wait_for("a record of the play", 60, || {
            let plays = commune.records_of("loa-dinh-lang", "play");
            let play = plays.iter().map(claims).find(|claims| claims["due_ms"] == at)?;
            assert_eq!(play["outcome"], "played");
            Some(())
        });
    };
    plays();
    // The machine of the broker is set up anew: the server tells it all accounts again.
    broker.lose_accounts();
    plays();
    assert!(!commune.path("data/mosquitto").exists(), "no file of passwords is kept");

    let data = commune.path("data").display().to_string();
    let (code, _, said) =
        run(&["device", "revoke", "loa-dinh-lang", "--reason", "mất cắp", "--data", &data]);
    assert_eq!(code, 0, "{said}");
    let refusals = |speaker: &Running| speaker.said().matches("NotAuthorized").count();
    let before = refusals(&speaker);
    wait_for("a device that is put out and kept out", 60, || {
        speaker.assert_alive();
        (refusals(&speaker) > before).then_some(())
    });
}
