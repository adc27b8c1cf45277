//! Synchronisation objects in shared memory.

mod direct;
mod objects;
mod waits;
