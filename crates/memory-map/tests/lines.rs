//! Lines are what a split of plain bytes gives, wherever chunks end.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::search::{CHUNK, Random, memory, memory_with};
use memory_map::Mapping;

/// The lines of a mapping, fetched so many at a time, and where the one after them begins.
fn lines(map: &Mapping, batch: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let mut fetched = 0;
        let next = map
            .lines(at..map.len(), |line| {
                let mut bytes = vec![0; line.len()];
                map.read(line.start, &mut bytes).unwrap();
                lines.push(bytes);
                fetched += 1;
                fetched < batch
            })
            .unwrap();
        at = next;
        if fetched < batch {
            return (lines, at);
        }
    }
}

#[test]
fn lines_are_what_split_gives() {
    let mut random = Random(4);
    for _ in 0..300 {
        let bytes: Vec<u8> =
            (0..random.below(200)).map(|_| b"\n\n\r\ra"[random.below(5)]).collect();
        if bytes.is_empty() {
            continue;
        }
        let mut expected: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let rest = expected.pop().unwrap();
        for line in &mut expected {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        let map = memory_with(&bytes);
        for batch in [1, 2, 1000] {
            assert_eq!(lines(&map, batch), (expected.clone(), bytes.len() - rest.len()));
        }
    }
}

#[test]
fn line_ends_are_found_across_chunks() {
    let map = memory(3 * CHUNK);
    for text in [&b"\r\n"[..], b"\n", b"a\r\n", b"\n\r\n"] {
        for before in 0..=text.len() {
            let at = CHUNK - before;
            map.write(text, at).unwrap();
            let mut ends = Vec::new();
            map.lines(0..map.len(), |line| {
                ends.push(line.end);
                true
            })
            .unwrap();
            let expected: Vec<usize> = match text {
                b"\n\r\n" => vec![at, at + 1],
                b"a\r\n" => vec![at + 1],
                _ => vec![at],
            };
            assert_eq!(ends, expected, "{text:?} at {at}");
            map.write(&vec![0; text.len()], at).unwrap();
        }
    }
}
