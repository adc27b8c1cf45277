//! What the binding keeps for one JavaScript environment (the main thread's or a worker's).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::{self, Rc};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use memory_map::{Backlog, Mapping};
use napi::bindgen_prelude::*;
use napi::sys;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::array_buffer::{Export, RawValue, Reference, Remote};
use crate::held::Held;

/// Something that ends with its environment.
pub trait End {
    fn end(&self);
}

pub struct Environment {
    pub remote: Arc<Remote>,
    env: sys::napi_env,
    /// Whether the cleanup hook is registered: Deno aborts when one is removed that is not.
    armed: Cell<bool>,
    /// Whether a cleanup hook can ask for the state of an object.
    hooks_see_objects: Cell<bool>,
    /// ArrayBuffers whose memory may still be reached, by the token of their mapping.
    exports: RefCell<ByToken<Vec<Arc<Export>>>>,
    /// The ArrayBuffers that were detached when their mapping was closed, the oldest first.
    closed: RefCell<Vec<Arc<Export>>>,
    /// The addresses that `closed` keeps.
    closed_addresses: RefCell<Backlog>,
    /// Whether closed mappings have kept addresses since the runtime was last asked to collect for want of them.
    may_give_back: Cell<bool>,
    /// How often threads had been asked to give addresses back when this one last did.
    heeded: Cell<usize>,
    /// Whether the runtime is to collect before the next mapping is made.
    collects_next: Cell<bool>,
    /// Addresses of closed mappings whose ArrayBuffers were left attached, because the runtime may be using
    /// them: while they are, nothing tells which of them can be reached.
    attached_addresses: RefCell<Backlog>,
    /// The mappings that JavaScript has, by their tokens.
    mappings: RefCell<ByToken<Rc<Held>>>,
    /// What is behind other JavaScript objects, such as locks and channels.
    tied: RefCell<Vec<rc::Weak<dyn End>>>,
    /// The mappings over memory that the runtime owns.
    foreign: RefCell<Vec<Weak<Mapping>>>,
    /// Addresses of SharedArrayBuffers made since the runtime was last asked to collect.
    shared_addresses: RefCell<Backlog>,
}

thread_local! {
    /// One thread can have several (in Electron's renderer), but not many.
    static ENVIRONMENTS: RefCell<Vec<Rc<Environment>>> = const { RefCell::new(Vec::new()) };
}

/// How often all threads were asked to give addresses of closed mappings back.
static ASKED: AtomicUsize = AtomicUsize::new(0);

type ByToken<T> = HashMap<u64, T, BuildHasherDefault<TokenHasher>>;

