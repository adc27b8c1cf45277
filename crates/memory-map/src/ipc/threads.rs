//! Threads for waits that cannot share one (see `sleepers`).
//!
//! A runtime's own pool has few threads, and files could not be read while they wait. Threads are
//! kept for a while and used again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;

/// Waits of one process that may be pending.
const MAX: usize = 4096;
/// How long a thread stays without work.
const IDLE: Duration = Duration::from_secs(2);
const STACK: usize = 256 * 1024;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Threads {
    jobs: VecDeque<Job>,
    idle: usize,
    all: usize,
}

static THREADS: Mutex<Threads> = Mutex::new(Threads { jobs: VecDeque::new(), idle: 0, all: 0 });
static WORK: Condvar = Condvar::new();

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.lock_anyway()
}

/// Runs `job` on a thread of its own.
pub(crate) fn run(job: Job) -> Result<()> {
    let mut threads = threads();
    if threads.idle > threads.jobs.len() {
        threads.jobs.push_back(job);
        WORK.notify_one();
        return Ok(());
    }
    if threads.all >= MAX {
        return Err(Error::Busy("4096 waits are pending in this process"));
    }
    threads.all += 1;
    drop(threads);
    spawn(move || work(job)).inspect_err(|_| self::threads().all -= 1)
}

/// Has every job refused for want of a thread while `act` runs.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn without<T>(act: impl FnOnce() -> T) -> T {
    threads().all += MAX;
    let result = act();
    threads().all -= MAX;
    result
}

/// Begins a thread.
pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = std::thread::Builder::new().name("memory-map wait".into()).stack_size(STACK);
    let thread = builder.spawn(run).map(drop);
    thread.map_err(|_| Error::Busy("the system has no thread for another wait"))
}

fn work(first: Job) {
    first();
    let mut threads = threads();
    loop {
        threads.idle += 1;
        let (woken, timeout) =
            WORK.wait_timeout(threads, IDLE).unwrap_or_else(PoisonError::into_inner);
        threads = woken;
        threads.idle -= 1;
        match threads.jobs.pop_front() {
            Some(job) => {
                drop(threads);
                job();
                threads = self::threads();
            }
            None if timeout.timed_out() => break,
            None => {}
        }
    }
    threads.all -= 1;
}
