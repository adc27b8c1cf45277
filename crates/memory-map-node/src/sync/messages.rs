//! Sending and receiving by copying, as channels, queues and broadcasts do.

use std::cell::RefCell;
use std::collections::HashMap;

use memory_map::ipc::{Message, Patience, Received};
use napi::bindgen_prelude::*;

use super::waits::attempt;

/// Sends messages that end at the first `count` of `ends`, and says how many there was room for in time.
pub fn send_many(
    env: &Env,
    ends: &[u32],
    count: u32,
    timeout: f64,
    send: impl FnOnce(&[u32], Option<&Patience<'_>>) -> memory_map::Result<usize>,
) -> Result<u32> {
    let ends = ends.get(..count as usize).unwrap_or(ends);
    attempt(env, timeout, |patience| send(ends, patience)).map(|sent| sent as u32)
}

/// Receives a message into `target`, from `offset` on.
pub fn receive(
    env: &Env,
    mut target: BufferSlice<'_>,
    offset: u32,
    timeout: f64,
    receive: impl FnOnce(&mut [u8], Option<&Patience<'_>>) -> memory_map::Result<Received>,
) -> Result<f64> {
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    attempt(env, timeout, |patience| receive(target, patience)).map(received_code)
}

/// Receives up to `most` messages into `target`, from `offset` on, and notes in `ends` where they end.
pub fn receive_many(
    env: &Env,
    target: BufferSlice<'_>,
    offset: u32,
    mut ends: Uint32ArraySlice<'_>,
    most: u32,
    timeout: f64,
    receive_into: impl FnOnce(
        &mut [u8],
        &mut [u32],
        Option<&Patience<'_>>,
    ) -> memory_map::Result<Received>,
) -> Result<f64> {
    // SAFETY: only this thread has the array, and it is not in JavaScript.
    let ends = unsafe { ends.as_mut() };
    let most = ends.len().min(most as usize);
    receive(env, target, offset, timeout, |target, patience| {
        receive_into(target, &mut ends[..most], patience)
    })
}

/// Messages that JavaScript uses where they lie, by their offset in the mapping.
#[derive(Default)]
pub struct Lent(RefCell<HashMap<usize, Message>>);

impl Lent {
    /// Keeps a message: its offset in the mapping and its length.
    pub fn keep(&self, message: Option<Message>) -> Option<Vec<f64>> {
        message.map(|message| {
            let (offset, length) = (message.offset(), message.length());
            self.0.borrow_mut().insert(offset, message);
            vec![offset as f64, length as f64]
        })
    }

    /// The one at an offset, which is given back.
    pub fn take(&self, offset: f64) -> Option<Message> {
        self.0.borrow_mut().remove(&(offset as usize))
    }

    /// All of them.
    pub fn take_all(&self) -> impl Iterator<Item = Message> {
        self.0.take().into_values()
    }
}

fn received_code(received: Received) -> f64 {
    match received {
        Received::Nothing => -1.0,
        Received::Copied(count) => count as f64,
        Received::TooLong(length) => -2.0 - length as f64,
    }
}
