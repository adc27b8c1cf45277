//! The class behind `Channel`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use memory_map::ipc::{Ahead, Channel, Patience, Reservation};
use memory_map::{LockAnyway, copy_of};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, CREATE, InMapping, OPEN, code};
use super::messages::{self, Lent};
use super::waits::{Job, NativeWait};
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

/// How many messages are copied in one call at most.
const AHEAD: usize = 64;

#[napi]
pub struct NativeChannel {
    tied: Tied<InMapping<Channel>>,
    /// Reserved room that JavaScript fills in, by its offset in the mapping.
    reserved: RefCell<HashMap<usize, Reservation>>,
    /// Room that `reserve_async` has reserved and JavaScript has not fetched yet.
    arrived: Arc<Mutex<Option<Reservation>>>,
    borrowed: Lent,
}

#[napi]
impl NativeChannel {
    /// Makes a channel of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2).
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, length: f64, how: u32) -> Result<Self> {
        let (offset, length) = (offset as usize, length as usize);
        let tied = InMapping::tied(&env, &map, |mapping| match how {
            CREATE => Channel::create(mapping, offset, length),
            OPEN => Channel::open(mapping, offset),
            _ => Channel::open_or_create(mapping, offset, length),
        })?;
        Ok(Self {
            tied,
            reserved: RefCell::default(),
            arrived: Arc::default(),
            borrowed: Lent::default(),
        })
    }

    #[napi(getter)]
    pub fn capacity(&self, env: Env) -> Result<f64> {
        Ok(self.tied.get(&env)?.object.capacity() as f64)
    }

    /// The receiver's word while this channel is the receiver.
    #[napi]
    pub fn receiver(&self, env: Env) -> Result<BigInt> {
        Ok(BigInt::from(self.tied.get(&env)?.object.receiver()))
    }

    /// The receiver's word, or 0 if there is no living receiver.
    #[napi]
    pub fn living_receiver(&self, env: Env) -> Result<BigInt> {
        self.tied.call(&env, Channel::living_receiver).map(BigInt::from)
    }

    /// Where the last message that this channel sent ends in the stream of bytes.
    #[napi]
    pub fn sent(&self, env: Env) -> Result<BigInt> {
        Ok(BigInt::from(self.tied.get(&env)?.object.sent()))
    }

    /// Up to where in the stream of bytes receivers that are gone have received.
    #[napi]
    pub fn gone(&self, env: Env) -> Result<BigInt> {
        self.tied.call(&env, Channel::gone).map(BigInt::from)
    }

    #[napi(getter)]
    pub fn max_length(&self, env: Env) -> Result<f64> {
        Ok(self.tied.get(&env)?.object.max_length() as f64)
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Channel>>> {
        External::new(self.tied.clone())
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
        self.tied.get(env)?.start(env, timeout, pending, move |channel, patience| {
            channel.send(&data, Some(patience)).map(code)
        })
    }

    /// Waits until there is a message: 0, or 2 if the time is up first.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn ready_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        self.tied.get(env)?.start(env, timeout, pending, |channel, patience| {
            channel.wait_for_message(patience).map(code)
        })
    }

    /// Becomes the receiver as soon as no other one is alive: 0, or 2 if the time is up first.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_to_receive<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.tied.get(env)?;
        let channel = Arc::clone(object);
        let wait = move |patience: &Patience<'_>| channel.wait_to_receive(patience).map(code);
        let channel = Arc::clone(object);
        let give_back = move |_| {
            let _ = channel.stop_receiving(); // a fault, which the mapping tells
        };
        pending.start(env, mapping, timeout, Job::new(wait).giving_back(give_back))
    }

    /// Reserves room for a message, and returns its offset in the mapping; -1 if there is none in time.
    #[napi]
    pub fn reserve(&self, env: Env, length: f64, timeout: f64) -> Result<f64> {
        let length = length as usize;
        self.tied
            .attempt(&env, timeout, |channel, patience| channel.reserve(length, patience))
            .map(|room| self.keep_room(room))
    }

    fn keep_room(&self, room: Option<Reservation>) -> f64 {
        room.map_or(-1.0, |room| {
            let offset = room.offset();
            self.reserved.borrow_mut().insert(offset, room);
            offset as f64
        })
    }

    /// The same on another thread, one at a time: 0, and then `reserved` returns the offset; 2 if there is no
    /// room in time.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn reserve_async<'env>(
        &self,
        env: &'env Env,
        length: f64,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.tied.get(env)?;
        let (channel, arrived) = (Arc::clone(object), Arc::clone(&self.arrived));
        let wait = move |patience: &Patience<'_>| {
            let room = channel.reserve(length as usize, Some(patience))?;
            let done = code(room.is_some());
            *arrived.lock_anyway() = room;
            Ok(done)
        };
        let (channel, arrived) = (Arc::clone(object), Arc::clone(&self.arrived));
        let give_back = move |_| {
            if let Some(room) = arrived.lock_anyway().take() {
                let _ = channel.abandon(room); // a fault, which the mapping tells
            }
        };
        pending.start(env, mapping, timeout, Job::new(wait).giving_back(give_back))
    }

    /// The offset of what `reserveAsync` has reserved, or -1.
    #[napi]
    pub fn reserved(&self) -> f64 {
        let room = self.arrived.lock_anyway().take();
        self.keep_room(room)
    }

    /// Sends the first `length` bytes of what was reserved, or nothing if `length` is negative; `false` if
    /// nothing is reserved at `offset`.
    #[napi]
    pub fn commit(&self, env: Env, offset: f64, length: f64) -> Result<bool> {
        let Some(reservation) = self.reserved.borrow_mut().remove(&(offset as usize)) else {
            return Ok(false);
        };
        let finish = |channel: &Channel| match length {
            ..0.0 => channel.abandon(reservation),
            _ => channel.commit(reservation, length as usize),
        };
        self.tied.call(&env, finish).map(|()| true)
    }

    /// Receives a message and leaves it where it is: its offset in the mapping and its length.
    #[napi]
    pub fn borrow(&self, env: Env, timeout: f64) -> Result<Option<Vec<f64>>> {
        self.tied.attempt(&env, timeout, Channel::borrow).map(|message| self.borrowed.keep(message))
    }

    /// Gives back the message borrowed at `offset`; `false` if there is none.
    #[napi]
    pub fn release(&self, env: Env, offset: f64) -> Result<bool> {
        let Some(message) = self.borrowed.take(offset) else { return Ok(false) };
        self.tied.call(&env, |channel| channel.release(message)).map(|()| true)
    }

    /// How many messages there are, and how many bytes in them.
    #[napi]
    pub fn pending(&self, env: Env) -> Result<Vec<f64>> {
        let (messages, bytes) = self.tied.call(&env, Channel::pending)?;
        Ok(vec![messages as f64, bytes as f64])
    }

    /// Lets another one be the receiver.
    #[napi]
    pub fn stop_receiving(&self, env: Env) -> Result<()> {
        self.tied.call(&env, |channel| {
            for message in self.borrowed.take_all() {
                channel.put_back(message);
            }
            channel.stop_receiving()
        })
    }
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
pub fn channel_send(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    channel.attempt(&env, timeout, |channel, patience| channel.send(data, patience))
}

