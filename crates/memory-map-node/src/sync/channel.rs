//! The class behind `Channel`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use memory_map::copy_of;
use memory_map::ipc::{Channel, Message, Patience, Received, Reservation};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{InMapping, code};
use super::waits::{Job, NativeWait, attempt};
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeChannel {
    tied: Tied<InMapping<Channel>>,
    capacity: f64,
    max_length: f64,
    /// What JavaScript fills in, by its offset in the mapping.
    reserved: RefCell<HashMap<usize, Reservation>>,
    borrowed: RefCell<Option<Message>>,
}

#[napi]
impl NativeChannel {
    /// Makes a channel of `length` bytes, or opens one where `length` is negative.
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, length: f64) -> Result<Self> {
        let mapping = Arc::clone(&map.mapping);
        let channel = if length < 0.0 {
            Channel::open(&mapping, offset as usize)
        } else {
            Channel::create(&mapping, offset as usize, length as usize)
        };
        let object = Arc::new(channel.map_err(|error| to_js(&env, &error))?);
        let (capacity, max_length) = (object.capacity() as f64, object.max_length() as f64);
        Ok(Self {
            tied: Tied::new(&env, InMapping { mapping, object }),
            capacity,
            max_length,
            reserved: RefCell::default(),
            borrowed: RefCell::default(),
        })
    }

    #[napi(getter)]
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    /// What the receiver's word is while this is the receiver.
    #[napi]
    pub fn receiver(&self, env: Env) -> Result<BigInt> {
        Ok(BigInt::from(self.tied.get(&env)?.object.receiver()))
    }

    #[napi(getter)]
    pub fn max_length(&self) -> f64 {
        self.max_length
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
        self.start(env, timeout, pending, move |channel, patience| {
            channel.send(&data, Some(patience)).map(code)
        })
    }

    fn start<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
        wait: impl Fn(&Channel, &Patience<'_>) -> memory_map::Result<u32> + Send + Sync + 'static,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.tied.get(env)?;
        let channel = Arc::clone(object);
        let wait = Box::new(move |patience: &Patience<'_>| wait(&channel, patience));
        pending.start(env, mapping, timeout, Job { wait, give_back: None })
    }

    /// Waits until there is a message: 0, or 2 where there is none in time.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn ready_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        self.start(env, timeout, pending, |channel, patience| {
            channel.wait_for_message(patience).map(code)
        })
    }

    /// Takes room for a message; its offset in the mapping, or -1 where there is none in time.
    #[napi]
    pub fn reserve(&self, env: Env, length: f64, timeout: f64) -> Result<f64> {
        let channel = self.tied.get(&env)?;
        let length = length as usize;
        match attempt(&env, timeout, |patience| channel.object.reserve(length, patience))? {
            None => Ok(-1.0),
            Some(reservation) => {
                let offset = reservation.offset();
                self.reserved.borrow_mut().insert(offset, reservation);
                Ok(offset as f64)
            }
        }
    }

    /// Sends the first `length` bytes of what was reserved, or nothing where `length` is negative;
    /// `false` where nothing is reserved at `offset`.
    #[napi]
    pub fn commit(&self, env: Env, offset: f64, length: f64) -> Result<bool> {
        let Some(reservation) = self.reserved.borrow_mut().remove(&(offset as usize)) else {
            return Ok(false);
        };
        let channel = &self.tied.get(&env)?.object;
        let result = if length < 0.0 {
            channel.abandon(reservation)
        } else {
            channel.commit(reservation, length as usize)
        };
        result.map(|()| true).map_err(|error| to_js(&env, &error))
    }

    /// Receives a message and leaves it where it is: its offset in the mapping and its length.
    #[napi]
    pub fn borrow(&self, env: Env, timeout: f64) -> Result<Option<Vec<f64>>> {
        let channel = self.tied.get(&env)?;
        let message = attempt(&env, timeout, |patience| channel.object.receive(patience))?;
        Ok(message.map(|message| {
            let place = vec![message.offset() as f64, message.length() as f64];
            *self.borrowed.borrow_mut() = Some(message);
            place
        }))
    }

    /// Gives back what was borrowed; `false` where nothing was.
    #[napi]
    pub fn release(&self, env: Env) -> Result<bool> {
        let Some(message) = self.borrowed.borrow_mut().take() else { return Ok(false) };
        let channel = &self.tied.get(&env)?.object;
        channel.release(message).map(|()| true).map_err(|error| to_js(&env, &error))
    }

    /// Lets another one be the receiver.
    #[napi]
    pub fn stop_receiving(&self, env: Env) -> Result<()> {
        let channel = &self.tied.get(&env)?.object;
        if let Some(message) = self.borrowed.borrow_mut().take() {
            channel.keep(message);
        }
        channel.stop_receiving().map_err(|error| to_js(&env, &error))
    }
}

/// Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
/// 0.
#[napi]
pub fn channel_send(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Tied<InMapping<Channel>>>,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    let channel = channel.get(&env)?;
    attempt(&env, timeout, |patience| channel.object.send(data, patience))
}

/// Receives a message into `target`, from `offset` on, and says how long it is; -1 where there is
/// none in time; -2 less the length of one for which there is no room, and which stays. Does not
/// wait where `timeout` is 0.
#[napi]
pub fn channel_receive(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Tied<InMapping<Channel>>>,
    mut target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    let channel = channel.get(&env)?;
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    attempt(&env, timeout, |patience| channel.object.receive_into(target, patience))
        .map(received_code)
}

/// Sends messages that lie one behind the other, up to the first `count` of `ends`; says how many
/// there was room for in time. Does not wait where `timeout` is 0.
#[napi]
pub fn channel_send_many(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Tied<InMapping<Channel>>>,
    data: &[u8],
    ends: &[u32],
    count: u32,
    timeout: f64,
) -> Result<u32> {
    let channel = channel.get(&env)?;
    let ends = ends.get(..count as usize).unwrap_or(ends);
    attempt(&env, timeout, |patience| channel.object.send_many(data, ends, patience))
        .map(|sent| sent as u32)
}

/// Receives up to `most` messages into `target`, from `offset` on, each at a multiple of eight from
/// there, and says how many; the others as for `channelReceive`.
#[napi]
pub fn channel_receive_many(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Tied<InMapping<Channel>>>,
    mut target: BufferSlice,
    offset: u32,
    mut ends: Uint32ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<f64> {
    let channel = channel.get(&env)?;
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    // SAFETY: only this thread has the array, and it is not in JavaScript.
    let ends = unsafe { ends.as_mut() };
    let most = ends.len().min(most as usize);
    let receive = |patience: Option<&Patience<'_>>| {
        channel.object.receive_many_into(target, &mut ends[..most], patience)
    };
    attempt(&env, timeout, receive).map(received_code)
}

pub fn received_code(received: Received) -> f64 {
    match received {
        Received::Nothing => -1.0,
        Received::Copied(count) => count as f64,
        Received::TooLong(length) => -2.0 - length as f64,
    }
}
