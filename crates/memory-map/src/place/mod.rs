//! Making a mapping where nothing was, one file per family of systems.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;

pub(crate) use family::Held;
