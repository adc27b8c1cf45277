//! What is behind `Broadcast` and `BroadcastReceiver`.

use memory_map::copy_of;
use memory_map::ipc::{Broadcast, From, Receiver};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, Native, code};
use super::messages::{self, Lent};
use super::waits::NativeWait;
use crate::error::to_js;
use crate::mapping::Token;

type NativeBroadcast = Native<Broadcast>;
type NativeReceiver = Native<Subscriber>;

/// A receiver, and the messages that JavaScript uses in place.
pub struct Subscriber {
    receiver: Receiver,
    borrowed: Lent,
}

/// Makes a broadcast of `length` bytes, or opens one if `length` is negative.
#[napi]
pub fn broadcast_open(
    env: Env,
    map: Token,
    offset: f64,
    length: f64,
    lossless: bool,
) -> Result<NativeBroadcast> {
    Native::new(&env, &map.mapping, |mapping| {
        if length < 0.0 {
            Broadcast::open(mapping, offset as usize)
        } else {
            Broadcast::create(mapping, offset as usize, length as usize, lossless)
        }
    })
}

#[napi]
pub fn broadcast_capacity(env: Env, broadcast: NativeBroadcast) -> Result<f64> {
    Ok(broadcast.get(&env)?.object.capacity() as f64)
}

#[napi]
pub fn broadcast_max_length(env: Env, broadcast: NativeBroadcast) -> Result<f64> {
    Ok(broadcast.get(&env)?.object.max_length() as f64)
}

#[napi]
pub fn broadcast_lossless(env: Env, broadcast: NativeBroadcast) -> Result<bool> {
    Ok(broadcast.get(&env)?.object.is_lossless())
}

#[napi(ts_return_type = "Promise<number>")]
pub fn broadcast_send_async<'env>(
    env: &'env Env,
    broadcast: NativeBroadcast,
    data: &[u8],
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let data = copy_of(data).map_err(|error| to_js(env, &error))?;
    broadcast.start(env, timeout, pending, move |broadcast, patience| {
        broadcast.send(&data, Some(patience)).map(code)
    })
}

#[napi]
pub fn broadcast_subscribe(
    env: Env,
    broadcast: NativeBroadcast,
    oldest: bool,
) -> Result<NativeReceiver> {
    let InMapping { mapping, object } = &*broadcast.get(&env)?;
    let from = if oldest { From::Oldest } else { From::Now };
    Native::new(&env, mapping, |mapping| {
        Ok(Subscriber { receiver: object.subscribe(mapping, from)?, borrowed: Lent::default() })
    })
}

/// How many messages were lost.
#[napi]
pub fn receiver_lost(env: Env, receiver: NativeReceiver) -> Result<f64> {
    Ok(receiver.get(&env)?.object.receiver.lost() as f64)
}

/// Waits until there is a message: 0, or 2 if the time is up first.
#[napi(ts_return_type = "Promise<number>")]
pub fn receiver_ready_async<'env>(
    env: &'env Env,
    receiver: NativeReceiver,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    receiver.start(env, timeout, pending, |subscriber, patience| {
        subscriber.receiver.wait_for_message(patience).map(code)
    })
}

/// Receives a message and leaves it where it is: its offset in the mapping and its length.
#[napi]
pub fn receiver_borrow(
    env: Env,
    receiver: NativeReceiver,
    timeout: f64,
) -> Result<Option<Vec<f64>>> {
    receiver.attempt(&env, timeout, |Subscriber { receiver, borrowed }, patience| {
        receiver.borrow(patience).map(|message| borrowed.keep(message))
    })
}

/// Gives back the message borrowed at `offset`; `false` if there is none.
#[napi]
pub fn receiver_release(env: Env, receiver: NativeReceiver, offset: f64) -> Result<bool> {
    receiver.call(&env, |Subscriber { receiver, borrowed }| {
        borrowed.release(offset, |message| receiver.release(message))
    })
}

/// Has the message borrowed at `offset` be received again, if it is the last that was borrowed.
#[napi]
pub fn receiver_put_back(env: Env, receiver: NativeReceiver, offset: f64) -> Result<()> {
    let Subscriber { receiver, borrowed } = &*receiver.get(&env)?.object;
    if let Some(message) = borrowed.take(offset) {
        receiver.put_back(message);
    }
    Ok(())
}

#[napi]
pub fn receiver_close(env: Env, receiver: NativeReceiver) -> Result<()> {
    receiver.call(&env, |subscriber| {
        subscriber.borrowed.take_all().for_each(drop);
        subscriber.receiver.close()
    })
}

/// Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn broadcast_send(
    env: Env,
    broadcast: NativeBroadcast,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    broadcast.attempt(&env, timeout, |broadcast, patience| broadcast.send(data, patience))
}

/// Sends messages as `channelSendMany` does.
#[napi]
pub fn broadcast_send_many(
    env: Env,
    broadcast: NativeBroadcast,
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
    receiver: NativeReceiver,
    target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive(&env, &receiver, target, offset, timeout, |subscriber, target, patience| {
        subscriber.receiver.receive_into(target, patience)
    })
}

/// Receives messages as `channelReceiveMany` does.
#[napi]
pub fn broadcast_receive_many(
    env: Env,
    receiver: NativeReceiver,
    target: BufferSlice,
    offset: u32,
    ends: Uint32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive_many(
        &env,
        &receiver,
        target,
        offset,
        ends,
        most,
        timeout,
        |subscriber, target, ends, patience| {
            subscriber.receiver.receive_many_into(target, ends, patience)
        },
    )
}
