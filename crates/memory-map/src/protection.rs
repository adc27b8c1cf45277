//! What may be done with a page.

/// Protection of a run of pages, as `PROT_*` of mmap(2).
///
/// ```
/// use memory_map::Protection;
///
/// assert!(Protection::ReadExecute.readable() && !Protection::ReadExecute.writable());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// No access at all.
    None,
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
    /// Everything.
    ReadWriteExecute,
}

impl Protection {
    /// Whether loads are allowed.
    pub fn readable(self) -> bool {
        self != Self::None
    }

    /// Whether stores are allowed.
    pub fn writable(self) -> bool {
        matches!(self, Self::ReadWrite | Self::ReadWriteExecute)
    }

    /// Whether instruction fetches are allowed.
    pub fn executable(self) -> bool {
        matches!(self, Self::ReadExecute | Self::ReadWriteExecute)
    }

    /// The weakest protection that allows both this and stores.
    pub(crate) fn with_stores(self) -> Self {
        if self.executable() { Self::ReadWriteExecute } else { Self::ReadWrite }
    }
}
