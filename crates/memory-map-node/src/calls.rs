//! Functions that are called often, without what napi-rs does around a call: it allocates twice for each
//! call with arguments, to keep track of the Rust objects that it lends. These functions take none.
//!
//! Each stays a function of `#[napi]`, which exports it and puts its type into `lib/binding.d.ts`. When the
//! module has been made, `replace` puts a faster one in its place, under the same name. It converts
//! arguments by the same signature, so the type holds for it too.

use std::any::type_name;
use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

use crate::array_buffer::RawValue;
use crate::error::Outcome;
use crate::{libuv, mapping, sync};

/// More arguments than any of the functions has.
const MOST: usize = 8;

/// What such a function may return.
trait Answer {
    /// # Safety
    /// `env` must be alive, and this thread's.
    unsafe fn to_value(self, env: sys::napi_env) -> Result<sys::napi_value>;
}

/// The error is thrown. (`ToNapiValue` makes a value of it.)
impl<T: ToNapiValue> Answer for Result<T> {
    unsafe fn to_value(self, env: sys::napi_env) -> Result<sys::napi_value> {
        // SAFETY: the caller vouches for `env`.
        self.and_then(|value| unsafe { T::to_napi_value(env, value) })
    }
}

macro_rules! values {
    ($([$($parameter:ident)?] $type:ty),*) => {
        $(impl<$($parameter: ToNapiValue)?> Answer for $type {
            unsafe fn to_value(self, env: sys::napi_env) -> Result<sys::napi_value> {
                // SAFETY: the caller vouches for `env`.
                unsafe { ToNapiValue::to_napi_value(env, self) }
            }
        })*
    };
}

values!([] f64, [] u32, [T] Option<T>, [T] Outcome<T>);

/// A function whose arguments and answer can be converted. `Signature` tells those that take the
/// environment first from the others.
trait Callable<Signature>: 'static {
    /// # Safety
    /// The values must be of `env`, which is alive and this thread's.
    unsafe fn call(
        &self,
        env: sys::napi_env,
        values: &[sys::napi_value; MOST],
    ) -> Result<sys::napi_value>;
}

macro_rules! callable {
    ($($argument:ident)*) => {
        callable!(@with () fn($($argument),*) [$($argument)*] [] env);
        callable!(@with (Env::from_raw(env),) (Env, fn($($argument),*)) [$($argument)*] [Env,] env);
    };
    (@with ($($first:tt)*) $signature:ty [$($argument:ident)*] [$($taken:tt)*] $env:ident) => {
        impl<F, R, $($argument),*> Callable<$signature> for F
        where
            F: Fn($($taken)* $($argument),*) -> R + 'static,
            R: Answer,
            $($argument: FromNapiValue,)*
        {
            #[allow(non_snake_case, unused_variables)]
            unsafe fn call(
                &self,
                $env: sys::napi_env,
                values: &[sys::napi_value; MOST],
            ) -> Result<sys::napi_value> {
                let [$($argument,)* ..] = *values;
                $(
                    // SAFETY: the caller vouches for the value.
                    let $argument = unsafe { $argument::from_napi_value($env, $argument) }?;
                )*
                let answer = self($($first)* $($argument),*);
                // SAFETY: the caller vouches for the environment.
                unsafe { answer.to_value($env) }
            }
        }
    };
}

callable!();
callable!(A);
callable!(A B);
callable!(A B C);
callable!(A B C D);
callable!(A B C D E);
callable!(A B C D E G);
callable!(A B C D E G H);
callable!(A B C D E G H I);

/// What JavaScript calls, with an `F` as its data. A panic ends the process, as in every function of the binding.
unsafe extern "C" fn enter<F: Callable<S>, S>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let call = || {
        let (mut count, mut values, mut data) = (MOST, [ptr::null_mut(); MOST], ptr::null_mut());
        let (first, this) = (values.as_mut_ptr(), ptr::null_mut());
        // SAFETY: the runtime calls this, with its environment and what belongs to the call; `first` has
        // room for `count` values, and those that were not given become undefined.
        let status =
            unsafe { sys::napi_get_cb_info(env, info, &raw mut count, first, this, &raw mut data) };
        check_status!(status, "no arguments")?;
        // SAFETY: `replace` has given the function a `&'static F`.
        let function = unsafe { &*data.cast::<F>() };
        // SAFETY: the runtime has just given the values, for this call.
        unsafe { function.call(env, &values) }
    };
    call().unwrap_or_else(|error| {
        // SAFETY: `env` is alive, and this is its thread.
        unsafe { JsError::from(error).throw_into(env) };
        ptr::null_mut()
    })
}

