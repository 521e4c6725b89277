//! A time-stamp authority of the test's own, kept by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const CONFIG: &str = "
[req]
distinguished_name = dn
prompt = no
[dn]
CN = x
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[middle]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
[not-an-authority]
basicConstraints = critical, CA:FALSE
[may-not-certify]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature
[constrained]
basicConstraints = critical, CA:TRUE
nameConstraints = critical, permitted;DNS:example.vn
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
[stamps-among-others]
extendedKeyUsage = critical, timeStamping, codeSigning
[may-not-sign]
keyUsage = critical, keyEncipherment
extendedKeyUsage = critical, timeStamping
[ca]
default_ca = one
[one]
database = index.txt
serial = ca-serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[tsa]
default_tsa = clock
[clock]
serial = serial
crypto_device = builtin
signer_digest = DIGEST
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = NAMED
";

/// A folder of keys and certificates, named by their files' stems.
pub struct Authority {
    folder: TempDir,
}

/// How a key is made.
#[derive(Clone, Copy)]
pub enum Key {
    Rsa,
    P256,
    P384,
    P521,
}

impl Authority {
    /// Makes a root `ca` and nothing below it.
    pub fn new() -> Self {
        Self::with("sha256", "sha256")
    }

    /// As [`Authority::new`], with the hash that tokens are signed over and the one by which they
    /// name their certificate.
    pub fn with(digest: &str, named: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        let config = CONFIG.replace("DIGEST", digest).replace("NAMED", named);
        fs::write(authority.path("config"), config).unwrap();
        fs::write(authority.path("serial"), "01\n").unwrap();
        fs::write(authority.path("ca-serial"), "01\n").unwrap();
        fs::write(authority.path("index.txt"), "").unwrap();
        authority.root("ca");
        authority
    }

    /// Makes a root, the file a test stamps, and a signer `tsa` right below the root.
    pub fn usual() -> Self {
        let authority = Self::new();
        authority.certificate("tsa", "ca", "stamps", Key::P256);
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs `openssl` in the folder; returns what it said and whether it was content.
    pub fn openssl(&self, line: &str) -> (String, bool) {
        let output = Command::new("openssl")
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env("OPENSSL_CONF", self.path("config"))
            .output()
            .expect("openssl is installed");
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), output.status.success())
    }

    fn must(&self, line: &str) {
        let (said, good) = self.openssl(line);
        assert!(good, "openssl {line}: {said}");
    }

    fn key(&self, name: &str, key: Key) {
        self.must(&match key {
            Key::Rsa => {
                format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key")
            }
            Key::P256 => {
                format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key")
            }
            Key::P384 => {
                format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out {name}.key")
            }
            Key::P521 => {
                format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out {name}.key")
            }
        });
    }

    /// Makes a self-signed root.
    pub fn root(&self, name: &str) {
        self.key(name, Key::P256);
        self.must(&format!(
            "req -x509 -new -key {name}.key -subj /CN={name} -config config -extensions root -days 30 -out {name}.pem"
        ));
    }

    /// Makes a certificate below another, after one of the sections of the configuration.
    pub fn certificate(&self, name: &str, above: &str, section: &str, key: Key) {
        self.request(name, key);
        self.must(&format!(
            "x509 -req -in {name}.csr -CA {above}.pem -CAkey {above}.key -CAcreateserial -extfile config -extensions {section} -days 20 -out {name}.pem"
        ));
    }

    /// Certifies a key that is there once more, under another number.
    pub fn certify_again(&self, name: &str, above: &str, section: &str) {
        self.must(&format!(
            "x509 -req -in {name}.csr -CA {above}.pem -CAkey {above}.key -CAcreateserial -extfile config -extensions {section} -days 25 -out {name}.pem"
        ));
    }

    fn request(&self, name: &str, key: Key) {
        self.key(name, key);
        self.must(&format!(
            "req -new -key {name}.key -subj /CN={name} -config config -out {name}.csr"
        ));
    }

    /// Makes a signer below `ca` that was valid in January 2020 alone.
    pub fn expired(&self, name: &str) {
        self.request(name, Key::P256);
        self.must(&format!(
            "ca -batch -config config -cert ca.pem -keyfile ca.key -in {name}.csr -extensions stamps -startdate 20200101000000Z -enddate 20200131000000Z -notext -out {name}.pem"
        ));
    }

    /// Answers a request; `chain` is a file of further certificates to bring along.
    pub fn answer(&self, request: &[u8], signer: &str, chain: Option<&str>) -> Vec<u8> {
        self.write("request.tsq", request);
        let chain = chain.map(|name| format!("-chain {name}")).unwrap_or_default();
        self.must(&format!(
            "ts -reply -config config -queryfile request.tsq -signer {signer}.pem -inkey {signer}.key {chain} -out answer.tsr"
        ));
        self.read("answer.tsr")
    }

    /// Says whether openssl believes the answer over the file.
    pub fn believed_by_openssl(&self, answer: &[u8], file: &Path) -> bool {
        self.write("judged.tsr", answer);
        let file = file.display();
        let (said, good) =
            self.openssl(&format!("ts -verify -in judged.tsr -data {file} -CAfile ca.pem"));
        good && said.contains("Verification: OK")
    }
}
