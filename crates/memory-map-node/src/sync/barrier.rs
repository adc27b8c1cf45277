//! The class behind `Barrier`.

use std::sync::Arc;

use memory_map::ipc::{Barrier, Coming, Patience};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::InMapping;
use super::waits::{Job, NativeWait};
use crate::mapping::Token;
use crate::tied::Tied;

/// What a wait returns that timed out; no party has this number.
const TIMED_OUT: u32 = u32::MAX;

#[napi]
pub struct NativeBarrier(Tied<InMapping<Barrier>>);

#[napi]
impl NativeBarrier {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, parties: Option<u32>) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| Barrier::new(mapping, offset as usize, parties))
            .map(Self)
    }

    /// Which party this is; 4294967295 timed out.
    #[napi]
    pub fn wait(&self, env: Env, timeout: f64) -> Result<u32> {
        self.0.block(&env, timeout, Barrier::wait).map(|index| index.unwrap_or(TIMED_OUT))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.0.get(env)?;
        let all = Arc::new((Arc::clone(object), Coming::default()));
        let given_up = Arc::clone(&all);
        let wait = move |patience: &Patience<'_>| {
            let (barrier, coming) = &*all;
            barrier.wait_on(coming, patience).map(|index| index.unwrap_or(TIMED_OUT))
        };
        let job = Job::new(wait).giving_up(move || {
            let (barrier, coming) = &*given_up;
            barrier.withdraw(coming)
        });
        pending.start(env, mapping, timeout, job)
    }

    #[napi]
    pub fn abort(&self, env: Env) -> Result<()> {
        self.0.call(&env, Barrier::abort)
    }

    #[napi]
    pub fn reset(&self, env: Env) -> Result<()> {
        self.0.call(&env, Barrier::reset)
    }

    #[napi]
    pub fn parties(&self, env: Env) -> Result<u32> {
        self.0.call(&env, Barrier::parties)
    }

    #[napi]
    pub fn waiting(&self, env: Env) -> Result<u32> {
        self.0.call(&env, Barrier::waiting)
    }

    #[napi]
    pub fn is_broken(&self, env: Env) -> Result<bool> {
        self.0.call(&env, Barrier::is_broken)
    }
}
