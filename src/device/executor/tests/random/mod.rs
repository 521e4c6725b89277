//! Random days, judged by models that know only what was planned and ordered.

mod board;
mod speaker;
mod street;
mod told;
mod wall;

use super::*;
use std::collections::BTreeSet;

pub(super) fn head(seq: u64, at_ms: UtcMs) -> Head {
    Head {
        v: 1,
        dev: "loa-thon-1".parse().unwrap(),
        chain: crate::domain::ids::ChainId([0; 16]),
        boot: 1,
        seq,
        prev: None,
        at_ms,
        mono_ms: 0,
        clock: ClockNote { src: ClockSource::Ntp, age_s: None, err_ms: None },
        seen: None,
        attestor: Attestor::Device,
    }
}
