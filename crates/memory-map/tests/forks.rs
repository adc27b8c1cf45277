//! Children of fork(2) that go on without exec, as daemons do.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{PAGE, TempFile, View, shared};
use memory_map::Protection;

#[test]
fn a_child_does_not_hang_at_a_lost_page_because_its_parent_was_busy_with_the_mapping() {
    const CHILDREN: usize = 40;
    let file = TempFile::sparse((CHILDREN * PAGE) as u64);
    let map = shared(&file, Protection::ReadWrite);
    let view = View::of(&map);
    file.truncate(0);
    let is_over = AtomicBool::new(false);
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                map.protect(0..PAGE, Protection::Read).unwrap();
                map.protect(0..PAGE, Protection::ReadWrite).unwrap();
            }
        });
        let mut killed = 0;
        let pages = (1..CHILDREN).map_while(|page| {
            let end = (killed < 2).then(|| end_of_a_child_that_reads(view, page * PAGE))?;
            killed += usize::from(end != End::Read);
            Some(end)
        });
        let ended = pages.collect();
        is_over.store(true, Ordering::Relaxed);
        ended
    });
    assert!(!ended.contains(&End::Hung), "{ended:?}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Read,
    Killed,
    Hung,
}

fn end_of_a_child_that_reads(view: View, at: usize) -> End {
    // SAFETY: the child of a process with threads makes only calls that are safe in a signal handler.
    let child = unsafe { libc::fork() };
    if child == 0 {
        view.load(at);
        // SAFETY: it is one of those.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0);
    let begin = Instant::now();
    let mut status = 0;
    let mut has_ended = || {
        // SAFETY: `status` is valid for what is written.
        unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) == child }
    };
    while !has_ended() {
        if begin.elapsed() > Duration::from_secs(60) {
            // SAFETY: it is a child of this process that was not waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            return End::Hung;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    if libc::WIFEXITED(status) { End::Read } else { End::Killed }
}
