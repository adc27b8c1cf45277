//! Processes that share a mapping wait for each other, exclude each other and send messages.
//!
//! (`Mapping::sync`, which writes pages to the disk, is something else.)
//!
//! The algorithms work on words in shared memory and know nothing of mappings, so that loom can
//! check them (`tests/models/main.rs` puts its own `atomic`, `park` and `spin` under them): `lock`,
//! `eventcount`, `feed`, `flag`, `notices`, `rendezvous`, `ring` and `seqlock`. The rest ties them to
//! mappings: `shared_range` reaches the words with faults contained, `participant` says which processes
//! are alive, and `wait`, `barrier`, `broadcast`, `channel`, `condition`, `event`, `latest`, `mutex`,
//! `queue` and `semaphore` are what users of the crate see.
//!
//! Everything read from shared memory may be anything: another process wrote it. Offsets and
//! lengths are checked each time, and every loop waits, ends or gets further.

mod ahead;
mod atomic;
mod barrier;
mod batch;
mod blocks;
mod borrowed;
mod broadcast;
mod casting;
mod channel;
mod condition;
mod counts;
mod deliveries;
mod direct;
mod event;
mod eventcount;
mod feed;
mod flag;
mod head;
mod latest;
mod lock;
mod mutex;
mod nap;
mod notices;
mod park;
mod participant;
mod pending;
mod queue;
mod readers;
mod rendezvous;
mod ring;
mod rwlock;
mod semaphore;
mod seqlock;
mod shared_range;
mod shared_ring;
mod sleepers;
mod spin;
mod threads;
mod wait;

pub use lock::Locked;
pub use park::{Cancel, Patience, WaitResult};
pub use {
    ahead::Ahead,
    barrier::{Barrier, Coming},
    broadcast::{Broadcast, From, Receiver},
    channel::{Channel, Message, Received, Reservation},
    condition::{Condition, Waiting, Wakeup},
    direct::mark,
    event::{Began, Event},
    latest::Latest,
    mutex::Mutex,
    pending::{Pending, Wait},
    queue::{Delivery, Queue},
    rwlock::{ExclusiveWait, RwLock},
    semaphore::Semaphore,
    shared_range::Mark,
    wait::{notify, wait},
};