/// Receives a message into `target`, from `offset` on, and returns its length; -1 if none comes in time. A
/// message that does not fit stays: then -2 less its length. With a `timeout` of 0 it does not wait.
#[napi]
pub fn channel_receive(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
    target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    messages::receive(&env, &channel, target, offset, timeout, Channel::receive_into)
}

/// As `channelReceive`, but also copies the messages that come next, each to a multiple of eight from `offset`
/// on: up to `most` in all, and returns how many. Those after the first are not received until JavaScript
/// moves the tail. `places` gets three numbers for each: where its copy ends, the lower half of the tail
/// behind it, and whether that passes an eighth of the ring.
#[napi]
pub fn channel_receive_ahead(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
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
        messages::receive(&env, &channel, target, offset, timeout, |channel, target, patience| {
            channel.receive_ahead(target, &mut ahead[..most], patience)
        })?;
    let count = most.min(received.max(0.0) as usize);
    for (numbers, place) in places.chunks_exact_mut(3).zip(&ahead[..count]) {
        numbers.copy_from_slice(&[place.end as i32, place.tail as i32, place.passes_eighth.into()]);
    }
    Ok(received)
}

/// Wakes the senders that wait for room.
#[napi]
pub fn channel_wake_senders(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
) -> Result<()> {
    channel.call(&env, Channel::wake_senders)
}

/// Sends messages that lie one behind the other in `data`: each ends at one of the first `count` of `ends`.
/// Returns how many there was room for in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn channel_send_many(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
    data: &[u8],
    ends: &[u32],
    count: u32,
    timeout: f64,
) -> Result<u32> {
    messages::send_many(&env, &channel, ends, count, timeout, |channel, ends, patience| {
        channel.send_many(data, ends, patience)
    })
}

/// Receives up to `most` messages into `target`, each at a multiple of eight from `offset` on, and returns how
/// many. A negative result is that of `channelReceive`.
#[napi]
pub fn channel_receive_many(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: ByHandle<Channel>,
    target: BufferSlice,
    offset: u32,
    ends: Uint32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    let receive = Channel::receive_many_into;
    messages::receive_many(&env, &channel, target, offset, ends, most, timeout, receive)
}
