//! What runs off the JavaScript thread, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memory_map::{Error, Sync};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::error::to_js;

/// Tells tasks on other threads to stop.
#[napi]
#[derive(Default)]
pub struct NativeStop(Arc<AtomicBool>);

#[napi]
impl NativeStop {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does it; `false` where it was done already, or a task that only begins or does not has begun.
    #[napi]
    pub fn stop(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether it was done.
    #[napi(getter)]
    pub fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What the tasks look at.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// A sync of a range, for the runtime's thread pool. It does nothing if the flag is set before it
/// begins, and sets it then.
pub struct SyncTask(pub Sync, pub Arc<AtomicBool>);

impl Task for SyncTask {
    type Output = std::result::Result<(), Error>;
    type JsValue = ();

    fn compute(&mut self) -> Result<Self::Output> {
        match self.1.swap(true, Ordering::Relaxed) {
            false => Ok(self.0.run()),
            true => Ok(Err(Error::Cancelled)),
        }
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<()> {
        output.map_err(|error| to_js(&env, &error))
    }
}
