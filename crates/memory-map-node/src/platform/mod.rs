//! Names and paths as JavaScript has them, which each system has in its own way.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;

pub use family::{descriptor, errno_name, path_from_bytes, symbol};
