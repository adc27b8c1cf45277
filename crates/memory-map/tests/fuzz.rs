//! The fuzz targets with the corpus, and with some thousand changes of it that are the same in every run.
//! `npm run fuzz` goes on from there: docs/testing.md.
// What the targets expect of files, of names and of the ends of memory is Linux's, without an emulator.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_env = "gnu"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../fuzz/src/targets/mod.rs"]
mod targets;

use std::path::Path;

/// Changed inputs for each target.
const CHANGED: usize = 2000;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// Some bytes of one input, some of another, some of none.
    fn change(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut one = corpus[self.below(corpus.len())].clone();
        let other = &corpus[self.below(corpus.len())];
        one.truncate(self.below(one.len() + 1));
        one.extend(&other[self.below(other.len() + 1)..]);
        for _ in 0..self.below(8) {
            let (at, byte) = (self.below(one.len() + 1), self.below(256) as u8);
            match self.below(3) {
                0 => one.insert(at, byte),
                _ if at == one.len() => {}
                1 => one[at] = byte,
                _ => drop(one.remove(at)),
            }
        }
        one
    }
}

/// Says which input it was, where it fails.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let bytes: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{} fails with {bytes}", self.0);
        }
    }
}

fn replay(name: &str) {
    let (name, target) = targets::ALL.into_iter().find(|(one, _)| *one == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!corpus.is_empty());
    let mut random = Random(1);
    for round in 0..corpus.len() + CHANGED {
        let input = corpus.get(round).cloned().unwrap_or_else(|| random.change(&corpus));
        let _shown = Shown(name, &input);
        target(&input);
    }
}

#[test]
fn broadcast() {
    replay("broadcast");
}

#[test]
fn channel() {
    replay("channel");
}

#[test]
fn latest() {
    replay("latest");
}

#[test]
fn queue() {
    replay("queue");
}

#[test]
fn locks() {
    replay("locks");
}

#[test]
fn options() {
    replay("options");
}

#[test]
fn ranges() {
    replay("ranges");
}

#[test]
fn search() {
    replay("search");
}

#[test]
fn every_target_is_replayed() {
    assert_eq!(
        targets::ALL.map(|(name, _)| name),
        ["broadcast", "channel", "latest", "locks", "options", "queue", "ranges", "search"]
    );
}
