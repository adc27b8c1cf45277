//! Mutexes, RwLocks, semaphores, events, conditions, barriers and waits: they do what they should, and where something else stores to their
//! words, now and then or all the time, there are errors or wrong answers, and nothing worse.

use std::cell::Cell;
use std::time::Duration;

use memory_map::ipc::{
    Barrier, Condition, Event, Locked, Mutex, Patience, RwLock, Semaphore, WaitResult, Wakeup,
    mark, notify, wait,
};
use memory_map::{Error, Result};

use super::{Input, Victim};

/// Where the words are: a mutex, a semaphore, one to wait on, an event, a
/// condition, a barrier and an RwLock.
const WORDS: usize = 6 + Barrier::SIZE / 8 + RwLock::SIZE / 8;
const SEMAPHORE: usize = 8;
const WAITED: usize = 24;
const EVENT: usize = 32;
const CONDITION: usize = 40;
const BARRIER: usize = 48;
const RW: usize = BARRIER + Barrier::SIZE;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let fire = input.fire();
    let victim = Victim::new(WORDS, |_| 0);
    let (at, damaged) = (victim.start, Cell::new(!fire.is_empty()));
    let allow = |error: &Error| {
        matches!(error, Error::Deadlock | Error::NotOwner | Error::OutOfRange { .. })
    };
    victim.under_fire(fire, || {
        let mutex = Mutex::new(&victim.map, at).expect("it can be made");
        let initial = u32::from(input.byte());
        let new = || Semaphore::new(&victim.map, at + SEMAPHORE, Some(initial));
        let semaphore = new().expect("it can be made");
        let event = Event::new(&victim.map, at + EVENT).expect("it can be made");
        let condition = Condition::new(&victim.map, at + CONDITION).expect("it can be made");
        let barrier = Barrier::new(&victim.map, at + BARRIER, Some(1));
        assert!(barrier.is_ok() || damaged.get());
        let rwlock = RwLock::new(&victim.map, at + RW).expect("it can be made");
        let mut hold = Hold::default();
        let (mut happened, mut broken) = (false, false);
        let (mut held, mut permits) = (None, u64::from(initial));
        for _ in 0..64 {
            if input.is_over() {
                break;
            }
            let what = input.byte();
            let patience = Patience::of(Duration::from_micros(u64::from(input.byte())));
            let whole = || !damaged.get();
            let locked = |result: Result<_>, held: &mut Option<_>| match result {
                Ok(Some(how)) => {
                    assert!(held.is_none() || !whole(), "locked twice");
                    *held = Some(how);
                }
                Ok(None) => assert!(held.is_some() || !whole(), "not locked, though free"),
                Err(error) => {
                    assert!(error == Error::Deadlock && (held.is_some() || !whole()), "{error:?}");
                }
            };
            if what >= 200 {
                hold.step(&rwlock, what - 200, &patience, whole());
                continue;
            }
            match what % 20 {
                0 => locked(mutex.lock(&patience), &mut held),
                1 => locked(mutex.lock_in_turn(&patience), &mut held),
                2 => locked(mutex.try_lock(), &mut held),
                3 | 4 => {
                    let unlocked = match held {
                        Some(how) if what % 20 == 4 => mutex.put_back(how),
                        _ => mutex.unlock(),
                    };
                    assert!(unlocked.is_ok() == held.take().is_some() || !whole(), "{unlocked:?}");
                    assert!(unlocked.as_ref().err().is_none_or(allow), "{unlocked:?}");
                }
                5 | 6 => {
                    let got = match what % 20 {
                        5 => semaphore.try_acquire(),
                        _ => semaphore.acquire(&patience),
                    };
                    let got = got.expect("it can be acquired, or not");
                    assert!(got == (permits > 0) || !whole(), "{permits} permits");
                    permits -= u64::from(got && permits > 0);
                }
                7 => {
                    let count = input.number() as u32;
                    let sum = permits + u64::from(count);
                    let released = semaphore.release(count);
                    let may = sum <= u64::from(Semaphore::MAX);
                    assert!(released.is_ok() == may || !whole(), "{permits} {count} {released:?}");
                    assert!(released.as_ref().err().is_none_or(allow), "{released:?}");
                    permits = if may { sum } else { permits };
                }
                8 => {
                    let expected = input.number() as u32;
                    let result = wait(&victim.map, at + WAITED, expected, &patience);
                    let result = result.expect("it can be waited on");
                    let is_equal = expected == 0;
                    assert!(is_equal == (result != WaitResult::NotEqual) || !whole(), "{result:?}");
                }
                9 => {
                    let woken = notify(&victim.map, at + WAITED, input.number() as u32);
                    assert_eq!(woken, Ok(0));
                }
                10 => {
                    let before = mark(&victim.map, at, 8).expect("it is there");
                    assert_eq!(mark(&victim.map, at, 8), Ok(before));
                    assert!(mutex.held() != 0);
                }
                11 | 12 => {
                    happened = what % 20 == 11;
                    let done = if happened { event.set() } else { event.clear() };
                    assert_eq!(done, Ok(()));
                }
                13 | 14 => {
                    let seen = match what % 20 {
                        13 => event.is_set(),
                        _ => event.wait(&patience),
                    };
                    let seen = seen.expect("it can be looked at");
                    assert!(seen == happened || !whole(), "{seen}");
                }
                15 => {
                    let woken = condition.wait(&mutex, &patience);
                    let expected = if held.is_some() {
                        woken == Ok(Wakeup::TimedOut)
                    } else {
                        woken == Err(Error::NotOwner)
                    };
                    assert!(expected || !whole(), "{woken:?}");
                    held = match woken {
                        Ok(Wakeup::Recovered) => Some(Locked::Recovered),
                        Ok(_) => Some(Locked::Acquired),
                        Err(_) if whole() => held,
                        Err(_) => None,
                    };
                    let _ = condition.notify(u32::from(input.byte()));
                }
                16 | 17 => {
                    let Ok(barrier) = &barrier else { continue };
                    let met = barrier.wait(&patience);
                    let expected = if broken { Err(Error::Broken) } else { Ok(Some(0)) };
                    assert!(met == expected || !whole(), "{met:?}");
                }
                18 => {
                    let Ok(barrier) = &barrier else { continue };
                    broken = !broken;
                    let done = if broken { barrier.abort() } else { barrier.reset() };
                    assert!(done.is_ok() || !whole(), "{done:?}");
                    let seen = barrier.is_broken();
                    assert!(seen == Ok(broken) || !whole(), "{seen:?}");
                    assert!(barrier.waiting().is_ok_and(|waiting| waiting == 0) || !whole());
                }
                _ => {
                    damaged.set(true);
                    victim.damage(&mut input);
                }
            }
        }
    });
    victim.check();
}

