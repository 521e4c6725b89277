//! The files of the station's own certificates.
//!
//! ```text
//! DATA/ca/ca.pem, key.pem      the authority; its key is needed to renew and stays here, 0600
//! STATION/tls/chain.pem        the server's certificate and the authority's: `listen.tls_cert`
//! STATION/tls/key.pem          its key, 0600: `listen.tls_key`
//! STATION/tls/ca.pem           the authority, to install in browsers and brokers
//! ```
//!
//! Renewal keeps the authority, so devices notice nothing. The key is replaced before the chain;
//! a cut between the two leaves a pair that does not fit, which the next start mends.

use super::data::{DataFolder, replace_private, write_private};
use super::{failed, wrong_use};
use crate::app::ca::{Authority, CaError, Certificate, Issued, RENEW_DAYS};
use crate::domain::time::UtcMs;
use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Paths in the station file, and below the station folder.
pub const CHAIN: &str = "tls/chain.pem";
pub const KEY: &str = "tls/key.pem";
const SHOWN: &str = "tls/ca.pem";

/// Where the certificates of a server lie.
#[derive(Clone, Debug)]
pub struct Certificates {
    authority: PathBuf,
    station: PathBuf,
}

impl Certificates {
    /// Names the files of a data folder and a station folder.
    pub fn of(data: &DataFolder, station: &Path) -> Self {
        Self { authority: data.authority(), station: station.to_owned() }
    }

    /// Says whether the station has an authority of its own.
    pub fn has_authority(&self) -> bool {
        self.key_file().exists()
    }

    /// Returns the certificate of the authority.
    pub fn authority_file(&self) -> PathBuf {
        self.authority.join("ca.pem")
    }

    /// Returns the chain that the listeners show.
    pub fn chain_file(&self) -> PathBuf {
        self.station.join(CHAIN)
    }

    fn key_file(&self) -> PathBuf {
        self.authority.join("key.pem")
    }

    /// Makes an authority and the server's first certificate; writes over nothing.
    pub fn make(&self, station: &str, names: &[String], now: UtcMs) -> anyhow::Result<Certificate> {
        let own = [self.authority_file(), self.key_file()];
        let files = [self.chain_file(), self.station.join(KEY), self.station.join(SHOWN)];
        if let Some(there) = own.iter().chain(&files).find(|path| path.exists()) {
            return Err(wrong_use(
                format!("`{}` already exists", there.display()),
                "nothing was changed; `loa tls renew` makes the certificate anew and keeps the \
                 authority that devices know",
            ));
        }
        let authority = Authority::make(station, now).map_err(advised)?;
        let issued = authority.issue(names, now).map_err(advised)?;
        private_folder(&self.authority)?;
        private_folder(&self.station.join("tls"))?;
        let ignore = self.station.join("tls/.gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "key.pem\n")
                .with_context(|| format!("writing `{}`", ignore.display()))?;
        }
        write_private(&self.authority_file(), authority.pem())?;
        write_private(&self.station.join(SHOWN), authority.pem())?;
        self.put(&issued)?;
        // Last: with this file the authority is whole.
        write_private(&self.key_file(), &authority.key_pem())?;
        self.shown()
    }

    /// Makes the server's certificate anew, for other names if any are given.
    pub fn renew(&self, names: &[String], now: UtcMs) -> anyhow::Result<Certificate> {
        let _alone = self.alone()?;
        let authority = self.authority()?;
        let names = if names.is_empty() { self.shown()?.given_names() } else { names.to_vec() };
        let issued = authority.issue(&names, now).map_err(advised)?;
        self.put(&issued)?;
        self.shown()
    }

    /// Makes the certificate anew when its end is near, it has lost its key, and it is ours.
    pub fn renew_if_due(&self, now: UtcMs) -> anyhow::Result<Option<Certificate>> {
        if !self.has_authority() || !self.chain_file().exists() {
            return Ok(None);
        }
        let _alone = self.alone()?;
        let authority = self.authority()?;
        let chain = read(&self.chain_file())?;
        if !authority.signed(&chain) {
            return Ok(None);
        }
        let shown = self.shown()?;
        if shown.days_left(now) >= RENEW_DAYS && fits(&chain, &self.station.join(KEY)) {
            return Ok(None);
        }
        let issued = authority.issue(&shown.given_names(), now).map_err(advised)?;
        self.put(&issued)?;
        Ok(Some(self.shown()?))
    }

    /// Makes a certificate for another server, such as an external broker, into a folder.
    pub fn issue(&self, names: &[String], out: &Path, now: UtcMs) -> anyhow::Result<Certificate> {
        let authority = self.authority()?;
        let issued = authority.issue(names, now).map_err(advised)?;
        private_folder(out)?;
        write_private(&out.join("key.pem"), &issued.key)?;
        write_private(&out.join("chain.pem"), &issued.chain)?;
        write_private(&out.join("ca.pem"), authority.pem())?;
        Certificate::read(&issued.chain).map_err(advised)
    }

    /// Returns what the listeners' certificate says of itself.
    pub fn shown(&self) -> anyhow::Result<Certificate> {
        certificate(&self.chain_file())
    }

    fn authority(&self) -> anyhow::Result<Authority> {
        if !self.has_authority() {
            return Err(wrong_use(
                format!("`{}` holds no authority", self.authority.display()),
                "`loa tls make NAME` makes one with its first certificate",
            ));
        }
        let key = zeroize::Zeroizing::new(read(&self.key_file())?);
        Authority::read(&read(&self.authority_file())?, &key).map_err(advised)
    }

    fn put(&self, issued: &Issued) -> anyhow::Result<()> {
        replace_private(&self.station.join(KEY), &issued.key)?;
        replace_private(&self.chain_file(), &issued.chain)
    }

