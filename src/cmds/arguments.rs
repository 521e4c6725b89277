//! The command line's words, and what to write where one of them is no name of the kind.

use super::Cli;
use crate::domain::ids::IdError;
use clap::Parser as _;

/// Reads the arguments; ends the program with code 2 and a remedy where they are wrong.
pub fn arguments() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        // Nobody reads what cannot be printed.
        let _ = error.print();
        if let Some(hint) = remedy(&error) {
            eprintln!("\nhint: {hint}");
        }
        std::process::exit(error.exit_code())
    })
}

/// Says what a right name looks like, where a wrong one is what clap complains of.
fn remedy(error: &clap::Error) -> Option<&'static str> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<IdError>().map(IdError::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_name_is_told_with_what_one_looks_like() {
        let refused = |args: &[&str]| remedy(&Cli::try_parse_from(args).unwrap_err());
        let file = ["loa", "records", "--device", "Cụm loa thôn Đoài"];
        assert!(refused(&file).is_some_and(|hint| hint.contains("a-z")));
        assert_eq!(refused(&["loa", "records", "--dveice", "x"]), None);
    }
}
