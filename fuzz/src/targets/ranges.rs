//! Ranges of a mapping: every operation takes any, refuses what lies outside, and reaches just the bytes
//! and pages that a model of plain bytes reaches.

use std::ops::Range;

use memory_map::ipc::{Channel, Mutex, Semaphore, notify};
use memory_map::{
    Advice, Error, FileOptions, Kind, Mapping, Needle, Options, Protection, RegionKey, Result,
    Source, allocation_granularity, page_size,
};

use super::{Input, Scratch};

/// Pages of a mapping, at most.
const MOST: usize = 16;

const ADVICE: [Advice; 5] =
    [Advice::Normal, Advice::Random, Advice::Sequential, Advice::WillNeed, Advice::DontFork];

/// What a mapping should be.
struct Model {
    map: Mapping,
    _file: Option<Scratch>,
    /// What it holds; nothing where that is not known.
    bytes: Vec<Option<u8>>,
    /// Where in the file it begins.
    offset: usize,
    /// What may be done with each page, and with those to come.
    pages: Vec<Protection>,
    whole: Protection,
    keys: Vec<RegionKey>,
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut model = Model::new(&mut input);
    for _ in 0..64 {
        if input.is_over() {
            break;
        }
        model.step(&mut input);
    }
    model.check();
    drop(model.map.close());
    assert_eq!(model.map.touch(0..0), Err(Error::Closed));
}

impl Model {
    fn new(input: &mut Input<'_>) -> Self {
        let kind = input.byte() % 4;
        let size = 1 + input.below(3 * page_size());
        let bytes: Vec<u8> = (0..size).map(|at| (at * 7) as u8).collect();
        let options = Options::default();
        let (map, file, offset) = match kind {
            0 | 1 => {
                let map = Mapping::anonymous(size as u64, kind == 1, &options);
                (map.expect("there is memory"), None, 0)
            }
            _ => {
                let (file, offset) = (Scratch::new(&bytes), input.below(size));
                let part = FileOptions { offset: offset as u64, ..FileOptions::default() };
                let make = if kind == 2 { Mapping::shared } else { Mapping::private };
                let map = make(Source::Path(&file.0), &part, &options).expect("it can be mapped");
                (map, Some(file), offset)
            }
        };
        if file.is_none() {
            map.write(&bytes, 0).expect("it is writable");
        }
        let whole = Protection::ReadWrite;
        let bytes = bytes[offset..].iter().copied().map(Some).collect();
        let mut model =
            Self { map, _file: file, bytes, offset, pages: Vec::new(), whole, keys: Vec::new() };
        model.pages = vec![whole; model.page_count()];
        model
    }

    /// Bytes of the first page that come before the mapping.
    fn lead(&self) -> usize {
        if self.bytes.is_empty() { 0 } else { self.offset % allocation_granularity() }
    }

    fn page_count(&self) -> usize {
        (self.lead() + self.bytes.len()).div_ceil(page_size())
    }

    /// The pages that have bytes of a range.
    fn pages_of(&self, range: &Range<usize>) -> Range<usize> {
        match range.is_empty() {
            true => 0..0,
            false => {
                let lead = self.lead();
                (lead + range.start) / page_size()..(lead + range.end).div_ceil(page_size())
            }
        }
    }

    fn all(&self, range: &Range<usize>, allow: fn(Protection) -> bool) -> bool {
        self.pages[self.pages_of(range)].iter().all(|protection| allow(*protection))
    }

    /// The range of so many bytes, if it lies inside.
    fn inside(&self, start: usize, length: usize) -> Option<Range<usize>> {
        let end = start.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        Some(start..end)
    }

    /// Any number, but one of the mapping's ends and pages more often than not.
    fn position(&self, input: &mut Input<'_>) -> usize {
        let length = self.bytes.len();
        match input.byte() % 4 {
            0 => input.size(),
            1 => length.wrapping_add(input.byte() as usize % 4).wrapping_sub(2),
            2 => input.below(length + 1),
            _ => (input.below(MOST) * page_size()).wrapping_sub(self.lead()),
        }
    }

