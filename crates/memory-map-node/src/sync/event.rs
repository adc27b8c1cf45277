//! What is behind `Event`.

use memory_map::ipc::Event;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{Native, code};
use super::waits::NativeWait;
use crate::mapping::Token;

type NativeEvent = Native<Event>;

#[napi]
pub fn event_open(env: Env, map: Token, offset: f64) -> Result<NativeEvent> {
    Native::new(&env, &map.mapping, |mapping| Event::new(mapping, offset as usize))
}

#[napi]
pub fn event_is_set(env: Env, event: NativeEvent) -> Result<bool> {
    event.call(&env, Event::is_set)
}

/// 0 set, 2 timed out.
#[napi]
pub fn event_wait(env: Env, event: NativeEvent, timeout: f64) -> Result<u32> {
    event.block(&env, timeout, Event::wait).map(code)
}

#[napi(ts_return_type = "Promise<number>")]
pub fn event_wait_async<'env>(
    env: &'env Env,
    event: NativeEvent,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    // From now on, not from when the thread runs.
    let began = event.call(env, Event::begin)?;
    event.start(env, timeout, pending, move |event, patience| {
        event.wait_since(began, patience).map(code)
    })
}

#[napi]
pub fn event_set(env: Env, event: NativeEvent) -> Result<()> {
    event.call(&env, Event::set)
}

#[napi]
pub fn event_clear(env: Env, event: NativeEvent) -> Result<()> {
    event.call(&env, Event::clear)
}
