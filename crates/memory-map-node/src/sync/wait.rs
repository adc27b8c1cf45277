//! Waiting on a word.

use std::sync::Arc;

use memory_map::ipc::{WaitResult, notify, wait};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::TIMED_OUT;
use super::waits::{Job, NativeWait, block};
use crate::error::to_js;
use crate::mapping::Token;

fn wait_code(result: WaitResult) -> u32 {
    match result {
        WaitResult::Ok => 0,
        WaitResult::NotEqual => 1,
        WaitResult::TimedOut => TIMED_OUT,
    }
}

/// Sleeps while the word is `expected`: 0 woken, 1 not equal, 2 timed out.
#[napi]
pub fn ipc_wait(env: Env, map: Token, offset: f64, expected: u32, timeout: f64) -> Result<u32> {
    block(&env, timeout, |patience| wait(&map.mapping, offset as usize, expected, patience))
        .map(wait_code)
}

/// The same on another thread.
#[napi(ts_return_type = "Promise<number>")]
pub fn ipc_wait_async<'env>(
    env: &'env Env,
    map: Token,
    offset: f64,
    expected: u32,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let mapping = Arc::clone(&map.mapping);
    let job = Job::new(move |patience| {
        wait(&mapping, offset as usize, expected, patience).map(wait_code)
    });
    pending.start(env, &map.mapping, timeout, job.sleeping_first())
}

/// Wakes up to `count` waiters of the word, and returns how many.
#[napi]
pub fn ipc_notify(env: Env, map: Token, offset: f64, count: u32) -> Result<u32> {
    notify(&map.mapping, offset as usize, count).map_err(|error| to_js(&env, &error))
}

/// Lets other threads run on this processor.
#[napi]
pub fn ipc_yield() {
    std::thread::yield_now();
}