    /// Any range, and what of the mapping it is if it lies inside. One that ends before it begins has no
    /// bytes.
    fn range(&self, input: &mut Input<'_>) -> (Range<usize>, Option<Range<usize>>) {
        let (start, end) = (self.position(input), self.position(input));
        (start..end, self.inside(start, end.saturating_sub(start)))
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.read(input),
            1 => self.write(input),
            2 => {
                let (range, inside) = self.range(input);
                let touched = self.map.touch(range);
                self.check_access(touched, inside);
            }
            3 => self.protect(input),
            4 => {
                let advice = ADVICE[input.byte() as usize % ADVICE.len()];
                let (range, inside) = self.range(input);
                let advised = self.map.advise(advice, range);
                assert_eq!(is_out(&advised), inside.is_none(), "{advised:?}");
            }
            5 => self.sync(input),
            6 => self.residency(input),
            7 | 8 => self.resize(input),
            9 => self.search(input),
            10 => {
                let (range, inside) = self.range(input);
                let locked = match input.flag() {
                    true => self.map.lock(range, input.flag()),
                    false => self.map.unlock(range),
                };
                assert!(is_out(&locked) == inside.is_none() || locked.is_err(), "{locked:?}");
            }
            11 => {
                let ranges = [self.range(input), self.range(input)];
                let is_inside = ranges.iter().all(|(_, inside)| inside.is_some());
                let left = self.map.leave_snapshots(ranges.map(|(range, _)| range).to_vec());
                assert_eq!(left.is_ok(), is_inside);
            }
            12 => self.objects(input),
            13 if self.keys.len() < 4 => {
                let key = self.map.key();
                assert_eq!(key.is_ok(), !self.bytes.is_empty());
                self.keys.extend(key);
            }
            14 => {
                let (range, inside) = self.range(input);
                let prefetch = self.map.prefetch(range);
                assert_eq!(prefetch.is_ok(), inside.is_some(), "{:?}", prefetch.err());
            }
            _ => drop(self.map.collect()),
        }
    }

    /// Looks whether an access of a range gave what it should.
    fn check_access(&self, result: Result<()>, inside: Option<Range<usize>>) -> bool {
        match inside {
            None => assert!(is_out(&result), "{result:?}"),
            Some(range) if self.all(&range, Protection::readable) => assert_eq!(result, Ok(())),
            Some(_) => assert!(matches!(result, Err(Error::Fault(_))), "{result:?}"),
        }
        result.is_ok()
    }

    fn read(&mut self, input: &mut Input<'_>) {
        let (start, length) = (self.position(input), input.below(2 * page_size()));
        let mut bytes = vec![0; length];
        let read = self.map.read(start, &mut bytes);
        if self.check_access(read, self.inside(start, length)) {
            for (known, byte) in self.bytes[start..].iter_mut().zip(bytes) {
                assert_eq!(*known.get_or_insert(byte), byte);
            }
        }
    }

    fn write(&mut self, input: &mut Input<'_>) {
        let (start, length) = (self.position(input), input.below(2 * page_size()));
        let byte = input.byte();
        let written = self.map.write(&vec![byte; length], start);
        match self.inside(start, length) {
            None => assert!(is_out(&written), "{written:?}"),
            Some(range) if self.all(&range, Protection::writable) => {
                assert_eq!(written, Ok(()));
                self.bytes[range].fill(Some(byte));
            }
            Some(_) => assert_eq!(written, Err(Error::NotWritable)),
        }
    }

    fn protect(&mut self, input: &mut Input<'_>) {
        let protections = [Protection::None, Protection::Read, Protection::ReadWrite];
        let protection = protections[input.byte() as usize % 3];
        let (range, inside) = match input.byte() % 4 {
            0 => (0..self.bytes.len(), Some(0..self.bytes.len())),
            1 => self.range(input),
            _ => {
                // Pages, as they lie.
                let at = |page: usize| {
                    (page * page_size()).saturating_sub(self.lead()).min(self.bytes.len())
                };
                let (a, b) = (at(input.below(MOST)), at(input.below(MOST)));
                (a.min(b)..a.max(b), Some(a.min(b)..a.max(b)))
            }
        };
        let changed = self.map.protect(range.clone(), protection);
        let Some(inside) = inside else {
            assert!(is_out(&changed), "{changed:?}");
            return;
        };
        if range == inside {
            let is_page = |at: usize| (self.lead() + at).is_multiple_of(page_size());
            let begins = range.start == 0 || is_page(range.start);
            let ends = range.end == self.bytes.len() || is_page(range.end);
            assert_eq!(changed.is_ok(), self.bytes.is_empty() || begins && ends, "{changed:?}");
        }
        if changed.is_ok() {
            let pages = self.pages_of(&inside);
            self.pages[pages].fill(protection);
            if range.start == 0 && range.end == self.bytes.len() {
                self.whole = protection;
            }
        }
    }

    fn sync(&mut self, input: &mut Input<'_>) {
        let (range, inside) = self.range(input);
        let is_synced = self.map.kind() != Kind::Private && self.map.file().is_some();
        match self.map.sync(range, input.flag()) {
            Ok(sync) => {
                assert!(inside.is_some() && is_synced);
                // Pages that are locked cannot be invalidated.
                let synced = sync.run();
                assert!(matches!(synced, Ok(()) | Err(Error::Os { syscall: "msync", .. })));
            }
            Err(Error::NotShared) => assert!(!is_synced),
            Err(error) => assert!(inside.is_none(), "{error:?}"),
        }
    }

    fn residency(&self, input: &mut Input<'_>) {
        let (range, inside) = self.range(input);
        let found = self.map.residency(range, true);
        assert_eq!(found.is_ok(), inside.is_some(), "{:?}", found.err());
        if let (Ok(found), Some(inside)) = (found, inside) {
            assert_eq!(found.pages, self.pages_of(&inside).len());
            assert_eq!(found.bitmap.len(), found.pages.div_ceil(8));
            let ones: u32 = found.bitmap.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(found.resident, ones as usize);
        }
    }

    fn resize(&mut self, input: &mut Input<'_>) {
        let length = match input.byte() % 4 {
            0 => input.number(),
            _ => input.below(MOST * page_size()) as u64,
        };
        if length > (MOST * page_size()) as u64 && length < 1 << 50 {
            return; // there may be room
        }
        let before = self.bytes.len();
        let resized = self.map.resize(length);
        if resized.is_err() {
            let grows = length > before as u64;
            let may_fail = length >= 1 << 50 || self.map.kind() == Kind::Private && grows;
            assert!(may_fail, "{before} to {length}: {resized:?}");
            assert_eq!(self.map.len(), before);
            return;
        }
        // What the file has there, where there is one: it does not become shorter with the mapping.
        let new = if self.map.file().is_some() { None } else { Some(0) };
        self.bytes.resize(length as usize, new);
        // What was cut off has lost its protection, and comes back with that of the whole.
        self.pages.resize(self.page_count(), self.whole);
        assert_eq!(self.map.len() as u64, length);
    }

    fn search(&self, input: &mut Input<'_>) {
        let (range, inside) = self.range(input);
        let byte = input.byte();
        let needle = Needle::new(&[byte], false).expect("it has a byte");
        let found = self.map.find(&needle, range.clone());
        let lines = self.map.lines(range, |_| true);
        assert!(is_out(&found) == inside.is_none() && is_out(&lines) == inside.is_none());
        let Some(inside) = inside else { return };
        if self.all(&inside, Protection::readable) {
            let known: Option<Vec<u8>> = self.bytes[inside.clone()].iter().copied().collect();
            if let Some(known) = known {
                let place = known.iter().position(|one| *one == byte).map(|at| inside.start + at);
                assert_eq!(found, Ok(place));
                let last = known.iter().rposition(|one| *one == b'\n');
                assert_eq!(lines, Ok(inside.start + last.map_or(0, |at| at + 1)));
            }
        }
    }

    /// Objects of `memory_map::ipc` at any offset.
    fn objects(&mut self, input: &mut Input<'_>) {
        let offset = self.position(input);
        let lead = self.lead();
        let fits = |size: usize, alignment: usize| {
            self.inside(offset, size).is_some() && (lead + offset).is_multiple_of(alignment)
        };
        let map = &self.map;
        let is_shared = map.kind() != Kind::Private && map.file().is_some();
        let is_writable = |size: usize| {
            self.inside(offset, size).is_some_and(|range| self.all(&range, Protection::writable))
        };
        let (made, needs) = match input.byte() % 4 {
            0 => (notify(map, offset, 1).map(drop), fits(4, 4) && is_shared),
            1 => (Mutex::new(map, offset).map(drop), fits(8, 8) && is_shared && is_writable(8)),
            2 => {
                let new = Semaphore::new(map, offset, None);
                (new.map(drop), fits(16, 8) && is_shared && is_writable(16))
            }
            _ => {
                let length = input.size();
                let created = Channel::create(map, offset, length).map(drop);
                let fits = length >= 640 && fits(length, 64) && is_shared && is_writable(length);
                if fits {
                    self.bytes[offset..offset + length].fill(None);
                }
                (created, fits)
            }
        };
        assert_eq!(made.is_ok(), needs, "{offset}: {made:?}");
    }

    /// Looks at everything.
    fn check(&mut self) {
        for page in 0..self.pages.len() {
            let start = (page * page_size()).saturating_sub(self.lead());
            let end = ((page + 1) * page_size() - self.lead()).min(self.bytes.len());
            let mut bytes = vec![0; end - start];
            let read = self.map.read(start, &mut bytes);
            if self.check_access(read, Some(start..end)) {
                let known = self.bytes[start..end].iter().zip(bytes);
                assert!(known.clone().all(|(known, byte)| known.is_none_or(|known| known == byte)));
            }
        }
    }
}

fn is_out<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::OutOfRange { .. }))
}
