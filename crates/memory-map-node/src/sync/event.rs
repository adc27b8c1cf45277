//! The class behind `Event`.

use memory_map::ipc::Event;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, code};
use super::waits::NativeWait;
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeEvent(Tied<InMapping<Event>>);

#[napi]
impl NativeEvent {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| Event::new(mapping, offset as usize)).map(Self)
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Event>>> {
        External::new(self.0.clone())
    }

    #[napi]
    pub fn is_set(&self, env: Env) -> Result<bool> {
        self.0.call(&env, Event::is_set)
    }

    /// 0 set, 2 timed out.
    #[napi]
    pub fn wait(&self, env: Env, timeout: f64) -> Result<u32> {
        self.0.block(&env, timeout, Event::wait).map(code)
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let event = self.0.get(env)?;
        // From now on, not from when the thread runs.
        let began = event.object.begin().map_err(|error| to_js(env, &error))?;
        event.start(env, timeout, pending, move |event, patience| {
            event.wait_since(began, patience).map(code)
        })
    }
}

#[napi]
pub fn event_set(env: Env, #[napi(ts_arg_type = "object")] event: ByHandle<Event>) -> Result<()> {
    event.call(&env, Event::set)
}

#[napi]
pub fn event_clear(env: Env, #[napi(ts_arg_type = "object")] event: ByHandle<Event>) -> Result<()> {
    event.call(&env, Event::clear)
}
