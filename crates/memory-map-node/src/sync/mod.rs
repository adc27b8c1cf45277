//! Synchronisation objects in shared memory.

mod objects;
mod waits;
