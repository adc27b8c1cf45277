//! The class behind `Queue`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use memory_map::copy_of;
use memory_map::ipc::{Delivery, Patience, Queue};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{CREATE, InMapping, OPEN, code};
use super::messages;
use super::waits::{Job, NativeWait, attempt};
use crate::error::to_js;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeQueue {
    tied: Tied<InMapping<Queue>>,
    /// What was received and is neither released nor given up, by a number.
    taken: RefCell<HashMap<u32, Delivery>>,
    last: Cell<u32>,
    /// The numbers of those that were received last.
    unread: RefCell<Vec<u32>>,
}

#[napi]
impl NativeQueue {
    /// Makes a queue of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2).
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, length: f64, how: u32) -> Result<Self> {
        let (offset, length) = (offset as usize, length as usize);
        let tied = InMapping::tied(&env, &map, |mapping| match how {
            CREATE => Queue::create(mapping, offset, length),
            OPEN => Queue::open(mapping, offset),
            _ => Queue::open_or_create(mapping, offset, length),
        })?;
        Ok(Self {
            tied,
            taken: RefCell::default(),
            last: Cell::default(),
            unread: RefCell::default(),
        })
    }

    #[napi(getter)]
    pub fn capacity(&self, env: Env) -> Result<f64> {
        Ok(self.tied.get(&env)?.object.capacity() as f64)
    }

    #[napi(getter)]
    pub fn max_length(&self, env: Env) -> Result<f64> {
        Ok(self.tied.get(&env)?.object.max_length() as f64)
    }

    /// Sends a message; `false` where there is no room for it in time. Does not wait where `timeout` is
    /// 0.
    #[napi]
    pub fn send(&self, env: Env, data: &[u8], timeout: f64) -> Result<bool> {
        let queue = self.tied.get(&env)?;
        attempt(&env, timeout, |patience| queue.object.send(data, patience))
    }

    /// Sends messages that lie one behind the other, up to the first `count` of `ends`; says how many
    /// there was room for in time.
    #[napi]
    pub fn send_many(
        &self,
        env: Env,
        data: &[u8],
        ends: &[u32],
        count: u32,
        timeout: f64,
    ) -> Result<u32> {
        let queue = self.tied.get(&env)?;
        messages::send_many(&env, ends, count, timeout, |ends, patience| {
            queue.object.send_many(data, ends, patience)
        })
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
        self.tied.get(env)?.start(env, timeout, pending, move |queue, patience| {
            queue.send(&data, Some(patience)).map(code)
        })
    }

    /// Waits until there is a message: 0, or 2 where there is none in time.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn ready_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        self.tied.get(env)?.start(env, timeout, pending, |queue, patience| {
            queue.wait_for_message(patience).map(code)
        })
    }

    /// Receives up to `most` messages: of each its number, its length and how often it was delivered.
    /// Nothing where there is none in time. Does not wait where `timeout` is 0.
    #[napi]
    pub fn receive(&self, env: Env, most: u32, timeout: f64) -> Result<Vec<f64>> {
        let queue = self.tied.get(&env)?;
        let receive = |patience: Option<&Patience<'_>>| match most {
            1 => queue.object.receive(patience).map(|message| message.into_iter().collect()),
            _ => queue.object.receive_many(most as usize, patience),
        };
        let messages: Vec<Delivery> = attempt(&env, timeout, receive)?;
        let (mut taken, mut unread) = (self.taken.borrow_mut(), self.unread.borrow_mut());
        unread.clear();
        let mut told = Vec::with_capacity(3 * messages.len());
        for message in messages {
            let mut number = self.last.get().wrapping_add(1);
            while taken.contains_key(&number) {
                number = number.wrapping_add(1);
            }
            self.last.set(number);
            told.extend([f64::from(number), message.length() as f64, message.deliveries() as f64]);
            unread.push(number);
            taken.insert(number, message);
        }
        Ok(told)
    }

    /// Copies what was received last to `target`, each message at the next multiple of eight.
    #[napi]
    pub fn read(&self, env: Env, mut target: BufferSlice) -> Result<()> {
        let queue = &self.tied.get(&env)?.object;
        let (taken, mut start) = (self.taken.borrow(), 0_usize);
        for message in self.unread.take().iter().filter_map(|number| taken.get(number)) {
            let end = start + message.length();
            let Some(part) = target.get_mut(start..end) else { break };
            queue.read(message, part).map_err(|error| to_js(&env, &error))?;
            start = end.next_multiple_of(8);
        }
        Ok(())
    }

    /// Is done with a message, or gives it up; `false` where there is none of that number.
    #[napi]
    pub fn settle(&self, env: Env, number: u32, requeue: bool) -> Result<bool> {
        let Some(message) = self.taken.borrow_mut().remove(&number) else { return Ok(false) };
        let settle = if requeue { Queue::requeue } else { Queue::release };
        self.tied.call(&env, |queue| settle(queue, message)).map(|()| true)
    }

    /// Gives all messages up.
    #[napi]
    pub fn requeue_all(&self, env: Env) -> Result<()> {
        self.tied.call(&env, |queue| {
            let taken = self.taken.take().into_values();
            let done = taken.map(|message| queue.requeue(message)).reduce(std::result::Result::and);
            done.unwrap_or(Ok(()))
        })
    }

    /// How many messages wait and how many bytes are in them, and how many receivers have.
    #[napi]
    pub fn pending(&self, env: Env) -> Result<Vec<f64>> {
        let [there, taken] = self.tied.call(&env, Queue::pending)?;
        Ok(vec![there.0 as f64, there.1 as f64, taken.0 as f64])
    }
}

/// Waits until there is a queue: 0, or 2 where there is none in time.
#[napi(ts_return_type = "Promise<number>")]
pub fn queue_made<'env>(
    env: &'env Env,
    map: Token,
    offset: f64,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let mapping = Arc::clone(&map.mapping);
    let job = Job::new(move |patience| {
        Queue::wait_for_queue(&mapping, offset as usize, patience).map(code)
    });
    pending.start(env, &map.mapping, timeout, job)
}
