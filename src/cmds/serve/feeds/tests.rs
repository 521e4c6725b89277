use super::http::fetch;
use super::*;
use crate::clock::SystemClock;
use crate::domain::feed::{FileHeader, HttpSource, Pick};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// Answers each connection with the next of these, and hands over what was asked.
fn server(answers: Vec<Vec<u8>>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tram?x=1", listener.local_addr().unwrap());
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(n) if n > 0 => request.extend(&piece[..n]),
                    _ => break,
                }
            }
            let _ = asked.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(&answer);
        }
    });
    (url, asks)
}

fn answer(status: &str, more: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len());
    head.into_bytes()
}

fn source(url: &str) -> HttpSource {
    HttpSource {
        url: url.to_owned(),
        pick: Pick { value: Some("/nuoc".into()), at: None },
        every_s: 60,
        timeout_ms: 1_000,
        most_bytes: 1_000,
        headers: [("accept".to_owned(), "application/json".to_owned())].into(),
        from_file: Some(FileHeader { name: "Authorization".into(), file: "khoa.txt".into() }),
        ca_file: None,
    }
}

fn reading(folder: &Path) -> Reading {
    Reading { clock: Arc::new(SystemClock::new()), folder: folder.to_owned() }
}

#[test]
fn an_address_is_asked_with_its_headers_and_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asks) = server(vec![answer("200 OK", "", r#"{"nuoc": 3.25}"#)]);
    let told = fetch(&source(&url), &reading(folder.path())).unwrap_err().to_string();
    assert!(told.starts_with("the secret in `khoa.txt` cannot be read"), "{told}");
    std::fs::write(folder.path().join("khoa.txt"), "Bearer abc\n").unwrap();
    let picked = fetch(&source(&url), &reading(folder.path())).unwrap();
    assert_eq!((picked.text.as_str(), picked.at), ("3.25", None));
    let asked = asks.recv().unwrap().to_lowercase();
    assert!(asked.starts_with("get /tram?x=1 "), "{asked}");
    assert!(
        asked.contains("accept: application/json") && asked.contains("authorization: bearer abc")
    );
}

#[test]
fn what_a_source_does_wrong_is_named_and_nothing_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("khoa.txt"), "x").unwrap();
    let (elsewhere, led_on) = server(vec![answer("200 OK", "", r#"{"nuoc": 1}"#)]);
    let location = format!("Location: {elsewhere}\r\n");
    let cases = [
        (answer("302 Found", &location, ""), "the source answers with status 302"),
        (answer("503 Busy", "", "x"), "the source answers with status 503"),
        (answer("200 OK", "", &" ".repeat(1_001)), "an answer above 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"nu".to_vec(), "the answer broke off"),
        (b"nonsense\r\n\r\n".to_vec(), "the source does not answer"),
        (answer("200 OK", "", "<html>"), "the answer is not JSON"),
        (answer("200 OK", "", "{}"), "nothing stands at `/nuoc`"),
    ];
    let (answers, wanted): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let (url, _asks) = server(answers);
    for wanted in wanted {
        let error = fetch(&source(&url), &reading(folder.path())).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error}");
        assert!(!error.hint().is_empty());
    }
    assert!(led_on.try_recv().is_err(), "the redirect was followed");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = HttpSource {
        timeout_ms: 200,
        ..source(&format!("http://{}/", silent.local_addr().unwrap()))
    };
    let error = fetch(&slow, &reading(folder.path())).unwrap_err();
    assert!(error.to_string().starts_with("the source does not answer"), "{error}");
}

#[test]
fn a_secret_is_one_short_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("khoa.txt");
    for (bytes, good) in [
        (b"abc\r\n".to_vec(), true),
        (b"".to_vec(), false),
        (b"a\nb".to_vec(), false),
        (vec![b'x'; 5_000], false),
        (vec![0xFF], false),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(secret(folder.path(), "khoa.txt").is_ok(), good, "{bytes:?}");
    }
}
