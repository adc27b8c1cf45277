//! What JavaScript calls things that every system calls differently.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;

pub use family::{descriptor, errno_name, path_from_bytes, symbol};
