//! Memory mappings that outlive truncation, read-only stores and early closes.
//!
//! A [`Mapping`] is pages in memory, of a file or of none. The guard (see [`Fault`]) keeps every
//! load and store to it from ending the process; a [`RegionKey`] keeps its addresses from going
//! back to the OS while something outside can still use them. Nothing here knows of JavaScript.

mod advice;
mod copy;
mod error;
mod fault;
mod guard;
mod guest;
pub mod ipc;
mod kept;
mod mapping;
mod os;
mod place;
mod protection;
mod region;
mod resize;
mod search;
mod source;
mod unmapping;
mod watched;

pub use advice::{Advice, Prefetch, Residency};
pub use error::{Error, Result};
pub use fault::{Fault, FaultKind};
pub use guard::{forget_owner, register_owner, take_faulted, wake_owner};
pub use guest::{Keeper, has_left, sweep_left};
pub use mapping::{FileOptions, HugePages, Kind, Mapping, Options, Sync};
pub use os::{allocation_granularity, page_size, trim_heap};
pub use protection::Protection;
pub use region::RegionKey;
pub use search::{Count, Needle};
pub use source::{Source, unlink_memory};
pub use unmapping::unmap_together;
