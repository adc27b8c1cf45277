//! A mapping that several threads have: each has a [`Mapping`] of its own, a *holder* of the same pages.
//!
//! A holder closes only itself: from then on its calls fail, and so do its locks and waits. The pages go with
//! the last holder that is open. Every fault is reported to each, as if it had the mapping alone.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::{Attached, FILE_READS, Mapping, Pages, State};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::file::{Blocks, Temporary};
use crate::guard;
use crate::lock_anyway::LockAnyway;
use crate::options::{Kind, Options};
use crate::region::Region;

/// How many faults are kept for a holder that does not collect them; later ones are only counted.
const MOST_REPORTS: usize = 1024;

/// The number of a new holder; none is used twice.
pub(crate) fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What the holders of a mapping share.
pub(crate) struct Common {
    /// The token of the first holder, by which the guard knows the pages.
    pub token: u64,
    pub length: AtomicUsize,
    pub state: Mutex<State>,
    /// Set once a handle was made.
    known: OnceLock<()>,
    /// The temporary name, which is removed with its last user.
    temporary: OnceLock<Temporary>,
}

impl Common {
    pub fn new(token: u64, length: usize, state: State) -> Arc<Self> {
        let length = AtomicUsize::new(length);
        let (state, known, temporary) = (Mutex::new(state), OnceLock::new(), OnceLock::new());
        Arc::new(Self { token, length, state, known, temporary })
    }

    /// Notes a temporary name.
    pub fn keep_name(&self, temporary: Temporary) {
        let _ = self.temporary.set(temporary); // a mapping is of one file
    }

    /// Removes the temporary name, if there is one and this was its last user.
    fn leave_name(&self) {
        self.temporary.get().into_iter().for_each(Temporary::leave);
    }
}

impl Drop for Common {
    fn drop(&mut self) {
        if self.known.get().is_some() {
            known(|known| known.remove(&self.token));
            guard::end_sharing(self.token);
        }
    }
}

/// What one thread has of a mapping.
pub(crate) struct Holder {
    token: u64,
    /// Faults that count for it, up to when it last stopped counting.
    counted: u64,
    /// How many faults there were in all when it last began to count; `None` while it has closed the mapping
    /// and another holder has not.
    since: Option<u64>,
    is_open: bool,
    /// Faults that it has not collected yet.
    reports: Vec<Fault>,
}

impl Holder {
    pub fn new(token: u64, since: u64) -> Self {
        Self { token, counted: 0, since: Some(since), is_open: true, reports: Vec::new() }
    }

    /// How many of `total` faults count for it.
    fn faults(&self, total: u64) -> u64 {
        self.counted + self.since.map_or(0, |since| total.saturating_sub(since))
    }
}

impl State {
    /// Faults so far.
    fn total(&self) -> u64 {
        let laid = self.laid.iter().map(|laid| &laid.region);
        self.faults + self.regions().chain(laid).map(|region| region.faults()).sum::<u64>()
    }

    fn holder(&mut self, token: u64) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.token == token)
    }

    /// Whether a holder other than that of `token` has not closed the mapping.
    fn others_are_open(&self, token: u64) -> bool {
        self.holders.iter().any(|holder| holder.is_open && holder.token != token)
    }

    /// Keeps faults for every holder to collect.
    pub fn note(&mut self, reports: Vec<Fault>) {
        if reports.is_empty() {
            return;
        }
        let mut holders: Vec<_> = self.holders.iter_mut().filter(|h| h.since.is_some()).collect();
        if let [only] = &mut *holders {
            return only.reports.extend(reports);
        }
        for holder in holders {
            let room = MOST_REPORTS.saturating_sub(holder.reports.len());
            holder.reports.extend(reports.iter().take(room).cloned());
        }
    }

    fn take_reports(&mut self, token: u64) -> Vec<Fault> {
        self.holder(token).map(|holder| std::mem::take(&mut holder.reports)).unwrap_or_default()
    }

    /// Faults do not count for the holder of `token` until the others have closed the mapping too.
    fn set_aside(&mut self, token: u64) {
        let total = self.total();
        if let Some(holder) = self.holder(token) {
            holder.is_open = false;
            holder.counted = holder.faults(total);
            holder.since = None;
        }
    }

    /// The pages are gone: from now on faults in what is left count for every holder.
    fn close_all(&mut self) {
        let total = self.total();
        for holder in &mut self.holders {
            holder.is_open = false;
            holder.since.get_or_insert(total);
        }
    }
}

