//! Outputs of a board: where frames go.
//!
//! What to show and when is the run loop's; how a page becomes frames is [`crate::raster`]'s.
//! An output is driven from one thread, shows at once, and may fail (a full disk, a closed pipe):
//! the loop then records the showing as failed and goes on.
//!
//! `terminal` draws two pixels a character, `png:DIR` keeps the newest frame as
//! `DIR/frame.png` and each different still frame by its hash, `null` shows nothing;
//! `ddp://`, `e131://`, `artnet://` and `wled://` send pixels to lamps ([`pixels`]).

pub mod pixels;
mod png;
mod terminal;

pub use self::pixels::Pixels;
pub use self::png::PngFolder;
pub use self::terminal::Terminal;

use self::pixels::{Target, TargetError, TooLarge};
use crate::domain::profile::BoardProfile;
use crate::raster::Frame;
use crate::raster::board::WallError;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A panel or what stands for one.
pub trait Output: Send {
    /// Shows the frame and returns when it stands; the next one comes `hold_ms` milliseconds later.
    fn show(&mut self, frame: &Frame, hold_ms: i64) -> Result<(), OutputError>;
    /// Turns all pixels off.
    fn blank(&mut self) -> Result<(), OutputError>;
    /// After how many milliseconds what stands must be told again; `None` where it stays by
    /// itself.
    fn refresh_ms(&self) -> Option<i64> {
        None
    }
    /// Tells again what stands.
    fn refresh(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
    /// Turns all pixels off for good: nothing comes after.
    fn end(&mut self) -> Result<(), OutputError> {
        self.blank()
    }
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
    /// The board's name or address.
    #[error("cannot find `{host}`")]
    Host {
        host: String,
        #[source]
        source: std::io::Error,
    },
    /// Our own address.
    #[error("cannot send from `{local}`")]
    From {
        local: IpAddr,
        #[source]
        source: std::io::Error,
    },
    /// The network, or nobody listens there.
    #[error("`{to}` takes no pixels")]
    Send {
        to: String,
        #[source]
        source: std::io::Error,
    },
    /// More lamps than the protocol has numbers for.
    #[error(transparent)]
    Large(TooLarge),
    /// Panels that make no board.
    #[error(transparent)]
    Wall(WallError),
}

impl OutputError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Write { .. } => "free space, or name a folder that can be written to",
            Self::Encode(error) => error.hint(),
            Self::Terminal(_) => "run in a terminal, or use `--output png:DIR` or `null`",
            Self::Host { .. } => "check the name, or write the board's address in numbers",
            Self::From { .. } => "name an address that this machine has, or leave `from` out",
            Self::Send { .. } => {
                "check that the board is on, in this network, and listens on that port"
            }
            Self::Large(_) => "take `ddp://`, which has no universes, or a lower `universe`",
            Self::Wall(error) => error.hint(),
        }
    }
}

/// Which output, as `--output` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    Terminal,
    Png(PathBuf),
    Null,
    Pixels(Target),
}

/// A text that names no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputKindError {
    #[error("`{text}` is not an output")]
    Unknown { text: String },
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl OutputKindError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => {
                "`terminal`, `png:DIR`, `null`, or `ddp://HOST`, `e131://HOST`, `artnet://HOST`, \
                 `wled://HOST`"
            }
            Self::Target(error) => error.hint(),
        }
    }
}

impl FromStr for OutputKind {
    type Err = OutputKindError;
    fn from_str(text: &str) -> Result<Self, OutputKindError> {
        match text.split_once(':') {
            None if text == "terminal" => Ok(Self::Terminal),
            None if text == "null" => Ok(Self::Null),
            Some(("png", folder)) if !folder.is_empty() => Ok(Self::Png(PathBuf::from(folder))),
            Some((_, rest)) if rest.starts_with("//") => Ok(Self::Pixels(text.parse()?)),
            _ => Err(OutputKindError::Unknown { text: text.chars().take(80).collect() }),
        }
    }
}

impl OutputKind {
    /// Opens the output of a board; makes the folder of pictures. `device` is who shows.
    pub fn open(&self, board: &BoardProfile, device: &str) -> Result<Box<dyn Output>, OutputError> {
        Ok(match self {
            Self::Terminal => Box::new(Terminal::new(std::io::stdout())),
            Self::Png(folder) => Box::new(PngFolder::open(folder.clone())?),
            Self::Null => Box::new(Null),
            Self::Pixels(target) => {
                Box::new(Pixels::new(target.clone(), board, pixels::sender(device))?)
            }
        })
    }

    /// Returns what a record of it proves: frames that somebody can see or open are counted (3),
    /// what nobody sees is this program's own word (2), and packets that nobody answers are sent
    /// and no more (0).
    pub fn grade(&self) -> u8 {
        match self {
            Self::Terminal | Self::Png(_) => 3,
            Self::Null => 2,
            Self::Pixels(_) => 0,
        }
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
        assert!(matches!("ddp://x".parse(), Ok(OutputKind::Pixels(_))));
        let error = "dpp://x".parse::<OutputKind>().unwrap_err();
        assert_eq!(error.to_string(), "`dpp` names no protocol for pixels");
        for wrong in ["", "png", "png:", "Terminal", "ddp:x"] {
            let error = wrong.parse::<OutputKind>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{wrong}` is not an output"));
        }
    }
}
