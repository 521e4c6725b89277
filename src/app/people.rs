//! Who may do what where: people, their roles, the units below which these hold.
//!
//! A grant is a role over a unit and everything below it, or over the whole station. Grants add
//! up; none takes anything away. Leaves tokens to [`super::access`] and keeping to the store.
//!
//! # Invariants
//! * An administrator may everything below the unit of the grant; no other role implies another.
//! * A person who has ended may nothing, whatever the grants say.
//! * Who may something for the whole station may it for every unit, known or not; who may it for
//!   a unit may not do it for the station.

use crate::domain::ids::{PersonId, UnitId};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a person does at the station (vai trò).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Phát thanh viên: proposes programmes, skips, holds, sends urgent notices.
    Operator,
    /// Lãnh đạo, Ban Biên tập: approves and returns what others propose.
    Approver,
    /// Kỹ thuật viên: registers devices and units, issues codes.
    Technician,
    /// Thanh tra: reads everything, changes nothing.
    Auditor,
    /// Quản trị: people and settings, and all that the others may.
    Administrator,
}

impl Role {
    /// All roles, in the order of the help.
    pub const ALL: [Self; 5] =
        [Self::Operator, Self::Approver, Self::Technician, Self::Auditor, Self::Administrator];

    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Technician => "technician",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a role: operator, approver, technician, auditor, administrator")]
pub struct NoRole {
    text: String,
}

impl FromStr for Role {
    type Err = NoRole;
    fn from_str(text: &str) -> Result<Self, NoRole> {
        let found = Self::ALL.into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| NoRole { text: text.chars().take(40).collect() })
    }
}

/// A role over a unit and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    pub role: Role,
    /// The whole station when `None`.
    pub unit: Option<UnitId>,
}

impl Grant {
    /// Says whether it covers a unit with this lineage (itself first); a lineage is `None` for
    /// the whole station.
    fn covers(&self, lineage: Option<&[UnitId]>) -> bool {
        match (&self.unit, lineage) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(unit), Some(lineage)) => lineage.contains(unit),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Some(unit) => write!(f, "{}@{unit}", self.role),
            None => write!(f, "{}", self.role),
        }
    }
}

/// Somebody who uses the station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: PersonId,
    /// Full name, for people.
    pub name: String,
    pub since_ms: UtcMs,
    /// When access ended; the entry stays, since the trail names it.
    pub ended_ms: Option<UtcMs>,
    /// Sorted, no doubles.
    pub grants: Vec<Grant>,
}

impl Person {
    /// Returns a person with grants.
    pub fn new(id: PersonId, name: &str, since_ms: UtcMs, grants: Vec<Grant>) -> Self {
        let mut person = Self { id, name: name.to_owned(), since_ms, ended_ms: None, grants };
        person.grants.sort();
        person.grants.dedup();
        person
    }

    /// Adds a role; says whether it was not there yet.
    pub fn grant(&mut self, grant: Grant) -> bool {
        match self.grants.binary_search(&grant) {
            Ok(_) => false,
            Err(at) => {
                self.grants.insert(at, grant);
                true
            }
        }
    }

    /// Takes a role away; says whether it was there.
    pub fn revoke(&mut self, grant: &Grant) -> bool {
        let before = self.grants.len();
        self.grants.retain(|known| known != grant);
        self.grants.len() < before
    }

    /// Says whether the person may act in the role for a unit with this lineage (itself first),
    /// or for the whole station when `None`.
    pub fn may(&self, role: Role, lineage: Option<&[UnitId]>) -> bool {
        let fits = |grant: &&Grant| grant.role == role || grant.role == Role::Administrator;
        self.ended_ms.is_none() && self.grants.iter().filter(fits).any(|g| g.covers(lineage))
    }

    /// Says whether the person may read about a unit with this lineage, or about the whole
    /// station when `None`: with any role.
    pub fn sees(&self, lineage: Option<&[UnitId]>) -> bool {
        self.ended_ms.is_none() && self.grants.iter().any(|grant| grant.covers(lineage))
    }

