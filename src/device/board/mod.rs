//! Outputs of a board: where frames go.
//!
//! What to show and when is the run loop's; how a page becomes frames is [`crate::raster`]'s.
//! An output is driven from one thread, shows at once, and may fail (a full disk, a closed pipe):
//! the loop then records the showing as failed and goes on.
//!
//! `terminal` draws two pixels a character, `png:DIR` keeps the newest frame as
//! `DIR/frame.png` and each different still frame by its hash, `null` shows nothing.

mod png;
mod terminal;

pub use self::png::PngFolder;
pub use self::terminal::Terminal;

use crate::raster::Frame;
use std::path::PathBuf;
use std::str::FromStr;

/// A panel or what stands for one.
pub trait Output: Send {
    /// Shows the frame and returns when it stands; the next one comes `hold_ms` milliseconds later.
    fn show(&mut self, frame: &Frame, hold_ms: i64) -> Result<(), OutputError>;
    /// Turns all pixels off.
    fn blank(&mut self) -> Result<(), OutputError>;
}

/// Why a frame could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The folder or the file of a picture.
    #[error("cannot write `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The picture itself.
    #[error(transparent)]
    Encode(#[from] crate::raster::encode::EncodeError),
    /// Standard output.
    #[error("cannot write to the terminal")]
    Terminal(#[source] std::io::Error),
}

impl OutputError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Write { .. } => "free space, or name a folder that can be written to",
            Self::Encode(error) => error.hint(),
            Self::Terminal(_) => "run in a terminal, or use `--output png:DIR` or `null`",
        }
    }
}

/// Which output, as `--output` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    Terminal,
    Png(PathBuf),
    Null,
}

/// A text that names no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an output")]
pub struct OutputKindError {
    pub text: String,
}

impl OutputKindError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "`terminal`, `png:DIR` or `null`"
    }
}

impl FromStr for OutputKind {
    type Err = OutputKindError;
    fn from_str(text: &str) -> Result<Self, OutputKindError> {
        match text.split_once(':') {
            None if text == "terminal" => Ok(Self::Terminal),
            None if text == "null" => Ok(Self::Null),
            Some(("png", folder)) if !folder.is_empty() => Ok(Self::Png(PathBuf::from(folder))),
            _ => Err(OutputKindError { text: text.chars().take(80).collect() }),
        }
    }
}

impl OutputKind {
    /// Opens the output; makes the folder of pictures.
    pub fn open(&self) -> Result<Box<dyn Output>, OutputError> {
        Ok(match self {
            Self::Terminal => Box::new(Terminal::new(std::io::stdout())),
            Self::Png(folder) => Box::new(PngFolder::open(folder.clone())?),
            Self::Null => Box::new(Null),
        })
    }
}

/// Shows nothing.
#[derive(Debug)]
pub struct Null;

impl Output for Null {
    fn show(&mut self, _frame: &Frame, _hold_ms: i64) -> Result<(), OutputError> {
        Ok(())
    }

    fn blank(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_named_in_one_word() {
        assert_eq!("terminal".parse(), Ok(OutputKind::Terminal));
        assert_eq!("png:ảnh/a b".parse(), Ok(OutputKind::Png("ảnh/a b".into())));
        assert_eq!("null".parse(), Ok(OutputKind::Null));
        for wrong in ["", "png", "png:", "Terminal", "ddp://x"] {
            let error = wrong.parse::<OutputKind>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{wrong}` is not an output"));
        }
    }
}
