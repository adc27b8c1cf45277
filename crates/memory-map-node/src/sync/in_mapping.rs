//! What is behind the classes of `memory-map/sync`: an object of the core each, which functions take.
//!
//! A timeout is in milliseconds; a negative one is for ever. Results are numbers, which `lib/sync`
//! gives names.

use std::cell::Ref;
use std::sync::Arc;

use memory_map::Mapping;
use memory_map::ipc::{Locked, Patience};
use napi::bindgen_prelude::*;

use super::waits::{self, Job, NativeWait};
use crate::error::to_js;
use crate::tied::Tied;

pub const TIMED_OUT: u32 = 2;

/// How a channel or a queue comes to be. Any other number: it is opened, or made if there is none.
pub const CREATE: u32 = 0;
pub const OPEN: u32 = 1;

/// An object of the core, and its mapping.
pub struct InMapping<T> {
    pub mapping: Arc<Mapping>,
    pub object: Arc<T>,
}

/// What JavaScript has of such an object. It ends with the environment.
pub struct Native<T: 'static>(Tied<InMapping<T>>);

impl<T: 'static> Native<T> {
    /// The object that `make` makes in a mapping.
    pub fn new(
        env: &Env,
        mapping: &Arc<Mapping>,
        make: impl FnOnce(&Mapping) -> memory_map::Result<T>,
    ) -> Result<Self> {
        let object = Arc::new(make(mapping).map_err(|error| to_js(env, &error))?);
        Ok(Self(Tied::new(env, InMapping { mapping: Arc::clone(mapping), object })))
    }

    pub fn get(&self, env: &Env) -> Result<Ref<'_, InMapping<T>>> {
        self.0.get(env)
    }

    /// Calls the object.
    pub fn call<R>(&self, env: &Env, call: impl FnOnce(&T) -> memory_map::Result<R>) -> Result<R> {
        call(&self.get(env)?.object).map_err(|error| to_js(env, &error))
    }

    /// Has the object wait on this thread.
    pub fn block<R>(
        &self,
        env: &Env,
        timeout: f64,
        wait: impl FnOnce(&T, &Patience<'_>) -> memory_map::Result<R>,
    ) -> Result<R> {
        let object = &self.get(env)?.object;
        waits::block(env, timeout, |patience| wait(object, patience))
    }

    /// As `block`; does not wait where the timeout is 0.
    pub fn attempt<R>(
        &self,
        env: &Env,
        timeout: f64,
        attempt: impl FnOnce(&T, Option<&Patience<'_>>) -> memory_map::Result<R>,
    ) -> Result<R> {
        if timeout == 0.0 {
            return self.call(env, |object| attempt(object, None));
        }
        self.block(env, timeout, |object, patience| attempt(object, Some(patience)))
    }
}

impl<T: Send + Sync + 'static> Native<T> {
    /// Has the object wait on another thread, for something that need not be undone.
    pub fn start<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
        wait: impl Fn(&T, &Patience<'_>) -> memory_map::Result<u32> + Send + Sync + 'static,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.get(env)?;
        let object = Arc::clone(object);
        let job = Job::new(move |patience| wait(&object, patience));
        pending.start(env, mapping, timeout, job)
    }

    /// The same, where `give_back` undoes a result that nobody takes any more.
    pub fn start_giving_back<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
        wait: impl Fn(&T, &Patience<'_>) -> memory_map::Result<u32> + Send + Sync + 'static,
        give_back: impl Fn(&T, u32) + Send + Sync + 'static,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.get(env)?;
        let (object, taken) = (Arc::clone(object), Arc::clone(object));
        let job = Job::new(move |patience| wait(&object, patience))
            .giving_back(move |code| give_back(&taken, code));
        pending.start(env, mapping, timeout, job)
    }
}

impl<T> ToNapiValue for Native<T> {
    unsafe fn to_napi_value(env: sys::napi_env, native: Self) -> Result<sys::napi_value> {
        // SAFETY: the caller vouches for `env`.
        unsafe { External::to_napi_value(env, External::new(native.0)) }
    }
}

impl<T> FromNapiValue for Native<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: the caller vouches for both.
        let external = unsafe { External::<Tied<InMapping<T>>>::from_napi_ref(env, value) }?;
        Ok(Self((**external).clone()))
    }
}

/// 0 acquired, 1 recovered, 2 timed out.
pub fn lock_code(result: Option<Locked>) -> u32 {
    match result {
        Some(Locked::Acquired) => 0,
        Some(Locked::Recovered) => 1,
        None => TIMED_OUT,
    }
}

/// The inverse of `lock_code`.
pub fn locked(code: u32) -> Option<Locked> {
    match code {
        0 => Some(Locked::Acquired),
        1 => Some(Locked::Recovered),
        _ => None,
    }
}

/// 0 done, 2 timed out.
pub fn code(done: bool) -> u32 {
    if done { 0 } else { TIMED_OUT }
}
