//! Changing the length of a mapping: in place where addresses are reserved behind it, else by moving it.
//!
//! The first growth moves the mapping to addresses with as many again reserved behind them, so that it
//! moves only each time that its length has doubled. The old addresses are not given back before
//! nothing can reach them, as after `close`.

use std::ops::Range;
use std::sync::Arc;

use crate::advice::Advice;
use crate::allocate::with_room;
use crate::error::{Error, Result};
use crate::file::Opened;
use crate::guard::{self, Inner};
use crate::mapping::protect::change_protection;
use crate::mapping::{Mapping, Pages, State, out_of_memory, to_usize};
use crate::options::{HugePages, Kind};
use crate::protection::Protection;
use crate::region::place::{self, Emptied};
use crate::region::{Addresses, Contents, Region, Snapshot, access};
use crate::sys;

/// The most addresses that are reserved behind a mapping, in bytes.
const MOST_RESERVED: usize = if usize::BITS < 64 { 1 << 24 } else { 1 << 36 };

/// Bytes that are compared and copied at a time.
const COMPARED: usize = 1 << 20;

/// Bytes of a file that are read at a time.
const READ: usize = 1 << 16;

impl Mapping {
    /// Changes the length. Contents up to the smaller length are kept. Where a shared mapping that
    /// is for stores grows beyond its file, the file grows too; it never shrinks.
    ///
    /// The mapping may have other addresses afterwards. Those it had read zeros, or what the
    /// mapping has there, for as long as there are keys.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// map.write(b"kept", 0)?;
    /// map.resize(1 << 20)?;
    /// let mut bytes = [0; 4];
    /// map.read(0, &mut bytes)?;
    /// assert_eq!(&bytes, b"kept");
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's; [`Error::BeyondEnd`]; [`Error::Fault`] if pages are overlaid that cannot be
    /// put back; [`Error::Unsupported`] if the mapping has closed its file; [`Error::Busy`] while
    /// another holder has the mapping open; [`Error::Closed`]. The mapping is as it was then.
    pub fn resize(&self, length: u64) -> Result<()> {
        if matches!(self.options.huge, HugePages::Explicit(_)) {
            return Err(Error::Unsupported("a mapping of huge pages cannot change its length"));
        }
        let length = to_usize(length)?;
        let _paused = self.attached().pause();
        let mut state = self.state();
        let mut opened = self.opened(&state)?;
        let before = self.len();
        if length == before {
            return Ok(());
        }
        self.needs_no_other(&state)?;
        let snapshots = self.snapshots(&state);
        let extension = self.extension(opened.as_ref(), length, state.protection)?;
        let extend = |opened: &mut Option<Opened>| match (opened, extension) {
            (Some(opened), Some(end)) => opened.grow(self.offset(), end, self.blocks()),
            _ => Ok(()),
        };
        let region = match &state.pages {
            _ if length == 0 => None,
            Pages::Mapped(region) if region.stretch(&self.next(&opened, length, &state)?)? => {
                if let Err(error) = extend(&mut opened) {
                    region.stretch(&self.next(&opened, before, &state)?)?;
                    return Err(error);
                }
                Some(Arc::clone(region))
            }
            pages => {
                if !place::REACHES_BEYOND_FILE {
                    extend(&mut opened)?;
                }
                let mut contents = self.next(&opened, length, &state)?;
                if before > 0 && length > before {
                    contents.reserved =
                        contents.length.saturating_add(contents.length.min(MOST_RESERVED));
                }
                let new = Region::new(&contents)?;
                extend(&mut opened)?;
                if let Pages::Mapped(old) = pages {
                    new.take_over(old)?;
                }
                Some(new)
            }
        };
        state.snapshots.clear();
        let file = opened.map(|opened| opened.file);
        let moved = self.adopt(&mut state, region, file, length, &snapshots);
        drop(state);
        if moved {
            self.attached().follow(|| self.whereabouts().ok());
        }
        Ok(())
    }

    /// How many bytes the file has from the mapping's start on; none without a file.
    ///
    /// # Errors
    /// The OS's.
    pub fn file_length(&self) -> Result<Option<u64>> {
        let Some(file) = self.file() else { return Ok(None) };
        let size = file.metadata().map_err(|error| Error::io(&error, "fstat"))?.len();
        Ok(Some(size.saturating_sub(self.offset())))
    }

