//! Regions over foreign memory: JavaScript's own, if the runtime makes no SharedArrayBuffer over
//! memory that it does not own.
//!
//! While a keeper lives the memory is as good as ours. A region whose mapping is gone is *disowned*:
//! the keepers go, other threads may still use the memory, and its owner gives it back to the
//! system one day without telling. Pages of no file are made such that no access to them can fail,
//! and forgotten. Pages of a file can fail at any time, so the guard *watches* them: at each fault it
//! asks the system whether they are still there.
//!
//! Only Node before 22.23, Deno, and runtimes that refuse external memory need this. To take it out,
//! delete the three files of this name (in `guard`, `mapping` and `region`), and what the compiler
//! misses then.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::guard::{self, Inner};
use crate::lock_anyway::LockAnyway;
use crate::protection::Protection;
use crate::region::{Contents, Foreign, Keeper, Region};
use crate::sys::{self, Backing, Shown};

/// Retired regions that stay under the guard, so that their next use is told.
const MOST_RETIRED: usize = 1024;
/// The same in bytes of address space; the smallest address space has 2^47.
const MOST_BYTES: usize = if usize::BITS < 64 { 1 << 28 } else { 1 << 43 };

/// Milliseconds that accesses of ours are waited for.
const LONGEST_WAIT: u32 = 1000;

impl Region {
    /// Whether the addresses are foreign.
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// Maps `contents` over foreign memory.
    ///
    /// # Safety
    /// From `start` on there must be whole pages for all of it, which nothing else uses and
    /// that stay where they are for as long as `keeper` lives.
    pub unsafe fn over(
        contents: &Contents<'_>,
        start: usize,
        keeper: (u64, Keeper),
    ) -> Result<Arc<Self>> {
        guard::install()?;
        sys::keep_vmas_open();
        let length = sys::ceil(contents.length, sys::page_size())
            .ok_or_else(|| Error::os(sys::ENOMEM, "mmap"))?;
        // SAFETY: the caller vouches for the range, and holds no lock because it is no region yet.
        unsafe { sys::map_over(start, length, contents.protection, contents.backing()) }
            .map_err(|errno| contents.explain(Error::os(errno, "mmap")))?;
        let foreign = Foreign { keepers: Mutex::new(vec![keeper]), shown: OnceLock::new() };
        let region = Self::of(contents, start..start + length, length, Some(foreign));
        note_foreign(&region);
        Ok(region)
    }

    /// Has foreign memory kept for another holder of the mapping, too.
    pub fn keep(&self, token: u64, keeper: Keeper) {
        if let Some(foreign) = &self.foreign {
            foreign.keepers.lock_anyway().push((token, keeper));
        }
    }

    /// Whether the memory is foreign, and nothing keeps it but for the holder of `token`; else that one keeps it
    /// no more.
    pub fn is_last_to_keep(&self, token: u64) -> bool {
        let Some(foreign) = &self.foreign else { return false };
        let mut keepers = foreign.keepers.lock_anyway();
        let is_last = keepers.iter().all(|(keeper, _)| *keeper == token);
        if !is_last {
            keepers.retain(|(keeper, _)| *keeper != token);
        }
        is_last
    }

    /// Lets go of foreign memory, which its owner may still use.
    pub fn disown(self: &Arc<Self>) {
        let Some(foreign) = &self.foreign else { return };
        // Held to the end: another caller that disowns it gives the memory back next.
        let mut keepers = foreign.keepers.lock_anyway();
        if keepers.is_empty() {
            return;
        }
        self.end_accesses();
        let can_fail = self.lock().can_fail();
        let shown = can_fail.then(|| foreign.shown()).flatten();
        let stays = {
            let mut inner = self.lock();
            inner.heal();
            // Where all of it was overlaid no file was shown: there it is back now, and nobody can
            // overlay it again before this is decided.
            let look = || shown_in(&all_shown(), &self.range()).next().copied();
            let watched = inner.can_fail().then(|| shown.or_else(look)).flatten();
            inner.watch(watched);
            inner.allow_stores_to_overlays();
            if watched.is_none() {
                self.disarm(&inner);
                guard::expect_late_faults();
                self.lose(&mut inner);
            }
            watched.is_some()
        };
        keepers.clear();
        drop(keepers);
        if stays {
            note_disowned(self);
        }
    }

