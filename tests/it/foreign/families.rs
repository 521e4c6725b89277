//! One clip or one page on each family, with the grade that its answers support.

use super::rig::{OpenBroker, Plan, Rig};
use super::sims::{self, Sim};
use crate::e2e::sound as clips;
use crate::support::wait;
use loa::device::executor::Ended;
use loa::device::player::SinkSpec;
use loa::domain::profile::BoardProfile;
use loa::raster::{Board, Design, Faces, Pass, Scene};
use tokio::net::UdpSocket;

const CLIP_MS: i64 = 1_200;

async fn plays(sim: Sim, grade: u8) {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = sim.start(&broker, CLIP_MS.unsigned_abs()).await;
    let mut rig = Rig::start(Plan::shipped(sim.profile), Some(exchange));
    // This one's word is not kept by the broker: it may have been said before anybody heard it.
    if sim.profile == "espuino" {
        wait::until("the gateway is connected", || rig.clock.mono_ms() > 400).await;
    } else {
        rig.online().await;
    }
    let played = rig.play(CLIP_MS).await;
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), grade), "{}", sim.document);
    let off = (played.played_ms - CLIP_MS).abs();
    assert!(off <= 400, "{}: {} ms", sim.profile, played.played_ms);
    assert!(played.skew_ms.unwrap() <= 600, "{}: {:?}", sim.profile, played.skew_ms);
    let kept = rig.finish().await;
    assert_eq!((&kept[0]["v"], &kept[0]["grade"]), (&1.into(), &grade.into()), "{}", sim.profile);
    assert!(kept[0]["pieces"].as_array().unwrap().len() > usize::from(grade > 0));
}

#[tokio::test]
async fn tasmota_answers_that_it_took_the_command() {
    plays(sims::TASMOTA, 1).await;
}

#[tokio::test]
async fn espuino_begins_and_ends_as_planned() {
    plays(sims::ESPUINO, 2).await;
}

#[tokio::test]
async fn sonos_names_the_clip() {
    plays(sims::SONOS, 2).await;
}

#[tokio::test]
async fn axis_begins_and_ends_as_planned() {
    plays(sims::AXIS, 2).await;
}

#[tokio::test]
async fn a_siren_names_the_tone() {
    plays(sims::SIREN, 2).await;
}

#[tokio::test]
async fn an_amplifier_is_measured_while_the_gateway_plays() {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = sims::SHELLY.start(&broker, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.wav");
    clips::write_chirp(&path, 2.0);
    let mut plan = Plan::shipped("shelly-amp");
    plan.clip.path = Some(path);
    plan.sink = SinkSpec::Wav(folder.path().join("street.wav"));
    let mut rig = Rig::start(plan, Some(exchange));
    rig.online().await;
    let played = rig.play(2_000).await;
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), 4), "power was measured");
    assert!((1_900..2_400).contains(&played.played_ms), "{}", played.played_ms);
    rig.finish().await;
    // The file is whole when the output is closed, a moment after the driver.
    let whole = || {
        let street = clips::Recording::read(&folder.path().join("street.wav"));
        let stretches = street.stretches();
        let seconds = |(from, to): &(usize, usize)| (to - from) as f64 / f64::from(street.rate);
        assert!(stretches.len() <= 1, "it sounds once, without a gap: {stretches:?}");
        stretches.iter().any(|one| (1.85..2.1).contains(&seconds(one)))
    };
    wait::until("the street heard the clip", whole).await;
}

async fn shows(sim: Sim, text: &str, grade: u8) {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = sim.start(&broker, 0).await;
    let mut rig = Rig::start(Plan::shipped(sim.profile), Some(exchange));
    if sim.profile != "awtrix3" {
        rig.online().await; // this one's word is not kept
    }
    wait::until("the gateway is connected", || rig.clock.mono_ms() > 400).await;
    let (pass, got) = rig.show(&[text], 1_000).await;
    assert!(pass.whole, "{}: {pass:?}, {:?}", sim.document, rig.seen.borrow());
    assert_eq!((got, pass.frame), (grade, None), "{}: nobody knows its pixels", sim.profile);
    assert!((900..1_500).contains(&pass.shown_ms), "{}: {pass:?}", sim.profile);
    rig.finish().await;
}

