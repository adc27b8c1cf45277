//! What the tests of this crate share.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod ipc;
pub mod search;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};

use memory_map::{FileOptions, Mapping, Options, Protection, Result, Seals, Source};

/// What the tests count in: the bytes of a page where they are to run.
pub const PAGE: usize = match option_env!("TEST_PAGE_SIZE") {
    Some(_) => 16384,
    None if cfg!(all(target_vendor = "apple", target_arch = "aarch64")) => 16384,
    None => 4096,
};

/// A long mapping, of which several find addresses.
pub const LONG: usize = if usize::BITS < 64 { 1 << 28 } else { 8 << 30 };

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
    Options { protection, ..Options::default() }
}

pub const WHOLE: FileOptions = FileOptions {
    offset: 0,
    length: None,
    create: None,
    allocate: false,
    seals: Seals { shrink: false, grow: false, write: false },
    close_file: false,
};

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

    /// Of memory that is or was a mapping's.
    pub fn at(start: usize) -> Self {
        Self(start)
    }

    pub fn load(self, at: usize) -> u8 {
        // SAFETY: the tests stay inside the mapping, and the guard contains the rest.
        unsafe { ((self.0 + at) as *const u8).read_volatile() }
    }

    pub fn store(self, at: usize, byte: u8) {
        // SAFETY: as above.
        unsafe { ((self.0 + at) as *mut u8).write_volatile(byte) };
    }

    /// A single store of a word, half of which lies before `edge`.
    pub fn store_across(self, edge: usize) {
        let start = self.0 + edge - size_of::<usize>() / 2;
        // SAFETY: as above; the pointer is not required to be aligned.
        unsafe { (start as *mut usize).write_unaligned(usize::MAX) };
    }
}

#[cfg(unix)]
pub const EACCES: i32 = libc::EACCES;
#[cfg(windows)]
pub const EACCES: i32 = windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED as i32;

/// Whether the system has given an address to anything.
#[cfg(unix)]
pub fn is_mapped(address: usize) -> bool {
    let start = (address - address % PAGE) as *mut libc::c_void;
    // SAFETY: nothing is lost by it; of a page that is not mapped it is an error, by POSIX ENOMEM.
    unsafe { libc::msync(start, PAGE, libc::MS_ASYNC) == 0 }
}

#[cfg(windows)]
pub fn is_mapped(address: usize) -> bool {
    query(address).State != windows_sys::Win32::System::Memory::MEM_FREE
}

/// What Windows says of a page.
#[cfg(windows)]
pub fn query(address: usize) -> windows_sys::Win32::System::Memory::MEMORY_BASIC_INFORMATION {
    use windows_sys::Win32::System::Memory::{MEMORY_BASIC_INFORMATION, VirtualQuery};
    let mut info = MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<MEMORY_BASIC_INFORMATION>();
    // SAFETY: `info` is valid for `size` bytes; any address may be asked about.
    assert_eq!(unsafe { VirtualQuery(address as *const _, &raw mut info, size) }, size);
    info
}

/// Set in the processes that tests start, to the number of their case.
pub const CHILD: &str = "MEMORY_MAP_TEST_CHILD";

/// Runs `test`, which is in the test of this name, where no other test takes the addresses that it gives back.
pub fn alone(name: &str, test: impl Fn()) {
    let end = in_child(name, test);
    assert!(end.success(), "{end}");
}

/// Runs `test`, which is in the test of this name, in a process of its own; how that ended.
pub fn in_child(name: &str, test: impl Fn()) -> ExitStatus {
    case_in_child(name, 0, |_| test())
}

/// The same for a number of a case, of which there are several in the test.
pub fn case_in_child(name: &str, case: usize, test: impl Fn(usize)) -> ExitStatus {
    in_children(name, case..case + 1, test).remove(0)
}

/// The same for several cases, in processes that run at once.
pub fn in_children(name: &str, cases: Range<usize>, test: impl Fn(usize)) -> Vec<ExitStatus> {
    if let Ok(case) = std::env::var(CHILD) {
        test(case.parse().unwrap());
        std::process::exit(0);
    }
    let start = |case: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(CHILD, case.to_string())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = cases.map(start).collect();
    children.into_iter().map(|mut child| child.wait().unwrap()).collect()
}
