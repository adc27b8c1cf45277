//! What is looked for in a mapping, and what is known of it beforehand.

use std::ops::Range;

use memchr::arch::all::packedpair::Pair;
use memchr::{memchr, memmem};

use crate::allocate::with_room;
use crate::error::{Error, Result};

/// What is looked for.
///
/// ```
/// use memory_map::{Mapping, Needle, Options};
///
/// let map = Mapping::anonymous(100, false, &Options::default())?;
/// map.write(b"one two two", 0)?;
/// let two = Needle::new(b"two", false)?;
/// assert_eq!(map.find(&two, 0..map.len())?, Some(4));
/// assert_eq!(map.find_last(&two, 0..map.len())?, Some(8));
/// assert_eq!(map.count(&two, 0..map.len())?, 2);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Needle {
    pub(super) finder: memmem::Finder<'static>,
    /// Whether it counts at even offsets only.
    pub(super) wide: bool,
    /// By how much an occurrence at an odd offset must at least be moved to be one at an even one.
    pub(super) odd_shift: usize,
    /// Where two bytes of it are: the one that is the rarest in most texts, and the first or the
    /// next rarest.
    marks: [usize; 2],
}

impl Needle {
    /// A copy of `bytes`, which is found at even offsets only if it is `wide`, as text in UTF-16
    /// is searched.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if there are no bytes; [`Error::Os`] if there is no memory for
    /// the copy.
    pub fn new(bytes: &[u8], wide: bool) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::OutOfRange { name: "needle", requirement: "at least one byte" });
        }
        // The caller's may be mapped memory that changes while the tables are made.
        let mut copy = with_room(2 * bytes.len())?;
        copy.extend_from_slice(bytes);
        // What is given back is for the finder, whose own copy aborts the process where it fails.
        copy.shrink_to_fit();
        let bytes = copy;
        let finder = memmem::Finder::new(&bytes).into_owned();
        let odd_shift = match wide {
            true => shifts(&bytes)?.find(|shift| shift % 2 == 1),
            false => None,
        };
        let odd_shift = odd_shift.unwrap_or(bytes.len());
        let marks = Pair::new(&bytes).map_or([0; 2], |pair| match (pair.index1(), pair.index2()) {
            (0, next) => [0, next.into()],
            (rarest, _) => [rarest.into(), 0],
        });
        Ok(Self { finder, wide, odd_shift, marks })
    }

    pub(super) fn len(&self) -> usize {
        self.finder.needle().len()
    }

    /// The needle, if it is a single byte at any offset.
    pub(super) fn as_byte(&self) -> Option<u8> {
        match self.finder.needle() {
            &[byte] if !self.wide => Some(byte),
            _ => None,
        }
    }

    /// Where in `bytes` it can begin at the earliest, as far as two single bytes of it tell: they
    /// are looked for at twice the speed, and often are not there at all.
    pub(super) fn earliest_in(&self, bytes: &[u8]) -> Option<usize> {
        let mut earliest = 0;
        for mark in self.marks {
            let byte = *self.finder.needle().get(mark)?;
            earliest += memchr(byte, bytes.get(earliest + mark..)?)?;
        }
        Some(earliest)
    }

    /// Where in a range it may begin.
    pub(super) fn places_in(&self, range: &Range<usize>) -> Range<usize> {
        range.start..(range.end + 1).saturating_sub(self.len()).max(range.start)
    }

    pub(super) fn overlaps_itself(&self) -> Result<bool> {
        Ok(shifts(self.finder.needle())?.next().is_some())
    }
}

/// By how much `needle` can be moved and agree with itself where it still overlaps itself, the
/// least first.
fn shifts(needle: &[u8]) -> Result<impl Iterator<Item = usize>> {
    // By length of the beginning of the needle: how long its longest proper end is that is its
    // beginning too (Knuth, Morris and Pratt).
    let mut borders = with_room(needle.len() + 1)?;
    borders.resize(needle.len() + 1, 0);
    let mut border = 0;
    for (at, byte) in needle.iter().enumerate().skip(1) {
        while border > 0 && needle[border] != *byte {
            border = borders[border];
        }
        border += usize::from(needle[border] == *byte);
        borders[at + 1] = border;
    }
    Ok(std::iter::successors(Some(border), move |border| Some(borders[*border]))
        .take_while(|border| *border > 0)
        .map(|border| needle.len() - border))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_all_that_agree() {
        for length in 1..=if cfg!(miri) { 6 } else { 12 } {
            for bits in 0..1u32 << length {
                let needle: Vec<u8> = (0..length).map(|bit| (bits >> bit & 1) as u8).collect();
                let agrees = |shift: &usize| needle[*shift..] == needle[..needle.len() - shift];
                let expected: Vec<usize> = (1..needle.len()).filter(agrees).collect();
                let shifts = shifts(&needle).map(Iterator::collect::<Vec<_>>);
                assert_eq!(shifts, Ok(expected), "{needle:?}");
            }
        }
    }
}