    /// Where the last byte that is not zero ends in a part of the file; `start` if there is none. Places are in bytes from
    /// the mapping's start. If bytes cannot be read, that is `end`.
    ///
    /// The file is read, not the memory: a load from a hole would take a page on tmpfs, and fault where there is none.
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Source};
    ///
    /// let path = std::env::temp_dir().join(format!("memory-map-end-{}", std::process::id()));
    /// std::fs::write(&path, b"hello\0\0\0").unwrap();
    /// let map = Mapping::shared(Source::Path(&path), &FileOptions::default(), &Options::default())?;
    /// # if cfg!(unix) {
    /// assert_eq!(map.end_of_data(0, 8)?, 5);
    /// assert_eq!(map.end_of_data(6, 8)?, 6);
    /// # }
    /// # map.close();
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's.
    pub fn end_of_data(&self, start: u64, end: u64) -> Result<u64> {
        let (Some(file), Some(length)) = (self.file(), self.file_length()?) else {
            return Ok(start);
        };
        let (offset, end) = (self.offset(), end.min(length));
        let holes = sys::Holes::of(&file);
        let mut bytes = vec![0; READ];
        let (mut at, mut last) = (start, start);
        while at < end {
            let Some(data) = holes.skip(offset + at) else { break };
            let rest = (offset + end).saturating_sub(data);
            let bytes = &mut bytes[..rest.min(READ as u64) as usize];
            if !sys::read_all(&file, bytes, data) {
                return Ok(end);
            }
            at = data - offset + bytes.len() as u64;
            if let Some(zeros) = bytes.iter().rev().position(|byte| *byte != 0) {
                last = at - zeros as u64;
            }
        }
        Ok(last)
    }

    /// Cuts the file off at the mapping's end, but not before its first `kept` bytes from the mapping's start, if it still
    /// ends `length` bytes from there: where an earlier [`Mapping::resize`] has put its end. Nothing can be cut off on
    /// Windows, where the file is mapped.
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Protection, Source};
    ///
    /// let path = std::env::temp_dir().join(format!("memory-map-cut-{}", std::process::id()));
    /// std::fs::write(&path, b"hello").unwrap();
    /// let options = Options { protection: Protection::ReadWrite, ..Options::default() };
    /// let map = Mapping::shared(Source::Path(&path), &FileOptions::default(), &options)?;
    /// assert_eq!(map.file_length()?, Some(5));
    /// map.resize(1 << 20)?; // room for what may come
    /// map.resize(6)?;
    /// if cfg!(unix) {
    ///     map.cut_file(1 << 20, 5)?;
    ///     assert_eq!(std::fs::read(&path).unwrap(), b"hello\0");
    /// }
    /// # map.close();
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's.
    pub fn cut_file(&self, length: u64, kept: u64) -> Result<()> {
        let end = kept.max(self.len() as u64);
        // Where others have extended the file since, what they have stored stays.
        if let Some(file) = self.file()
            && end < length
            && self.file_length()? == Some(length)
        {
            file.set_len(self.offset() + end).map_err(|error| Error::io(&error, "ftruncate"))?;
        }
        Ok(())
    }

    /// What a region of the mapping has when the mapping has `length` bytes.
    fn next<'a>(
        &self,
        opened: &'a Option<Opened>,
        length: usize,
        state: &State,
    ) -> Result<Contents<'a>> {
        let contents = self.contents(opened.as_ref(), length, state.protection)?;
        Ok(Contents { hint: None, ..contents })
    }

    /// Where the file must reach for a mapping of `length` bytes, if it does not yet.
    fn extension(
        &self,
        opened: Option<&Opened>,
        length: usize,
        protection: Protection,
    ) -> Result<Option<u64>> {
        // Where others have truncated the file, less of the mapping is no reason to extend it again.
        let Some(opened) = opened.filter(|_| length > self.len()) else { return Ok(None) };
        let Some(size) = opened.size() else { return Ok(None) };
        let end = self
            .offset()
            .checked_add(length as u64)
            .filter(|end| i64::try_from(*end).is_ok())
            .ok_or_else(out_of_memory)?;
        let grows = self.kind() != Kind::Private && self.is_for_stores(protection);
        match end > size {
            true if opened.is_regular() && grows => Ok(Some(end)),
            true => Err(Error::BeyondEnd { end, size }),
            false => Ok(None),
        }
    }

    /// Makes `region` what the mapping has, and `length` its length; says whether that is elsewhere.
    fn adopt(
        &self,
        state: &mut State,
        region: Option<Arc<Region>>,
        file: Option<Arc<std::fs::File>>,
        length: usize,
        snapshots: &[Snapshot],
    ) -> bool {
        let before = self.len();
        let moved = match (&state.pages, &region) {
            (Pages::Mapped(old), Some(new)) => !Arc::ptr_eq(old, new),
            _ => true,
        };
        self.set_len(length);
        if moved {
            let pages = region.clone().map_or(Pages::Empty(file), Pages::Mapped);
            state.replace(pages, snapshots);
        }
        let Some(region) = region else { return moved };
        let page_offset = self.page_offset();
        if length > before {
            let start = sys::floor(region.range().start + page_offset + before, sys::page_size());
            let length = region.pages().end - start;
            if self.options.huge == HugePages::Transparent {
                // SAFETY: the pages are the region's, which is held. Without huge ones they serve.
                let _ = unsafe { sys::advise(start, length, Advice::HugePage) };
            }
            if self.options.populate {
                // Blocks were had when the file was extended: what fails now can be had later.
                // SAFETY: as above.
                let _ = unsafe { sys::populate(start, length, self.populates_for_stores()) };
            }
        }
        if length < before && region.file().is_none() {
            // What is cut off must not come back when the mapping grows again.
            clear_page_from(&region, region.range().start + page_offset + length);
        }
        moved
    }
}

