//! Making a mapping: of a file, or of memory without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::{Attached, Common, FILE_READS, Holder, Mapping, Pages, State, next_token, to_usize};
use crate::error::{Error, Result};
use crate::file::{Blocks, Made, Opened, Source};
use crate::options::{FileOptions, HugePages, Kind, Options, ShareableOptions};
use crate::region::{Region, place};
use crate::sys;

impl Mapping {
    /// Maps a file so that stores reach it (`MAP_SHARED`).
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Source};
    ///
    /// # let path = std::env::temp_dir().join(format!("memory-map-shared-{}", std::process::id()));
    /// std::fs::write(&path, "hello").unwrap();
    /// let map = Mapping::shared(Source::Path(&path), &FileOptions::default(), &Options::default())?;
    /// map.write(b"J", 0)?;
    /// map.sync(0..map.len(), false)?.run()?;
    /// assert_eq!(std::fs::read(&path).unwrap(), b"Jello");
    /// # drop(map);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's for opening, extending and mapping the file; [`Error::BeyondEnd`].
    pub fn shared(source: Source<'_>, file: &FileOptions, options: &Options) -> Result<Self> {
        Self::of_file(Kind::Shared, source, file, options)
    }

    /// Maps a file copy-on-write (`MAP_PRIVATE`).
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Source};
    ///
    /// # let path = std::env::temp_dir().join(format!("memory-map-private-{}", std::process::id()));
    /// std::fs::write(&path, "hello").unwrap();
    /// let map = Mapping::private(Source::Path(&path), &FileOptions::default(), &Options::default())?;
    /// map.write(b"J", 0)?;
    /// assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    /// # drop(map);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mapping::shared`].
    pub fn private(source: Source<'_>, file: &FileOptions, options: &Options) -> Result<Self> {
        Self::of_file(Kind::Private, source, file, options)
    }

    /// Maps zeroed memory without a file (`MAP_ANONYMOUS`); with `shareable` it stands in an
    /// anonymous file whose descriptor another process can be given.
    ///
    /// # Errors
    /// The OS's for making and mapping the memory.
    pub fn anonymous(length: u64, shareable: bool, options: &Options) -> Result<Self> {
        let file = shareable.then(ShareableOptions::default);
        Self::without_file(length, file.as_ref(), options)
    }

    /// As [`Mapping::anonymous`], shareable, with options for the file that it stands in.
    ///
    /// # Errors
    /// As [`Mapping::anonymous`]; [`Error::Unsupported`] where there are no seals.
    pub fn shareable(length: u64, file: &ShareableOptions, options: &Options) -> Result<Self> {
        Self::without_file(length, Some(file), options)
    }

    fn without_file(
        length: u64,
        file: Option<&ShareableOptions>,
        options: &Options,
    ) -> Result<Self> {
        let ShareableOptions { allocate, seals } = file.cloned().unwrap_or_default();
        let explicit = match options.huge {
            HugePages::Explicit(size) => Some(sys::check_huge_pages(size)?),
            _ => None,
        };
        let mapped = to_usize(length)?;
        let mut opened =
            file.map(|_| Opened::anonymous(length, explicit, !seals.is_empty())).transpose()?;
        let mapping = Self::map(Kind::Anonymous, opened.as_ref(), 0, mapped, allocate, options)?;
        if let Some(opened) = opened.as_mut().filter(|_| allocate) {
            opened.grow(0, opened.size().unwrap_or(length), mapping.blocks)?;
        }
        mapping.populate()?;
        if let Some(opened) = opened.filter(|_| !seals.is_empty()) {
            opened.seal(seals)?; // last: it would forbid some of the above
        }
        Ok(mapping)
    }

    fn of_file(
        kind: Kind,
        source: Source<'_>,
        file: &FileOptions,
        options: &Options,
    ) -> Result<Self> {
        let writable =
            kind == Kind::Shared && (options.protection.writable() || file.create.is_some());
        // Without a length nothing is made: what is new has none.
        let create = file.create.filter(|_| file.length.is_some());
        let mut opened = Opened::new(source, writable, create).map_err(|error| match error {
            Error::Os { errno: sys::ENOENT, .. } if file.create != create => NEEDS_LENGTH,
            error => error,
        })?;
        Self::of_opened(kind, &mut opened, file, options).map_err(|error| {
            opened.made.iter().for_each(Made::remove);
            match (source, create, file.length) {
                // Of a descriptor that was given the position is the caller's, too.
                (Source::Path(_), Some(_), Some(length)) => {
                    opened.explain_end(error, file.offset.saturating_add(length))
                }
                _ => error,
            }
        })
    }

    /// The file changes only when it is mapped, so that a refusal leaves it as it was.
    fn of_opened(
        kind: Kind,
        opened: &mut Opened,
        file: &FileOptions,
        options: &Options,
    ) -> Result<Self> {
        opened.check_seals(file.seals)?;
        let length = length_in(opened, file, kind == Kind::Shared)?;
        let (mapped, end) = (to_usize(length)?, file.offset + length);
        let grows = file.create.is_some() || file.allocate;
        if grows && !place::REACHES_BEYOND_FILE {
            opened.grow(file.offset, end, blocks(kind, file.allocate, options))?;
        }
        let mut mapping =
            Self::map(kind, Some(opened), file.offset, mapped, file.allocate, options)?;
        if grows && place::REACHES_BEYOND_FILE {
            opened.grow(file.offset, end, mapping.blocks)?;
        }
        mapping.populate()?;
        mapping.made = opened.made.take();
        if let Some(temporary) = opened.temporary.take() {
            mapping.common.keep_name(temporary);
        }
        if file.close_file {
            mapping.close_file();
        }
        Ok(mapping)
    }

    /// Closes a mapping that is not to be used after all, and takes away the name of what was made for it.
    ///
    /// ```
    /// use memory_map::{FileOptions, Mapping, Options, Protection, Source};
    ///
    /// let path = std::env::temp_dir().join(format!("memory-map-discard-{}", std::process::id()));
    /// let file = FileOptions { length: Some(100), create: Some(0o600), ..FileOptions::default() };
    /// let options = Options { protection: Protection::ReadWrite, ..Options::default() };
    /// let map = Mapping::shared(Source::Path(&path), &file, &options)?;
    /// map.discard();
    /// assert!(!path.exists());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn discard(&self) {
        let remove = || self.made.iter().for_each(Made::remove);
        if Made::CAN_BE_MAPPED {
            remove(); // before anything else can be what it names
            self.close();
        } else {
            self.close();
            remove();
        }
    }

    fn map(
        kind: Kind,
        file: Option<&Opened>,
        offset: u64,
        length: usize,
        allocate: bool,
        options: &Options,
    ) -> Result<Self> {
        let pages = Pages::Empty(file.map(|opened| Arc::clone(&opened.file)));
        let token = next_token();
        let state = State {
            protection: options.protection,
            pages,
            faults: 0,
            former: Vec::new(),
            laid: Vec::new(),
            snapshots: Vec::new(),
            holders: vec![Holder::new(token, 0)],
            was_closed: false,
        };
        let reads_are_loads =
            file.is_some_and(|opened| sys::reads_are_loads(opened.identity().device));
        let reads_file = reads_are_loads && !options.populate;
        let huge = file.and_then(Opened::huge_pages).map_or(options.huge, HugePages::Explicit);
        let mapping = Self {
            kind,
            token,
            offset,
            options: Options { huge, ..options.clone() },
            blocks: blocks(kind, allocate, options),
            made: None,
            common: Common::new(token, length, state),
            attached: Attached::default(),
            file_reads: AtomicUsize::new(if reads_file { 0 } else { FILE_READS }),
            is_over: AtomicBool::new(false),
        };
        if length > 0 {
            let region = Region::new(&mapping.contents(file, length, options.protection)?)?;
            mapping.state().pages = Pages::Mapped(region);
        }
        Ok(mapping)
    }
}

