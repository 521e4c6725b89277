//! A real authority (`openssl ts`) behind a small HTTP server, and others that are not so honest.

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::config::TokenConfig;
use crate::stamp::tests::authority::{Authority as Tsa, Key};
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{Checkpoint, LogSigner, Name, TreeHash};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use tempfile::TempDir;

const DAY_MS: i64 = 86_400_000;

/// What the server does with a request.
enum Reply {
    Body(u16, Vec<u8>),
    /// Sends a head and then nothing until the other side goes.
    Never,
}

/// Serves on loopback until dropped with the test's process; returns its address.
fn serve(reply: impl Fn(Vec<u8>) -> Reply + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tsr", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(body) = request(&mut stream) else { continue };
            match reply(body) {
                Reply::Body(status, body) => {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&body);
                }
                Reply::Never => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            }
        }
    });
    url
}

/// Reads one request whole.
fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut got = Vec::new();
    let mut part = [0; 4_096];
    loop {
        if let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
            assert!(head.contains("content-type: application/timestamp-query"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if got.len() >= end + 4 + length.parse::<usize>().ok()? {
                return Some(got.split_off(end + 4));
            }
        }
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        got.extend_from_slice(&part[..count]);
    }
}

/// A station with a log folder, and the authority's certificate.
struct Station {
    folder: TempDir,
    tsa: Arc<Mutex<Tsa>>,
}

impl Station {
    fn new() -> Self {
        let (folder, tsa) = (tempfile::tempdir().unwrap(), Tsa::usual());
        fs::write(folder.path().join("tsa.pem"), tsa.read("ca.pem")).unwrap();
        Self { folder, tsa: Arc::new(Mutex::new(tsa)) }
    }

    fn honest(&self) -> String {
        let tsa = self.tsa.clone();
        serve(move |body| Reply::Body(200, tsa.lock().unwrap().answer(&body, "tsa", None)))
    }

