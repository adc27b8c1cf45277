//! The list of named memory: it is files in a folder.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::memory_list::NamedMemory;
use super::shm;
use super::temporary::{FOLDER, is_marked, of_others};
use crate::error::{Error, Result};
use crate::sys::byte_lock::ByteLock;

/// Lists the memory that has a name, whoever made it, and with it POSIX semaphores (`sem.NAME`, sem_overview(7)).
/// The maps of all processes are looked at, which takes milliseconds.
///
/// ```
/// # if !cfg!(target_os = "linux") { return Ok(()); }
/// for memory in memory_map::list_memory()? {
///     println!("{}: {} bytes", memory.name, memory.length);
/// }
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// The OS's; [`Error::Unsupported`] where the system does not tell.
pub fn list_memory() -> Result<Vec<NamedMemory>> {
    let users = users();
    let entries = match std::fs::read_dir(FOLDER) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| Error::io(&error, "opendir"))?,
    };
    Ok(entries.flatten().filter_map(|entry| describe(&entry, &users)).collect())
}

/// `None` for what is no memory, or has gone meanwhile.
fn describe(entry: &DirEntry, users: &HashMap<(u64, u64), Vec<u32>>) -> Option<NamedMemory> {
    let metadata = entry.metadata().ok().filter(|metadata| metadata.is_file())?;
    let name = format!("/{}", entry.file_name().to_string_lossy());
    let temporary = is_marked(&metadata);
    let users = users.get(&(metadata.dev(), metadata.ino())).cloned().unwrap_or_default();
    let is_locked = || {
        let (file, _) = shm::open(&name, false, None, false).ok()?;
        of_others(&file).ok().filter(|lock| *lock == ByteLock::Shared)
    };
    Some(NamedMemory {
        length: metadata.len(),
        allocated: metadata.blocks() * 512,
        mode: metadata.mode() & 0o777,
        uid: metadata.uid(),
        modified: modified(&metadata),
        temporary,
        in_use: !users.is_empty() || (temporary && is_locked().is_some()),
        users,
        name,
    })
}

fn modified(metadata: &std::fs::Metadata) -> SystemTime {
    let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Which processes have memory of the folder mapped, by its device and number, of those that may be looked at.
fn users() -> HashMap<(u64, u64), Vec<u32>> {
    let mut users = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(maps) = std::fs::File::open(entry.path().join("maps")) else { continue };
        for line in BufReader::new(maps).split(b'\n').map_while(std::io::Result::ok) {
            let Some(memory) = memory_of(&String::from_utf8_lossy(&line)) else { continue };
            let processes: &mut Vec<u32> = users.entry(memory).or_default();
            if processes.last() != Some(&process) {
                processes.push(process);
            }
        }
    }
    users
}

/// The device and number of the named memory that a line of maps is of (proc_pid_maps(5)).
fn memory_of(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let (device, inode, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (major, minor) = device.split_once(':')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let device = nix::sys::stat::makedev(number(major)?, number(minor)?);
    path.starts_with(FOLDER).then_some(())?;
    #[allow(clippy::unnecessary_cast)] // the type differs from one C library to another
    Some((device as u64, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let line = "7f0000000000-7f0000001000 rw-s 00000000 00:16 4711       /dev/shm/a b";
        assert_eq!(memory_of(line), Some((nix::sys::stat::makedev(0, 0x16), 4711)));
        for other in [
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0",
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0          [heap]",
            "7f0000000000-7f0000001000 r--p 00000000 08:01 12         /usr/lib/libc.so.6",
            "",
            "/dev/shm/a /dev/shm/a /dev/shm/a /dev/shm/a /dev/shm/a /dev/shm/a",
        ] {
            assert_eq!(memory_of(other), None, "{other}");
        }
    }
}
