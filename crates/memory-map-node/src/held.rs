//! What is behind a `MemoryMap` of JavaScript's.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use memory_map::{Error, Mapping};
use napi::bindgen_prelude::*;

use crate::array_buffer::Export;
use crate::error::to_js;

/// A mapping, and the ArrayBuffers over it.
pub struct Held {
    pub mapping: Arc<Mapping>,
    pub exports: RefCell<Vec<Arc<Export>>>,
    /// Whether the JavaScript object is gone: then the mapping goes with the last ArrayBuffer.
    pub is_orphan: Cell<bool>,
}

impl Held {
    /// Checks that a range, counted from the start of the first page, lies in the mapping.
    pub fn check_range(&self, env: &Env, start: f64, length: f64) -> Result<(usize, usize)> {
        let (start, length) = (start as usize, length as usize);
        let total = self.mapping.page_offset() + self.mapping.len();
        if start.checked_add(length).is_none_or(|end| end > total) {
            let name = "range";
            let error = Error::OutOfRange { name, requirement: "inside the mapping" };
            return Err(to_js(env, &error));
        }
        Ok((start, length))
    }
}