/// Stores zeros from the address `start` to the end of its page, whatever may be done with that.
fn clear_page_from(region: &Region, start: usize) {
    let first = sys::floor(start, sys::page_size());
    let Some(end) = sys::ceil(start, sys::page_size()).filter(|end| start < *end) else { return };
    let page = Addresses(first..end);
    let protection = region.lock().runs_in(first..end).next().map(|(_, protection)| protection);
    let forbidden = protection.filter(|protection| !protection.writable());
    if forbidden.is_some() && change_protection(region, &page, Protection::ReadWrite).is_err() {
        return;
    }
    let zeros = vec![0; end - start];
    // The mapping has been cut by then, and what lies behind its end is not promised.
    // SAFETY: the zeros are ours.
    let _ = unsafe { access::copy_in(region, &Addresses(start..end), zeros.as_slice()) };
    if let Some(protection) = forbidden {
        // What was possible for the page a moment ago needs no memory area more.
        let _ = change_protection(region, &page, protection);
    }
}

impl Inner {
    /// Puts every page back, or says which cannot be.
    pub(super) fn heal_all(&mut self) -> Result<()> {
        self.heal();
        self.unhealed_in(&self.pages()).map_or(Ok(()), |fault| Err(Error::Fault(fault)))
    }
}

impl Region {
    /// Makes the pages end where those of `contents` do, if the region has the addresses for that;
    /// whether it has.
    fn stretch(&self, contents: &Contents<'_>) -> Result<bool> {
        let mut inner = self.lock();
        if self.is_lasting() {
            return Ok(false); // the old views must not show what becomes of the mapping
        }
        let end = sys::ceil(contents.length, sys::page_size())
            .and_then(|length| inner.pages().start.checked_add(length))
            .filter(|end| *end <= inner.limit());
        // Beyond the last address there may be none, and elsewhere enough.
        let Some(end) = end else { return Ok(false) };
        let before = inner.pages().end;
        let replaces_parts = place::REPLACES_PARTS || !inner.is_of_file();
        if end != before && !replaces_parts {
            return Ok(false);
        }
        inner.heal_all()?;
        if end > before {
            let pages = inner.backing_at(before);
            // SAFETY: these addresses are the region's, whose lock is held, and hold nothing.
            unsafe { sys::map_over(before, end - before, contents.protection, pages) }
                .map_err(|errno| contents.explain(Error::os(errno, "mmap")))?;
            inner.stretch(end, contents.protection);
        } else if end < before {
            guard::note_change();
            // SAFETY: the range is the region's, whose lock is held; the guard contains the
            // faults of code that still uses it.
            match unsafe { place::empty(&(end..before)) } {
                Emptied::AsItWas(errno) => return Err(Error::os(errno, "mmap")),
                Emptied::Lost => return Err(out_of_memory()),
                Emptied::Inaccessible | Emptied::Zeros => {}
            }
            inner.shrink(end);
        }
        inner.set_user_end(contents.length);
        Ok(true)
    }

