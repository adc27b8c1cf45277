//! What is behind `Barrier`.

use std::sync::Arc;
use std::task::Poll;

use memory_map::Error;
use memory_map::ipc::{Barrier, Coming, Patience, Pending};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, Native};
use super::waits::{Job, NativeWait, block};
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

/// A barrier, and a wait at it.
type Visit = (Arc<Barrier>, Coming);

fn wait((barrier, coming): &Visit, patience: &Patience<'_>) -> memory_map::Result<u32> {
    barrier.wait_on(coming, patience).map(|index| index.unwrap_or(TIMED_OUT))
}

fn withdraw((barrier, coming): &Visit, patience: Option<&Patience<'_>>) -> Poll<Option<u32>> {
    barrier.try_withdraw(coming, patience)
}

/// Which party this is; 4294967295 timed out.
#[napi]
pub fn barrier_wait(env: Env, barrier: NativeBarrier, timeout: f64) -> Result<u32> {
    let InMapping { mapping, object } = &*barrier.get(&env)?;
    let visit = Arc::new((Arc::clone(object), Coming::default()));
    block(&env, timeout, |patience| {
        wait(&visit, patience).or_else(|error| match withdraw(&visit, None) {
            Poll::Ready(late) => late.ok_or(error),
            // The thread is to end, and is not to wait for a process that is stopped with the barrier's lock.
            Poll::Pending => {
                let own = Arc::clone(&visit);
                let job = Job::new(|_| Err(Error::Cancelled))
                    .giving_up(move |patience| withdraw(&own, patience));
                Pending::start(mapping, None, job, drop).and(Err(error))
            }
        })
    })
}

#[napi(ts_return_type = "Promise<number>")]
pub fn barrier_wait_async<'env>(
    env: &'env Env,
    barrier: NativeBarrier,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let InMapping { mapping, object } = &*barrier.get(env)?;
    let visit = Arc::new((Arc::clone(object), Coming::default()));
    let own = Arc::clone(&visit);
    let job = Job::new(move |patience| wait(&visit, patience))
        .giving_up(move |patience| withdraw(&own, patience));
    pending.start(env, mapping, timeout, job)
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
