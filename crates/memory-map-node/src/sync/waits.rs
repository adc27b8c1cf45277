//! Waits that block the JavaScript thread, and waits that leave it free.

use std::cell::OnceCell;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use memory_map::Mapping;
use memory_map::ipc::{Patience, Pending, Wait};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::array_buffer::in_scope;
use crate::error::to_js;

/// Waits on this thread. `terminate()` ends the wait.
pub fn block<T>(
    env: &Env,
    timeout: f64,
    wait: impl FnOnce(&Patience<'_>) -> memory_map::Result<T>,
) -> Result<T> {
    let may_run = || may_run(env);
    wait(&patience(timeout).while_true(&may_run)).map_err(|error| to_js(env, &error))
}

/// Whether the runtime still runs JavaScript on this thread: no call says so, and no callback tells when it
/// stops, so a script is run.
fn may_run(env: &Env) -> bool {
    in_scope(env.raw(), || env.run_script::<_, Unknown>("0").is_ok())
}

type GivingUp = dyn Fn(Option<&Patience<'_>>) -> Poll<Option<u32>> + Send + Sync;
type Waiting = dyn Fn(&Patience<'_>) -> memory_map::Result<u32> + Send + Sync;

/// A wait on another thread, and how to undo it.
pub struct Job {
    wait: Box<Waiting>,
    give_back: Option<Box<dyn Fn(u32) + Send + Sync>>,
    give_up: Option<Box<GivingUp>>,
    sleeps_first: bool,
}

impl Job {
    /// A wait that need not be undone.
    pub fn new(
        wait: impl Fn(&Patience<'_>) -> memory_map::Result<u32> + Send + Sync + 'static,
    ) -> Self {
        Self { wait: Box::new(wait), give_back: None, give_up: None, sleeps_first: false }
    }

    /// Has `give_back` undo a result that nobody takes any more.
    pub fn giving_back(mut self, give_back: impl Fn(u32) + Send + Sync + 'static) -> Self {
        self.give_back = Some(Box::new(give_back));
        self
    }

    /// Has the wait sleep before it counts as begun: see [`Wait::sleeps_first`].
    pub fn sleeping_first(mut self) -> Self {
        self.sleeps_first = true;
        self
    }

    /// Has `give_up` undo a wait that has begun: see [`Wait::give_up`].
    pub fn giving_up(
        mut self,
        give_up: impl Fn(Option<&Patience<'_>>) -> Poll<Option<u32>> + Send + Sync + 'static,
    ) -> Self {
        self.give_up = Some(Box::new(give_up));
        self
    }
}

impl Wait for Job {
    type Output = u32;

    fn wait(&self, patience: &Patience<'_>) -> memory_map::Result<u32> {
        (self.wait)(patience)
    }

    fn sleeps_first(&self) -> bool {
        self.sleeps_first
    }

    fn give_back(&self, output: u32) -> std::result::Result<(), u32> {
        self.give_back.as_ref().map(|give_back| give_back(output)).ok_or(output)
    }

    fn give_up(&self, patience: Option<&Patience<'_>>) -> Poll<Option<u32>> {
        self.give_up.as_ref().map_or(Poll::Ready(None), |give_up| give_up(patience))
    }
}

/// Ends a wait on another thread.
#[napi]
#[derive(Default)]
pub struct NativeWait(OnceCell<Weak<Pending<Job>>>);

#[napi]
impl NativeWait {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the wait, unless that is too late: the promise is rejected, and nothing is taken.
    #[napi]
    pub fn end(&self) {
        if let Some(pending) = self.0.get().and_then(Weak::upgrade) {
            pending.end();
        }
    }
}

impl NativeWait {
    /// Waits on another thread, until the wait is over or the mapping is closed. The promise keeps the
    /// process alive.
    pub fn start<'env>(
        &self,
        env: &'env Env,
        mapping: &Mapping,
        timeout: f64,
        job: Job,
    ) -> Result<Object<'env>> {
        self.start_in(env, [mapping, mapping], timeout, job)
    }

    /// The same, for a wait in two mappings, until one of them is closed.
    pub fn start_in<'env>(
        &self,
        env: &'env Env,
        [mapping, other]: [&Mapping; 2],
        timeout: f64,
        job: Job,
    ) -> Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let refused = deferred.clone();
        // Counted from now, not from when the thread runs.
        let deadline = patience(timeout).deadline;
        let settle = move |pending: Arc<Pending<Job>>| {
            deferred.resolve(move |env| pending.result().map_err(|error| to_js(&env, &error)));
        };
        match Pending::start(mapping, deadline, job, settle) {
            Ok(pending) => {
                if !std::ptr::eq(mapping, other) {
                    pending.also_in(other);
                }
                drop(self.0.set(Arc::downgrade(&pending)));
            }
            Err(error) => refused.reject(to_js(env, &error)),
        }
        Ok(promise)
    }
}

/// A timeout in milliseconds; a negative one is for ever.
fn patience(timeout: f64) -> Patience<'static> {
    match Duration::try_from_secs_f64(timeout / 1000.0) {
        Ok(timeout) => Patience::of(timeout),
        Err(_) => Patience::FOREVER,
    }
}
