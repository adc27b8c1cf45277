//! What the system can be told about pages.

/// Advice on pages, as `MADV_*` of madvise(2).
///
/// ```
/// use memory_map::{Advice, Mapping, Options};
///
/// let map = Mapping::anonymous(1 << 20, false, &Options::default())?;
/// map.advise(Advice::Normal, 0..map.len())?;
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// They are read in no order: reading ahead does not pay.
    Random,
    /// They are read in order: reading far ahead pays.
    Sequential,
    /// They are needed soon.
    WillNeed,
    /// They are not needed; private ones lose what was stored to them.
    DontNeed,
    /// They may lose what was stored to them, when memory is short.
    Free,
    /// The first to go when memory is short.
    Cold,
    /// They go now.
    PageOut,
    /// Pages with the same contents may be kept once.
    Mergeable,
    /// The opposite of `Mergeable`.
    Unmergeable,
    /// Large pages serve best.
    HugePage,
    /// The opposite of `HugePage`.
    NoHugePage,
    /// They stay out of a core dump.
    DontDump,
    /// The opposite of `DontDump`.
    DoDump,
    /// A forked child does not get them.
    DontFork,
    /// The opposite of `DontFork`.
    DoFork,
    /// They and the blocks of the file behind them go: both read zeros.
    Remove,
    /// A forked child gets zeros.
    WipeOnFork,
    /// The opposite of `WipeOnFork`.
    KeepOnFork,
    /// They are brought in, to be read.
    PopulateRead,
    /// They are brought in, to be stored to.
    PopulateWrite,
    /// They are put into large pages now.
    Collapse,
}
