//! Judges what an operator fills in for one device, before anything is sent.

use crate::dialect::field::SETTING_BYTES;
use crate::dialect::model::Dialect;
use crate::dialect::render::RenderError;
use std::collections::BTreeMap;

/// Why a device cannot be driven with these settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("no setting `{name}`")]
    Missing { name: String, example: String },
    #[error("unknown setting `{name}`")]
    Unknown { name: String, known: String },
    #[error("setting `{name}` is `{value}`")]
    Value { name: String, value: String },
    #[error("`{value}` is not the address of an HTTP server")]
    Address { value: String },
    #[error("`{place}` cannot be made from the settings")]
    Made {
        place: String,
        #[source]
        source: RenderError,
    },
}

impl SettingError {
    /// Says what to write.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { example, .. } => format!("as in `{example}`"),
            Self::Unknown { known, .. } => format!("known: {known}"),
            Self::Value { .. } => {
                format!("1 to {SETTING_BYTES} bytes, no control characters, no `+` or `#`")
            }
            Self::Address { .. } => "as in `http://192.168.1.60:80`, without a path".to_owned(),
            Self::Made { source, .. } => source.hint().to_owned(),
        }
    }
}

/// Judges the settings of one device against what its dialect declares.
pub(super) fn judge(dialect: &Dialect, settings: &BTreeMap<String, String>) -> Vec<SettingError> {
    let mut faults = Vec::new();
    for (name, example) in &dialect.settings {
        let Some(value) = settings.get(name) else {
            faults.push(SettingError::Missing { name: name.clone(), example: example.clone() });
            continue;
        };
        let bad = |c: char| c.is_control() || c == '+' || c == '#';
        if value.is_empty() || value.len() > SETTING_BYTES || value.contains(bad) {
            let value = value.chars().filter(|c| !c.is_control()).take(40).collect();
            faults.push(SettingError::Value { name: name.clone(), value });
        }
    }
    for name in settings.keys().filter(|name| !dialect.settings.contains_key(*name)) {
        let known = dialect.settings.keys().cloned().collect::<Vec<_>>().join(", ");
        let name = name.chars().filter(|c| !c.is_control()).take(40).collect();
        faults.push(SettingError::Unknown { name, known });
    }
    faults
}
