//! The functions and classes behind `memory-map/sync`.
//!
//! A timeout is in milliseconds; a negative one is for ever. Results are numbers, which
//! `lib/sync` gives names.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use memory_map::Mapping;
use memory_map::ipc::{
    Channel, Locked, Message, Mutex, Received, Reservation, Semaphore, WaitResult, notify, wait,
};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::waits::{NativeWaits, patience};
use crate::error::to_js;
use crate::mapping::Token;

const TIMED_OUT: u32 = 2;

fn wait_code(result: WaitResult) -> u32 {
    match result {
        WaitResult::Ok => 0,
        WaitResult::NotEqual => 1,
        WaitResult::TimedOut => TIMED_OUT,
    }
}

fn lock_code(result: Option<Locked>) -> u32 {
    match result {
        Some(Locked::Acquired) => 0,
        Some(Locked::Recovered) => 1,
        None => TIMED_OUT,
    }
}

fn code(done: bool) -> u32 {
    if done { 0 } else { TIMED_OUT }
}

/// Sleeps while the word is `expected`: 0 woken, 1 not equal, 2 timed out.
#[napi]
pub fn ipc_wait(env: Env, map: Token, offset: f64, expected: u32, timeout: f64) -> Result<u32> {
    wait(&map.mapping, offset as usize, expected, &patience(timeout))
        .map(wait_code)
        .map_err(|error| to_js(&env, &error))
}

/// The same on another thread.
#[napi]
pub fn ipc_wait_async(
    env: Env,
    map: Token,
    offset: f64,
    expected: u32,
    timeout: f64,
    waits: &NativeWaits,
    id: u32,
) -> Result<()> {
    let mapping = Arc::clone(&map.mapping);
    waits.start(&env, &map.mapping, id, timeout, move |patience| {
        wait(&mapping, offset as usize, expected, patience).map(wait_code)
    })
}

/// Wakes up to `count` waiters of the word, and says how many.
#[napi]
pub fn ipc_notify(env: Env, map: Token, offset: f64, count: u32) -> Result<u32> {
    notify(&map.mapping, offset as usize, count).map_err(|error| to_js(&env, &error))
}

#[napi]
pub struct NativeMutex {
    mapping: Arc<Mapping>,
    mutex: Arc<Mutex>,
}

#[napi]
impl NativeMutex {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64) -> Result<Self> {
        let mapping = Arc::clone(&map.mapping);
        match Mutex::new(&mapping, offset as usize) {
            Ok(mutex) => Ok(Self { mapping, mutex: Arc::new(mutex) }),
            Err(error) => Err(to_js(&env, &error)),
        }
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Arc<Mutex>> {
        External::new(Arc::clone(&self.mutex))
    }

    #[napi]
    pub fn lock_async(&self, env: Env, timeout: f64, waits: &NativeWaits, id: u32) -> Result<()> {
        let mutex = Arc::clone(&self.mutex);
        waits.start(&env, &self.mapping, id, timeout, move |patience| {
            mutex.lock_in_turn(patience).map(lock_code)
        })
    }
}

/// 0 acquired, 1 recovered, 2 timed out.
#[napi]
pub fn mutex_lock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: &External<Arc<Mutex>>,
    timeout: f64,
) -> Result<u32> {
    mutex.lock(&patience(timeout)).map(lock_code).map_err(|error| to_js(&env, &error))
}

/// 0 acquired, 1 recovered, 2 somebody holds it.
#[napi]
pub fn mutex_try_lock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: &External<Arc<Mutex>>,
) -> Result<u32> {
    mutex.try_lock().map(lock_code).map_err(|error| to_js(&env, &error))
}

#[napi]
pub fn mutex_unlock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: &External<Arc<Mutex>>,
) -> Result<()> {
    mutex.unlock().map_err(|error| to_js(&env, &error))
}

#[napi]
pub struct NativeSemaphore {
    mapping: Arc<Mapping>,
    semaphore: Arc<Semaphore>,
}

#[napi]
impl NativeSemaphore {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, initial: Option<u32>) -> Result<Self> {
        let mapping = Arc::clone(&map.mapping);
        match Semaphore::new(&mapping, offset as usize, initial) {
            Ok(semaphore) => Ok(Self { mapping, semaphore: Arc::new(semaphore) }),
            Err(error) => Err(to_js(&env, &error)),
        }
    }

    /// 0 acquired, 2 timed out.
    #[napi]
    pub fn acquire(&self, env: Env, timeout: f64) -> Result<u32> {
        self.semaphore.acquire(&patience(timeout)).map(code).map_err(|error| to_js(&env, &error))
    }

    #[napi]
    pub fn acquire_async(
        &self,
        env: Env,
        timeout: f64,
        waits: &NativeWaits,
        id: u32,
    ) -> Result<()> {
        let semaphore = Arc::clone(&self.semaphore);
        waits.start(&env, &self.mapping, id, timeout, move |patience| {
            semaphore.acquire(patience).map(code)
        })
    }

    #[napi]
    pub fn try_acquire(&self, env: Env) -> Result<bool> {
        self.semaphore.try_acquire().map_err(|error| to_js(&env, &error))
    }

    #[napi]
    pub fn release(&self, env: Env, count: u32) -> Result<()> {
        self.semaphore.release(count).map_err(|error| to_js(&env, &error))
    }
}