    /// Lets one process at a time renew.
    fn alone(&self) -> anyhow::Result<Option<File>> {
        if !self.has_authority() {
            return Ok(None);
        }
        let path = self.key_file();
        let file = File::open(&path).with_context(|| format!("reading `{}`", path.display()))?;
        file.lock().with_context(|| format!("locking `{}`", path.display()))?;
        Ok(Some(file))
    }
}

/// Reads what the first certificate of a file says of itself.
pub fn certificate(path: &Path) -> anyhow::Result<Certificate> {
    Certificate::read(&read(path)?).map_err(|error| {
        let hint = "it must be a certificate chain in PEM, the server's own first";
        failed(anyhow::Error::new(error).context(format!("in `{}`", path.display())), hint)
    })
}

/// Writes the two lines into a station file, under `[listen]`; `None` when it names a certificate
/// already.
pub fn with_paths(station: &str) -> Option<String> {
    let key = |line: &str| line.split('=').next().unwrap_or("").trim().to_owned();
    if station.lines().any(|line| matches!(key(line).as_str(), "tls_cert" | "tls_key")) {
        return None;
    }
    let paths = format!("tls_cert = \"{CHAIN}\"\ntls_key = \"{KEY}\"\n");
    let mut out = String::with_capacity(station.len() + 100);
    let mut done = false;
    for line in station.split_inclusive('\n') {
        out.push_str(line);
        let header = line.split('#').next().unwrap_or("").trim();
        if !done && header == "[listen]" {
            if !line.ends_with('\n') {
                out.push('\n');
            }
            out.push_str(&paths);
            done = true;
        }
    }
    if !done {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str("\n[listen]\n");
        out.push_str(&paths);
    }
    Some(out)
}

fn fits(chain: &str, key: &Path) -> bool {
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes());
    let (Ok(leaf), Ok(key)) = (leaf, PrivateKeyDer::from_pem_file(key)) else { return false };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(vec![leaf], key, &provider).is_ok()
}

fn private_folder(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("making `{}`", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))
}

fn advised(error: CaError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        CaError::Name { .. } | CaError::Names { .. } => wrong_use(error, hint),
        error => failed(error, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: UtcMs = UtcMs(1_795_219_200_000);
    const DAY_MS: i64 = 86_400_000;

    fn made(root: &Path) -> Certificates {
        let certificates = Certificates::of(&DataFolder::at(&root.join("data")), &root.join("đài"));
        certificates.make("Đài thử", &["loa.xa.vn".to_owned()], NOW).unwrap();
        certificates
    }

    #[test]
    fn keys_are_for_their_owner_alone_and_nothing_is_written_over() {
        let root = tempfile::tempdir().unwrap();
        let certificates = made(root.path());
        for file in [certificates.key_file(), certificates.station.join(KEY)] {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = read(&certificates.chain_file()).unwrap();
        let again = certificates.make("Đài thử", &[], NOW).unwrap_err().to_string();
        assert!(again.ends_with("already exists"), "{again}");
        assert_eq!(read(&certificates.chain_file()).unwrap(), before);
    }

    #[test]
    fn a_certificate_is_renewed_in_time_under_the_same_authority_and_names() {
        let root = tempfile::tempdir().unwrap();
        let certificates = made(root.path());
        let authority = read(&certificates.authority_file()).unwrap();
        assert_eq!(certificates.renew_if_due(NOW).unwrap(), None);
        let late = NOW.plus((825 - RENEW_DAYS + 1) * DAY_MS);
        let renewed = certificates.renew_if_due(late).unwrap().unwrap();
        assert_eq!(renewed.given_names(), ["loa.xa.vn"]);
        assert!(renewed.days_left(late) > 800);
        assert_eq!(certificates.renew_if_due(late).unwrap(), None);
        assert_eq!(read(&certificates.authority_file()).unwrap(), authority);
        let chain = read(&certificates.chain_file()).unwrap();
        assert!(chain.ends_with(&authority), "devices pin the last of the chain");
        // A cut between key and chain.
        let other = certificates.authority().unwrap().issue(&[], late).unwrap();
        replace_private(&certificates.station.join(KEY), &other.key).unwrap();
        assert!(certificates.renew_if_due(late).unwrap().is_some());
        assert!(fits(&read(&certificates.chain_file()).unwrap(), &certificates.station.join(KEY)));
    }

    #[test]
    fn a_foreign_certificate_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let certificates = made(root.path());
        let foreign = Authority::make("Khác", NOW).unwrap().issue(&[], NOW).unwrap();
        certificates.put(&foreign).unwrap();
        let late = NOW.plus(824 * DAY_MS);
        assert_eq!(certificates.renew_if_due(late).unwrap(), None);
        assert_eq!(read(&certificates.chain_file()).unwrap(), foreign.chain);
    }

    #[test]
    fn the_station_file_gets_two_lines_and_keeps_the_others() {
        let lines = "tls_cert = \"tls/chain.pem\"\ntls_key = \"tls/key.pem\"\n";
        let file = "name = \"x\"\n[listen] # nghe\nhttp = \"127.0.0.1:1\"\n# tls_key = \"y\"\n";
        let expected = format!(
            "name = \"x\"\n[listen] # nghe\n{lines}http = \"127.0.0.1:1\"\n# tls_key = \"y\"\n"
        );
        assert_eq!(with_paths(file).unwrap(), expected);
        assert_eq!(with_paths(&expected), None);
        assert_eq!(with_paths("name = 1").unwrap(), format!("name = 1\n\n[listen]\n{lines}"));
        assert_eq!(with_paths("[listen]").unwrap(), format!("[listen]\n{lines}"));
    }
}