impl Mapping {
    /// The pages of this holder: none if it has closed the mapping.
    pub(crate) fn pages_in<'a>(&self, state: &'a State) -> &'a Pages {
        match self.is_over.load(Ordering::Relaxed) {
            true => &Pages::Closed,
            false => &state.pages,
        }
    }

    /// Fails if another holder has the mapping open, for that would not know where the mapping moves.
    pub(crate) fn needs_no_other(&self, state: &State) -> Result<()> {
        match state.others_are_open(self.token) {
            true => {
                Err(Error::Busy("another thread has the mapping open, whose views would be lost"))
            }
            false => Ok(()),
        }
    }

    /// Faults so far that count for this holder.
    pub fn faults(&self) -> u64 {
        self.faults_in(&mut self.state())
    }

    fn faults_in(&self, state: &mut State) -> u64 {
        let total = state.total();
        state.holder(self.token).map_or(0, |holder| holder.faults(total))
    }

    /// Heals the pages that have faulted, and returns the faults since the last call.
    ///
    /// ```
    /// use memory_map::{FaultKind, Mapping, Options, Protection};
    ///
    /// let options = Options { protection: Protection::Read, ..Options::default() };
    /// let map = Mapping::anonymous(100, false, &options)?;
    /// let first = map.address().unwrap() as *mut u8;
    /// // SAFETY: the page is mapped, and the fault of a store to it is contained.
    /// unsafe { first.write_volatile(1) };
    /// assert_eq!(map.collect()[0].kind, FaultKind::Protection);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn collect(&self) -> Vec<Fault> {
        let mut state = self.state();
        self.heal(&mut state);
        state.take_reports(self.token)
    }

    /// Heals the pages that have faulted, and keeps the faults for every holder.
    fn heal(&self, state: &mut State) {
        state.drop_lost();
        let heal = |region: &Arc<Region>| {
            let mut inner = region.lock();
            inner.heal();
            inner.take_reports()
        };
        let reports: Vec<_> =
            state.regions().chain(state.laid_by(self.token)).flat_map(heal).collect();
        if !reports.is_empty() {
            state.note(reports);
            if state.holders.len() > 1 {
                // They were not woken if the fault was in one of our own accesses.
                guard::tell_sharers(self.common.token, self.token);
            }
        }
    }

    /// Whether it is closed, has had no fault, and can have none in the future.
    pub fn has_nothing_to_tell(&self) -> bool {
        let mut state = self.state();
        let is_closed = matches!(self.pages_in(&state), Pages::Closed);
        // If others have the mapping open, views that are left here may be used after they close it.
        let leaves_views = !state.former.is_empty()
            || matches!(&state.pages, Pages::Mapped(region) if region.has_keys() || region.is_foreign());
        is_closed
            && !leaves_views
            && self.faults_in(&mut state) == 0
            && state.holder(self.token).is_none_or(|holder| holder.reports.is_empty())
    }

    /// Unmaps. The file, its blocks and the memory are free when this returns; addresses for
    /// which there are keys read zeros until the keys are gone. Does nothing the second time.
    ///
    /// Where other holders have the mapping open this closes it for this holder alone: the pages, also under
    /// addresses for which there are keys, go with the last one.
    ///
    /// ```
    /// use memory_map::{Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// assert_eq!(map.close(), []);
    /// assert_eq!(map.read(0, &mut [0]), Err(Error::Closed));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Returns the faults since the last [`Mapping::collect`].
    pub fn close(&self) -> Vec<Fault> {
        self.attached.end();
        let mut state = self.state();
        if matches!(self.pages_in(&state), Pages::Closed) {
            return Vec::new();
        }
        state.was_closed = true;
        state.end_laid(self.token, true);
        if state.others_are_open(self.token) {
            self.heal(&mut state);
            state.set_aside(self.token);
            guard::note_change(); // code that uses words of the mapping directly must ask whether it is open
        } else {
            self.unmap(&mut state);
        }
        self.is_over.store(true, Ordering::Relaxed);
        let reports = state.take_reports(self.token);
        let is_last = matches!(state.pages, Pages::Closed);
        drop(state);
        if is_last {
            self.common.leave_name();
        }
        reports
    }

    fn unmap(&self, state: &mut State) {
        let snapshots = self.snapshots(state);
        state.replace(Pages::Closed, &snapshots);
        state.close_all();
    }

    /// Lets go of everything, as dropping does, even if work on other threads keeps the mapping itself for ever.
    /// The pages stay while another holder has the mapping open, or there is a key or an access.
    pub fn let_go(&self) {
        self.attached.end();
        {
            let mut state = self.state();
            state.end_laid(self.token, false);
            state.holders.retain(|holder| holder.token != self.token);
            if self.common.known.get().is_some() {
                guard::unshare(self.common.token, self.token);
            }
            if state.was_closed && !state.others_are_open(self.token) {
                self.unmap(&mut state); // holders that have closed it may still use its memory
            }
        }
        self.disown();
        let mut state = self.state();
        self.is_over.store(true, Ordering::Relaxed);
        if state.others_are_open(self.token) {
            return;
        }
        let pages = std::mem::replace(&mut state.pages, Pages::Closed);
        let former = match state.holders.is_empty() {
            true => std::mem::take(&mut state.former),
            false => Vec::new(),
        };
        drop(state);
        if let Pages::Mapped(region) = &pages {
            region.note_given_up();
        }
        drop((pages, former)); // the last holder unmaps
        self.common.leave_name();
    }
}

