//! A value from a source to a board through real processes: shown while it is fresh, a mark after.

use super::commune::{Commune, in_seconds, local_time};
use super::process::{Running, free_port, wait_for};
use loa::clock::{Clock as _, SystemClock};
use loa::domain::ids::Digest;
use loa::domain::playlist::Page;
use loa::domain::profile::BoardProfile;
use loa::domain::time::UtcMs;
use loa::raster::{Board, Design, Faces, Pass, Scene};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A gauge that says 3.10 m as measured when it was first asked, for ever.
fn gauge() -> (String, Arc<AtomicI64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tram.json", listener.local_addr().unwrap());
    let measured = Arc::new(AtomicI64::new(0));
    let known = measured.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 2_048]);
            let now = SystemClock::new().now().0;
            let at = match known.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => now,
                Err(first) => first,
            };
            let body = format!(r#"{{"nuoc": 3.10, "luc": {at}}}"#);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (url, measured)
}

/// The hash of the frame that the usual board shows for words without fields.
fn frame(words: &str) -> Digest {
    let usual = BoardProfile {
        width_px: 128,
        height_px: 32,
        colours: vec!["red".to_owned()],
        fonts: vec!["unifont".to_owned()],
        scroll_px_s: 40,
        ..BoardProfile::default()
    };
    let (board, faces) = (Board::from(&usual), Faces::of_profile(&usual));
    let (design, scene) = (Design::from(&Page::plain(words, 2_000)), Scene::at(UtcMs(0)));
    Pass::new(&design, &board, &faces, &scene).first().hash()
}

#[test]
fn a_board_shows_a_value_while_it_is_fresh_and_a_mark_when_its_source_only_repeats_itself() {
    let mut commune = Commune::new();
    let (url, measured) = gauge();
    let port = free_port();
    let mut command = Command::new("mosquitto");
    command.args(["-p", &port.to_string()]);
    let broker = Running::start(command, &commune.path("mosquitto.log"));
    std::fs::create_dir_all(commune.path("playlists/feeds")).unwrap();
    commune.write(
        "playlists/feeds/nuoc.toml",
        &format!(
            "title = \"Mực nước\"\nunit = \"cm\"\nscale = \"100\"\nleast = \"0\"\nmost = \"2000\"\n\
             stale_after = \"30s\"\n[http]\nurl = \"{url}\"\npointer = \"/nuoc\"\nat = \"/luc\"\n\
             every = \"10s\"\n"
        ),
    );
    commune.write(
        "playlists/feeds/bao-dong.toml",
        &format!(
            "title = \"Cấp báo động\"\nkind = \"words\"\nlongest = 8\nstale_after = \"1h\"\n[mqtt]\n\
             url = \"mqtt://127.0.0.1:{port}\"\ntopic = \"tram/cap\"\n"
        ),
    );
    // What a broker kept may be a year old: it does not count until it is sent anew.
    let tell = |retain: bool| {
        let (port, text) = (port.to_string(), if retain { "Cấp 9" } else { "Cấp 2" });
        let mut command = Command::new("mosquitto_pub");
        command.args(["-p", &port, "-t", "tram/cap", "-m", text]);
        let done = command.args(retain.then_some("-r")).stderr(Stdio::null()).status().unwrap();
        done.success().then_some(())
    };
    wait_for("the broker", 20, || tell(true));
    commune.init();
    commune.serve();
    commune.enrol("bang-cong");
    let board = commune.device("bang-cong");
    let at = local_time(in_seconds(2));
    commune.write(
        "playlists/nuoc.toml",
        &format!(
            "title = \"Nước\"\n[targets]\nunits = [\"99901\"]\n[[items]]\nid = \"nuoc\"\n\
             title = \"Nước\"\n[[items.pages]]\ntext = \"{{feed:nuoc}}\"\ndwell = \"2s\"\n\
             [[items.pages]]\ntext = \"{{feed:bao-dong}}\"\ndwell = \"2s\"\n[[slots]]\nid = \"a\"\n\
             at = [\"{at}\"]\nlongest = \"5m\"\nitems = [\"nuoc\"]\n"
        ),
    );
    let shown = |words: &str| {
        let file = format!("frames/{}.png", frame(words));
        commune.path(&file).exists().then_some(())
    };
    wait_for("the value on the board", 60, || shown("310 cm"));
    let listed = || commune.ordered(&["feed", "list"]);
    wait_for("the words on the board", 40, || {
        tell(false).unwrap();
        shown("Cấp 2")
    });
    assert!(shown("Cấp 9").is_none());
    let mark_at = measured.load(Ordering::SeqCst) + 30_000;
    let over = || (SystemClock::new().now().0 > mark_at + 1_000).then_some(());
    wait_for("the end of the value", 60, over);
    // The words stay: a mark that is drawn from now on stands for the water.
    for words in ["310 cm", "--"] {
        let _ = std::fs::remove_file(commune.path(&format!("frames/{}.png", frame(words))));
    }
    wait_for("the mark on the board", 30, || shown("--"));
    assert!(shown("310 cm").is_none(), "an old value as a new one");
    let feeds = wait_for("the fault of the source", 30, || {
        let feeds = listed();
        feeds[1]["fault"]["what"].is_string().then_some(feeds)
    });
    assert_eq!((&feeds[0]["state"], &feeds[0]["value"]), (&"fresh".into(), &"Cấp 2".into()));
    assert_eq!((&feeds[1]["state"], &feeds[1]["value"]), (&"stale".into(), &"310 cm".into()));
    let what = feeds[1]["fault"]["what"].as_str().unwrap();
    assert!(what.starts_with("measured "), "{what}");
    drop((board, broker));
}
