//! ArrayBuffers over mapped memory, and the two keys that keep the memory's addresses.
//!
//! The addresses may go back to the OS when both are gone: the ArrayBuffer *object*, which native
//! code holds that reads the memory on another thread, and its *backing store*, which `transfer()`
//! can have moved into another ArrayBuffer. A weak reference tells the first, the finalizer of the
//! external memory the second.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use memory_map::{LockAnyway, Mapping, RegionKey};
use napi::bindgen_prelude::*;
use napi::sys;

use crate::error::to_js;

/// An ArrayBuffer as the runtime made it.
pub struct RawValue(pub sys::napi_value);

impl ToNapiValue for RawValue {
    unsafe fn to_napi_value(_env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        Ok(value.0)
    }
}

/// The part of an environment that other threads may use.
pub struct Remote {
    /// The number by which the core wakes this environment when one of its mappings has faulted.
    pub owner: u64,
    /// Exports whose store the runtime has freed; `None` once the environment has ended.
    freed: Mutex<Option<Vec<Arc<Export>>>>,
    /// References to objects that are not needed any more.
    released: Mutex<Vec<Reference>>,
    /// Whether memory of the runtime that the guard still watches may be gone.
    collected: AtomicBool,
}

impl Remote {
    pub fn new(owner: u64) -> Self {
        Self {
            owner,
            freed: Mutex::new(Some(Vec::new())),
            released: Mutex::default(),
            collected: AtomicBool::new(false),
        }
    }

    /// Has the environment check, soon and on its own thread, whether `export` is done with.
    pub fn note_freed(&self, export: Arc<Export>) {
        let mut freed = self.freed.lock_anyway();
        let first = match &mut *freed {
            Some(freed) => {
                freed.push(export);
                freed.len() == 1
            }
            None => return export.give_up_key(),
        };
        drop(freed);
        if first {
            memory_map::wake_owner(self.owner);
        }
    }

    /// Has the environment drop a reference, soon and on its own thread.
    pub fn release(&self, reference: Reference) {
        let mut released = self.released.lock_anyway();
        released.push(reference);
        let first = released.len() == 1;
        drop(released);
        if first {
            memory_map::wake_owner(self.owner);
        }
    }

    /// Has the environment check, soon, whether memory of the runtime that the guard watches is gone.
    pub fn note_collected(&self) {
        if memory_map::has_leftovers() && !self.collected.swap(true, Ordering::AcqRel) {
            memory_map::wake_owner(self.owner);
        }
    }

    pub fn take_released(&self) -> Vec<Reference> {
        std::mem::take(&mut *self.released.lock_anyway())
    }

