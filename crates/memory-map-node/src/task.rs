//! What runs off the JavaScript thread, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// Tells the tasks to stop. Returns `false` if that was done before, or if a task that cannot be stopped once
    /// it runs has begun.
    #[napi]
    pub fn stop(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether `stop` was called, or such a task has begun.
    #[napi(getter)]
    pub fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What the tasks look at.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Runs on the runtime's thread pool.
pub struct Work<T>(Box<dyn Fn() -> memory_map::Result<T> + Send>);

impl<T: ToNapiValue + TypeName + Send + 'static> Work<T> {
    pub fn task(run: impl Fn() -> memory_map::Result<T> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Box::new(run)))
    }
}

impl<T: ToNapiValue + TypeName + Send + 'static> Task for Work<T> {
    type Output = memory_map::Result<T>;
    type JsValue = T;

    fn compute(&mut self) -> Result<Self::Output> {
        Ok((self.0)())
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<T> {
        output.map_err(|error| to_js(&env, &error))
    }
}
