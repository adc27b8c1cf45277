//! Memory mappings that outlive truncation, read-only stores and early closes.
//!
//! A [`Mapping`] is pages in memory, of a file or of none. The guard (see [`Fault`]) keeps every
//! load and store to it from ending the process; a [`RegionKey`] keeps its addresses from going
//! back to the OS while something outside can still use them. Nothing here knows of JavaScript.

mod advice;
mod allocate;
mod error;
mod fault;
mod file;
mod guard;
pub mod ipc;
mod lock_anyway;
mod mapping;
mod options;
mod protection;
mod region;
mod sys;

pub use advice::Advice;
pub use allocate::copy_of;
pub use error::{Error, Result};
pub use fault::{Fault, FaultKind};
pub use file::{NamedMemory, Source, list_memory, remove_unused_memory, unlink_memory};
pub use guard::{
    ORPHANS, changes, forget_owner, reclaim_signals, register_owner, take_faulted, wake_all_owners,
    wake_owner,
};
pub use lock_anyway::LockAnyway;
pub use mapping::{Count, Handle, Mapping, Needle, Prefetch, Residency, Sync};
pub use options::{FileOptions, HugePages, Kind, Options, Seals, ShareableOptions};
pub use protection::Protection;
pub use region::{
    Backlog, Keeper, RegionKey, has_leftovers, has_room, let_go_of_retired, sweep_leftovers,
    unmap_together,
};
pub use sys::{allocation_granularity, page_size, trim_heap};
