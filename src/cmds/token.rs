//! Who acts: a person's token, from a file or as it is. All commands take it alike.

use super::hidden::Hidden;
use super::{failed, wrong_use};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// More than any token and the line ends around it.
const MOST_BYTES: u64 = 1_024;

const REMEDY: &str = "`loa user token PERSON` prints a token: put it into a file of its own for \
                      `--token-file`, or into the environment as LOA_TOKEN";

/// Whose decision it is.
#[derive(Clone, Debug, clap::Args)]
pub struct TokenOption {
    /// File that holds your token, as `loa user token` printed it
    #[arg(long, value_name = "FILE", env = "LOA_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The token itself, where no file can hold it
    #[arg(
        long,
        env = "LOA_TOKEN",
        hide_env_values = true,
        hide = true,
        allow_hyphen_values = true
    )]
    token: Option<Hidden>,
}

impl TokenOption {
    /// Returns the token; the file counts where both are given.
    pub fn read(&self) -> anyhow::Result<Hidden> {
        match (&self.token_file, &self.token) {
            (Some(file), _) => in_file(file),
            (None, Some(token)) => Ok(trimmed(token.reveal())),
            (None, None) => Err(wrong_use("no token says who you are", REMEDY)),
        }
    }
}

fn in_file(path: &Path) -> anyhow::Result<Hidden> {
    let shown = path.display();
    let unread = |error: std::io::Error| {
        let error = anyhow::Error::new(error);
        failed(error.context(format!("reading the token from the file `{shown}`")), REMEDY)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    let whole = bytes.len() as u64 <= MOST_BYTES;
    match String::from_utf8(bytes) {
        Ok(text) if whole && !text.trim().is_empty() => Ok(trimmed(&text)),
        _ => Err(wrong_use(format!("the file `{shown}` holds no token"), REMEDY)),
    }
}

fn trimmed(text: &str) -> Hidden {
    match text.trim().parse() {
        Ok(token) => token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmds::Told;

    fn of(path: &Path) -> anyhow::Result<Hidden> {
        TokenOption { token_file: Some(path.to_owned()), token: None }.read()
    }

    #[test]
    fn a_token_file_that_is_missing_or_none_is_named_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lan.token");
        let told = |error: anyhow::Error| {
            let hint = error.downcast_ref::<Told>().and_then(|told| told.hint.clone()).unwrap();
            assert!(hint.contains("loa user token PERSON"), "{hint}");
            assert!(hint.contains("--token-file"), "{hint}");
            format!("{error:#}").replace(&root.path().display().to_string(), "")
        };
        let missing = told(of(&path).unwrap_err());
        assert!(missing.starts_with("reading the token from the file `/lan.token`"), "{missing}");
        assert!(missing.contains("No such file"), "{missing}");
        for bad in [&b" \n"[..], b"\xff\xfe", &[b'x'; 2_000]] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(told(of(&path).unwrap_err()), "the file `/lan.token` holds no token");
        }
        let none = TokenOption { token_file: None, token: None }.read().unwrap_err();
        assert_eq!(told(none), "no token says who you are");
    }

    #[test]
    fn a_token_is_read_without_the_line_end_after_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lan.token");
        std::fs::write(&path, "-Cc_1\r\n").unwrap();
        assert_eq!(of(&path).unwrap().reveal(), "-Cc_1");
    }

    #[test]
    fn every_command_with_a_token_takes_it_from_a_file() {
        use clap::Parser as _;
        for line in [
            &["loa", "propose", "thu.toml"][..],
            &["loa", "approve", "abc"],
            &["loa", "hold", "list"],
            &["loa", "urgent", "list"],
        ] {
            let line = [line, &["--token-file", "lan.token"]].concat();
            assert!(crate::cmds::Cli::try_parse_from(&line).is_ok(), "{line:?}");
        }
    }
}
