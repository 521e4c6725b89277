//! Standby templates: what an urgent notice sounds and says when nobody has time to record one.
//!
//! The clips travel with every timetable and are never evicted, so a notice that names one of
//! them needs nothing but its own few hundred bytes to sound.

use super::playlist::ClipPath;
use std::fmt;
use std::str::FromStr;

/// What a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Template {
    /// A siren alone.
    Siren,
    /// Storm, strong wind.
    Storm,
    /// Flood, flash flood, landslide.
    Flood,
    /// Fire, forest fire.
    Fire,
    /// Epidemic.
    Epidemic,
}

/// A template of the station folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// What sounds; its facts stand in the library.
    pub clip: ClipPath,
    /// What boards show unless the notice brings a text of its own.
    pub text: String,
}

/// A word that names no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a standby template")]
#[expect(missing_docs, reason = "the message says it")]
pub struct TemplateError {
    pub text: String,
}

impl TemplateError {
    /// Says what to write instead.
    pub fn hint(&self) -> &'static str {
        "one of siren, storm, flood, fire, epidemic"
    }
}

impl Template {
    /// All templates, in the order in which people look for them.
    pub const ALL: [Self; 5] = [Self::Siren, Self::Storm, Self::Flood, Self::Fire, Self::Epidemic];

    /// Returns the word as files and commands write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Siren => "siren",
            Self::Storm => "storm",
            Self::Flood => "flood",
            Self::Fire => "fire",
            Self::Epidemic => "epidemic",
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let named = Self::ALL.into_iter().find(|template| template.as_str() == text);
        named.ok_or_else(|| TemplateError { text: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_read_by_its_own_word_alone() {
        for template in Template::ALL {
            assert_eq!(template.to_string().parse(), Ok(template));
        }
        let error = "Siren".parse::<Template>().unwrap_err();
        assert_eq!(error.to_string(), "`Siren` is not a standby template");
    }
}