const NEEDS_LENGTH: Error =
    Error::Missing { name: "length", reason: "the file is new, or has no bytes to map yet" };

/// When a file gets its blocks. Where its pages are brought in to be stored to, before it is longer: what
/// cannot be had then leaves no trace.
fn blocks(kind: Kind, allocate: bool, options: &Options) -> Blocks {
    match allocate {
        true => Blocks::Now,
        false if options.populate && options.protection.writable() && kind != Kind::Private => {
            Blocks::NowIfPossible
        }
        false => Blocks::WhenStoredTo,
    }
}

/// How many bytes of the file are to be mapped.
fn length_in(opened: &Opened, options: &FileOptions, shared: bool) -> Result<u64> {
    let size = opened.size();
    if size == Some(0) {
        opened.probe(shared)?; // files of /proc say that they are empty, and are not
    }
    let is_made = options.create.is_some();
    let length = match (options.length, size) {
        (Some(length), _) => length,
        (None, Some(size)) if size <= options.offset && is_made => return Err(NEEDS_LENGTH),
        (None, Some(size)) if size >= options.offset => size - options.offset,
        (None, Some(size)) => return Err(Error::BeyondEnd { end: options.offset, size }),
        (None, None) => {
            opened.probe(shared)?;
            return Err(Error::Missing {
                name: "length",
                reason: "this device does not say where it ends",
            });
        }
    };
    let end = options.offset.checked_add(length).filter(|end| i64::try_from(*end).is_ok()).ok_or(
        Error::OutOfRange { name: "length", requirement: "within the largest size of a file" },
    )?;
    match size {
        // Of all that can be mapped, only a file can become longer.
        Some(size) if end > size && !(is_made && opened.is_regular()) => {
            Err(Error::BeyondEnd { end, size })
        }
        _ => Ok(length),
    }
}