/// How the RwLock is held.
#[derive(Default)]
struct Hold {
    is_alone: bool,
    shared: usize,
}

impl Hold {
    fn step(&mut self, lock: &RwLock, what: u8, patience: &Patience<'_>, is_whole: bool) {
        let what = what % 8;
        let Self { is_alone, shared } = *self;
        let is_free = !is_alone && shared == 0;
        let (result, may) = match what {
            0 => (lock.lock_shared(patience), !is_alone),
            1 => (lock.lock_shared_in_turn(patience), !is_alone),
            2 => (lock.try_lock_shared(), !is_alone),
            3 => (lock.lock_exclusive(patience), is_free),
            4 => (lock.try_lock_exclusive(), is_free),
            _ => return self.end(lock, what, is_whole),
        };
        let allowed = matches!(result, Ok(_) | Err(Error::Deadlock));
        assert!(allowed, "{what}: {result:?}");
        let got = matches!(result, Ok(Some(_)));
        assert!(got == may || !is_whole, "{what}: {result:?} with {is_alone} {shared}");
        let deadlock = !may && matches!(what, 0 | 3);
        assert!(deadlock == result.is_err() || !is_whole, "{what}: {result:?}");
        match what {
            _ if !got => {}
            0..=2 => self.shared += 1,
            _ => self.is_alone = true,
        }
    }

    fn end(&mut self, lock: &RwLock, what: u8, is_whole: bool) {
        let (result, may) = match what {
            5 => (lock.unlock(), self.is_alone || self.shared > 0),
            6 => (lock.unlock_shared(), self.shared > 0),
            _ => (lock.put_back(Locked::Acquired), self.is_alone),
        };
        assert!(matches!(result, Ok(()) | Err(Error::NotOwner)), "{what}: {result:?}");
        assert!(result.is_ok() == may || !is_whole, "{what}: {result:?}");
        match what {
            _ if result.is_err() => {}
            5 if self.is_alone => self.is_alone = false,
            7 => self.is_alone = false,
            _ => self.shared = self.shared.saturating_sub(1),
        }
    }
}
