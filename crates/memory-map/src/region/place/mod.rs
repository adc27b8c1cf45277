//! Making a mapping where nothing was, and leaving nothing behind; one file per family of systems.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;

pub(crate) use family::{REACHES_BEYOND_FILE, REPLACES_PARTS, empty};

/// What a range holds after `empty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// Nothing: an access fails, and the guard opens zeros for it.
    Inaccessible,
    /// Zeros, which nothing stands behind.
    #[cfg_attr(unix, allow(dead_code))]
    Zeros,
    /// What it held before: the system granted nothing, with this error number. That is wasteful, and safe.
    AsItWas(i32),
    /// Nothing of ours: another thread was given the addresses.
    #[cfg_attr(unix, allow(dead_code))]
    Lost,
}
