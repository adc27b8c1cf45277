//! What is behind `Queue`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use memory_map::ipc::{Delivery, Queue};
use memory_map::{Error, LockAnyway, copy_of};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{CREATE, Native, OPEN, code};
use super::messages;
use super::waits::{Job, NativeWait};
use crate::error::to_js;
use crate::mapping::Token;

/// A queue, and the messages received through it that are neither released nor given up.
pub struct Worker {
    queue: Queue,
    /// By number. JavaScript gives each message another one.
    taken: Mutex<HashMap<u64, Delivery>>,
}

impl Worker {
    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Delivery>> {
        self.taken.lock_anyway()
    }
}

type NativeQueue = Native<Worker>;

/// Makes a queue of `length` bytes (`how` is 0), opens one (1), or makes one if there is none (2).
#[napi]
pub fn queue_open(env: Env, map: Token, offset: f64, length: f64, how: u32) -> Result<NativeQueue> {
    let (offset, length) = (offset as usize, length as usize);
    Native::new(&env, &map.mapping, |mapping| {
        let queue = match how {
            CREATE => Queue::create(mapping, offset, length),
            OPEN => Queue::open(mapping, offset),
            _ => Queue::open_or_create(mapping, offset, length),
        }?;
        Ok(Worker { queue, taken: Mutex::default() })
    })
}

#[napi]
pub fn queue_capacity(env: Env, queue: NativeQueue) -> Result<f64> {
    Ok(queue.get(&env)?.object.queue.capacity() as f64)
}

#[napi]
pub fn queue_max_length(env: Env, queue: NativeQueue) -> Result<f64> {
    Ok(queue.get(&env)?.object.queue.max_length() as f64)
}

#[napi(ts_return_type = "Promise<number>")]
pub fn queue_send_async<'env>(
    env: &'env Env,
    queue: NativeQueue,
    data: &[u8],
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let data = copy_of(data).map_err(|error| to_js(env, &error))?;
    queue.start(env, timeout, pending, move |worker, patience| {
        worker.queue.send(&data, Some(patience)).map(code)
    })
}

/// Waits until there is a message: 0, or 2 if the time is up first.
#[napi(ts_return_type = "Promise<number>")]
pub fn queue_ready_async<'env>(
    env: &'env Env,
    queue: NativeQueue,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    queue.start(env, timeout, pending, |worker, patience| {
        worker.queue.wait_for_message(patience).map(code)
    })
}

/// Gives all messages up.
#[napi]
pub fn queue_requeue_all(env: Env, queue: NativeQueue) -> Result<()> {
    queue.call(&env, |worker| {
        let taken = std::mem::take(&mut *worker.taken()).into_values();
        let done =
            taken.map(|message| worker.queue.requeue(message)).reduce(std::result::Result::and);
        done.unwrap_or(Ok(()))
    })
}

/// How many messages wait, how many bytes are in them, and how many messages receivers have.
#[napi]
pub fn queue_pending(env: Env, queue: NativeQueue) -> Result<Vec<f64>> {
    let [there, taken] = queue.call(&env, |worker| worker.queue.pending())?;
    Ok(vec![there.0 as f64, there.1 as f64, taken.0 as f64])
}

/// Sends a message; `false` if there is no room for it in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn queue_send(env: Env, queue: NativeQueue, data: &[u8], timeout: f64) -> Result<bool> {
    queue.attempt(&env, timeout, |worker, patience| worker.queue.send(data, patience))
}

/// Sends messages as `channelSendMany` does.
#[napi]
pub fn queue_send_many(
    env: Env,
    queue: NativeQueue,
    data: &[u8],
    ends: &[u32],
    count: u32,
    timeout: f64,
) -> Result<u32> {
    messages::send_many(&env, &queue, ends, count, timeout, |worker, ends, patience| {
        worker.queue.send_many(data, ends, patience)
    })
}

/// Receives a message, which gets the number `number`, and copies it into `target`, from `start` on, if all of it
/// fits before `end`. Returns its length, or -2 less its length if it was delivered before: `queueDeliveries` says how
/// often. -1 if none comes in time. With a `timeout` of 0 it does not wait.
#[napi]
pub fn queue_receive(
    env: Env,
    queue: NativeQueue,
    number: f64,
    mut target: BufferSlice,
    start: u32,
    end: u32,
    timeout: f64,
) -> Result<f64> {
    let target = target.get_mut(start as usize..end as usize).unwrap_or_default();
    queue.attempt(&env, timeout, |worker, patience| {
        let Some(message) = worker.queue.receive_into(target, patience)? else { return Ok(-1.0) };
        let length = message.length() as f64;
        let told = if message.deliveries() == 1 { length } else { -2.0 - length };
        worker.taken().insert(number as u64, message);
        Ok(told)
    })
}

/// The same for up to `most` messages that are there, which get the numbers from `first` on. Each is copied to the
/// next multiple of eight from `offset` on, up to the first that does not fit. Returns how many; `told` gets
/// two numbers for each: its length, and how often it was delivered.
#[napi]
#[allow(clippy::too_many_arguments)] // one call of many numbers is faster than an object of them
pub fn queue_receive_many(
    env: Env,
    queue: NativeQueue,
    first: f64,
    mut target: BufferSlice,
    offset: u32,
    mut told: Float64ArraySlice,
    most: u32,
    timeout: f64,
) -> Result<u32> {
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    // SAFETY: only this thread has the array, `target` is other memory, and the only JavaScript that may run
    // before this returns is the script `0`, which a wait runs to learn whether it may go on.
    let told = unsafe { told.as_mut() };
    let most = (told.len() / 2).min(most as usize);
    queue.attempt(&env, timeout, |worker, patience| {
        let messages = worker.queue.receive_many_into(most, target, patience)?;
        let count = messages.len() as u32;
        let mut taken = worker.taken();
        let numbers = first as u64..;
        for ((number, message), told) in numbers.zip(messages).zip(told.chunks_exact_mut(2)) {
            told.copy_from_slice(&[message.length() as f64, message.deliveries() as f64]);
            taken.insert(number, message);
        }
        Ok(count)
    })
}

/// How often a message was delivered, including this time; 0 if there is none with that number.
#[napi]
pub fn queue_deliveries(env: Env, queue: NativeQueue, number: f64) -> Result<f64> {
    queue.call(&env, |worker| {
        Ok(worker.taken().get(&(number as u64)).map_or(0.0, |message| message.deliveries() as f64))
    })
}

/// Copies the first bytes of a message into all of `target`.
#[napi]
pub fn queue_read(
    env: Env,
    queue: NativeQueue,
    number: f64,
    mut target: BufferSlice,
) -> Result<()> {
    queue.call(&env, |worker| match worker.taken().get(&(number as u64)) {
        Some(message) => worker.queue.read(message, &mut target),
        None => Err(Error::NotOwner),
    })
}

/// Releases a message, or gives it up; `false` if there is none with that number.
#[napi]
pub fn queue_settle(env: Env, queue: NativeQueue, number: f64, requeue: bool) -> Result<bool> {
    let worker = &queue.get(&env)?.object;
    let Some(message) = worker.taken().get(&(number as u64)).cloned() else { return Ok(false) };
    let settle = if requeue { Queue::requeue } else { Queue::release };
    let settled = settle(&worker.queue, message);
    // After other errors this receiver still has it.
    if matches!(settled, Ok(()) | Err(Error::NotOwner)) {
        worker.taken().remove(&(number as u64));
    }
    settled.map(|()| true).map_err(|error| to_js(&env, &error))
}

/// Waits until there is a queue: 0, or 2 if the time is up first.
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
