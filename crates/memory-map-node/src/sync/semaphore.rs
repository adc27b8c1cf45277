//! The class behind `Semaphore`.

use std::sync::Arc;

use memory_map::ipc::{Patience, Semaphore};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, TIMED_OUT, code};
use super::waits::{Job, NativeWait, block};
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeSemaphore(Tied<InMapping<Semaphore>>);

#[napi]
impl NativeSemaphore {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, initial: Option<u32>) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| Semaphore::new(mapping, offset as usize, initial))
            .map(Self)
    }

    /// 0 acquired, 2 timed out.
    #[napi]
    pub fn acquire(&self, env: Env, timeout: f64) -> Result<u32> {
        let semaphore = self.0.get(&env)?;
        block(&env, timeout, |patience| semaphore.object.acquire(patience)).map(code)
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn acquire_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.0.get(env)?;
        let (semaphore, taken) = (Arc::clone(object), Arc::clone(object));
        let wait = move |patience: &Patience<'_>| semaphore.acquire(patience).map(code);
        let job = Job::new(wait).giving_back(move |code| {
            if code != TIMED_OUT {
                // It fails where the mapping is gone, and the permit with it.
                let _ = taken.release(1);
            }
        });
        pending.start(env, mapping, timeout, job)
    }

    #[napi]
    pub fn try_acquire(&self, env: Env) -> Result<bool> {
        self.0.call(&env, Semaphore::try_acquire)
    }

    #[napi]
    pub fn release(&self, env: Env, count: u32) -> Result<()> {
        self.0.call(&env, |semaphore| semaphore.release(count))
    }
}
