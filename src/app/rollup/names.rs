//! Numbers of names, as the store gives them, remembered: they only grow.

use super::RollupError;
use crate::app::ports::{NameKind, Store};
use crate::domain::ids::DeviceId;
use crate::report::contents::{Content, Subject};
use std::collections::HashMap;

/// Names a content: equal contents have equal names.
pub fn content_name(content: Content) -> String {
    name(&content.fit())
}

fn name(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts are always JSON")
}

/// What is known of the store's numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By number.
    pub contents: Vec<Content>,
    numbers: HashMap<(NameKind, String), u32>,
    /// How many of each kind are known.
    known: HashMap<NameKind, u32>,
}

impl Names {
    /// Learns the numbers of a kind that are new.
    pub async fn learn(&mut self, store: &dyn Store, kind: NameKind) -> Result<(), RollupError> {
        let from = self.known.get(&kind).copied().unwrap_or(0);
        let new = store.names(kind, from).await?;
        for (number, text) in (from..).zip(new) {
            if kind == NameKind::Content {
                let content = serde_json::from_str(&text);
                let damaged = |_| RollupError::Name { kind: "content", name: text.clone() };
                self.contents.push(content.map_err(damaged)?);
            }
            self.numbers.insert((kind, text), number);
            self.known.insert(kind, number + 1);
        }
        Ok(())
    }

    /// Returns the numbers of these names; those that are new get one.
    async fn numbers(
        &mut self,
        store: &dyn Store,
        kind: NameKind,
        names: Vec<String>,
    ) -> Result<Vec<u32>, RollupError> {
        let lacks = |all: &Self| -> Vec<String> {
            let lacks = |name: &&String| !all.numbers.contains_key(&(kind, (*name).clone()));
            names.iter().filter(lacks).cloned().collect()
        };
        if !lacks(self).is_empty() {
            self.learn(store, kind).await?;
        }
        let lack = lacks(self);
        if !lack.is_empty() {
            store.number(kind, &lack).await?;
            self.learn(store, kind).await?;
        }
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let number = self.numbers.get(&(kind, name.clone())).copied();
            found.push(number.ok_or(RollupError::Name { kind: kind.as_str(), name })?);
        }
        Ok(found)
    }

    /// Returns the numbers of contents.
    pub async fn contents(
        &mut self,
        store: &dyn Store,
        contents: Vec<Content>,
    ) -> Result<Vec<u32>, RollupError> {
        let names = contents.into_iter().map(content_name).collect();
        self.numbers(store, NameKind::Content, names).await
    }

    /// Returns the numbers of subjects.
    pub async fn subjects(
        &mut self,
        store: &dyn Store,
        subjects: &[&Subject],
    ) -> Result<Vec<u32>, RollupError> {
        let names = subjects.iter().map(name).collect();
        self.numbers(store, NameKind::Subject, names).await
    }

    /// Returns the numbers of devices.
    pub async fn devices(
        &mut self,
        store: &dyn Store,
        devices: &[&DeviceId],
    ) -> Result<Vec<u32>, RollupError> {
        let names = devices.iter().map(|id| id.as_str().to_owned()).collect();
        self.numbers(store, NameKind::Device, names).await
    }
}
