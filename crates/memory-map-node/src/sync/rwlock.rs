//! What is behind `RwLock`.

use std::sync::Arc;

use memory_map::ipc::{ExclusiveWait, Patience, RwLock, Wait};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, Native, lock_code, locked};
use super::waits::{Job, NativeWait};
use crate::mapping::Token;

type NativeRwLock = Native<RwLock>;

#[napi]
pub fn rwlock_open(env: Env, map: Token, offset: f64) -> Result<NativeRwLock> {
    Native::new(&env, &map.mapping, |mapping| RwLock::new(mapping, offset as usize))
}

#[napi(ts_return_type = "Promise<number>")]
pub fn rwlock_lock_shared_async<'env>(
    env: &'env Env,
    lock: NativeRwLock,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let wait =
        |lock: &RwLock, patience: &Patience<'_>| lock.lock_shared_in_turn(patience).map(lock_code);
    lock.start_giving_back(env, timeout, pending, wait, |lock, code| {
        // It fails where the mapping is gone, and then the lock is given up with it.
        let _ = locked(code).map(|_| lock.unlock_shared());
    })
}

#[napi(ts_return_type = "Promise<number>")]
pub fn rwlock_lock_exclusive_async<'env>(
    env: &'env Env,
    lock: NativeRwLock,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let InMapping { mapping, object } = &*lock.get(env)?;
    let wait = Arc::new(ExclusiveWait::new(Arc::clone(object)));
    let taken = Arc::clone(&wait);
    let job =
        Job::new(move |patience| wait.wait(patience).map(lock_code)).giving_back(move |code| {
            let _ = taken.give_back(locked(code)); // as above
        });
    pending.start(env, mapping, timeout, job)
}

/// 0 acquired, 1 recovered, 2 timed out.
#[napi]
pub fn rwlock_lock_shared(env: Env, lock: NativeRwLock, timeout: f64) -> Result<u32> {
    lock.block(&env, timeout, RwLock::lock_shared).map(lock_code)
}

/// 0 acquired, 1 recovered, 2 timed out.
#[napi]
pub fn rwlock_lock_exclusive(env: Env, lock: NativeRwLock, timeout: f64) -> Result<u32> {
    lock.block(&env, timeout, RwLock::lock_exclusive).map(lock_code)
}

/// 0 acquired, 1 recovered, 2 held by another owner.
#[napi]
pub fn rwlock_try_lock_shared(env: Env, lock: NativeRwLock) -> Result<u32> {
    lock.call(&env, RwLock::try_lock_shared).map(lock_code)
}

/// 0 acquired, 1 recovered, 2 held by another owner.
#[napi]
pub fn rwlock_try_lock_exclusive(env: Env, lock: NativeRwLock) -> Result<u32> {
    lock.call(&env, RwLock::try_lock_exclusive).map(lock_code)
}

#[napi]
pub fn rwlock_unlock(env: Env, lock: NativeRwLock) -> Result<()> {
    lock.call(&env, RwLock::unlock)
}