    pub fn take_freed(&self) -> Vec<Arc<Export>> {
        let mut freed = self.freed.lock_anyway();
        freed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether `note_collected` was called since the last call.
    pub fn take_collected(&self) -> bool {
        self.collected.swap(false, Ordering::AcqRel)
    }

    pub fn end(&self) {
        let last = self.freed.lock_anyway().take();
        drop(last);
    }
}

/// A strong reference to an object, which only the environment's own thread uses.
pub struct Reference(pub sys::napi_ref);

// SAFETY: other threads only carry it back to the thread that made it.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl std::marker::Sync for Reference {}

/// An ArrayBuffer that was given to JavaScript.
pub struct Export {
    /// Bytes of the addresses that it keeps; 0 if another ArrayBuffer of the mapping counts for them.
    pub addresses: usize,
    /// The mapping's token.
    pub token: u64,
    /// Where it is in the environment's list. Only for the environment's own thread.
    pub position: AtomicUsize,
    key: Mutex<Option<RegionKey>>,
    /// Weak reference to the object. Only for the environment's own thread.
    object: AtomicPtr<sys::napi_ref__>,
    /// Whether `close` found the object with its memory and detached it, so that nothing else can
    /// have taken the memory.
    detached: AtomicBool,
    /// Whether it stayed attached when its mapping was closed.
    pub left_attached: AtomicBool,
    /// Whether the ArrayBuffer still had its memory when the environment was about to end.
    settled: AtomicBool,
    /// Whether the store was freed, so that only the object is waited for.
    freed: AtomicBool,
    /// Whether the environment is going away, and its objects with it.
    ending: AtomicBool,
    remote: Arc<Remote>,
}

impl Export {
    /// Makes an ArrayBuffer of `length` bytes, which begins `start` bytes after the start of the first page. One
    /// that is `lasting` is not detached by `close`, and JavaScript may transfer it. `counts` says whether
    /// it counts for the mapping's addresses.
    pub fn new(
        env: &Env,
        remote: &Arc<Remote>,
        mapping: &Mapping,
        start: usize,
        length: usize,
        lasting: bool,
        counts: bool,
    ) -> Result<(RawValue, Arc<Self>)> {
        let key = mapping.key().map_err(|error| to_js(env, &error))?;
        if lasting {
            key.make_lasting();
        }
        let raw = env.raw();
        let export = Arc::new(Self {
            addresses: if counts { key.length() } else { 0 },
            token: mapping.token(),
            position: AtomicUsize::new(0),
            key: Mutex::default(),
            object: AtomicPtr::new(ptr::null_mut()),
            detached: AtomicBool::new(false),
            left_attached: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            freed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            remote: Arc::clone(remote),
        });
        let hint = Arc::into_raw(Arc::clone(&export)).cast_mut();
        let mut value = ptr::null_mut();
        // SAFETY: the range lies in the mapping (the caller has checked it), and stays mapped
        // until `store_gone` has run, by the key. The address is not null and `length` not 0.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                raw,
                (key.start() + start) as *mut c_void,
                length,
                Some(store_gone),
                hint.cast(),
                &raw mut value,
            )
        };
        if status != sys::Status::napi_ok {
            // Some runtimes call the finalizer all the same, some do not: without a key the leaked
            // record is harmless either way.
            return Err(refused(env, status));
        }
        export.replace_key(Some(key));
        if lasting {
            value = transferred(raw, value);
        }
        let mut object = ptr::null_mut();
        // SAFETY: `value` is the object made above; the reference is weak, for its count is 0.
        let status = unsafe { sys::napi_create_reference(raw, value, 0, &raw mut object) };
        if status != sys::Status::napi_ok {
            return Err(refused(env, status));
        }
        export.object.store(object, Ordering::Relaxed);
        Ok((RawValue(value), export))
    }

    fn replace_key(&self, key: Option<RegionKey>) -> Option<RegionKey> {
        std::mem::replace(&mut *self.key.lock_anyway(), key)
    }

    /// Whether it counts for the addresses that its mapping has now.
    pub fn counts(&self) -> bool {
        self.addresses > 0 && !self.left_attached.load(Ordering::Relaxed)
    }

    /// Lets the ArrayBuffer stay attached: after `close` its first use is a fault.
    pub fn make_lasting(&self) {
        if let Some(key) = &*self.key.lock_anyway() {
            key.make_lasting();
        }
    }

    /// Lets the addresses go: nothing is left to wait for.
    pub fn give_up_key(&self) {
        self.replace_key(None);
    }

    /// The ArrayBuffer, while it has not been collected.
    pub fn object(&self, env: sys::napi_env) -> Option<sys::napi_value> {
        let object = self.object.load(Ordering::Relaxed);
        if object.is_null() {
            return None;
        }
        let mut value = ptr::null_mut();
        // SAFETY: the reference lives until `finish` takes it away.
        let status = unsafe { sys::napi_get_reference_value(env, object, &raw mut value) };
        (status == sys::Status::napi_ok && !value.is_null()).then_some(value)
    }

    /// Takes the memory away from the ArrayBuffer: it and its views have length 0 afterwards.
    pub fn detach(&self, env: sys::napi_env) {
        if let Some(object) = self.object(env)
            && !is_detached(env, object)
        {
            // Bun frees the store, and calls `store_gone`, inside of the detach.
            self.detached.store(true, Ordering::Release);
            // SAFETY: `object` is an external ArrayBuffer, which is detachable.
            let status = unsafe { sys::napi_detach_arraybuffer(env, object) };
            self.detached.store(status == sys::Status::napi_ok, Ordering::Release);
        }
    }

    /// Whether nothing can use the memory any more. If so, gives up the key before the runtime says so.
    pub fn is_unreachable(&self, env: sys::napi_env) -> bool {
        if self.key.lock_anyway().is_none() {
            return true;
        }
        let gone = self.detached.load(Ordering::Acquire) && self.object(env).is_none();
        if gone {
            self.forget_object(env);
            self.give_up_key();
        }
        gone
    }

    fn forget_object(&self, env: sys::napi_env) {
        let object = self.object.swap(ptr::null_mut(), Ordering::Relaxed);
        if !object.is_null() {
            // SAFETY: the reference was made in `new`, and no other code finds it here any more.
            unsafe { sys::napi_delete_reference(env, object) };
        }
    }

    /// Notes whether the ArrayBuffer still has its memory, at the last moment when that can be seen: Node
    /// detaches all of them before it runs the cleanup hooks.
    pub fn before_exit(&self, env: sys::napi_env) {
        if self.is_attached(env) {
            self.settled.store(true, Ordering::Release);
        }
    }

    fn is_attached(&self, env: sys::napi_env) -> bool {
        self.object(env).is_some_and(|object| !is_detached(env, object))
    }

    /// The environment ends. Unless the memory is known to be here, it may have moved into an ArrayBuffer
    /// of another thread, whose end nobody tells us.
    pub fn before_teardown(&self, env: sys::napi_env, objects_are_visible: bool) {
        self.ending.store(true, Ordering::Release);
        if self.freed.load(Ordering::Acquire) {
            // Deno runs no finalizer of an object that is there to the end, and Bun does not always.
            if let Some(key) = &*self.key.lock_anyway() {
                key.retire();
            }
            return;
        }
        let ours = self.detached.load(Ordering::Acquire)
            || self.settled.load(Ordering::Acquire)
            || (objects_are_visible && in_scope(env, || self.is_attached(env)));
        if !ours && let Some(key) = self.replace_key(None) {
            key.keep_for_good();
        }
    }

    /// The store is gone: has `object_gone` called when the object is gone too. Returns `false` if it already is.
    pub fn after_store(self: &Arc<Self>, env: sys::napi_env, object_gone: Finalizer) -> bool {
        self.freed.store(true, Ordering::Release);
        let Some(object) = self.object(env) else { return false };
        // SAFETY: `object` is alive, and `object_gone` takes what `Arc::into_raw` gives.
        let finalized = unsafe { add_finalizer(env, object, Arc::clone(self), object_gone) };
        if !finalized && let Some(key) = self.replace_key(None) {
            key.keep_for_good();
        }
        true
    }

    /// Both keys are gone.
    pub fn finish(&self, env: sys::napi_env) {
        self.forget_object(env);
        self.replace_key(None);
    }
}