#[tokio::test]
async fn awtrix_names_the_page_it_shows() {
    shows(sims::AWTRIX, "XA", 2).await;
}

#[tokio::test]
async fn pixelix_repeats_the_text() {
    shows(sims::PIXELIX, "XA", 1).await;
}

#[tokio::test]
async fn esphome_repeats_vietnamese() {
    shows(sims::ESPHOME, "Ủy ban", 1).await;
}

#[tokio::test]
async fn wled_says_nothing() {
    shows(sims::WLED, "XA", 0).await;
}

#[tokio::test]
async fn vietnamese_is_refused_with_the_reason_where_a_board_cannot_draw_it() {
    for (sim, reason) in
        [(sims::PIXELIX, "the board has no letters"), (sims::AWTRIX, "rows of pixels")]
    {
        let broker = OpenBroker::start().await;
        let (exchange, _gateway) = broker.exchange();
        let mut rig = Rig::start(Plan::shipped(sim.profile), Some(exchange));
        let (pass, _) = rig.show(&["Đề nghị bà con giữ vệ sinh"], 3_000).await;
        assert_eq!((pass.shown_ms, pass.frame), (0, None));
        let trouble = rig.seen.borrow().trouble.clone().unwrap();
        println!("{}: {trouble}", sim.profile);
        assert!(trouble.contains(reason) || trouble.contains('Đ'), "{}: {trouble}", sim.profile);
    }
}

#[tokio::test]
async fn vietnamese_goes_to_wled_as_the_pixels_that_the_record_names() {
    let broker = OpenBroker::start().await;
    let (exchange, _gateway) = broker.exchange();
    let _device = sims::WLED.start(&broker, 0).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let host = socket.local_addr().unwrap().to_string();
    let plan = Plan::shipped("wled-2d").set("host", &host);
    let profile = plan.profile.board.clone().unwrap();
    let mut rig = Rig::start(plan, Some(exchange));
    rig.online().await;
    let reading = tokio::spawn(async move { ddp_picture(&socket, 32 * 16 * 3).await });
    let (pass, grade) = rig.show(&["Đỗ"], 2_500).await;
    assert!(pass.whole, "{pass:?}, {:?}", rig.seen.borrow());
    let (rgb, hash) = drawn(&profile, "Đỗ");
    assert_eq!((grade, pass.frame), (0, Some(hash)), "sent is not shown");
    assert_eq!(wait::within("pictures came", reading).await.unwrap(), rgb);
    rig.finish().await;
}

/// Puts one picture together from its packets (3waylabs, "DDP header": offset in bytes 4-7, PUSH
/// on the last).
async fn ddp_picture(socket: &UdpSocket, bytes: usize) -> Vec<u8> {
    let mut picture = vec![0; bytes];
    loop {
        let mut packet = [0; 2_048];
        let count = socket.recv(&mut packet).await.unwrap();
        let at = u32::from_be_bytes(packet[4..8].try_into().unwrap()) as usize;
        let part = &packet[10..count];
        picture[at..at + part.len()].copy_from_slice(part);
        if packet[0] & 1 == 1 {
            return picture;
        }
    }
}

pub fn drawn(profile: &BoardProfile, text: &str) -> (Vec<u8>, loa::domain::ids::Digest) {
    let (board, faces) = (Board::from(profile), Faces::of_profile(profile));
    let scene = Scene::at(loa::domain::time::UtcMs(0));
    let design = Design::still(text, 2_500);
    let pass = Pass::new(&design, &board, &faces, &scene);
    let frame = pass.frames().next().unwrap().frame;
    let pixels = (0..board.height_px()).flat_map(|y| (0..board.width_px()).map(move |x| (x, y)));
    let rgb = pixels.flat_map(|(x, y)| {
        let loa::raster::Rgb(r, g, b) = frame.pixel(x, y);
        [r, g, b]
    });
    (rgb.collect(), frame.hash())
}

#[test]
fn every_family_over_mqtt_has_a_simulator_that_names_its_document() {
    for sim in sims::ALL {
        assert!(sim.document.len() > 20, "{}", sim.profile);
        Plan::shipped(sim.profile);
    }
}
