//! What is behind `Barrier`.

use std::sync::Arc;
use std::task::Poll;

use memory_map::ipc::{Barrier, Coming, Patience};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, Native};
use super::waits::{Job, NativeWait};
use crate::mapping::Token;

/// What a wait returns that timed out; no party has this number.
const TIMED_OUT: u32 = u32::MAX;

type NativeBarrier = Native<Barrier>;

#[napi]
pub fn barrier_open(
    env: Env,
    map: Token,
    offset: f64,
    parties: Option<u32>,
) -> Result<NativeBarrier> {
    Native::new(&env, &map.mapping, |mapping| Barrier::new(mapping, offset as usize, parties))
}

/// Which party this is; 4294967295 timed out.
#[napi]
pub fn barrier_wait(env: Env, barrier: NativeBarrier, timeout: f64) -> Result<u32> {
    barrier.block(&env, timeout, Barrier::wait).map(|index| index.unwrap_or(TIMED_OUT))
}

#[napi(ts_return_type = "Promise<number>")]
pub fn barrier_wait_async<'env>(
    env: &'env Env,
    barrier: NativeBarrier,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let InMapping { mapping, object } = &*barrier.get(env)?;
    let all = Arc::new((Arc::clone(object), Coming::default()));
    let given_up = Arc::clone(&all);
    let wait = move |patience: &Patience<'_>| {
        let (barrier, coming) = &*all;
        barrier.wait_on(coming, patience).map(|index| index.unwrap_or(TIMED_OUT))
    };
    let give_up = move |may_wait| match &*given_up {
        (barrier, coming) if may_wait => Poll::Ready(barrier.withdraw(coming)),
        (barrier, coming) => barrier.try_withdraw(coming),
    };
    pending.start(env, mapping, timeout, Job::new(wait).giving_up(give_up))
}

#[napi]
pub fn barrier_abort(env: Env, barrier: NativeBarrier) -> Result<()> {
    barrier.call(&env, Barrier::abort)
}

#[napi]
pub fn barrier_reset(env: Env, barrier: NativeBarrier) -> Result<()> {
    barrier.call(&env, Barrier::reset)
}

#[napi]
pub fn barrier_parties(env: Env, barrier: NativeBarrier) -> Result<u32> {
    barrier.call(&env, Barrier::parties)
}

#[napi]
pub fn barrier_waiting(env: Env, barrier: NativeBarrier) -> Result<u32> {
    barrier.call(&env, Barrier::waiting)
}

#[napi]
pub fn barrier_is_broken(env: Env, barrier: NativeBarrier) -> Result<bool> {
    barrier.call(&env, Barrier::is_broken)
}
