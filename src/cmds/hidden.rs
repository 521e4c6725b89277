//! A secret as it was given on the command line or in the environment: shown by no `Debug`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The text of a token or an enrolment code; wiped when dropped.
#[derive(Clone)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// Returns the text, for whoever needs it to ask or to prove something.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hidden {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

#[cfg(test)]
mod tests {
    use crate::cmds::Cli;
    use clap::Parser as _;

    #[test]
    fn what_is_given_on_the_command_line_shows_no_secret() {
        let lines: &[&[&str]] = &[
            #[cfg(feature = "speaker")]
            &["loa", "speaker", "--enrol", "bi-mat"],
            #[cfg(feature = "server")]
            &["loa", "propose", "thu.toml", "--token", "bi-mat"],
            #[cfg(feature = "server")]
            &["loa", "approve", "abc", "--token", "bi-mat"],
            #[cfg(feature = "server")]
            &["loa", "hold", "list", "--token", "bi-mat"],
        ];
        for line in lines {
            let shown = match Cli::try_parse_from(*line) {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => panic!("{line:?}: {error}"),
            };
            assert!(!shown.contains("bi-mat"), "{shown}");
            assert!(shown.contains("Hidden"), "{shown}");
        }
    }
}
