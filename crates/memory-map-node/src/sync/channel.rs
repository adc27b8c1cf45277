//! What is behind `Channel`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use memory_map::ipc::{Ahead, Channel, Patience, Reservation};
use memory_map::{LockAnyway, copy_of};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{CREATE, Native, OPEN, code};
use super::messages::{self, Lent};
use super::waits::{Job, NativeWait};
use crate::error::to_js;
use crate::mapping::Token;

/// How many messages are copied in one call at most.
const AHEAD: usize = 64;

/// An end of a channel, and what JavaScript has of its memory.
pub struct End {
    channel: Channel,
    /// Reserved room that JavaScript fills in, by its offset in the mapping.
    reserved: Mutex<HashMap<usize, Reservation>>,
    /// Room that `channel_reserve_async` has reserved and JavaScript has not fetched yet.
    arrived: Mutex<Option<Reservation>>,
    borrowed: Lent,
}

impl End {
    /// Returns the offset of what was reserved, or -1.
    fn keep(&self, room: Option<Reservation>) -> f64 {
        room.map_or(-1.0, |room| {
            let offset = room.offset();
            self.reserved.lock_anyway().insert(offset, room);
            offset as f64
        })
    }
}

type NativeChannel = Native<End>;

/// Makes a channel of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2).
#[napi]
pub fn channel_open(
    env: Env,
    map: Token,
    offset: f64,
    length: f64,
    how: u32,
) -> Result<NativeChannel> {
    let (offset, length) = (offset as usize, length as usize);
    Native::new(&env, &map.mapping, |mapping| {
        let channel = match how {
            CREATE => Channel::create(mapping, offset, length),
            OPEN => Channel::open(mapping, offset),
            _ => Channel::open_or_create(mapping, offset, length),
        }?;
        Ok(End {
            channel,
            reserved: Mutex::default(),
            arrived: Mutex::default(),
            borrowed: Lent::default(),
        })
    })
}

#[napi]
pub fn channel_capacity(env: Env, channel: NativeChannel) -> Result<f64> {
    Ok(channel.get(&env)?.object.channel.capacity() as f64)
}

/// The receiver's word while this channel is the receiver.
#[napi]
pub fn channel_receiver(env: Env, channel: NativeChannel) -> Result<BigInt> {
    Ok(BigInt::from(channel.get(&env)?.object.channel.receiver()))
}

/// The receiver's word, or 0 if there is no living receiver.
#[napi]
pub fn channel_living_receiver(env: Env, channel: NativeChannel) -> Result<BigInt> {
    channel.call(&env, |end| end.channel.living_receiver()).map(BigInt::from)
}

/// Where the last message that this channel sent ends in the stream of bytes.
#[napi]
pub fn channel_sent(env: Env, channel: NativeChannel) -> Result<BigInt> {
    Ok(BigInt::from(channel.get(&env)?.object.channel.sent()))
}

/// Up to where in the stream of bytes receivers that are gone have received.
#[napi]
pub fn channel_gone(env: Env, channel: NativeChannel) -> Result<BigInt> {
    channel.call(&env, |end| end.channel.gone()).map(BigInt::from)
}

#[napi]
pub fn channel_max_length(env: Env, channel: NativeChannel) -> Result<f64> {
    Ok(channel.get(&env)?.object.channel.max_length() as f64)
}

#[napi(ts_return_type = "Promise<number>")]
pub fn channel_send_async<'env>(
    env: &'env Env,
    channel: NativeChannel,
    data: &[u8],
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let data = copy_of(data).map_err(|error| to_js(env, &error))?;
    channel.start(env, timeout, pending, move |end, patience| {
        end.channel.send(&data, Some(patience)).map(code)
    })
}

/// Waits until there is a message: 0, or 2 if the time is up first.
#[napi(ts_return_type = "Promise<number>")]
pub fn channel_ready_async<'env>(
    env: &'env Env,
    channel: NativeChannel,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    channel.start(env, timeout, pending, |end, patience| {
        end.channel.wait_for_message(patience).map(code)
    })
}

