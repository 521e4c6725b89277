//! HTTP, TCP and serial lines, on real sockets and a real pair of terminals.

use super::rig::{Plan, Rig, URL};
use crate::support::wait;
use loa::device::executor::{Ended, PlayFault};
use loa::dialect::machine::Present;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How an HTTP device behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Good,
    Refuses,
    HangsOnPlay,
    Huge,
    Redirects,
    OtherClip,
}

/// A loudspeaker with an HTTP API as the sample profile describes it; tells each request.
async fn speaker(manner: Manner) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let (told, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner, told.clone()));
        }
    });
    (at, requests)
}

async fn serve(stream: TcpStream, manner: Manner, told: mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            if head.is_empty() {
                head = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let _ = told.send(head.clone());
        let (status, body) = match (head.as_str(), manner) {
            ("POST /api/play", Manner::HangsOnPlay) => {
                std::future::pending::<()>().await;
                return;
            }
            ("POST /api/play", Manner::Refuses) => ("503 Busy", "{}".to_owned()),
            ("POST /api/play", Manner::Redirects) => ("302 Found", String::new()),
            ("POST /api/play", Manner::Huge) => ("200 OK", "x".repeat(3_000_000)),
            ("GET /api/status", Manner::OtherClip) => {
                ("200 OK", r#"{"state":"playing","url":"http://x/other.mp3"}"#.to_owned())
            }
            ("GET /api/status", _) => ("200 OK", format!(r#"{{"state":"playing","url":"{URL}"}}"#)),
            _ => ("200 OK", "{}".to_owned()),
        };
        let more = if status.starts_with("302") { "location: /api/stop\r\n" } else { "" };
        let text =
            format!("HTTP/1.1 {status}\r\n{more}content-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn on(manner: Manner) -> (super::rig::Played, Vec<String>) {
    let (at, mut requests) = speaker(manner).await;
    let mut plan = Plan::shipped("http-speaker").set("host", &at);
    plan.dialect.timing.probe_ms = Some(300);
    let mut rig = Rig::start(plan, None);
    let played = rig.play(1_200).await;
    rig.finish().await;
    let mut heard = Vec::new();
    while let Ok(request) = requests.try_recv() {
        heard.push(request);
    }
    (played, heard)
}

#[tokio::test]
async fn an_http_loudspeaker_plays_and_is_asked_while_it_does() {
    let (played, heard) = on(Manner::Good).await;
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), 1));
    assert!((1_000..1_700).contains(&played.played_ms), "{}", played.played_ms);
    assert_eq!(heard[..2], ["POST /api/play", "GET /api/status"]);
}

#[tokio::test]
async fn an_answer_above_what_is_read_is_an_answer_and_no_more() {
    let (played, _) = on(Manner::Huge).await;
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), 1));
    let (played, _) = on(Manner::OtherClip).await;
    assert_eq!(played.grade, 1);
}

#[tokio::test]
async fn a_refusal_a_redirection_and_silence_begin_nothing() {
    for manner in [Manner::Refuses, Manner::Redirects, Manner::HangsOnPlay] {
        let (played, heard) = on(manner).await;
        assert_eq!((played.end, played.skew_ms), (Err(PlayFault::Output), None), "{manner:?}");
        let stop = "POST /api/stop".to_owned();
        // A stop leaves although the request before it hangs; nobody followed the redirection.
        assert_eq!(heard.iter().filter(|asked| **asked == stop).count(), 1, "{heard:?}");
    }
}

/// A board that answers each line: STX, address, command, ETX, sum, CR (the frame of the sample
/// profile).
async fn board(
    mut io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    told: mpsc::UnboundedSender<String>,
    answer: Option<&'static str>,
) {
    let mut line = Vec::new();
    let mut byte = [0];
    while let Ok(1) = io.read(&mut byte).await {
        if byte[0] != b'\r' {
            line.push(byte[0]);
            continue;
        }
        let etx = line.iter().rposition(|byte| *byte == 3).unwrap();
        let body = &line[1..etx];
        let sum = body.iter().fold(0, |sum, byte| sum ^ byte);
        let text = String::from_utf8_lossy(body).into_owned();
        assert!(line[0] == 2, "{text}");
        // The sum runs over everything between STX and itself, before ETX.
        assert!(line[..etx].len() > 3, "{text} {sum:02x}");
        let _ = told.send(text);
        line.clear();
        if let Some(answer) = answer
            && io.write_all(answer.as_bytes()).await.is_err()
        {
            return;
        }
    }
}

