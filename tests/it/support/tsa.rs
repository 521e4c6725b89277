//! A time-stamp authority of the test's own: `openssl ts` behind a small HTTP server on loopback.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

const CONFIG: &str = "
[req]
distinguished_name = dn
prompt = no
[dn]
CN = x
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = clock
[clock]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = sha256
";

/// The authority; it answers until the test's process ends.
pub struct Tsa {
    folder: Arc<TempDir>,
    pub url: String,
}

impl Tsa {
    pub fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let at = folder.path();
        fs::write(at.join("config"), CONFIG).unwrap();
        fs::write(at.join("serial"), "01\n").unwrap();
        let key = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out";
        for line in [
            format!("{key} ca.key"),
            "req -x509 -new -key ca.key -subj /CN=ca -config config -extensions root -days 9 -out ca.pem"
                .to_owned(),
            format!("{key} tsa.key"),
            "req -new -key tsa.key -subj /CN=tsa -config config -out tsa.csr".to_owned(),
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile config -extensions stamps -days 9 -out tsa.pem"
                .to_owned(),
        ] {
            openssl(at, &line);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tsr", listener.local_addr().unwrap());
        let held = folder.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut stream.unwrap(), held.path());
            }
        });
        Self { folder, url }
    }

    /// The certificate that its stamps are judged by.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Lets `openssl` judge a stored token over a stored note.
    pub fn must_believe(&self, note: &Path, token: &Path) {
        let at = self.folder.path();
        // Paths of a test's folder may hold spaces.
        fs::copy(note, at.join("kept.note")).unwrap();
        fs::copy(token, at.join("kept.tsr")).unwrap();
        let line = "ts -verify -in kept.tsr -token_in -data kept.note -CAfile ca.pem";
        let said = openssl(at, line);
        assert!(said.contains("Verification: OK"), "{said}");
    }
}

fn openssl(at: &Path, line: &str) -> String {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(at)
        .env("OPENSSL_CONF", at.join("config"))
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "openssl {line}: {said}");
    said
}

fn answer(stream: &mut TcpStream, at: &Path) {
    let Some(request) = request(stream) else { return };
    fs::write(at.join("request.tsq"), request).unwrap();
    openssl(
        at,
        "ts -reply -config config -queryfile request.tsq -signer tsa.pem -inkey tsa.key -out answer.tsr",
    );
    let body = fs::read(at.join("answer.tsr")).unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // Whoever asked may be gone.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut got = Vec::new();
    let mut part = [0; 4_096];
    loop {
        if let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if got.len() >= end + 4 + length.parse::<usize>().ok()? {
                return Some(got.split_off(end + 4));
            }
        }
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        got.extend_from_slice(&part[..count]);
    }
}