    /// Has accesses of ours end, which look for that now and then, and waits for them.
    fn end_accesses(&self) {
        for _ in 0..LONGEST_WAIT {
            let mut inner = self.lock();
            inner.move_away();
            if !inner.has_accesses() {
                return;
            }
            drop(inner);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes memory of no file, or zeros, such that any access succeeds.
    fn disarm(&self, inner: &Inner) {
        let range = self.range();
        if inner.can_be_closed() {
            // SAFETY: the range is this region's, whose lock is held.
            let opened = unsafe { sys::protect(range.start, range.len(), Protection::ReadWrite) };
            if opened.is_err() {
                // Memory that cannot be written needs no commitment.
                // SAFETY: as above; code that still reads it was promised nothing more.
                let _ = unsafe {
                    sys::map_over(range.start, range.len(), Protection::Read, Backing::Zeros)
                };
            }
        }
    }
}

impl Foreign {
    /// Which file the region has in its place; nothing where that is not known.
    ///
    /// It has the same for as long as it is there, so one look at the system's list, which can be
    /// long, serves all such regions: many are disowned at once when garbage is collected.
    fn shown(&self) -> Option<Shown> {
        if self.shown.get().is_none() {
            let regions: Vec<_> = foreign_regions().iter().filter_map(Weak::upgrade).collect();
            let all = all_shown();
            for region in &regions {
                let Some(Foreign { shown, .. }) = &region.foreign else { continue };
                if shown.get().is_none()
                    && let Some(first) = shown_in(&all, &region.range()).next()
                {
                    let _ = shown.set(*first); // or another thread did
                }
            }
        }
        self.shown.get().copied()
    }
}

/// All VMAs of this process that have a file, by address.
pub(super) fn all_shown() -> Vec<(Range<usize>, Shown)> {
    let mut all = Vec::new();
    sys::each_vma(|vma| {
        all.extend(vma.shown.map(|shown| (vma.range.clone(), shown)));
        false
    });
    all
}

/// Those that meet a range.
pub(super) fn shown_in<'a>(
    all: &'a [(Range<usize>, Shown)],
    range: &Range<usize>,
) -> impl Iterator<Item = &'a Shown> {
    let (start, end) = (range.start, range.end);
    let first = all.partition_point(|(vma, _)| vma.end <= start);
    all[first..].iter().take_while(move |(vma, _)| vma.start < end).map(|(_, shown)| shown)
}

/// Regions over foreign memory.
static FOREIGN: Mutex<Vec<Weak<Region>>> = Mutex::new(Vec::new());

fn foreign_regions() -> MutexGuard<'static, Vec<Weak<Region>>> {
    FOREIGN.lock_anyway()
}

fn note_foreign(region: &Arc<Region>) {
    let mut regions = foreign_regions();
    if regions.len().is_power_of_two() {
        regions.retain(|region| region.strong_count() > 0);
    }
    regions.push(Arc::downgrade(region));
}

/// Regions that were disowned, and stay under the guard.
static LEFTOVERS: Mutex<Vec<Arc<Region>>> = Mutex::new(Vec::new());

fn leftovers() -> MutexGuard<'static, Vec<Arc<Region>>> {
    LEFTOVERS.lock_anyway()
}

fn note_disowned(region: &Arc<Region>) {
    let count = {
        let mut leftovers = leftovers();
        leftovers.push(Arc::clone(region));
        leftovers.len()
    };
    sweep_now_and_then();
    if count >= 16 && count.is_power_of_two() {
        sweep_leftovers();
    }
}

