//! Making what was stored durable: msync(2), fsync(2).

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::mapping::Mapping;
use crate::options::Kind;
use crate::region::{Addresses, Region};
use crate::sys;

impl Mapping {
    /// Prepares to make a range as durable as fsync(2) makes a file; [`Sync::run`] does it, on any
    /// thread, also when the mapping is closed by then.
    ///
    /// With `invalidate`, other mappings of the file are told to read it again (`MS_INVALIDATE`
    /// of msync(2)).
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Protection, Source};
    ///
    /// let path = std::env::temp_dir().join(format!("memory-map-sync-{}", std::process::id()));
    /// std::fs::write(&path, b"hello").unwrap();
    /// let options = Options { protection: Protection::ReadWrite, ..Options::default() };
    /// let map = Mapping::shared(Source::Path(&path), &FileOptions::default(), &options)?;
    /// map.write(b"J", 0)?;
    /// map.sync(0..map.len(), false)?.run()?;
    /// assert_eq!(std::fs::read(&path).unwrap(), b"Jello");
    /// # map.close();
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`] if pages are overlaid that cannot be put back; [`Error::NotShared`];
    /// [`Error::OutOfRange`]; [`Error::Closed`]; [`Error::Unsupported`] if that takes the file, which
    /// the mapping has closed.
    pub fn sync(&self, range: Range<usize>, invalidate: bool) -> Result<Sync> {
        let located = self.locate(&range)?;
        let file = self.file();
        if self.kind == Kind::Private || (self.kind == Kind::Anonymous && file.is_none()) {
            return Err(Error::NotShared);
        }
        if !sys::MSYNC_IS_DURABLE {
            self.opened(&self.state())?;
        }
        let Some((region, range)) = located else { return Ok(Sync(None)) };
        region.lock().heal_all()?;
        let range = Addresses(sys::floor(range.start, sys::page_size())..range.end);
        Ok(Sync(Some(SyncJob { region, file, range, invalidate })))
    }
}

/// A range that is to be made durable; see [`Mapping::sync`].
pub struct Sync(Option<SyncJob>);

struct SyncJob {
    region: Arc<Region>,
    file: Option<Arc<std::fs::File>>,
    range: Addresses,
    invalidate: bool,
}

impl Sync {
    /// Does it, and waits until it is done.
    ///
    /// # Errors
    /// The OS's.
    pub fn run(&self) -> Result<()> {
        let Some(job) = &self.0 else { return Ok(()) };
        let SyncJob { region, file, range, invalidate } = job;
        let synced = sys::sync(range.start, range.len(), *invalidate);
        // Once `close` or `resize` has taken pages msync finds nothing to write, or nothing at all:
        // what they held is with the file.
        let is_there = region.lock().has(range);
        if is_there {
            synced.map_err(|errno| Error::os(errno, "msync"))?;
        }
        if !sys::MSYNC_IS_DURABLE || !is_there {
            let file = file.as_ref().ok_or(Error::Closed)?;
            sys::make_durable(file).map_err(|error| Error::io(&error, "fsync"))?;
        }
        region.check_end(range)
    }
}
