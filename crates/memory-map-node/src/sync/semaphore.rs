//! What is behind `Semaphore`.

use memory_map::ipc::{Patience, Semaphore};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{Native, TIMED_OUT, code};
use super::waits::NativeWait;
use crate::mapping::Token;

type NativeSemaphore = Native<Semaphore>;

#[napi]
pub fn semaphore_open(
    env: Env,
    map: Token,
    offset: f64,
    initial: Option<u32>,
) -> Result<NativeSemaphore> {
    Native::new(&env, &map.mapping, |mapping| Semaphore::new(mapping, offset as usize, initial))
}

#[napi(ts_return_type = "Promise<number>")]
pub fn semaphore_acquire_async<'env>(
    env: &'env Env,
    semaphore: NativeSemaphore,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let wait =
        |semaphore: &Semaphore, patience: &Patience<'_>| semaphore.acquire(patience).map(code);
    semaphore.start_giving_back(env, timeout, pending, wait, |semaphore, code| {
        if code != TIMED_OUT {
            // It fails where the mapping is gone, and the permit with it.
            let _ = semaphore.release(1);
        }
    })
}

/// 0 acquired, 2 timed out.
#[napi]
pub fn semaphore_acquire(env: Env, semaphore: NativeSemaphore, timeout: f64) -> Result<u32> {
    semaphore.block(&env, timeout, Semaphore::acquire).map(code)
}

#[napi]
pub fn semaphore_try_acquire(env: Env, semaphore: NativeSemaphore) -> Result<bool> {
    semaphore.call(&env, Semaphore::try_acquire)
}

#[napi]
pub fn semaphore_release(env: Env, semaphore: NativeSemaphore, count: u32) -> Result<()> {
    semaphore.call(&env, |semaphore| semaphore.release(count))
}
