//! Systems that do not tell which memory areas and pages this process has, and cannot move them.

use std::ops::Range;

/// Neighbouring pages of one kind: none are ever shown.
pub(crate) struct Vma {
    pub range: Range<usize>,
    pub shown: Option<Shown>,
}

/// Which file is mapped at an address: it is never known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown(std::convert::Infallible);

/// The file that is mapped at `address`: not known. *handler*
pub(crate) fn shown_at(_address: usize) -> Option<Shown> {
    None
}

/// The memory areas that make up a range: not known.
pub(crate) fn vmas_in(_range: &Range<usize>) -> Option<Vec<Range<usize>>> {
    None
}

/// Shows none.
pub(crate) fn each_vma(_look: impl FnMut(&Vma) -> bool) {}

/// Shows the pages of private memory that hold what is nowhere else: not known. *handler*
pub(crate) fn each_own_page(_range: &Range<usize>, _look: impl FnMut(usize)) -> bool {
    false
}

/// Makes private pages zeros again: they have to be mapped again for that.
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn discard(_start: usize, _length: usize) -> bool {
    false
}

/// There is nothing to keep.
pub(crate) fn keep_vmas_open() {}

/// Whether `carry` can move pages: there is no such call.
pub(crate) fn can_carry(_file: bool) -> bool {
    false
}

/// Moves nothing.
///
/// # Safety
/// None needed.
pub(crate) unsafe fn carry(_from: usize, _length: usize, _to: usize) -> Result<(), i32> {
    Err(super::ENOTSUP)
}

/// Whether a read of a file on `device` gives what a load from its mapped pages would: not known
/// well enough.
pub(crate) fn reads_are_loads(_device: u64) -> bool {
    false
}
