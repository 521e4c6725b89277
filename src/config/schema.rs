//! JSON Schemas of the TOML files, for completion and checks in editors.
//!
//! Made from the same tables that reading uses, so that they cannot differ. The schemas stand in
//! `playlists/.schema/`; a test keeps them equal to what this file makes.

use super::shape::{Kind, Must, Shape};
use serde_json::{Map, Value, json};

/// The kinds of files that have a schema.
pub const KINDS: &[&str] =
    &["station", "playlist", "policy", "calendar", "feed", "skips", "profile", "plan", "topics"];

/// Returns the schema of a kind of file, or `None` for a word that is no kind.
pub fn schema(kind: &str) -> Option<Value> {
    let shape = match kind {
        "station" => &super::station::STATION,
        "playlist" => &super::playlist::PLAYLIST,
        "policy" => &super::policy::POLICY,
        "calendar" => &super::calendar::CALENDAR,
        "feed" => &super::feed::FEED,
        "skips" => &super::skips::SKIPS,
        "profile" => &super::profile::PROFILE,
        "plan" => &super::plans::PLAN,
        "topics" => &super::plans::TOPIC_LIST,
        _ => return None,
    };
    let mut schema = table(shape);
    let members = schema.as_object_mut()?;
    members.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    members.insert("title".into(), json!(shape.of));
    Some(schema)
}

fn table(shape: &Shape) -> Value {
    let mut properties = Map::new();
    for key in shape.keys {
        let mut value = of(&key.kind);
        if let Some(members) = value.as_object_mut() {
            members.insert("description".into(), json!(key.doc));
        }
        properties.insert(key.name.into(), value);
    }
    let required: Vec<&str> =
        shape.keys.iter().filter(|k| k.must == Must::Stand).map(|k| k.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of(kind: &Kind) -> Value {
    match kind {
        Kind::Text(most) | Kind::Lines(most) => {
            json!({ "type": "string", "minLength": 1, "maxLength": most })
        }
        Kind::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        // A bare TOML date reaches a validator as its text.
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Duration => {
            json!({ "type": "string", "pattern": "^([0-9]+ *(h|m|min|s|ms) *)+$" })
        }
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Texts(most) => {
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": most })
        }
        Kind::Table(shape) => table(shape),
        Kind::Map(most) => json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "maxProperties": most,
        }),
        Kind::TableMap(shape, most) => json!({
            "type": "object",
            "additionalProperties": table(shape),
            "maxProperties": most,
        }),
        Kind::Tables(shape, most) => {
            json!({ "type": "array", "items": table(shape), "maxItems": most })
        }
        Kind::ChoiceOrTable(words, shape) => {
            json!({ "anyOf": [{ "type": "string", "enum": words }, table(shape)] })
        }
    }
}
