//! The functions and classes behind `memory-map/sync`.

mod barrier;
mod broadcast;
mod channel;
mod condition;
mod direct;
mod event;
mod in_mapping;
mod latest;
mod messages;
mod mutex;
mod queue;
mod rwlock;
mod semaphore;
mod wait;
mod waits;
