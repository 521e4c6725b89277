//! Any request to the HTTP front: never a fault of ours, and every refusal of the API in its form.

use super::try_all;
use crate::http::front;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Sends a request line as it is and a body, and returns status and answer.
fn ask(address: &str, token: &str, line: &[u8], body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = line.to_vec();
    let head = format!(
        " HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    request.extend(head.as_bytes());
    request.extend(body);
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// The first line is `METHOD PATH`, the rest the body.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn any_http_request() {
    let front = front().await;
    let address = front.url.strip_prefix("http://").unwrap().to_owned();
    let token = front.token.clone();
    let tried = tokio::task::spawn_blocking(move || {
        try_all("http", 250, |bytes| {
            let at = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
            let line: Vec<u8> =
                bytes[..at].iter().copied().filter(|b| !b.is_ascii_control()).collect();
            let body = bytes.get(at + 1..).unwrap_or_default();
            let (status, answer) = ask(&address, &token, &line, body);
            // What is too large may be cut off while it is still being sent: no answer then.
            let said = status > 0 || bytes.len() > 60_000;
            // 503: no schedule is in force here.
            assert!(said && (status < 500 || status == 503), "{status}: {answer}");
            if status >= 400 && line.windows(8).any(|part| part == b"/api/v1/") {
                let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                let told = body.is_empty() || body.contains("\"code\"");
                assert!(told && !answer.contains("panicked"), "{status}: {answer}");
            }
        });
    });
    tried.await.unwrap();
}