fn shown(heard: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

async fn show_on(plan: Plan, mut heard: mpsc::UnboundedReceiver<String>, answered: bool) {
    let mut rig = Rig::start(plan, None);
    rig.online().await;
    let (pass, grade) = rig.show(&["Đài truyền thanh xã", "Hết"], 800).await;
    if answered {
        assert!(pass.whole, "{pass:?} {:?}", rig.seen.borrow());
        assert_eq!((grade, pass.frame), (1, None));
        assert!((1_500..2_600).contains(&pass.shown_ms), "{pass:?}");
    } else {
        assert_eq!((pass.shown_ms, pass.whole), (0, false), "{pass:?}");
    }
    rig.finish().await;
    let told = shown(&mut heard);
    // Diacritics are taken off where the profile says so.
    let text = |told: &String| told.starts_with("01T") && told.contains("Dai truyen thanh xa");
    assert!(told.iter().any(text), "{told:?}");
    assert!(told.last().is_some_and(|told| told.starts_with("01C")), "dark in the end: {told:?}");
}

#[tokio::test]
async fn a_board_on_a_tcp_line_shows_pages_and_answers_each() {
    for (answer, good) in [(Some("OK\r"), true), (Some("OK\r\n"), true), (Some("ERR 7\r"), false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let (told, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(board(stream, told.clone(), answer));
            }
        });
        show_on(Plan::shipped("line-board").set("host", &at), heard, good).await;
    }
}

#[tokio::test]
async fn a_board_that_answers_nothing_or_hangs_up_shows_nothing_on_record() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let at = listener.local_addr().unwrap().to_string();
    let (told, _heard) = mpsc::unbounded_channel();
    let (silent, accepts) = (told.clone(), Arc::clone(&listener));
    let first = tokio::spawn(async move {
        let (stream, _) = accepts.accept().await.unwrap();
        board(stream, silent, None).await;
    });
    let mut rig = Rig::start(Plan::shipped("line-board").set("host", &at), None);
    rig.online().await;
    let (pass, grade) = rig.show(&["A"], 800).await;
    assert_eq!((pass.shown_ms, grade), (0, 0), "no answer");
    // It hangs up; the line is opened again and the next pass is shown.
    first.abort();
    let gone = rig.seen.wait_for(|seen| seen.present != Present::Online);
    wait::within("the line broke", gone).await.unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        board(stream, told, Some("OK\r")).await;
    });
    rig.online().await;
    let (pass, _) = rig.show(&["A"], 800).await;
    assert!(pass.whole, "{pass:?}");
}

#[tokio::test]
async fn a_board_on_a_serial_line_is_driven_at_its_speed() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let port = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let far = std::fs::File::from(far);
    let speed = far.try_clone().unwrap();
    let (told, heard) = mpsc::unbounded_channel();
    // Terminals are read by threads; this one ends with the test.
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut line, mut byte) = (Vec::new(), [0]);
        let (mut reading, mut writing) = (&far, &far);
        loop {
            match reading.read(&mut byte) {
                Ok(1) if byte[0] == b'\r' => {
                    let etx = line.iter().rposition(|byte| *byte == 3).unwrap();
                    let text = String::from_utf8_lossy(&line[1..etx]).into_owned();
                    if told.send(text).is_err() {
                        return;
                    }
                    line.clear();
                    writing.write_all(b"OK\r").unwrap();
                }
                Ok(1) => line.push(byte[0]),
                // Nobody has the other side open.
                _ if told.is_closed() => return,
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    });
    let plan = Plan::shipped("line-board-serial").set("port", &port);
    show_on(plan, heard, true).await;
    let modes = rustix::termios::tcgetattr(&speed).unwrap();
    assert_eq!(modes.output_speed(), 9_600);
}
