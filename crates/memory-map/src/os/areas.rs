//! What the system knows this process's memory areas to be.

use std::ops::Range;

use super::each_area;

/// Neighbouring pages of one kind.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) struct Area {
    pub range: Range<usize>,
    /// Where in the file it begins.
    pub offset: u64,
    pub device: u64,
    /// 0 where there is no file.
    pub inode: u64,
}

/// Which file is mapped from an address on, from which byte of it.
///
/// The numbers are those of the system's list of areas: for some file systems `fstat` has others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    device: u64,
    inode: u64,
    /// What would be at address 0.
    base: u64,
}

impl Area {
    /// What it shows; nothing where it has no file.
    pub fn shown(&self) -> Option<Shown> {
        let base = self.offset.wrapping_sub(self.range.start as u64);
        (self.inode != 0).then_some(Shown { device: self.device, inode: self.inode, base })
    }
}

/// The file that is mapped at `address`; nothing where there is none, or it is not known. *handler*
pub(crate) fn shown_at(address: usize) -> Option<Shown> {
    let mut shown = None;
    each_area(|area| {
        if area.range.contains(&address) {
            shown = area.shown();
        }
        area.range.end > address
    });
    shown
}

/// Memory areas that are left for the rest of the process.
const SPARE_AREAS: usize = 1024;

/// The memory areas that make up a range, each cut to it; `None` where they cannot be told or do
/// not cover it, or where the process may not have as many more: `carry` fails in the middle then,
/// also on the way back.
pub(crate) fn areas_in(range: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let (mut all, mut at) = (0, range.start);
    each_area(|area| {
        all += 1;
        let part = area.range.start.max(range.start)..area.range.end.min(range.end);
        if part.start == at && !part.is_empty() {
            at = part.end;
            parts.push(part);
        }
        false
    });
    let fits = all + parts.len() + SPARE_AREAS <= most_areas();
    (fits && at == range.end).then_some(parts)
}

/// How many memory areas a process may have (vm.max_map_count).
fn most_areas() -> usize {
    const USUAL: usize = 65_530;
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::os::{self, Pages};
    use crate::protection::Protection;

    #[test]
    fn areas_are_those_that_the_system_lists() {
        let mut seen = Vec::new();
        each_area(|area| {
            seen.push(area.range.clone());
            false
        });
        let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        assert!(seen.len() > 10 && seen.is_sorted_by_key(|range| range.start));
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let listed = text.lines().filter_map(|line| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some(hex(start)?..hex(end)?)
        });
        // Other tests map meanwhile; the program's own areas stay.
        assert!(listed.filter(|range| seen.contains(range)).count() > 10);
    }

    #[test]
    fn a_mapped_file_is_told_from_another_and_from_none() {
        let page = os::page_size();
        let map = |pages| os::map(0, 4 * page, Protection::Read, pages).unwrap() as usize;
        let file = || {
            let mut file = os::anonymous_file(None).unwrap();
            file.write_all(&vec![1; 8 * page]).unwrap();
            file
        };
        let (one, other) = (file(), file());
        let of =
            |file, offset| Pages::File { fd: os::raw(file), offset, shared: true, reserve: true };
        let (a, b) = (map(of(&one, 0)), map(of(&one, page as u64)));
        let (c, none) = (map(of(&other, 0)), map(Pages::Zeros));
        let shown = shown_at(a).unwrap();
        // SAFETY: the page is this test's.
        unsafe { os::map_over(a + page, page, Protection::Read, Pages::Zeros) }.unwrap();
        assert_eq!(shown_at(a + 3 * page), Some(shown));
        assert_eq!(shown_at(a + page), None);
        assert_ne!(shown_at(b), Some(shown));
        assert_ne!(shown_at(c), Some(shown));
        assert_eq!(shown_at(none), None);
        let parts = [a..a + page, a + page..a + 2 * page, a + 2 * page..a + 4 * page];
        assert_eq!(areas_in(&(a..a + 4 * page)), Some(parts.to_vec()));
        for start in [a, b, c, none] {
            // SAFETY: the mappings are this test's.
            unsafe { os::unmap(start, 4 * page) };
        }
        assert_eq!(areas_in(&(a..a + 4 * page)), None);
    }
}
