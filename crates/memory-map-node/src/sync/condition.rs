//! What is behind `Condition`.

use std::sync::Arc;
use std::task::Poll;

use memory_map::ipc::{Condition, Patience, Wakeup};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, Native, TIMED_OUT};
use super::mutex::NativeMutex;
use super::waits::{Job, NativeWait, block};
use crate::error::to_js;
use crate::mapping::Token;

type NativeCondition = Native<Condition>;

/// 0 notified, 1 recovered, 2 timed out.
fn wakeup_code(wakeup: Wakeup) -> u32 {
    match wakeup {
        Wakeup::Notified => 0,
        Wakeup::Recovered => 1,
        Wakeup::TimedOut => TIMED_OUT,
    }
}

fn wakeup(code: u32) -> Wakeup {
    match code {
        0 => Wakeup::Notified,
        1 => Wakeup::Recovered,
        _ => Wakeup::TimedOut,
    }
}

#[napi]
pub fn condition_open(env: Env, map: Token, offset: f64) -> Result<NativeCondition> {
    Native::new(&env, &map.mapping, |mapping| Condition::new(mapping, offset as usize))
}

/// Releases the mutex, and takes it again: 0 notified, 1 recovered, 2 timed out.
#[napi]
pub fn condition_wait(
    env: Env,
    condition: NativeCondition,
    mutex: NativeMutex,
    timeout: f64,
) -> Result<u32> {
    let (condition, mutex) = (condition.get(&env)?, mutex.get(&env)?);
    block(&env, timeout, |patience| condition.object.wait(&mutex.object, patience)).map(wakeup_code)
}

/// The same; the mutex is released when this returns.
#[napi(ts_return_type = "Promise<number>")]
pub fn condition_wait_async<'env>(
    env: &'env Env,
    condition: NativeCondition,
    mutex: NativeMutex,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let condition = condition.get(env)?;
    let InMapping { mapping: place, object: mutex } = &*mutex.get(env)?;
    let waiting = condition.object.begin(mutex).map_err(|error| to_js(env, &error))?;
    let all = Arc::new((Arc::clone(&condition.object), Arc::clone(mutex), waiting));
    let [taken, given_up] = [&all, &all].map(Arc::clone);
    let wait = move |patience: &Patience<'_>| {
        let (condition, mutex, waiting) = &*all;
        condition.wait_on(mutex, waiting, patience).map(wakeup_code)
    };
    let give_back = move |code| {
        let (condition, mutex, waiting) = &*taken;
        // It fails where the mapping is gone, and then the lock is given up with it.
        let _ = condition.give_back(mutex, waiting, wakeup(code));
    };
    let give_up = move |_: Option<&Patience<'_>>| {
        let (condition, _, waiting) = &*given_up;
        condition.give_up(waiting);
        Poll::Ready(None)
    };
    let job = Job::new(wait).giving_back(give_back).giving_up(give_up);
    pending.start_in(env, [&condition.mapping, place], timeout, job)
}

#[napi]
pub fn condition_notify(env: Env, condition: NativeCondition, count: u32) -> Result<()> {
    condition.call(&env, |condition| condition.notify(count))
}
