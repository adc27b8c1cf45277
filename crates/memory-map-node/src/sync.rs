//! `sync` off the JavaScript thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memory_map::{Error, Sync};
use napi::bindgen_prelude::*;

use crate::error::to_js;

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