#[napi]
pub struct NativeChannel {
    mapping: Arc<Mapping>,
    channel: Arc<Channel>,
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
        let channel = Arc::new(channel.map_err(|error| to_js(&env, &error))?);
        Ok(Self { mapping, channel, reserved: RefCell::default(), borrowed: RefCell::default() })
    }

    #[napi(getter)]
    pub fn capacity(&self) -> f64 {
        self.channel.capacity() as f64
    }

    #[napi(getter)]
    pub fn max_length(&self) -> f64 {
        self.channel.max_length() as f64
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Arc<Channel>> {
        External::new(Arc::clone(&self.channel))
    }

    #[napi]
    pub fn send_async(
        &self,
        env: Env,
        data: &[u8],
        timeout: f64,
        waits: &NativeWaits,
        id: u32,
    ) -> Result<()> {
        let channel = Arc::clone(&self.channel);
        let data = data.to_vec();
        waits.start(&env, &self.mapping, id, timeout, move |patience| {
            channel.send(&data, Some(patience)).map(code)
        })
    }

    fn next(&self, timeout: f64) -> memory_map::Result<Option<Message>> {
        match timeout {
            0.0 => self.channel.receive(None),
            timeout => self.channel.receive(Some(&patience(timeout))),
        }
    }

    /// Waits until there is a message: 0, or 2 where there is none in time.
    #[napi]
    pub fn ready_async(&self, env: Env, timeout: f64, waits: &NativeWaits, id: u32) -> Result<()> {
        let channel = Arc::clone(&self.channel);
        waits.start(&env, &self.mapping, id, timeout, move |patience| {
            channel.wait_for_message(patience).map(code)
        })
    }

    /// Takes room for a message; its offset in the mapping, or -1 where there is none in time.
    #[napi]
    pub fn reserve(&self, env: Env, length: f64, timeout: f64) -> Result<f64> {
        let patience = patience(timeout);
        let patience = (timeout != 0.0).then_some(&patience);
        let reservation = self.channel.reserve(length as usize, patience);
        match reservation.map_err(|error| to_js(&env, &error))? {
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
        let result = if length < 0.0 {
            self.channel.abandon(reservation)
        } else {
            self.channel.commit(reservation, length as usize)
        };
        result.map(|()| true).map_err(|error| to_js(&env, &error))
    }

    /// Receives a message and leaves it where it is: its offset in the mapping and its length.
    #[napi]
    pub fn borrow(&self, env: Env, timeout: f64) -> Result<Option<Vec<f64>>> {
        let message = self.next(timeout).map_err(|error| to_js(&env, &error))?;
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
        self.channel.release(message).map(|()| true).map_err(|error| to_js(&env, &error))
    }

    /// Lets another one be the receiver.
    #[napi]
    pub fn stop_receiving(&self, env: Env) -> Result<()> {
        if let Some(message) = self.borrowed.borrow_mut().take() {
            self.channel.keep(message);
        }
        self.channel.stop_receiving().map_err(|error| to_js(&env, &error))
    }
}

/// Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
/// 0.
#[napi]
pub fn channel_send(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Arc<Channel>>,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    let patience = (timeout != 0.0).then(|| patience(timeout));
    channel.send(data, patience.as_ref()).map_err(|error| to_js(&env, &error))
}

/// Receives a message into `target`, from `offset` on, and says how long it is; -1 where there is
/// none in time; -2 less the length of one for which there is no room, and which stays. Does not
/// wait where `timeout` is 0.
#[napi]
pub fn channel_receive(
    env: Env,
    #[napi(ts_arg_type = "object")] channel: &External<Arc<Channel>>,
    mut target: BufferSlice,
    offset: u32,
    timeout: f64,
) -> Result<f64> {
    let patience = (timeout != 0.0).then(|| patience(timeout));
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    match channel.receive_into(target, patience.as_ref()) {
        Ok(Received::Nothing) => Ok(-1.0),
        Ok(Received::Copied(length)) => Ok(length as f64),
        Ok(Received::TooLong(length)) => Ok(-2.0 - length as f64),
        Err(error) => Err(to_js(&env, &error)),
    }
}
