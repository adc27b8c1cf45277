//! Waits of the JavaScript thread, and such that leave it free.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory_map::ipc::{Patience, Pending, Wait};
use memory_map::{LockAnyway, Mapping};
use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::array_buffer::in_scope;
use crate::error::to_js;

/// Waits on this thread, for as long as JavaScript may run on it: `terminate()` ends the wait.
pub fn block<T>(
    env: &Env,
    timeout: f64,
    wait: impl FnOnce(&Patience<'_>) -> memory_map::Result<T>,
) -> Result<T> {
    let may_run = || may_run(env);
    wait(&patience(timeout).while_true(&may_run)).map_err(|error| to_js(env, &error))
}

/// As `block`; does not wait where the timeout is 0.
pub fn attempt<T>(
    env: &Env,
    timeout: f64,
    attempt: impl FnOnce(Option<&Patience<'_>>) -> memory_map::Result<T>,
) -> Result<T> {
    if timeout == 0.0 {
        return attempt(None).map_err(|error| to_js(env, &error));
    }
    block(env, timeout, |patience| attempt(Some(patience)))
}

/// Whether the runtime still runs JavaScript on this thread. It has no call that says so, and none
/// that is called when it stops.
fn may_run(env: &Env) -> bool {
    in_scope(env.raw(), || env.run_script::<_, Unknown>("0").is_ok())
}

type Waiting = dyn Fn(&Patience<'_>) -> memory_map::Result<u32> + Send + Sync;

/// What a thread does that waits.
pub struct Job {
    pub wait: Box<Waiting>,
    /// Undoes what came to the number, where it can be undone.
    pub give_back: Option<Box<dyn Fn(u32) + Send + Sync>>,
}

impl Wait for Job {
    type Output = u32;

    fn wait(&self, patience: &Patience<'_>) -> memory_map::Result<u32> {
        (self.wait)(patience)
    }

    fn give_back(&self, output: u32) -> std::result::Result<(), u32> {
        self.give_back.as_ref().map(|give_back| give_back(output)).ok_or(output)
    }
}

/// The pending waits of one JavaScript environment.
struct Waits {
    /// What is to be told. None when the environment has ended.
    settled: Mutex<Option<Vec<u32>>>,
    pending: Mutex<HashMap<u32, Arc<Pending<Job>>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Waits {
    fn settle(&self, id: u32) {
        let mut settled = self.settled.lock_anyway();
        let Some(list) = &mut *settled else { return };
        list.push(id);
        // Under the lock: after the environment has ended nobody may be woken.
        if list.len() == 1 {
            (self.wake)();
        }
    }

    fn take(&self) -> Vec<u32> {
        let mut settled = self.settled.lock_anyway();
        settled.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn of(&self, id: u32) -> Option<Arc<Pending<Job>>> {
        self.pending.lock_anyway().get(&id).cloned()
    }

    fn end(&self) {
        self.settled.lock_anyway().take();
        let pending = std::mem::take(&mut *self.pending.lock_anyway());
        pending.values().for_each(|wait| wait.end_now());
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
        let tell = |id: u32| {
            let wait = self.waits.pending.lock_anyway().remove(&id)?;
            Some(match wait.result() {
                Ok(value) => NativeSettled { id, value, error: None },
                Err(error) => NativeSettled { id, value: 0, error: Some(to_js(&env, &error)) },
            })
        };
        self.waits.take().into_iter().filter_map(tell).collect()
    }

    /// Ends a wait: it settles with an error and has nothing, unless that is too late.
    #[napi]
    pub fn cancel(&self, id: u32) {
        if let Some(wait) = self.waits.of(id) {
            wait.end();
        }
    }
}

impl NativeWaits {
    /// Waits on another thread, until the wait is over or the mapping is closed.
    pub fn start(
        &self,
        env: &Env,
        mapping: &Mapping,
        id: u32,
        timeout: f64,
        job: Job,
    ) -> Result<()> {
        let waits = Arc::clone(&self.waits);
        // From now on, not from when the thread runs.
        let deadline = patience(timeout).deadline;
        let wait = Pending::start(mapping, deadline, job, move || waits.settle(id))
            .map_err(|error| to_js(env, &error))?;
        self.waits.pending.lock_anyway().insert(id, wait);
        Ok(())
    }
}

/// A timeout in milliseconds; a negative one is for ever.
fn patience(timeout: f64) -> Patience<'static> {
    match Duration::try_from_secs_f64(timeout / 1000.0) {
        Ok(timeout) => Patience::of(timeout),
        Err(_) => Patience::FOREVER,
    }
}
