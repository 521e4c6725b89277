//! Why a template is refused when a profile is read, and what to write instead.

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("{bytes} bytes of template, more than the {} allowed", super::template::MOST_WRITTEN)]
    TooLong { bytes: usize },
    #[error("more than {} placeholders", super::template::MOST_PLACEHOLDERS)]
    TooManyPlaceholders,
    #[error("more than 4 filters on `{name}`")]
    TooManyFilters { name: String },
    #[error("it could produce {bytes} bytes, more than the {most} the device takes")]
    TooMuch { bytes: usize, most: usize },
    #[error("a single `$` before `{near}`")]
    Dollar { near: String },
    #[error("`{near}` has no closing brace")]
    Unclosed { near: String },
    #[error("no field or setting `{name}`")]
    Unknown { name: String, known: String },
    #[error("`{name}` has no value in {scope}")]
    NotHere { name: &'static str, scope: &'static str },
    #[error("`{code}` is not a byte")]
    Byte { code: String },
    #[error("no filter `{name}`")]
    Filter { name: String },
    #[error("`{text}` is not a number from 1 to {most} for `{filter}`")]
    Argument { filter: String, text: String, most: usize },
    #[error("no scale `{name}`")]
    NoScale { name: String },
    #[error("no map `{name}`")]
    NoMap { name: String },
    #[error("`{filter}` does not take {kind}")]
    FilterKind { filter: String, kind: &'static str },
    #[error("`{name}` is {kind}, which cannot stand here")]
    Place { name: String, kind: &'static str },
    #[error("a topic with a wildcard")]
    Wildcard,
    #[error("a path with a space")]
    Space,
    #[error("what it makes is not JSON: {why}")]
    NotJson { why: String },
}

impl TemplateError {
    /// Says what to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } | Self::TooManyPlaceholders => {
                "split it over several steps of the action".to_owned()
            }
            Self::TooManyFilters { .. } => "make one scale or map do the work".to_owned(),
            Self::TooMuch { .. } => {
                "cut the value with `|cut:N`, lower `text_max` under `[dialect.limits]`, or raise \
                 `max_payload` if the device takes more"
                    .to_owned()
            }
            Self::Dollar { .. } => "a placeholder is `${name}`, a dollar sign `$$`".to_owned(),
            Self::Unclosed { .. } => "a placeholder ends with `}`".to_owned(),
            Self::Unknown { known, .. } if known.is_empty() => {
                "describe it under `[dialect.settings]`".to_owned()
            }
            Self::Unknown { known, .. } => {
                format!("known here: {known}; settings stand under `[dialect.settings]`")
            }
            Self::NotHere { .. } => {
                "move it to the action whose order has that value, or take it out".to_owned()
            }
            Self::Byte { .. } => "two hexadecimal digits: `${byte:02}`".to_owned(),
            Self::Filter { .. } => {
                "filters are scale:NAME, map:NAME, cut:N, pad:N, ascii, base64, hex".to_owned()
            }
            Self::Argument { most, .. } => format!("write a number from 1 to {most}"),
            Self::NoScale { .. } => "describe it under `[dialect.scales.NAME]`".to_owned(),
            Self::NoMap { .. } => "describe it under `[dialect.maps.NAME]`".to_owned(),
            Self::FilterKind { .. } => {
                "scale and pad take numbers, cut and ascii texts, base64 and hex bytes".to_owned()
            }
            Self::Place { .. } => {
                "pass bytes through `|base64`; lists stand outside quotes in `json`".to_owned()
            }
            Self::Wildcard => "name the topic exactly; each device has its own".to_owned(),
            Self::Space => "write `%20`".to_owned(),
            Self::NotJson { .. } => {
                "write it as JSON with placeholders for values; texts need no quotes around them"
                    .to_owned()
            }
        }
    }
}