/// Becomes the receiver as soon as no other one is alive: 0, or 2 if the time is up first.
#[napi(ts_return_type = "Promise<number>")]
pub fn channel_wait_to_receive<'env>(
    env: &'env Env,
    channel: NativeChannel,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let wait = |end: &End, patience: &Patience<'_>| end.channel.wait_to_receive(patience).map(code);
    channel.start_giving_back(env, timeout, pending, wait, |end, _| {
        let _ = end.channel.stop_receiving(); // a fault, which the mapping tells
    })
}

/// Reserves room for a message, and returns its offset in the mapping; -1 if there is none in time.
#[napi]
pub fn channel_reserve(env: Env, channel: NativeChannel, length: f64, timeout: f64) -> Result<f64> {
    let length = length as usize;
    channel.attempt(&env, timeout, |end, patience| {
        end.channel.reserve(length, patience).map(|room| end.keep(room))
    })
}

/// The same on another thread, one at a time: 0, and then `reserved` returns the offset; 2 if there is no
/// room in time.
#[napi(ts_return_type = "Promise<number>")]
pub fn channel_reserve_async<'env>(
    env: &'env Env,
    channel: NativeChannel,
    length: f64,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let wait = move |end: &End, patience: &Patience<'_>| {
        let room = end.channel.reserve(length as usize, Some(patience))?;
        let done = code(room.is_some());
        *end.arrived.lock_anyway() = room;
        Ok(done)
    };
    channel.start_giving_back(env, timeout, pending, wait, |end, _| {
        if let Some(room) = end.arrived.lock_anyway().take() {
            let _ = end.channel.abandon(room); // a fault, which the mapping tells
        }
    })
}

/// The offset of what `reserveAsync` has reserved, or -1.
#[napi]
pub fn channel_reserved(env: Env, channel: NativeChannel) -> Result<f64> {
    channel.call(&env, |end| {
        let room = end.arrived.lock_anyway().take();
        Ok(end.keep(room))
    })
}

/// Sends the first `length` bytes of what was reserved, or nothing if `length` is negative; `false` if
/// nothing is reserved at `offset`.
#[napi]
pub fn channel_commit(env: Env, channel: NativeChannel, offset: f64, length: f64) -> Result<bool> {
    channel.call(&env, |End { channel, reserved, .. }| {
        let Some(room) = reserved.lock_anyway().remove(&(offset as usize)) else {
            return Ok(false);
        };
        match length {
            ..0.0 => channel.abandon(room)?,
            _ => channel.commit(room, length as usize)?,
        }
        Ok(true)
    })
}

/// Receives a message and leaves it where it is: its offset in the mapping and its length.
#[napi]
pub fn channel_borrow(env: Env, channel: NativeChannel, timeout: f64) -> Result<Option<Vec<f64>>> {
    channel.attempt(&env, timeout, |end, patience| {
        end.channel.borrow(patience).map(|message| end.borrowed.keep(message))
    })
}

/// Gives back the message borrowed at `offset`; `false` if there is none.
#[napi]
pub fn channel_release(env: Env, channel: NativeChannel, offset: f64) -> Result<bool> {
    channel.call(&env, |End { channel, borrowed, .. }| {
        borrowed.release(offset, |message| channel.release(message))
    })
}

/// Has the message borrowed at `offset` be received again.
#[napi]
pub fn channel_put_back(env: Env, channel: NativeChannel, offset: f64) -> Result<()> {
    let End { channel, borrowed, .. } = &*channel.get(&env)?.object;
    if let Some(message) = borrowed.take(offset) {
        channel.put_back(message);
    }
    Ok(())
}

/// How many messages there are, and how many bytes in them.
#[napi]
pub fn channel_pending(env: Env, channel: NativeChannel) -> Result<Vec<f64>> {
    let (messages, bytes) = channel.call(&env, |end| end.channel.pending())?;
    Ok(vec![messages as f64, bytes as f64])
}

