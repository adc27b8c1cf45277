//! The functions and classes behind `memory-map/sync`.

mod barrier;
pub mod broadcast;
pub mod channel;
mod condition;
mod direct;
mod event;
mod in_mapping;
pub mod latest;
mod messages;
pub mod mutex;
pub mod queue;
pub mod rwlock;
mod semaphore;
pub mod wait;
mod waits;