/// Puts `function` in the place of what napi-rs has made of it, which has the same name.
fn replace<F: Callable<S>, S>(
    env: sys::napi_env,
    object: &mut Object<'_>,
    function: &'static F,
) -> Result<()> {
    let path = type_name::<F>();
    let name = in_camel_case(path.rsplit("::").next().unwrap_or(path));
    if !object.has_named_property(&name)? {
        return Err(Error::from_reason(format!("no function {name} for {path}")));
    }
    let (start, length) = (name.as_ptr().cast(), name.len() as isize);
    let data = ptr::from_ref(function).cast_mut().cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY: `env` is alive and this thread's, the name has that length, `enter` is never unloaded, and `data`
    // is what it takes.
    let status = unsafe {
        let enter: sys::napi_callback = Some(enter::<F, S>);
        sys::napi_create_function(env, start, length, enter, data, &raw mut value)
    };
    check_status!(status, "{name}")?;
    object.set_named_property(&name, RawValue(value))
}

/// What JavaScript calls a function.
fn in_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |start, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        start + &initial.to_ascii_uppercase() + rest
    })
}

#[napi(module_exports)]
pub fn replace_all(mut exports: Object, env: Env) -> Result<()> {
    let (env, all) = (env.raw(), &mut exports);
    replace(env, all, &mapping::map_file)?;
    replace(env, all, &mapping::map_anonymous)?;
    replace(env, all, &libuv::requests)?;
    replace(env, all, &sync::broadcast::broadcast_send)?;
    replace(env, all, &sync::broadcast::broadcast_send_many)?;
    replace(env, all, &sync::broadcast::broadcast_receive)?;
    replace(env, all, &sync::broadcast::broadcast_receive_many)?;
    replace(env, all, &sync::channel::channel_send)?;
    replace(env, all, &sync::channel::channel_send_many)?;
    replace(env, all, &sync::channel::channel_receive)?;
    replace(env, all, &sync::channel::channel_receive_many)?;
    replace(env, all, &sync::channel::channel_receive_ahead)?;
    replace(env, all, &sync::condition::condition_notify)?;
    replace(env, all, &sync::event::event_set)?;
    replace(env, all, &sync::event::event_clear)?;
    replace(env, all, &sync::latest::latest_write)?;
    replace(env, all, &sync::latest::latest_read)?;
    replace(env, all, &sync::mutex::mutex_lock)?;
    replace(env, all, &sync::mutex::mutex_try_lock)?;
    replace(env, all, &sync::mutex::mutex_unlock)?;
    replace(env, all, &sync::queue::queue_send)?;
    replace(env, all, &sync::queue::queue_send_many)?;
    replace(env, all, &sync::queue::queue_receive)?;
    replace(env, all, &sync::queue::queue_receive_many)?;
    replace(env, all, &sync::queue::queue_read)?;
    replace(env, all, &sync::queue::queue_settle)?;
    replace(env, all, &sync::rwlock::rwlock_lock_shared)?;
    replace(env, all, &sync::rwlock::rwlock_try_lock_shared)?;
    replace(env, all, &sync::rwlock::rwlock_lock_exclusive)?;
    replace(env, all, &sync::rwlock::rwlock_try_lock_exclusive)?;
    replace(env, all, &sync::rwlock::rwlock_unlock)?;
    replace(env, all, &sync::semaphore::semaphore_acquire)?;
    replace(env, all, &sync::semaphore::semaphore_try_acquire)?;
    replace(env, all, &sync::semaphore::semaphore_release)?;
    replace(env, all, &sync::wait::ipc_notify)?;
    let of_mappings = &mut all.get_named_property::<Object>("mapping")?;
    replace(env, of_mappings, &mapping::length)?;
    replace(env, of_mappings, &mapping::page_offset)?;
    replace(env, of_mappings, &mapping::array_buffer)?;
    replace(env, of_mappings, &mapping::faults)?;
    replace(env, of_mappings, &mapping::collect)?;
    replace(env, of_mappings, &mapping::read)?;
    replace(env, of_mappings, &mapping::write)?;
    replace(env, of_mappings, &mapping::close)
}
