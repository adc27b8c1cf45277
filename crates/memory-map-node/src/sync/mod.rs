//! The functions and classes behind `memory-map/sync`.

mod barrier;
pub mod broadcast;
pub mod channel;
pub mod condition;
mod direct;
pub mod event;
mod in_mapping;
pub mod latest;
mod messages;
pub mod mutex;
pub mod queue;
pub mod rwlock;
pub mod semaphore;
pub mod wait;
mod waits;