/// Hashes tokens, which are consecutive numbers.
#[derive(Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, token: u64) {
        self.0 = (self.0 ^ token).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Environment {
    /// The record of `env`, made when it is first asked for.
    pub fn of(env: sys::napi_env) -> Rc<Self> {
        Self::existing(env).unwrap_or_else(|| {
            // The guard's handler and its thread outlive every worker.
            retain_current_module_for_unload_safety();
            static NEXT: AtomicU64 = AtomicU64::new(1);
            let owner = NEXT.fetch_add(1, Ordering::Relaxed);
            let new = Rc::new(Self {
                remote: Arc::new(Remote::new(owner)),
                env,
                armed: Cell::new(false),
                hooks_see_objects: Cell::new(false),
                exports: RefCell::default(),
                closed: RefCell::default(),
                closed_addresses: RefCell::default(),
                may_give_back: Cell::default(),
                heeded: Cell::new(ASKED.load(Ordering::Relaxed)),
                collects_next: Cell::default(),
                attached_addresses: RefCell::new(Backlog::unseen()),
                mappings: RefCell::default(),
                tied: RefCell::default(),
                foreign: RefCell::default(),
                shared_addresses: RefCell::default(),
            });
            new.arm();
            ENVIRONMENTS.with_borrow_mut(|environments| environments.push(Rc::clone(&new)));
            new
        })
    }

    /// The record of `env` if its teardown has not begun.
    pub fn existing(env: sys::napi_env) -> Option<Rc<Self>> {
        let find = |environments: &RefCell<Vec<Rc<Self>>>| {
            environments.borrow().iter().find(|environment| environment.env == env).cloned()
        };
        ENVIRONMENTS.try_with(find).ok().flatten()
    }

    /// Makes `teardown` the cleanup hook that runs before all others known by now: they run in
    /// the reverse order of their registration, and those of the runtime free the ArrayBuffers.
    pub fn arm(&self) {
        let argument = self.env.cast::<c_void>();
        if self.armed.replace(true) {
            // SAFETY: `env` is alive, and the hook was added below.
            unsafe { sys::napi_remove_env_cleanup_hook(self.env, Some(teardown), argument) };
        }
        // SAFETY: `teardown` is never unloaded, and takes the environment itself.
        unsafe { sys::napi_add_env_cleanup_hook(self.env, Some(teardown), argument) };
    }

    /// Keeps a mapping until `forget`, or the environment's end.
    pub fn hold(&self, token: u64, held: Held) {
        self.mappings.borrow_mut().insert(token, Rc::new(held));
    }

    pub fn mapping(&self, token: u64) -> Option<Rc<Held>> {
        self.mappings.borrow().get(&token).map(Rc::clone)
    }

    pub fn forget(&self, token: u64) {
        let held = self.mappings.borrow_mut().remove(&token);
        drop(held); // which may come back here, so not under the borrow
    }

    /// Has `object` ended with the environment.
    pub fn tie<T: End + 'static>(&self, object: &Rc<T>) {
        let mut tied = self.tied.borrow_mut();
        if tied.len().is_power_of_two() {
            tied.retain(|object| object.strong_count() > 0);
        }
        let object: rc::Weak<T> = Rc::downgrade(object);
        tied.push(object);
    }

    pub fn add(&self, export: &Arc<Export>) {
        let mut exports = self.exports.borrow_mut();
        let siblings = exports.entry(export.token).or_default();
        export.position.store(siblings.len(), Ordering::Relaxed);
        siblings.push(Arc::clone(export));
        drop(exports);
        self.arm();
    }

    /// Notes a mapping over memory that the runtime owns.
    pub fn add_foreign(&self, mapping: &Arc<Mapping>) {
        let mut foreign = self.foreign.borrow_mut();
        if foreign.len().is_power_of_two() {
            foreign.retain(|mapping| mapping.strong_count() > 0);
        }
        foreign.push(Arc::downgrade(mapping));
        drop(foreign);
        self.arm();
    }

    /// Counts addresses that may be given back later, and asks all threads to do so where that is much in the process.
    fn count(&self, backlog: &RefCell<Backlog>, bytes: usize) {
        self.may_give_back.set(true);
        backlog.borrow_mut().add(bytes);
        if Backlog::are_due() {
            ASKED.fetch_add(1, Ordering::Relaxed);
            memory_map::wake_all_owners();
        }
    }

    /// Does what all threads were asked for.
    fn heed(&self) {
        let asked = ASKED.load(Ordering::Relaxed);
        if self.heeded.replace(asked) != asked {
            self.give_back();
        }
    }

    /// Notes that a SharedArrayBuffer is made. The runtime counts its bytes as nothing, and so would
    /// never hurry to give the addresses of closed ones back.
    pub fn note_shared(&self, length: usize) {
        self.count(&self.shared_addresses, length);
        let is_large = self.shared_addresses.borrow().is_large();
        if is_large {
            self.have_collected(); // with no borrow, for finalizers may come back here
        }
    }

    /// Lets go of what closed mappings keep of the runtime's memory, and has the runtime collect, where it can.
    fn have_collected(&self) {
        self.shared_addresses.take();
        memory_map::let_go_of_retired();
        self.drop_released();
        if !memory_map::has_room() {
            return;
        }
        let env = Env::from_raw(self.env);
        if collect_in_bun(&env).is_ok_and(|is_bun| is_bun) {
            return;
        }
        // V8 collects all that it can before it says that there is no memory for an ArrayBuffer. Told of much external
        // memory, as Node-API can, it may only begin to. JavaScript catches the error: one that native code catches ends
        // a process with `--abort-on-uncaught-exception`.
        const TOO_LONG: &str = if usize::BITS == 64 { "2 ** 50" } else { "2 ** 31 - 1" };
        let script = format!("try {{ new ArrayBuffer({TOO_LONG}) }} catch {{}}");
        let _undefined = env.run_script::<_, Unknown>(script);
    }

    /// Deletes the references that `Remote::release` was given since the last call.
    fn drop_released(&self) {
        for Reference(reference) in self.remote.take_released() {
            // SAFETY: the reference was made in this environment, and nothing else has it.
            unsafe { sys::napi_delete_reference(self.env, reference) };
        }
    }

    /// Drops what is behind the objects of JavaScript, which will not use them any more.
    fn end_objects(&self) {
        for object in self.tied.take().iter().filter_map(rc::Weak::upgrade) {
            object.end();
        }
        // When a worker ends, Deno never finishes its work on other threads, which would keep the mapping.
        for held in self.mappings.take().into_values() {
            held.mapping.let_go();
        }
    }

    /// Whether a mapping has an ArrayBuffer whose memory may still be reached.
    pub fn has_exports(&self, token: u64) -> bool {
        self.exports.borrow().contains_key(&token)
    }

    pub fn remove(&self, export: &Export) {
        self.note_not_attached(export);
        let mut exports = self.exports.borrow_mut();
        if let Some(siblings) = exports.get_mut(&export.token) {
            let at = export.position.load(Ordering::Relaxed);
            if siblings.get(at).is_some_and(|sibling| std::ptr::eq(&raw const **sibling, export)) {
                siblings.swap_remove(at);
                siblings.get(at).inspect(|moved| moved.position.store(at, Ordering::Relaxed));
            }
            if siblings.is_empty() {
                exports.remove(&export.token);
                drop(exports);
                // Nobody is left who could use the memory.
                let is_over = |held: Rc<Held>| held.mapping.is_closed() || held.is_orphan.get();
                if self.mapping(export.token).is_some_and(is_over) {
                    self.forget(export.token);
                }
            }
        }
    }

    /// Notes that `export` was detached because its mapping was closed.
    fn note_closed(&self, export: Arc<Export>) {
        self.note_not_attached(&export);
        self.count(&self.closed_addresses, export.addresses);
        self.closed.borrow_mut().push(export);
    }

    /// Notes that `export` stays attached although its mapping is closed.
    fn note_attached(&self, export: &Export) {
        if export.addresses > 0 && !export.left_attached.swap(true, Ordering::Relaxed) {
            self.count(&self.attached_addresses, export.addresses);
        }
    }

    fn note_not_attached(&self, export: &Export) {
        if export.left_attached.swap(false, Ordering::Relaxed) {
            self.attached_addresses.borrow_mut().remove(export.addresses);
        }
    }

    /// Whether nothing can use the memory of an ArrayBuffer any more. If so, its addresses may go.
    pub fn is_unreachable(&self, export: &Export) -> bool {
        let is_unreachable = export.is_unreachable(self.env);
        if is_unreachable {
            self.remove(export);
        }
        is_unreachable
    }

    /// An ArrayBuffer's store is gone: gives its addresses back when its object is gone too.
    fn after_store(&self, export: &Arc<Export>) {
        if !export.after_store(self.env, object_gone) {
            self.remove(export);
            export.finish(self.env);
        }
    }

    /// Lets the memory go of ArrayBuffers whose stores were freed.
    fn finish_freed(&self) {
        let freed = self.remote.take_freed();
        let is_much = freed.len() > 1024;
        memory_map::unmap_together(|| {
            freed.into_iter().for_each(|export| self.after_store(&export));
        });
        if is_much {
            memory_map::trim_heap();
        }
    }

    /// Gives back the addresses of closed mappings that nothing can reach any more, although the
    /// runtime has not told so yet: in a loop that never yields it never would.
    pub fn sweep(&self) {
        self.drop_released();
        if self.collects_next.take() {
            self.have_collected();
            self.look_at_closed();
        } else if self.closed_addresses.borrow().is_due() {
            let is_large = self.closed_addresses.borrow().is_large();
            let are_most_left = self.look_at_closed();
            // Small ArrayBuffers can keep the addresses of large mappings: the runtime does not hurry. On Deno
            // it would not collect what was looked at in the same call.
            self.collects_next.set(is_large && are_most_left);
        }
    }

    /// `make`, which is made again if there was no room for it, once closed mappings have given their addresses
    /// back: under a limit (RLIMIT_AS) they run out before the runtime collects.
    pub fn with_room<T>(&self, make: impl Fn() -> memory_map::Result<T>) -> memory_map::Result<T> {
        let made = make();
        let lacks_room = made.as_ref().is_err_and(memory_map::Error::lacks_room);
        if lacks_room && self.give_back() { make() } else { made }
    }

    /// Has closed mappings give their addresses back. `false` where none has kept any since the last time.
    pub fn give_back(&self) -> bool {
        let may = self.may_give_back.take();
        if may {
            self.have_collected();
            self.finish_freed();
            self.look_at_closed();
        }
        may
    }

    /// Says whether most of the addresses are still in reach.
    fn look_at_closed(&self) -> bool {
        let mut closed = self.closed.take();
        memory_map::unmap_together(|| closed.retain(|export| !self.is_unreachable(export)));
        let left = closed.iter().map(|export| export.addresses);
        let are_most = self.closed_addresses.borrow_mut().looked(left);
        self.closed.replace(closed);
        are_most
    }
}

