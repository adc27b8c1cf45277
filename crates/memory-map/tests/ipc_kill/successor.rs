//! Who waits to receive next, as a server of an `Rpc` with `wait: true` does (docs/rpc.md).

use std::cell::RefCell;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::Channel;

use crate::{
    ALONE, BUSY, CHANNEL, Child, FRESH, LIMIT, Place, RECEIVED, after_every_change, run_until,
    soon, word,
};

/// The channel for replies.
const REPLIES: usize = FRESH;
/// Where a channel has the receiver's word (docs/channel.md).
const RECEIVER: usize = 256;
const CALLS: u64 = 3;

/// How a server ends, whose request it leaves without a reply.
#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Killed,
}

const ENDS: [End; 2] = [End::Closed, End::Killed];

/// One that serves: here, to be closed, or in a process of its own, to be killed.
enum Server {
    Here(Channel),
    There(Child),
}

impl Server {
    /// It has received the first request.
    fn start(place: &Place, end: End) -> Self {
        let receive = |map: &Mapping| {
            let requests = Channel::open(map, CHANNEL).unwrap();
            assert_eq!(next(&requests), Some(0));
            requests
        };
        match end {
            End::Closed => Self::Here(receive(&place.map)),
            End::Killed => {
                let child = Child::run(place, |map| {
                    let _requests = receive(map);
                    word(map, BUSY).store(1, Ordering::Release);
                    loop {
                        std::thread::park();
                    }
                });
                while word(&place.map, BUSY).load(Ordering::Acquire) == 0 {
                    std::thread::yield_now();
                }
                Self::There(child)
            }
        }
    }

    fn end(self) {
        match self {
            Self::Here(requests) => requests.stop_receiving().unwrap(),
            Self::There(child) => drop(child),
        }
    }
}

/// The number in the next message, which is received with that.
fn next(channel: &Channel) -> Option<u64> {
    let message = channel.receive(None).unwrap()?;
    let mut bytes = [0; 8];
    channel.read(&message, &mut bytes).unwrap();
    channel.release(message).unwrap();
    Some(u64::from_le_bytes(bytes))
}

/// Sends all requests; where each ends in the stream of bytes.
fn call(place: &Place) -> Vec<u64> {
    Channel::create(&place.map, REPLIES, 1024).unwrap();
    let requests = Channel::open(&place.map, CHANNEL).unwrap();
    let send = |number: u64| {
        assert!(requests.send(&number.to_le_bytes(), None).unwrap());
        requests.sent()
    };
    (0..CALLS).map(send).collect()
}

/// Starts one that waits, and then serves. It stops before it has done anything.
fn wait_to_serve(place: &Place) -> Child {
    let open = |map: &Mapping| [CHANNEL, REPLIES].map(|offset| Channel::open(map, offset).unwrap());
    Child::start(place, open, |map, [requests, replies]| {
        assert!(requests.wait_to_receive(&soon()).unwrap());
        while let Some(number) = next(requests) {
            word(map, RECEIVED).fetch_or(1 << number, Ordering::SeqCst);
            assert!(replies.send(&number.to_le_bytes(), None).unwrap());
        }
    })
}

/// Whether the receiver's word says that somebody waits.
fn is_contended(place: &Place) -> bool {
    word(&place.map, CHANNEL + RECEIVER).load(Ordering::Acquire) & 1 == 1
}

/// The next one that waits takes over, and has the requests that nobody had. Every call has one
/// reply, or is known to have none.
fn check(place: &Place, ends: &[u64], when: &str) {
    let start = Instant::now();
    let [requests, replies] =
        [CHANNEL, REPLIES].map(|offset| Channel::open(&place.map, offset).unwrap());
    assert!(requests.wait_to_receive(&soon()).unwrap(), "{when}");
    let gone = requests.gone().unwrap();
    let is_gone = |number: u64| ends[usize::try_from(number).unwrap()] <= gone;
    let handled = word(&place.map, RECEIVED).load(Ordering::SeqCst);
    while let Some(number) = next(&requests) {
        assert_eq!(handled >> number & 1, 0, "{when}: {number} is received twice");
        assert!(!is_gone(number), "{when}: {number} is received, but was rejected");
        assert!(replies.send(&number.to_le_bytes(), Some(&soon())).unwrap(), "{when}");
    }
    let mut replied = 0;
    // Replies come in the order of the requests, so that none comes twice.
    let mut last = 0;
    while let Some(number) = next(&replies) {
        assert!(number > last, "{when}: a reply to {number} after one to {last}");
        last = number;
        replied |= 1 << number;
    }
    let unanswered: Vec<_> = (0..CALLS).filter(|number| replied >> number & 1 == 0).collect();
    assert!(unanswered.iter().all(|number| is_gone(*number)), "{when}: {unanswered:?} wait on");
    assert!(unanswered.len() <= 2, "{when}: {unanswered:?}, of two servers");
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_takes_over_is_replaced() {
    for end in ENDS {
        let ends = RefCell::default();
        after_every_change(
            |place| *ends.borrow_mut() = call(place),
            |place| {
                let server = Server::start(place, end);
                let child = wait_to_serve(place);
                // Its first change says that it waits, and comes before it sleeps.
                while !is_contended(place) {
                    assert!(child.step());
                }
                server.end();
                child
            },
            |place, child, when| {
                child.kill();
                check(place, &ends.borrow(), &format!("{end:?}, {when}"));
            },
        );
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_after_he_found_the_one_before_gone_is_replaced() {
    for end in ENDS {
        let ends = RefCell::default();
        after_every_change(
            |place| {
                *ends.borrow_mut() = call(place);
                Server::start(place, end).end();
            },
            wait_to_serve,
            |place, child, when| {
                child.kill();
                check(place, &ends.borrow(), &format!("{end:?}, {when}"));
            },
        );
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_waits_takes_nothing_from_the_next() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for end in ENDS {
        for changes in 0..=1 {
            let place = Place::new();
            let ends = call(&place);
            let server = Server::start(&place, end);
            let child = wait_to_serve(&place);
            run_until(&place, &child, changes).unwrap();
            drop(child);
            let when = format!("{end:?}, after {changes} changes of one that waits");
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| check(&place, &ends, &when));
                // The word says when a thread is about to sleep, or one that was killed.
                while !is_contended(&place) {
                    std::thread::yield_now();
                }
                server.end();
                waiter.join().unwrap();
            });
        }
    }
}
