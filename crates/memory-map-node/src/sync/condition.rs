//! The class behind `Condition`.

use std::sync::Arc;

use memory_map::ipc::{Condition, Mutex, Patience, Wakeup};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, TIMED_OUT};
use super::waits::{Job, NativeWait, block};
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeCondition(Tied<InMapping<Condition>>);

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
impl NativeCondition {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| Condition::new(mapping, offset as usize)).map(Self)
    }

    /// For the function below, which is called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Condition>>> {
        External::new(self.0.clone())
    }

    /// Releases the mutex, and takes it again: 0 notified, 1 recovered, 2 timed out.
    #[napi]
    pub fn wait(
        &self,
        env: Env,
        #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
        timeout: f64,
    ) -> Result<u32> {
        let (condition, mutex) = (self.0.get(&env)?, mutex.get(&env)?);
        block(&env, timeout, |patience| condition.object.wait(&mutex.object, patience))
            .map(wakeup_code)
    }

    /// The same; the mutex is released when this returns.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_async<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let condition = self.0.get(env)?;
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
        let give_up = move || {
            let (condition, _, waiting) = &*given_up;
            condition.give_up(waiting);
            None
        };
        let job = Job::new(wait).giving_back(give_back).giving_up(give_up);
        pending.start_in(env, [&condition.mapping, place], timeout, job)
    }
}

#[napi]
pub fn condition_notify(
    env: Env,
    #[napi(ts_arg_type = "object")] condition: ByHandle<Condition>,
    count: u32,
) -> Result<()> {
    condition.call(&env, |condition| condition.notify(count))
}

/// Whether the mutex's mapping holds it.
#[napi]
pub fn mutex_is_held(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
) -> Result<bool> {
    mutex.call(&env, Mutex::is_held)
}