    /// Says whether the person has any role anywhere.
    pub fn is_known(&self) -> bool {
        self.ended_ms.is_none() && !self.grants.is_empty()
    }
}

/// The id of the person whose token `loa init` prints.
pub const FIRST: &str = "admin";

/// Returns the administrator that a new server begins with.
pub fn first_administrator(now: UtcMs) -> Person {
    let id = PersonId::new(FIRST).expect("a checked constant");
    Person::new(id, "Quản trị", now, vec![Grant { role: Role::Administrator, unit: None }])
}

/// Returns the unit and all above it, nearest first, by the units of a register; empty when the
/// register does not know it.
pub fn lineage(unit: &UnitId, units: &[crate::domain::station::Unit]) -> Vec<UnitId> {
    let mut found: Vec<UnitId> = Vec::new();
    let mut next = Some(unit);
    while let Some(known) = next.and_then(|id| units.iter().find(|known| known.id == *id)) {
        if found.contains(&known.id) {
            break; // registers are checked for circles; this only bounds a broken one
        }
        found.push(known.id.clone());
        next = known.parent.as_ref();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str) -> UnitId {
        UnitId::new(id).unwrap()
    }

    fn person(grants: &[(Role, Option<&str>)]) -> Person {
        let grants =
            grants.iter().map(|(role, at)| Grant { role: *role, unit: at.map(unit) }).collect();
        Person::new(PersonId::new("lan").unwrap(), "Nguyễn Thị Lan", UtcMs(0), grants)
    }

    #[test]
    fn a_role_holds_below_its_unit_and_nowhere_else() {
        let lan = person(&[(Role::Operator, Some("90001"))]);
        let hamlet = [unit("90001-dong"), unit("90001"), unit("90")];
        let other = [unit("90002"), unit("90")];
        assert!(lan.may(Role::Operator, Some(&hamlet)));
        assert!(lan.may(Role::Operator, Some(&hamlet[1..])));
        assert!(!lan.may(Role::Operator, Some(&hamlet[2..])), "not the province");
        assert!(!lan.may(Role::Operator, Some(&other)));
        assert!(!lan.may(Role::Operator, Some(&[])), "not a unit nobody knows");
        assert!(!lan.may(Role::Operator, None), "not the station");
        assert!(!lan.may(Role::Approver, Some(&hamlet)), "no other role");
        assert!(lan.sees(Some(&hamlet)) && !lan.sees(Some(&other)) && !lan.sees(None));
    }

    #[test]
    fn an_administrator_may_everything_below_the_unit() {
        let hamlet = [unit("90001-dong"), unit("90001")];
        for role in Role::ALL {
            assert!(person(&[(Role::Administrator, None)]).may(role, None));
            assert!(person(&[(Role::Administrator, None)]).may(role, Some(&[])));
            let own = person(&[(Role::Administrator, Some("90001"))]);
            assert!(own.may(role, Some(&hamlet)) && !own.may(role, None));
        }
    }

    #[test]
    fn who_has_ended_may_nothing_and_sees_nothing() {
        let mut lan = person(&[(Role::Administrator, None)]);
        lan.ended_ms = Some(UtcMs(1));
        assert!(!lan.may(Role::Auditor, None) && !lan.sees(None) && !lan.is_known());
    }

    #[test]
    fn a_grant_is_kept_once_and_can_be_taken_back() {
        let mut lan = person(&[]);
        let grant = Grant { role: Role::Approver, unit: Some(unit("90001")) };
        assert!(lan.grant(grant.clone()) && !lan.grant(grant.clone()));
        assert_eq!(lan.grants.len(), 1);
        assert_eq!(grant.to_string(), "approver@90001");
        assert!(lan.revoke(&grant) && !lan.revoke(&grant));
        assert!(!lan.is_known());
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        let refused = "root".parse::<Role>().unwrap_err().to_string();
        insta::assert_snapshot!(refused, @"`root` is not a role: operator, approver, technician, auditor, administrator");
    }
}
