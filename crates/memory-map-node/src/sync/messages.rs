//! Sending and receiving by copying, as channels, queues and broadcasts do.

use std::collections::HashMap;
use std::sync::Mutex;

use memory_map::LockAnyway;
use memory_map::ipc::{Message, Patience, Received};
use napi::bindgen_prelude::*;

use super::in_mapping::Native;

/// Sends messages that end at the first `count` of `ends`, and returns how many there was room for in time.
pub fn send_many<T: 'static>(
    env: &Env,
    sender: &Native<T>,
    ends: &[u32],
    count: u32,
    timeout: f64,
    send: impl FnOnce(&T, &[u32], Option<&Patience<'_>>) -> memory_map::Result<usize>,
) -> Result<u32> {
    let ends = ends.get(..count as usize).unwrap_or(ends);
    sender
        .attempt(env, timeout, |sender, patience| send(sender, ends, patience))
        .map(|sent| sent as u32)
}

/// Receives a message into `target`, from `offset` on.
pub fn receive<T: 'static>(
    env: &Env,
    receiver: &Native<T>,
    mut target: BufferSlice<'_>,
    offset: u32,
    timeout: f64,
    receive: impl FnOnce(&T, &mut [u8], Option<&Patience<'_>>) -> memory_map::Result<Received>,
) -> Result<f64> {
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    receiver
        .attempt(env, timeout, |receiver, patience| receive(receiver, target, patience))
        .map(received_code)
}

/// Receives up to `most` messages into `target`, from `offset` on, and notes in `ends` where they end.
#[allow(clippy::too_many_arguments)] // those of the functions that call it
pub fn receive_many<T: 'static>(
    env: &Env,
    receiver: &Native<T>,
    target: BufferSlice<'_>,
    offset: u32,
    mut ends: Uint32ArraySlice<'_>,
    most: u32,
    timeout: f64,
    receive_into: impl FnOnce(
        &T,
        &mut [u8],
        &mut [u32],
        Option<&Patience<'_>>,
    ) -> memory_map::Result<Received>,
) -> Result<f64> {
    // SAFETY: only this thread has the array, and it is not in JavaScript.
    let ends = unsafe { ends.as_mut() };
    let most = ends.len().min(most as usize);
    receive(env, receiver, target, offset, timeout, |receiver, target, patience| {
        receive_into(receiver, target, &mut ends[..most], patience)
    })
}

/// Messages that JavaScript uses in place, by their offset in the mapping.
#[derive(Default)]
pub struct Lent(Mutex<HashMap<usize, Message>>);

impl Lent {
    /// Keeps a message, and returns its offset in the mapping and its length.
    pub fn keep(&self, message: Option<Message>) -> Option<Vec<f64>> {
        message.map(|message| {
            let (offset, length) = (message.offset(), message.length());
            self.0.lock_anyway().insert(offset, message);
            vec![offset as f64, length as f64]
        })
    }

    /// Has `release` give back the message at an offset; `false` if there is none.
    pub fn release(
        &self,
        offset: f64,
        release: impl FnOnce(Message) -> memory_map::Result<()>,
    ) -> memory_map::Result<bool> {
        self.take(offset).map_or(Ok(false), |message| release(message).map(|()| true))
    }

    /// Takes out the message at an offset.
    pub fn take(&self, offset: f64) -> Option<Message> {
        self.0.lock_anyway().remove(&(offset as usize))
    }

    /// Takes out all messages.
    pub fn take_all(&self) -> impl Iterator<Item = Message> {
        std::mem::take(&mut *self.0.lock_anyway()).into_values()
    }
}

fn received_code(received: Received) -> f64 {
    match received {
        Received::Nothing => -1.0,
        Received::Copied(count) => count as f64,
        Received::TooLong(length) => -2.0 - length as f64,
    }
}
