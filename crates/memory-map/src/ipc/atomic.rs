//! The processor's atomics; the models have loom's in this place.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
