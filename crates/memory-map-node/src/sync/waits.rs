//! Waits that leave the JavaScript thread free.
//!
//! Each pending wait has a thread, which sleeps in the kernel: the runtime's own pool has four,
//! and files could not be read while they wait. Threads are kept for a while and used again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_map::ipc::{Cancel, Patience};
use memory_map::{Error, Mapping};
use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::error::to_js;

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
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `job` on a thread of its own.
fn run(job: Job) -> memory_map::Result<()> {
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
    let builder = std::thread::Builder::new().name("memory-map wait".into()).stack_size(STACK);
    builder.spawn(move || work(job)).map(drop).map_err(|_| {
        self::threads().all -= 1;
        Error::Busy("the system has no thread for another wait")
    })
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

/// A wait that is over.
struct Settled {
    id: u32,
    result: memory_map::Result<u32>,
}

/// The pending waits of one JavaScript environment.
pub struct Waits {
    /// What is to be told. None when the environment has ended.
    settled: Mutex<Option<Vec<Settled>>>,
    pending: Mutex<HashMap<u32, Arc<Cancel>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Waits {
    fn settle(&self, id: u32, result: memory_map::Result<u32>) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(list) = &mut *settled else { return };
        list.push(Settled { id, result });
        // Under the lock: after the environment has ended nobody may be woken.
        if list.len() == 1 {
            (self.wake)();
        }
    }

    fn end(&self) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).take();
        for cancel in self.pending.lock().unwrap_or_else(PoisonError::into_inner).values() {
            cancel.cancel();
        }
    }
}

/// What JavaScript waits with: made once for each environment.
#[napi]
pub struct NativeWaits {
    waits: Arc<Waits>,
}

/// What became of a wait.
#[napi(object, object_from_js = false)]
pub struct NativeSettled {
    pub id: u32,
    pub value: u32,
    #[napi(ts_type = "Error | undefined")]
    pub error: Option<napi::Error>,
}

#[napi]
impl NativeWaits {
    /// Calls `callback`, on this thread, soon after there is something for `take`. It does not keep
    /// the process alive.
    #[napi(constructor)]
    pub fn new(env: Env, callback: Function<(), ()>) -> Result<Self> {
        // The threads outlive every worker.
        retain_current_module_for_unload_safety();
        let wake = callback
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .callee_handled::<false>()
            .build()?;
        let waits = Arc::new(Waits {
            settled: Mutex::new(Some(Vec::new())),
            pending: Mutex::default(),
            wake: Box::new(move || {
                wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
            }),
        });
        let ending = Arc::clone(&waits);
        env.add_env_cleanup_hook(ending, |waits| waits.end())?;
        Ok(Self { waits })
    }

    /// The waits that are over since the last call.
    #[napi]
    pub fn take(&self, env: Env) -> Vec<NativeSettled> {
        let mut settled = self.waits.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let list = settled.as_mut().map(std::mem::take).unwrap_or_default();
        drop(settled);
        let tell = |Settled { id, result }| match result {
            Ok(value) => NativeSettled { id, value, error: None },
            Err(error) => NativeSettled { id, value: 0, error: Some(to_js(&env, &error)) },
        };
        list.into_iter().map(tell).collect()
    }

    /// Ends a wait: it settles with an error.
    #[napi]
    pub fn cancel(&self, id: u32) {
        let pending = self.waits.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cancel) = pending.get(&id) {
            cancel.cancel();
        }
    }
}

impl NativeWaits {
    /// Waits with `wait` on another thread, until it is over or the mapping is closed.
    pub fn start(
        &self,
        env: &Env,
        mapping: &Mapping,
        id: u32,
        timeout: f64,
        wait: impl FnOnce(&Patience<'_>) -> memory_map::Result<u32> + Send + 'static,
    ) -> Result<()> {
        let cancel = Arc::new(Cancel::default());
        cancel.end_with(mapping);
        let (waits, own) = (Arc::clone(&self.waits), Arc::clone(&cancel));
        // From now on, not from when the thread runs.
        let patience = patience(timeout);
        let deadline = patience.deadline;
        let pending = &self.waits.pending;
        pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id, cancel);
        let job = Box::new(move || {
            let result = wait(&Patience { deadline, cancel: Some(&own) });
            waits.settle(id, result);
        });
        run(job).map_err(|error| {
            pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            to_js(env, &error)
        })
    }
}

/// A timeout in milliseconds; a negative one is for ever.
pub fn patience(timeout: f64) -> Patience<'static> {
    match Duration::try_from_secs_f64(timeout / 1000.0) {
        Ok(timeout) => Patience::of(timeout),
        Err(_) => Patience::FOREVER,
    }
}