    /// Gives this region, new and from the same file, the contents and protections of `old`.
    pub(crate) fn take_over(&self, old: &Region) -> Result<()> {
        let start = old.range().start;
        let part = start..start + old.pages().len().min(self.pages().len());
        let (carried, is_elsewhere) = {
            let mut inner = old.lock();
            inner.heal_all()?;
            let is_elsewhere = matches!(inner.backing(), sys::Backing::File { shared: true, .. });
            let vmas =
                (!inner.is_device() && !self.is_foreign() && sys::can_carry(old.file().is_some()))
                    .then(|| sys::vmas_in(&part))
                    .flatten();
            if let Some(vmas) = &vmas {
                guard::note_change();
                carry_all(vmas, start, self)?;
                inner.move_away();
            }
            (vmas.is_some(), is_elsewhere)
        };
        if !carried && !is_elsewhere && old.is_stored_to() {
            copy_pages(old, self, part.len())?;
        }
        let (runs, written) = {
            let inner = old.lock();
            (inner.runs_in(part).collect::<Vec<_>>(), inner.is_written())
        };
        let shift = |range: Range<usize>| {
            let first = self.range().start;
            first + (range.start - start)..first + (range.end - start)
        };
        if old.is_stored_to() {
            self.note_store();
        }
        self.lock().inherit(written);
        for (range, protection) in runs {
            if self.lock().runs_in(shift(range.clone())).all(|(_, now)| now == protection) {
                continue;
            }
            if carried {
                self.lock().set_protection(shift(range), protection);
            } else {
                change_protection(self, &Addresses(shift(range)), protection)?;
            }
        }
        Ok(())
    }
}

/// Moves the pages of some VMAs from a region that begins at `start` to `to`, all or none.
fn carry_all(vmas: &[Range<usize>], start: usize, to: &Region) -> Result<()> {
    let there = |vma: &Range<usize>| to.range().start + (vma.start - start);
    for (i, vma) in vmas.iter().enumerate() {
        // SAFETY: the VMA is the old region's, whose lock the caller holds, and the place for it
        // is in the new one, which no other code knows yet.
        let Err(errno) = (unsafe { sys::carry(vma.start, vma.len(), there(vma)) }) else {
            continue;
        };
        for back in vmas[..i].iter().rev() {
            // SAFETY: as above, the other way round: `carry` has left the old addresses in place.
            if unsafe { sys::carry(there(back), back.len(), back.start) }.is_err() {
                copy_back(there(back), back);
            }
        }
        to.abandon(&(there(vma)..there(vma) + vma.len()));
        return Err(Error::os(errno, "mremap"));
    }
    Ok(())
}

/// Copies pages that could not be moved back, where they were before.
fn copy_back(from: usize, to: &Range<usize>) {
    let page = sys::page_size();
    let mut bytes = vec![0; page];
    for at in (0..to.len()).step_by(page) {
        // SAFETY: `bytes` has a page's length.
        let copied = unsafe { sys::peek(from + at, bytes.as_mut_ptr(), page) };
        if copied == Some(page) {
            // SAFETY: `bytes` is readable, and the page lies in the old region, whose lock is held.
            unsafe { sys::poke(bytes.as_ptr(), to.start + at, page) };
        }
    }
}

/// Copies the first `length` bytes of a region to another one that has the same file, or is empty:
/// those pages that differ.
fn copy_pages(from: &Region, to: &Region, length: usize) -> Result<()> {
    let (first, target) = (from.range().start, to.range().start);
    let hidden: Vec<_> = from
        .lock()
        .runs_in(first..first + length)
        .filter(|(_, protection)| *protection == Protection::None)
        .collect();
    let set = |protection| {
        for (part, _) in &hidden {
            // SAFETY: the part is the region's, which is held.
            let _ = unsafe { sys::protect(part.start, part.len(), protection) };
        }
    };
    change_protection(to, &Addresses(target..target + length), Protection::ReadWrite)?;
    set(Protection::Read);
    let result = copy_differences(from, to, length);
    set(Protection::None);
    result
}

fn copy_differences(from: &Region, to: &Region, length: usize) -> Result<()> {
    let page = sys::page_size();
    let (mut old, mut new) = (with_room(COMPARED)?, with_room(COMPARED)?);
    old.resize(COMPARED, 0);
    new.resize(COMPARED, 0);
    for at in (0..length).step_by(COMPARED) {
        let size = COMPARED.min(length - at);
        let part = |of: &Region, at, size| {
            let start = of.range().start + at;
            Addresses(start..start + size)
        };
        access::copy_out(from, &part(from, at, size), &mut old[..size])?;
        access::copy_out(to, &part(to, at, size), &mut new[..size])?;
        for (i, (old, new)) in old[..size].chunks(page).zip(new[..size].chunks(page)).enumerate() {
            if old != new {
                // SAFETY: the bytes are a slice.
                unsafe { access::copy_in(to, &part(to, at + i * page, old.len()), old) }?;
            }
        }
    }
    Ok(())
}