/// Bun, told of much memory, may collect too late, and has a function for it. Says whether this is Bun.
fn collect_in_bun(env: &Env) -> Result<bool> {
    let Some(bun) = env.get_global()?.get_named_property::<Option<Object>>("Bun")? else {
        return Ok(false);
    };
    bun.get_named_property::<Function<bool, Unknown>>("gc")?.call(true)?;
    Ok(true)
}

/// The ArrayBuffer has been collected, after its store was freed.
unsafe extern "C" fn object_gone(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` came from `Arc::into_raw` in `after_store`; the runtime calls this once.
    let export = unsafe { Arc::from_raw(data.cast::<Export>()) };
    if let Some(environment) = Environment::existing(env) {
        environment.remove(&export);
    }
    export.finish(env);
}

/// Leaves the ArrayBuffers of a mapping attached, so that their first use is a fault. Returns `false`, and
/// does nothing, if very many are left attached already.
pub fn leave_attached(env: &Env, held: &Held) -> bool {
    let environment = Environment::of(env.raw());
    let leaves = !environment.attached_addresses.borrow().is_due();
    if leaves {
        for export in held.exports.borrow().iter() {
            export.make_lasting();
            environment.note_attached(export);
        }
    }
    leaves
}

/// Takes the memory away from the ArrayBuffers of a mapping.
pub fn detach_all(env: &Env, held: &Held) {
    for export in held.exports.take() {
        export.detach(env.raw());
        if let Some(environment) = Environment::existing(env.raw()) {
            environment.note_closed(export);
        }
    }
}

/// Runs before the runtime frees the environment's ArrayBuffers.
unsafe extern "C" fn teardown(argument: *mut c_void) {
    let env: sys::napi_env = argument.cast();
    let take = |environments: &RefCell<Vec<Rc<Environment>>>| {
        let mut environments = environments.borrow_mut();
        let index = environments.iter().position(|environment| environment.env == env)?;
        Some(environments.swap_remove(index))
    };
    let environment = ENVIRONMENTS.try_with(take).ok().flatten();
    let Some(environment) = environment else { return };
    memory_map::forget_owner(environment.remote.owner);
    // First, so that what is left of a mapping is taken out unless another thread has it, too.
    environment.end_objects();
    for export in environment.exports.take().into_values().flatten() {
        export.before_teardown(env, environment.hooks_see_objects.get());
    }
    for mapping in environment.foreign.take() {
        // The runtime may give the memory back without telling.
        if let Some(mapping) = mapping.upgrade() {
            mapping.disown();
        }
    }
    environment.remote.end();
}

/// Has `callback` called, on this thread, soon after there is something for `takeFaulted`. It does not
/// keep the process alive. `hooksSeeObjects` says whether a cleanup hook of this runtime may ask whether
/// an ArrayBuffer is attached.
#[napi]
pub fn on_wake(env: Env, callback: Function<(), ()>, hooks_see_objects: bool) -> Result<()> {
    let environment = Environment::of(env.raw());
    environment.hooks_see_objects.set(hooks_see_objects);
    let wake = callback
        .build_threadsafe_function::<()>()
        .weak::<true>()
        .callee_handled::<false>()
        .build()?;
    memory_map::register_owner(environment.remote.owner, move || {
        wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
    });
    environment.arm();
    Ok(())
}

/// Notes which ArrayBuffers have their memory: JavaScript is about to end on this thread.
#[napi]
pub fn before_exit(env: Env) {
    if let Some(environment) = Environment::existing(env.raw()) {
        for export in environment.exports.borrow().values().flatten() {
            export.before_exit(env.raw());
        }
    }
}

/// Puts the guard's signal handlers back where something has replaced them.
#[napi]
pub fn reclaim_signals() {
    // There is no one to tell; the guard's own thread also tries, now and then.
    let _ = memory_map::reclaim_signals();
}

/// Gives back the memory that nothing needs any more, and says which mappings made on this thread
/// have faulted since the last call: by their ArrayBuffers, or by their tokens where they have none.
#[napi(ts_return_type = "(ArrayBuffer | number)[]")]
pub fn take_faulted(env: Env) -> Vec<Either<RawValue, f64>> {
    let environment = Environment::of(env.raw());
    environment.drop_released();
    environment.heed();
    if environment.remote.take_collected() {
        memory_map::sweep_leftovers();
    }
    environment.finish_freed();
    let exports = environment.exports.borrow();
    let mut faulted = Vec::new();
    for token in memory_map::take_faulted(environment.remote.owner) {
        let known = faulted.len();
        faulted.extend(exports.get(&token).into_iter().flatten().filter_map(|export| {
            export.object(env.raw()).map(|object| Either::A(RawValue(object)))
        }));
        if faulted.len() == known {
            faulted.push(Either::B(token as f64)); // its memory may be in an ArrayBuffer that we do not know
        }
    }
    faulted
}