/// Names a mapping for the other threads of this process, and for nobody else.
///
/// ```
/// use memory_map::{Error, Handle, Mapping, Options};
///
/// let map = Mapping::anonymous(100, false, &Options::default())?;
/// let handle = map.handle("a note")?;
/// let (other, note) = Mapping::from_handle(handle, 0)?;
/// other.write(b"hello", 0)?;
/// let mut bytes = [0; 5];
/// map.read(0, &mut bytes)?;
/// assert_eq!((&bytes, &*note), (b"hello", "a note"));
/// map.close();
/// assert_eq!(other.read(0, &mut bytes), Ok(()));
/// other.close();
/// assert_eq!(Mapping::from_handle(handle, 0).err(), Some(Error::Closed));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// The mapping.
    pub mapping: u64,
    /// Proves that this process has made the handle.
    pub seal: u64,
}

/// What a new holder of a mapping needs.
struct Known {
    common: Weak<Common>,
    kind: Kind,
    offset: u64,
    options: Options,
    blocks: Blocks,
    note: Arc<str>,
}

/// Mappings that have handles, by their tokens.
fn known<R>(f: impl FnOnce(&mut HashMap<u64, Known>) -> R) -> R {
    static KNOWN: Mutex<Option<HashMap<u64, Known>>> = Mutex::new(None);
    f(KNOWN.lock_anyway().get_or_insert_default())
}

/// Nobody can guess it: the hasher's keys come from the system's source of random numbers.
fn seal(mapping: u64) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(mapping)
}

impl Mapping {
    /// A handle for [`Mapping::from_handle`], which returns the `note` of the first call.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn handle(&self, note: &str) -> Result<Handle> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let mapping = self.common.token;
        self.common.known.get_or_init(|| {
            guard::share(mapping, self.options.owner, self.token);
            let known_as = Known {
                common: Arc::downgrade(&self.common),
                kind: self.kind,
                offset: self.offset,
                options: self.options.clone(),
                blocks: self.blocks,
                note: note.into(),
            };
            known(|known| known.insert(mapping, known_as));
        });
        Ok(Handle { mapping, seal: seal(mapping) })
    }

    /// Another holder of a mapping, whose faults are reported to `owner`, and the note of its handle.
    ///
    /// # Errors
    /// [`Error::Closed`] if nobody has the mapping open any more; [`Error::Invalid`] if this process has not
    /// made the handle.
    pub fn from_handle(handle: Handle, owner: u64) -> Result<(Self, Arc<str>)> {
        if seal(handle.mapping) != handle.seal {
            return Err(Error::Invalid("this process has made no such handle"));
        }
        let find = |known: &mut HashMap<u64, Known>| {
            let Known { common, kind, offset, options, blocks, note } =
                known.get(&handle.mapping)?;
            let options = Options { owner, ..options.clone() };
            Some((common.upgrade()?, *kind, *offset, options, *blocks, Arc::clone(note)))
        };
        let (common, kind, offset, options, blocks, note) = known(find).ok_or(Error::Closed)?;
        let token = next_token();
        {
            let mut state = common.state.lock_anyway();
            if !state.others_are_open(token) {
                return Err(Error::Closed);
            }
            // Faults up to now are reported to the holders that were there.
            let mut reports = Vec::new();
            for region in state.regions() {
                let mut inner = region.lock();
                inner.heal();
                reports.append(&mut inner.take_reports());
            }
            state.note(reports);
            let counted = state.total();
            state.holders.push(Holder::new(token, counted));
            guard::share(handle.mapping, owner, token);
        }
        let mapping = Self {
            kind,
            token,
            offset,
            options,
            blocks,
            made: None,
            common,
            attached: Attached::default(),
            file_reads: AtomicUsize::new(FILE_READS),
            is_over: AtomicBool::new(false),
        };
        Ok((mapping, note))
    }
}

/// Ranges of which holders want snapshots to be left.
pub(crate) type Wanted = Vec<(u64, Range<usize>)>;
