//! Cards, stands and turns of devices, in memory.

use super::MemoryStore;
use super::registry::settle;
use crate::app::ports::{
    Fence, Fleet, RegisterChange, StandRound, StoreError, StoredStand, StoredTurn, TURNS, Trailed,
};
use crate::domain::fleet::Card;
use crate::domain::ids::DeviceId;
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl Fleet for MemoryStore {
    async fn cards(&self) -> Result<BTreeMap<DeviceId, Card>, StoreError> {
        Ok(self.read().cards.clone())
    }

    async fn card(&self, device: &DeviceId) -> Result<Card, StoreError> {
        Ok(self.read().cards.get(device).cloned().unwrap_or_default())
    }

    async fn change_register(&self, change: &RegisterChange) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for unit in &change.units {
            state.put_unit(unit);
        }
        let mut moved = Vec::new();
        for device in &change.devices {
            if state.put_device(device, change.at_ms) {
                moved.push(device.id.clone());
            }
        }
        for device in moved {
            settle(&mut state, &device, change.at_ms)?;
        }
        for (device, card) in &change.cards {
            if card.is_empty() {
                state.cards.remove(device);
            } else {
                state.cards.insert(device.clone(), card.clone());
            }
        }
        for id in &change.gone {
            state.remove_device(id, change.at_ms);
        }
        for id in &change.gone_units {
            state.remove_unit(id);
        }
        for person in &change.people {
            state.put_person(person);
        }
        state.trail.extend(change.entries.iter().cloned());
        Ok(())
    }

    async fn trail_of(&self, subject: &str, limit: u32) -> Result<Vec<Trailed>, StoreError> {
        let state = self.read();
        let all = (1_i64..).zip(&state.trail).filter(|(_, entry)| entry.subject == subject);
        let all = all.map(|(position, entry)| Trailed { position, entry: entry.clone() });
        let mut all: Vec<Trailed> = all.collect();
        all.reverse();
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn stands(&self) -> Result<Vec<StoredStand>, StoreError> {
        Ok(self.read().stands.values().cloned().collect())
    }

    async fn keep_stands(
        &self,
        round: &StandRound,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        for stand in &round.put {
            state.stands.insert(stand.device.clone(), stand.clone());
        }
        for device in &round.gone {
            state.stands.remove(device);
        }
        for turn in &round.turns {
            let turns = state.turns.entry(turn.device.clone()).or_default();
            turns.push(turn.clone());
            if turns.len() > TURNS {
                turns.remove(0);
            }
        }
        Ok(())
    }

    async fn turns_of(&self, device: &DeviceId) -> Result<Vec<StoredTurn>, StoreError> {
        let state = self.read();
        Ok(state.turns.get(device).into_iter().flatten().rev().cloned().collect())
    }
}
