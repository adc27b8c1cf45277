//! Runs the target that `FUZZ_TARGET` names under libFuzzer: `npm run fuzz`. See docs/testing.md.
#![no_main]

mod targets;

use std::sync::LazyLock;

/// What is fuzzed.
static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = targets::ALL.iter().find(|(one, _)| *one == name);
    target.unwrap_or_else(|| panic!("FUZZ_TARGET is no target: {name:?}")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
