//! What is behind a JavaScript object, and must not outlive the environment.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use memory_map::Error;
use napi::bindgen_prelude::*;

use crate::environment::{End, Environment};
use crate::error::to_js;

/// A value that is dropped when its environment ends, at the latest. Not every runtime runs the finalizers
/// of a worker's objects, and what a dead worker has locked would stay locked.
pub struct Tied<T>(Rc<RefCell<Option<T>>>);

impl<T: 'static> Tied<T> {
    pub fn new(env: &Env, value: T) -> Self {
        let cell = Rc::new(RefCell::new(Some(value)));
        Environment::of(env.raw()).tie(&cell);
        Self(cell)
    }

    /// # Errors
    /// [`Error::Closed`] where the environment has ended.
    pub fn get(&self, env: &Env) -> Result<Ref<'_, T>> {
        Ref::filter_map(self.0.borrow(), Option::as_ref).map_err(|_| to_js(env, &Error::Closed))
    }
}

impl<T> Clone for Tied<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> End for RefCell<Option<T>> {
    fn end(&self) {
        drop(self.take());
    }
}
