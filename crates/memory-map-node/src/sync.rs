//! `sync` off the JavaScript thread.

use memory_map::{Error, Sync};
use napi::bindgen_prelude::*;

use crate::error::to_js;

/// A sync of a range, for the runtime's thread pool.
pub struct SyncTask(pub Sync);

impl Task for SyncTask {
    type Output = std::result::Result<(), Error>;
    type JsValue = ();

    fn compute(&mut self) -> Result<Self::Output> {
        Ok(self.0.run())
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<()> {
        output.map_err(|error| to_js(&env, &error))
    }
}
