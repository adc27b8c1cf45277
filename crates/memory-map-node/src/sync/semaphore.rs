//! The class behind `Semaphore`.

use std::sync::Arc;

use memory_map::ipc::{Patience, Semaphore};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, TIMED_OUT, code};
use super::waits::{Job, NativeWait};
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

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Semaphore>>> {
        External::new(self.0.clone())
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
}

/// 0 acquired, 2 timed out.
#[napi]
pub fn semaphore_acquire(
    env: Env,
    #[napi(ts_arg_type = "object")] semaphore: ByHandle<Semaphore>,
    timeout: f64,
) -> Result<u32> {
    semaphore.block(&env, timeout, Semaphore::acquire).map(code)
}

#[napi]
pub fn semaphore_try_acquire(
    env: Env,
    #[napi(ts_arg_type = "object")] semaphore: ByHandle<Semaphore>,
) -> Result<bool> {
    semaphore.call(&env, Semaphore::try_acquire)
}

#[napi]
pub fn semaphore_release(
    env: Env,
    #[napi(ts_arg_type = "object")] semaphore: ByHandle<Semaphore>,
    count: u32,
) -> Result<()> {
    semaphore.call(&env, |semaphore| semaphore.release(count))
}
