//! One program for all targets: `LOA_TARGET` names the body.

#![no_main]

#[path = "../../../it/fuzz/bodies/mod.rs"]
mod bodies;

use std::sync::LazyLock;

static BODY: LazyLock<bodies::Body> = LazyLock::new(|| {
    let target = std::env::var("LOA_TARGET").unwrap_or_default();
    bodies::body(&target).unwrap_or_else(|| {
        let names: Vec<&str> = bodies::TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("LOA_TARGET is `{target}`; there are {}", names.join(", "))
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| BODY(bytes));
