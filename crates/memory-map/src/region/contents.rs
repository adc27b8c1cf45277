//! What a region is mapped from, and how.

use std::fs::File;
use std::sync::Arc;

use crate::error::Error;
use crate::file::Opened;
use crate::options::HugePages;
use crate::protection::Protection;
use crate::sys::{self, Backing};

/// What to put into a region.
pub(crate) struct Contents<'a> {
    /// The file, and where in it the region starts (page-aligned); nothing for plain memory.
    pub file: Option<(&'a Opened, u64)>,
    pub shared: bool,
    pub protection: Protection,
    /// Bytes that the mapping needs, from the region's start.
    pub length: usize,
    /// Bytes of addresses to keep for it, where that can be done, so that it can grow in place.
    pub reserved: usize,
    /// Bytes between the region's start and the mapping's.
    pub page_offset: usize,
    pub huge: HugePages,
    pub reserve: bool,
    pub guard: bool,
    pub hint: Option<usize>,
    /// The owner that is told of faults, and the mapping that it is told of.
    pub owner: u64,
    pub token: u64,
}

impl Contents<'_> {
    pub(super) fn own_file(&self) -> Option<Arc<File>> {
        self.file.map(|(opened, _)| Arc::clone(&opened.file))
    }

    /// Bytes of one page.
    pub(super) fn page_size(&self) -> usize {
        match self.huge {
            HugePages::Explicit(size) => size,
            _ => sys::page_size(),
        }
    }

    /// What the first page is mapped from.
    pub(crate) fn backing(&self) -> Backing {
        match self.file {
            None => Backing::Memory { reserve: self.reserve },
            Some((opened, offset)) => Backing::File {
                fd: sys::raw(&opened.file),
                offset,
                shared: self.shared,
                reserve: self.reserve,
            },
        }
    }

    /// The file that pages can be mapped from again.
    pub(super) fn lasting_file(&self) -> Option<&Opened> {
        self.file.map(|(opened, _)| opened).filter(|opened| !opened.is_zero_device())
    }

    pub(crate) fn explain(&self, error: Error) -> Error {
        match self.file {
            _ if matches!(self.huge, HugePages::Explicit(_)) => sys::explain_huge_pages(error),
            Some((opened, _)) => opened.explain(error),
            None => error,
        }
    }
}