/// The runtime has freed the backing store: on any thread, perhaps in the middle of a collection
/// (Deno), so nothing here may call the runtime.
unsafe extern "C" fn store_gone(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` came from `Arc::into_raw` in `Export::new`; the runtime calls this once.
    let export = unsafe { Arc::from_raw(hint.cast::<Export>()) };
    if export.ending.load(Ordering::Acquire) {
        // The object ends with its environment, and nothing is left to wait for it.
        export.give_up_key();
    } else {
        Arc::clone(&export.remote).note_freed(export);
    }
}

/// Is called once, when an object has been collected; its second argument is what `Arc::into_raw` gave.
pub type Finalizer = unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void);

/// Has `finalizer` called when `object` is collected; `false` where the runtime refuses.
///
/// # Safety
/// `object` must be an object of `env`, and `finalizer` take an `Arc<T>` that became a pointer.
pub unsafe fn add_finalizer<T>(
    env: sys::napi_env,
    object: sys::napi_value,
    data: Arc<T>,
    finalizer: Finalizer,
) -> bool {
    let data = Arc::into_raw(data).cast_mut();
    let none = ptr::null_mut();
    // SAFETY: the caller vouches for all of them.
    let status = unsafe {
        sys::napi_add_finalizer(env, object, data.cast(), Some(finalizer), none, none.cast())
    };
    if status != sys::Status::napi_ok {
        // SAFETY: the finalizer was not registered, so the count is still ours.
        drop(unsafe { Arc::from_raw(data) });
    }
    status == sys::Status::napi_ok
}

/// Moves the memory of an ArrayBuffer into a new one, if the runtime has `ArrayBuffer.prototype.transfer`:
/// `postMessage` and `structuredClone` refuse to transfer an ArrayBuffer that Node-API made.
fn transferred(env: sys::napi_env, object: sys::napi_value) -> sys::napi_value {
    let mut transfer = ptr::null_mut();
    // SAFETY: `object` is an ArrayBuffer that is alive.
    let found = unsafe {
        sys::napi_get_named_property(env, object, c"transfer".as_ptr(), &raw mut transfer)
    };
    let mut kind = sys::ValueType::napi_undefined;
    // SAFETY: `transfer` is a value where the call above succeeded.
    let known = found == sys::Status::napi_ok
        && unsafe { sys::napi_typeof(env, transfer, &raw mut kind) } == sys::Status::napi_ok;
    if !known || kind != sys::ValueType::napi_function {
        return object;
    }
    let mut moved = ptr::null_mut();
    // SAFETY: `transfer` is a function, which takes no arguments.
    let status =
        unsafe { sys::napi_call_function(env, object, transfer, 0, ptr::null(), &raw mut moved) };
    if status == sys::Status::napi_ok {
        return moved;
    }
    // What a program has put there, where the engine has none, may throw.
    let mut thrown = ptr::null_mut();
    // SAFETY: `env` is the environment of the call that this is part of.
    unsafe { sys::napi_get_and_clear_last_exception(env, &raw mut thrown) };
    object
}

fn is_detached(env: sys::napi_env, object: sys::napi_value) -> bool {
    let mut detached = false;
    // SAFETY: `object` is an ArrayBuffer that is alive.
    let status = unsafe { sys::napi_is_detached_arraybuffer(env, object, &raw mut detached) };
    status != sys::Status::napi_ok || detached
}

/// Runs `f` with a handle scope of its own, as code outside a call from JavaScript must.
pub fn in_scope<R>(env: sys::napi_env, f: impl FnOnce() -> R) -> R {
    let mut scope = ptr::null_mut();
    // SAFETY: `env` is alive; the scope is closed below.
    let status = unsafe { sys::napi_open_handle_scope(env, &raw mut scope) };
    let result = f();
    if status == sys::Status::napi_ok {
        // SAFETY: opened above, and no handle of it is used any more.
        unsafe { sys::napi_close_handle_scope(env, scope) };
    }
    result
}

/// The error of a runtime that makes no ArrayBuffer over our memory, such as Electron, whose V8 has a sandbox.
pub fn refused(env: &Env, status: sys::napi_status) -> napi::Error {
    if status == sys::Status::napi_no_external_buffers_allowed {
        let why = "this runtime has no ArrayBuffer over memory that it does not own: \
                   map with the backing 'shared-array-buffer', or use read() and write()";
        return to_js(env, &memory_map::Error::Unsupported(why));
    }
    let mut pending = ptr::null_mut();
    // SAFETY: `env` is alive; where nothing is pending the value is undefined and unused.
    let taken = unsafe { sys::napi_get_and_clear_last_exception(env.raw(), &raw mut pending) };
    if status == sys::Status::napi_pending_exception && taken == sys::Status::napi_ok {
        // SAFETY: `pending` is a value of this environment, given by the call above.
        let value = unsafe { Unknown::from_raw_unchecked(env.raw(), pending) };
        return napi::Error::from(value);
    }
    napi::Error::new(Status::from(status), "the runtime could not make an ArrayBuffer")
}
