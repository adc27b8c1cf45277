//! The classes behind `Broadcast` and `BroadcastReceiver`.

use std::sync::Arc;

use memory_map::copy_of;
use memory_map::ipc::{Broadcast, From, Receiver};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, code};
use super::messages::{self, Lent};
use super::waits::NativeWait;
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeBroadcast(Tied<InMapping<Broadcast>>);

#[napi]
impl NativeBroadcast {
    /// Makes a broadcast of `length` bytes, or opens one if `length` is negative.
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, length: f64, lossless: bool) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| {
            if length < 0.0 {
                Broadcast::open(mapping, offset as usize)
            } else {
                Broadcast::create(mapping, offset as usize, length as usize, lossless)
            }
        })
        .map(Self)
    }

    #[napi(getter)]
    pub fn capacity(&self, env: Env) -> Result<f64> {
        Ok(self.0.get(&env)?.object.capacity() as f64)
    }

    #[napi(getter)]
    pub fn max_length(&self, env: Env) -> Result<f64> {
        Ok(self.0.get(&env)?.object.max_length() as f64)
    }

    #[napi(getter)]
    pub fn lossless(&self, env: Env) -> Result<bool> {
        Ok(self.0.get(&env)?.object.is_lossless())
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Broadcast>>> {
        External::new(self.0.clone())
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn send_async<'env>(
        &self,
        env: &'env Env,
        data: &[u8],
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let data = copy_of(data).map_err(|error| to_js(env, &error))?;
        self.0.get(env)?.start(env, timeout, pending, move |broadcast, patience| {
            broadcast.send(&data, Some(patience)).map(code)
        })
    }

    #[napi]
    pub fn subscribe(&self, env: Env, oldest: bool) -> Result<NativeReceiver> {
        let InMapping { mapping, object } = &*self.0.get(&env)?;
        let from = if oldest { From::Oldest } else { From::Now };
        let receiver = object.subscribe(mapping, from).map_err(|error| to_js(&env, &error))?;
        let receiver = InMapping { mapping: Arc::clone(mapping), object: Arc::new(receiver) };
        Ok(NativeReceiver { tied: Tied::new(&env, receiver), borrowed: Lent::default() })
    }
}

#[napi]
pub struct NativeReceiver {
    tied: Tied<InMapping<Receiver>>,
    borrowed: Lent,
}

#[napi]
impl NativeReceiver {
    /// For the function below, which is called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Receiver>>> {
        External::new(self.tied.clone())
    }

    /// How many messages were lost.
    #[napi]
    pub fn lost(&self, env: Env) -> Result<f64> {
        Ok(self.tied.get(&env)?.object.lost() as f64)
    }

    /// Waits until there is a message: 0, or 2 if the time is up first.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn ready_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        self.tied.get(env)?.start(env, timeout, pending, |receiver, patience| {
            receiver.wait_for_message(patience).map(code)
        })
    }

    /// Receives a message and leaves it where it is: its offset in the mapping and its length.
    #[napi]
    pub fn borrow(&self, env: Env, timeout: f64) -> Result<Option<Vec<f64>>> {
        self.tied
            .attempt(&env, timeout, Receiver::borrow)
            .map(|message| self.borrowed.keep(message))
    }

    /// Gives back the message borrowed at `offset`; `false` if there is none.
    #[napi]
    pub fn release(&self, env: Env, offset: f64) -> Result<bool> {
        let Some(message) = self.borrowed.take(offset) else { return Ok(false) };
        self.tied.call(&env, |receiver| receiver.release(message)).map(|()| true)
    }

    #[napi]
    pub fn close(&self, env: Env) -> Result<()> {
        self.borrowed.take_all().for_each(drop);
        self.tied.call(&env, Receiver::close)
    }
}

/// Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn broadcast_send(
    env: Env,
    #[napi(ts_arg_type = "object")] broadcast: ByHandle<Broadcast>,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    broadcast.attempt(&env, timeout, |broadcast, patience| broadcast.send(data, patience))
}

/// Sends messages as `channelSendMany` does.
#[napi]
pub fn broadcast_send_many(
    env: Env,
    #[napi(ts_arg_type = "object")] broadcast: ByHandle<Broadcast>,
    data: &[u8],
    ends: &[u32],
    count: u32,
    timeout: f64,
) -> Result<u32> {
    messages::send_many(&env, &broadcast, ends, count, timeout, |broadcast, ends, patience| {
        broadcast.send_many(data, ends, patience)
    })
}

/// Receives a message as `channelReceive` does.
#[napi]
pub fn broadcast_receive(
    env: Env,
    #[napi(ts_arg_type = "object")] receiver: ByHandle<Receiver>,
    target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive(&env, &receiver, target, offset, timeout, Receiver::receive_into)
}

/// Receives messages as `channelReceiveMany` does.
#[napi]
pub fn broadcast_receive_many(
    env: Env,
    #[napi(ts_arg_type = "object")] receiver: ByHandle<Receiver>,
    target: BufferSlice,
    offset: u32,
    ends: Uint32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    let receive = Receiver::receive_many_into;
    messages::receive_many(&env, &receiver, target, offset, ends, most, timeout, receive)
}