    fn authority(&self, url: &str) -> Authority {
        let (url, ca_file) = (url.to_owned(), "tsa.pem".to_owned());
        Authority::new(&TokenConfig { url, ca_file, policy: None }, self.folder.path())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Signs a head; it becomes the newest that counts when it is to.
    fn head(&self, shard: &str, size: u64, newest: bool) -> Vec<u8> {
        let origin = Name::new(format!("loa.example.vn/log/{shard}")).unwrap();
        let signer = LogSigner::new(origin.clone(), SecretKey::from_seed(&[1; 32]));
        let root = TreeHash::leaf(&size.to_be_bytes());
        let note = Checkpoint { origin, size, root }.sign(&[signer]).note().to_string();
        fs::create_dir_all(self.log().join(shard)).unwrap();
        fs::write(self.log().join(shard).join("checkpoint"), &note).unwrap();
        if newest {
            fs::write(self.log().join(NEWEST), &note).unwrap();
        }
        note.into_bytes()
    }

    fn due(&self, moment: &Moment) -> Option<(String, u64)> {
        let job = due(&self.log(), &self.log().join(NEWEST), moment).unwrap();
        job.map(|job| (job.shard.to_string(), job.size))
    }
}

fn moment(now: UtcMs) -> Moment {
    Moment { now, zone: chrono_tz::Asia::Ho_Chi_Minh, head_seen: now, stamped: None }
}

#[test]
fn a_head_is_stamped_once_a_day_and_openssl_believes_what_is_kept() {
    let station = Station::new();
    let authority = station.authority(&station.honest());
    let now = SystemClock::new().now();
    assert_eq!(once(&authority, &station.log(), &moment(now)).unwrap(), None, "no log yet");
    let note = station.head("2027", 41, true);
    let (stamped, of_day) = once(&authority, &station.log(), &moment(now)).unwrap().unwrap();
    assert!(of_day);
    assert_eq!((stamped.shard.as_str(), stamped.size), ("2027", 41));
    assert_eq!(stamped.authority, "tsa");
    assert!(stamped.at_ms.since(now).abs() < 60_000, "{stamped:?}");

    let place = Folder::new(RealDisk, station.log().join("2027"));
    let tokens::Stamped { note: kept, stamp: token } = tokens::read(&place, 41).unwrap().unwrap();
    assert_eq!(kept, note);
    let tsa = station.tsa.lock().unwrap();
    tsa.write("kept.note", &kept);
    tsa.write("kept.tsr", &token);
    let (said, good) =
        tsa.openssl("ts -verify -in kept.tsr -token_in -data kept.note -CAfile ca.pem");
    assert!(good && said.contains("Verification: OK"), "{said}");
    drop(tsa);
    assert_eq!(newest(&authority, &station.log()), Some(stamped.clone()));

    // The same head is not stamped again, nor another of this day; that of the next day is.
    let at = stamped.at_ms;
    assert_eq!(station.due(&moment(at)), None);
    station.head("2027", 50, true);
    assert_eq!(station.due(&moment(at)), None);
    assert_eq!(station.due(&moment(at.plus(DAY_MS))), Some(("2027".to_owned(), 50)));
}

#[test]
fn after_midnight_the_first_head_of_the_new_day_is_waited_for_but_not_for_ever() {
    let station = Station::new();
    station.head("2027", 41, true);
    let at =
        |text: &str| UtcMs(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis());
    let mut seen = moment(at("2027-03-14T23:59:00+07:00"));
    assert!(station.due(&seen).is_some());
    seen.now = at("2027-03-15T00:00:10+07:00");
    assert_eq!(station.due(&seen), None, "that head is of yesterday");
    seen.now = at("2027-03-15T01:00:00+07:00");
    assert!(station.due(&seen).is_some(), "nothing was logged since");
    seen.head_seen = at("2027-03-15T00:00:11+07:00");
    seen.now = at("2027-03-15T00:00:15+07:00");
    assert!(station.due(&seen).is_some());
    // An authority whose clock is wrong is not asked for every head.
    seen.stamped = Some(at("2027-03-15T00:00:13+07:00"));
    assert_eq!(station.due(&seen), None);
}

#[test]
fn the_last_head_of_a_shard_is_stamped_whatever_the_hour() {
    let station = Station::new();
    let authority = station.authority(&station.honest());
    station.head("2026", 900, false);
    station.head("2027", 1, true);
    let now = SystemClock::new().now();
    let stamp = |moment: &Moment| {
        let stamped = once(&authority, &station.log(), moment).unwrap();
        stamped.map(|(stamped, of_day)| (stamped.shard, stamped.size, of_day))
    };
    let done = Moment { stamped: Some(now), ..moment(now) };
    assert_eq!(stamp(&done), Some(("2026".to_owned(), 900, false)));
    assert_eq!(stamp(&done), None, "once is enough");
    assert_eq!(stamp(&moment(now)), Some(("2027".to_owned(), 1, true)));
    // While nobody has vouched for a head of the new shard, none of it is stamped.
    station.head("2028", 5, false);
    assert_eq!(station.due(&moment(now)), None);
    station.head("2028", 5, true);
    assert_eq!(station.due(&moment(now)), Some(("2028".to_owned(), 5)));
}

#[test]
fn an_answer_that_does_not_count_is_not_kept_and_says_what_to_do() {
    let station = Station::new();
    station.head("2027", 41, true);
    let (note, now) = (fs::read(station.log().join(NEWEST)).unwrap(), SystemClock::new().now());
    // An answer to a question of before, and one over another file.
    let tsa = station.tsa.clone();
    let old = crate::stamp::Request::of(&note, [7; 16]).bytes();
    let old = tsa.lock().unwrap().answer(&old, "tsa", None);
    let other = {
        let tsa = tsa.clone();
        serve(move |mut body| {
            let at = body.windows(2).position(|w| w == [4, 32]).unwrap() + 2;
            body[at] ^= 1;
            Reply::Body(200, tsa.lock().unwrap().answer(&body, "tsa", None))
        })
    };
    let stranger = Tsa::usual();
    let urls = [
        serve(move |_| Reply::Body(200, old.clone())),
        other,
        serve(move |body| Reply::Body(200, stranger.answer(&body, "tsa", None))),
        serve(|_| Reply::Body(200, vec![0x30; 5 << 20])),
        serve(|_| Reply::Body(200, b"<html>".to_vec())),
        serve(|_| Reply::Body(404, Vec::new())),
        serve(|_| Reply::Never),
        "http://127.0.0.1:1/tsr".to_owned(),
    ];
    let mut told = Vec::new();
    for url in &urls {
        let authority = station.authority(url).patient(Duration::from_millis(400));
        let trouble = once(&authority, &station.log(), &moment(now)).unwrap_err();
        let why = crate::cmds::serve::chain(&trouble).replace(url.as_str(), "URL");
        told.push(format!("{why}\n  {}", trouble.hint()));
    }
    assert!(!station.log().join("2027/tokens").exists(), "nothing of it is kept");
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn certificates_that_are_missing_or_of_somebody_else_are_told() {
    let station = Station::new();
    station.head("2027", 41, true);
    let authority = station.authority(&station.honest());
    let path = station.folder.path().join("tsa.pem");
    let now = SystemClock::new().now();
    let trouble = || once(&authority, &station.log(), &moment(now)).unwrap_err();
    fs::write(&path, "no certificate").unwrap();
    assert!(crate::cmds::serve::chain(&trouble()).contains("there is none"));
    fs::remove_file(&path).unwrap();
    assert!(trouble().hint().contains("log.tokens.ca_file"));
    // Replaced while the server runs, it counts at once.
    let other = Tsa::new();
    other.certificate("tsa", "ca", "stamps", Key::P256);
    fs::write(&path, other.read("ca.pem")).unwrap();
    assert!(matches!(trouble(), Trouble::Ask(AskError::Answer { .. })));
    fs::write(&path, station.tsa.lock().unwrap().read("ca.pem")).unwrap();
    assert!(once(&authority, &station.log(), &moment(now)).unwrap().is_some());
}

#[tokio::test]
async fn a_server_whose_authority_is_silent_says_so_and_says_when_it_is_back() {
    let station = Station::new();
    station.head("2027", 41, true);
    let live = Arc::new(Live::new(crate::app::live::Picture::empty("–")));
    let clock: SharedClock = Arc::new(SystemClock::new());
    let (_heads_in, heads) = watch::channel(None);
    let zone = chrono_tz::Asia::Ho_Chi_Minh;
    let ties =
        Ties { live: live.clone(), clock: clock.clone(), zone, heads, folder: station.log() };
    let mut course = Course::default();
    let failed = || Err(Trouble::Ask(AskError::Random));
    ties.settle(&mut course, failed());
    let (until, next) = course.rest.unwrap();
    assert!(until > clock.mono_ms() && next == 2 * REST_MS);
    for _ in 0..20 {
        ties.settle(&mut course, failed());
    }
    assert_eq!(course.rest.unwrap().1, LONGEST_MS, "less and less often, but it goes on");
    let has_alarm = || live.picture().alarms.iter().any(|alarm| alarm.code == "log-unstamped");
    assert!(has_alarm());
    assert!(live.picture().tokens.as_ref().unwrap().why.is_some());
    let stamped = StampedHead {
        shard: "2027".to_owned(),
        size: 41,
        at_ms: clock.now(),
        authority: "tsa".to_owned(),
    };
    // That of a shard that is over does not stand for the day's.
    ties.settle(&mut course, Ok(Some((stamped.clone(), false))));
    assert!(!has_alarm() && course.rest.is_none() && course.stamped.is_none());
    ties.settle(&mut course, Ok(Some((stamped.clone(), true))));
    assert!(course.stamped.is_some());
    // An hour without it worries nobody.
    ties.settle(&mut course, failed());
    let known = live.picture().tokens.clone().unwrap();
    assert!(!has_alarm() && known.last == Some(stamped) && known.why.is_some());
}
