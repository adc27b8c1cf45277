//! What keeps a mapping's addresses while something outside of it uses them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{GIVEN_UP, Region, UNWANTED};

/// Keeps the addresses of a mapping from going back to the OS, also after it was closed.
///
/// Made by [`crate::Mapping::key`] for every pointer into the mapping that is given out.
///
/// ```
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(100, false, &Options::default())?;
/// let key = map.key()?;
/// drop(map);
/// // SAFETY: the key keeps the addresses, which read zeros now.
/// assert_eq!(unsafe { (key.start() as *const u8).read_volatile() }, 0);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct RegionKey(Arc<Region>);

impl RegionKey {
    /// Notes that the pointer cannot be taken back from the code that has it: after `close` its first use is
    /// a fault.
    ///
    /// ```
    /// use memory_map::{FaultKind, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// let key = map.key()?;
    /// key.make_lasting();
    /// map.close();
    /// // SAFETY: the key keeps the addresses.
    /// unsafe { (key.start() as *const u8).read_volatile() };
    /// assert_eq!(map.collect()[0].kind, FaultKind::Closed);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn make_lasting(&self) {
        self.0.lasting.store(true, Ordering::Release);
    }

    pub(crate) fn new(region: Arc<Region>) -> Self {
        region.keys.fetch_add(1, Ordering::Relaxed);
        region.note_store();
        Self(region)
    }

    pub(crate) fn region(&self) -> &Region {
        &self.0
    }

    /// Address of the region's first page.
    pub fn start(&self) -> usize {
        self.0.range.start
    }

    /// Bytes of the region's addresses.
    pub fn length(&self) -> usize {
        self.0.range.len()
    }

    /// Takes the pages out, now or when the last thread that has the mapping lets it go: only the addresses are
    /// kept.
    pub fn retire(&self) {
        if self.0.fate.fetch_or(UNWANTED, Ordering::AcqRel) & GIVEN_UP != 0 {
            self.0.take_out(&[]);
        }
    }

    /// As [`RegionKey::retire`], and never gives the addresses back: something holds them that will not say when
    /// it is done.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// let key = map.key()?;
    /// let start = key.start() as *const u8;
    /// key.retire();
    /// drop(map);
    /// key.keep_for_good();
    /// // SAFETY: the addresses are kept.
    /// assert_eq!(unsafe { start.read_volatile() }, 0);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn keep_for_good(self) {
        self.retire();
        std::mem::forget(self);
    }
}

impl Drop for RegionKey {
    fn drop(&mut self) {
        if self.0.keys.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.vacate();
        }
    }
}
