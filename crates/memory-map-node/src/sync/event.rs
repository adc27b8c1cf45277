//! The class behind `Event`.

use std::sync::Arc;

use memory_map::ipc::Event;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, code};
use super::waits::{Job, NativeWait, block};
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeEvent(Tied<InMapping<Event>>);

#[napi]
impl NativeEvent {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64) -> Result<Self> {
        let mapping = Arc::clone(&map.mapping);
        match Event::new(&mapping, offset as usize) {
            Ok(event) => Ok(Self(Tied::new(&env, InMapping { mapping, object: Arc::new(event) }))),
            Err(error) => Err(to_js(&env, &error)),
        }
    }

    #[napi]
    pub fn is_set(&self, env: Env) -> Result<bool> {
        self.0.get(&env)?.object.is_set().map_err(|error| to_js(&env, &error))
    }

    #[napi]
    pub fn set(&self, env: Env) -> Result<()> {
        self.0.get(&env)?.object.set().map_err(|error| to_js(&env, &error))
    }

    #[napi]
    pub fn clear(&self, env: Env) -> Result<()> {
        self.0.get(&env)?.object.clear().map_err(|error| to_js(&env, &error))
    }

    /// 0 set, 2 timed out.
    #[napi]
    pub fn wait(&self, env: Env, timeout: f64) -> Result<u32> {
        let event = self.0.get(&env)?;
        block(&env, timeout, |patience| event.object.wait(patience)).map(code)
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.0.get(env)?;
        let event = Arc::clone(object);
        // From now on, not from when the thread runs.
        let began = event.begin().map_err(|error| to_js(env, &error))?;
        let job = Job {
            wait: Box::new(move |patience| event.wait_since(began, patience).map(code)),
            give_back: None,
            give_up: None,
        };
        pending.start(env, mapping, timeout, job)
    }
}