/// Lets another one be the receiver.
#[napi]
pub fn channel_stop_receiving(env: Env, channel: NativeChannel) -> Result<()> {
    channel.call(&env, |End { channel, borrowed, .. }| {
        for message in borrowed.take_all() {
            channel.put_back(message);
        }
        channel.stop_receiving()
    })
}

/// Waits until there is a channel: 0, or 2 if the time is up first.
#[napi(ts_return_type = "Promise<number>")]
pub fn channel_made<'env>(
    env: &'env Env,
    map: Token,
    offset: f64,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let mapping = Arc::clone(&map.mapping);
    let job = Job::new(move |patience| {
        Channel::wait_for_channel(&mapping, offset as usize, patience).map(code)
    });
    pending.start(env, &map.mapping, timeout, job)
}

/// Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn channel_send(env: Env, channel: NativeChannel, data: &[u8], timeout: f64) -> Result<bool> {
    channel.attempt(&env, timeout, |end, patience| end.channel.send(data, patience))
}

/// Receives a message into `target`, from `offset` on, and returns its length; -1 if none comes in time. A
/// message that does not fit stays: then -2 less its length. With a `timeout` of 0 it does not wait.
#[napi]
pub fn channel_receive(
    env: Env,
    channel: NativeChannel,
    target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive(&env, &channel, target, offset, timeout, |end, target, patience| {
        end.channel.receive_into(target, patience)
    })
}

/// As `channelReceive`, but also copies the messages that come next, each to a multiple of eight from `offset`
/// on: up to `most` in all, and returns how many. Those after the first are not received until JavaScript
/// moves the tail. `places` gets three numbers for each: where its copy ends, the lower half of the tail
/// behind it, and whether that passes an eighth of the ring.
#[napi]
pub fn channel_receive_ahead(
    env: Env,
    channel: NativeChannel,
    target: BufferSlice,
    offset: u32,
    mut places: Int32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    // SAFETY: only this thread has the array, and it is not in JavaScript.
    let places = unsafe { places.as_mut() };
    let mut ahead = [Ahead::default(); AHEAD];
    let most = AHEAD.min(most as usize).min(places.len() / 3);
    let received =
        messages::receive(&env, &channel, target, offset, timeout, |end, target, patience| {
            end.channel.receive_ahead(target, &mut ahead[..most], patience)
        })?;
    let count = most.min(received.max(0.0) as usize);
    for (numbers, place) in places.chunks_exact_mut(3).zip(&ahead[..count]) {
        numbers.copy_from_slice(&[place.end as i32, place.tail as i32, place.passes_eighth.into()]);
    }
    Ok(received)
}

/// Wakes the senders that wait for room.
#[napi]
pub fn channel_wake_senders(env: Env, channel: NativeChannel) -> Result<()> {
    channel.call(&env, |end| end.channel.wake_senders())
}

/// Sends messages that lie one behind the other in `data`: each ends at one of the first `count` of `ends`.
/// Returns how many there was room for in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn channel_send_many(
    env: Env,
    channel: NativeChannel,
    data: &[u8],
    ends: &[u32],
    count: u32,
    timeout: f64,
) -> Result<u32> {
    messages::send_many(&env, &channel, ends, count, timeout, |end, ends, patience| {
        end.channel.send_many(data, ends, patience)
    })
}

/// Receives up to `most` messages into `target`, each at a multiple of eight from `offset` on, and returns how
/// many. A negative result is that of `channelReceive`.
#[napi]
pub fn channel_receive_many(
    env: Env,
    channel: NativeChannel,
    target: BufferSlice,
    offset: u32,
    ends: Uint32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive_many(
        &env,
        &channel,
        target,
        offset,
        ends,
        most,
        timeout,
        |end, target, ends, patience| end.channel.receive_many_into(target, ends, patience),
    )
}