/// Keeps a region under the guard whose memory may be gone already.
pub(super) fn keep_leftover(region: &Arc<Region>) {
    leftovers().push(Arc::clone(region));
    sweep_leftovers();
    if has_leftovers() {
        sweep_now_and_then();
    }
}

/// Whether there is a thread that sweeps now and then.
static SWEEPING: AtomicBool = AtomicBool::new(false);

/// Has a thread call [`sweep_leftovers`] for as long as there is something left: when the memory goes with
/// the thread that it belonged to, nothing says so.
fn sweep_now_and_then() {
    if SWEEPING.swap(true, Ordering::AcqRel) {
        return;
    }
    const SOON: Duration = Duration::from_secs(1);
    const RARELY: Duration = Duration::from_secs(60);
    let thread = std::thread::Builder::new().name("memory-map-sweep".into()).stack_size(128 << 10);
    let begun = thread.spawn(|| {
        sys::block_signals();
        let mut pause = SOON;
        loop {
            std::thread::sleep(pause);
            sweep_leftovers();
            pause = RARELY.min(2 * pause);
            let leftovers = leftovers(); // to which nothing is added until the answer is known
            if leftovers.is_empty() {
                return SWEEPING.store(false, Ordering::Release);
            }
        }
    });
    if begun.is_err() {
        // The files stay open until another thread looks, or there is a thread for it.
        SWEEPING.store(false, Ordering::Release);
    }
}

/// Whether [`sweep_leftovers`] could find something.
pub fn has_leftovers() -> bool {
    !leftovers().is_empty()
}

/// Forgets foreign memory that was disowned under the guard and has been freed by its owner.
pub fn sweep_leftovers() {
    let mut regions = leftovers();
    let shown = all_shown();
    if shown.is_empty() {
        return; // not even this program is shown: the list of VMAs cannot be had
    }
    regions.retain(|region| {
        let mut inner = region.lock();
        let stays = shown_in(&shown, &region.range()).any(|shown| Some(*shown) == inner.watched());
        if !stays {
            guard::expect_late_faults(); // zeros of ours may be there still
            region.lose(&mut inner);
        }
        stays
    });
}

/// Retired regions, the oldest first, each with its bytes.
struct Retired {
    regions: VecDeque<(Weak<Region>, usize)>,
    bytes: usize,
}

static RETIRED: Mutex<Retired> = Mutex::new(Retired { regions: VecDeque::new(), bytes: 0 });

/// Notes that a mapping has left a region by `retire`. Of those over foreign memory the oldest are
/// let go if many wait, because nothing says when such memory is not used any more.
pub(crate) fn note_retired(region: &Arc<Region>) {
    if !region.is_foreign() {
        return;
    }
    {
        let mut retired = RETIRED.lock_anyway();
        let length = region.range().len();
        retired.regions.push_back((Arc::downgrade(region), length));
        retired.bytes += length;
    }
    let_go_beyond(MOST_RETIRED, MOST_BYTES);
}

/// Lets go of all foreign memory that mappings have left: its owner has no room for more.
pub fn let_go_of_retired() {
    let_go_beyond(0, 0);
}

