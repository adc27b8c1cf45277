//! What the tests of this crate share.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use memory_map::{FileOptions, Mapping, Options, Protection, Result, Source};

pub const PAGE: usize = 4096;

/// A file in a directory on disk (tmpfs differs where files are truncated), removed at the end.
pub struct TempFile(pub PathBuf);

impl TempFile {
    pub fn new(contents: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, contents).unwrap();
        Self(path)
    }

    pub fn sparse(size: u64) -> Self {
        let file = Self::new(b"");
        file.truncate(size);
        file
    }

    pub fn truncate(&self, size: u64) {
        std::fs::OpenOptions::new().write(true).open(&self.0).unwrap().set_len(size).unwrap();
    }

    pub fn contents(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub fn options(protection: Protection) -> Options {
    Options { protection, populate: false, reserve: true, address: None, guard: true, owner: 0 }
}

pub const WHOLE: FileOptions =
    FileOptions { offset: 0, length: None, create: None, allocate: false };

pub fn shared(file: &TempFile, protection: Protection) -> Mapping {
    try_shared(file, protection).unwrap()
}

pub fn try_shared(file: &TempFile, protection: Protection) -> Result<Mapping> {
    Mapping::shared(Source::Path(&file.0), &WHOLE, &options(protection))
}

pub fn private(file: &TempFile, protection: Protection) -> Mapping {
    Mapping::private(Source::Path(&file.0), &WHOLE, &options(protection)).unwrap()
}

/// A view as JavaScript has one: plain loads and stores at an address.
#[derive(Clone, Copy)]
pub struct View(usize);

impl View {
    pub fn of(map: &Mapping) -> Self {
        Self(map.address().unwrap())
    }

    pub fn load(self, at: usize) -> u8 {
        // SAFETY: the tests stay inside the mapping, and the guard contains the rest.
        unsafe { ((self.0 + at) as *const u8).read_volatile() }
    }

    pub fn store(self, at: usize, byte: u8) {
        // SAFETY: as above.
        unsafe { ((self.0 + at) as *mut u8).write_volatile(byte) };
    }
}