fn let_go_beyond(most_regions: usize, most_bytes: usize) {
    let mut surplus = Vec::new();
    {
        let mut retired = RETIRED.lock_anyway();
        while retired.regions.len() > most_regions || retired.bytes > most_bytes {
            let Some((oldest, length)) = retired.regions.pop_front() else { break };
            retired.bytes -= length;
            surplus.push(oldest);
        }
    }
    surplus.iter().filter_map(Weak::upgrade).for_each(|region| region.disown());
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::mapping::Mapping;
    use crate::options::Options;
    use crate::region::access::Access;
    use crate::sys::Backing;

    const OPTIONS: Options = Options {
        protection: Protection::ReadWrite,
        populate: false,
        reserve: true,
        address: None,
        huge: crate::options::HugePages::None,
        guard: true,
        owner: 0,
    };

    /// One test at a time: where one mapping is disowned, foreign memory of all is looked for.
    static ALONE: Mutex<()> = Mutex::new(());

    struct Keeping(Arc<AtomicBool>);

    impl Drop for Keeping {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_comes_second_to_leave_memory_waits_for_the_first() {
        let _alone = ALONE.lock_anyway();
        let page = sys::page_size();
        let map = Mapping::anonymous(page as u64, false, &OPTIONS).unwrap();
        let backing = Backing::Memory { reserve: true };
        let start = sys::map(0, page, Protection::ReadWrite, backing).unwrap() as usize;
        let kept = Arc::new(AtomicBool::new(true));
        // SAFETY: the page was mapped above, and stays.
        unsafe { map.put_over(start, Box::new(Keeping(Arc::clone(&kept)))) }.unwrap();
        let region = map.whereabouts().unwrap().region;
        let access = Access::begin(&region, region.range()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| region.disown());
            while !region.lock().has_moved() {
                sys::yield_now();
            }
            let (sender, second) = mpsc::channel();
            scope.spawn(|| {
                region.disown();
                sender.send(kept.load(Ordering::SeqCst)).unwrap();
                drop(sender);
            });
            let early = second.recv_timeout(Duration::from_millis(100));
            access.stop();
            assert_eq!(early.or_else(|_| second.recv()), Ok(false));
        });
        // SAFETY: nothing uses the page any more.
        unsafe { sys::unmap(start, page) };
    }

    #[test]
    fn one_look_at_the_list_of_vmas_serves_all_that_are_disowned() {
        let _alone = ALONE.lock_anyway();
        let page = sys::page_size();
        let maps: Vec<_> = (0..3)
            .map(|_| {
                let map = Mapping::anonymous(page as u64, true, &OPTIONS).unwrap();
                let backing = Backing::Memory { reserve: true };
                let start = sys::map(0, page, Protection::ReadWrite, backing).unwrap() as usize;
                // SAFETY: the page was mapped above, and stays.
                unsafe { map.put_over(start, Box::new(())) }.unwrap();
                (map, start)
            })
            .collect();
        let shown = |map: &Mapping| {
            let region = map.whereabouts().unwrap().region;
            region.foreign.as_ref().unwrap().shown.get().copied()
        };
        assert!(maps.iter().all(|(map, _)| shown(map).is_none()));
        maps[0].0.disown();
        for (map, start) in &maps[1..] {
            assert_eq!(shown(map), sys::shown_at(*start));
            assert!(shown(map).is_some());
        }
        for (map, start) in maps {
            drop(map);
            // SAFETY: nothing uses the page any more.
            unsafe { sys::unmap(start, page) };
        }
    }

    #[test]
    fn what_is_overlaid_as_a_whole_stays_under_the_guard_when_it_is_disowned() {
        let _alone = ALONE.lock_anyway();
        let page = sys::page_size();
        let map = Mapping::anonymous(4 * page as u64, true, &OPTIONS).unwrap();
        let backing = Backing::Memory { reserve: true };
        let start = sys::map(0, 4 * page, Protection::ReadWrite, backing).unwrap() as usize;
        // SAFETY: the pages were mapped above, and stay.
        unsafe { map.put_over(start, Box::new(())) }.unwrap();
        map.file().unwrap().set_len(0).unwrap();
        let region = map.whereabouts().unwrap().region;
        for round in 1..3 {
            // SAFETY: the page is mapped, and its fault is contained.
            assert_eq!(unsafe { (start as *const u8).read_volatile() }, 0);
            assert_eq!(region.faults(), round);
            map.disown();
            assert!(!region.is_lost());
        }
        // SAFETY: nothing uses the pages any more.
        unsafe { sys::unmap(start, 4 * page) };
    }

    #[test]
    fn regions_that_nobody_can_use_are_forgotten_while_the_mapping_goes_on() {
        let map = Mapping::anonymous(1, false, &OPTIONS).unwrap();
        for length in 1..1000 {
            let key = map.key().unwrap();
            key.make_lasting();
            map.resize(1 + length % 2).unwrap();
        }
        assert!(map.state().former.len() < 10);
    }
}
