//! Which of those who wait for a condition a notification is for.
#![cfg(not(target_os = "freebsd"))] // it has no mutex
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use common::ipc::{HANG, ms, open};
use common::{PAGE, TempFile};
use memory_map::Mapping;
use memory_map::ipc::{Condition, Locked, Mutex, Patience, Waiting, Wakeup};

/// A condition and its mutex, in memory of their own.
struct Waits {
    mutex: Mutex,
    condition: Condition,
    _map: Mapping,
    file: TempFile,
}

impl Waits {
    fn new() -> Self {
        let file = TempFile::sparse(PAGE as u64);
        let map = open(&file);
        let (mutex, condition) = (Mutex::new(&map, 0), Condition::new(&map, 8));
        Self { mutex: mutex.unwrap(), condition: condition.unwrap(), _map: map, file }
    }

    fn begin(&self) -> Waiting {
        self.mutex.lock(&Patience::FOREVER).unwrap();
        self.condition.begin(&self.mutex).unwrap()
    }

    fn notify(&self, count: u32) {
        self.condition.notify(count).unwrap();
    }

    /// Whether the notification for a wait is there, after a moment at the most.
    fn is_notified(&self, waiting: &Waiting) -> bool {
        let wakeup = self.condition.wait_on(&self.mutex, waiting, &ms(5)).unwrap();
        self.mutex.unlock().unwrap();
        wakeup == Wakeup::Notified
    }
}

#[test]
fn a_notification_is_for_those_who_waited_before_it() {
    let waits = Waits::new();
    let early = waits.begin();
    waits.notify(1);
    let late = waits.begin();
    assert!(!waits.is_notified(&late));
    assert!(waits.is_notified(&early));
}

#[test]
fn notifications_without_a_waiter_are_not_kept() {
    let waits = Waits::new();
    waits.notify(5);
    let [first, second] = [waits.begin(), waits.begin()];
    waits.notify(1);
    assert!(waits.is_notified(&first));
    assert!(!waits.is_notified(&second));
}

#[test]
fn the_notification_of_a_wait_that_is_given_up_goes_to_another_or_to_none() {
    let waits = Waits::new();
    let [first, second] = [waits.begin(), waits.begin()];
    waits.notify(1);
    waits.condition.give_up(&first);
    assert!(waits.is_notified(&second));

    let [first, second] = [waits.begin(), waits.begin()];
    waits.notify(2);
    waits.condition.give_up(&first);
    assert!(waits.is_notified(&second));
    let [third, fourth] = [waits.begin(), waits.begin()];
    waits.notify(1);
    assert!(waits.is_notified(&third));
    assert!(!waits.is_notified(&fourth));
}

#[test]
fn a_notification_that_is_given_back_goes_to_another() {
    let waits = Waits::new();
    let [first, second] = [waits.begin(), waits.begin()];
    waits.notify(1);
    let wakeup = waits.condition.wait_on(&waits.mutex, &first, &ms(HANG)).unwrap();
    waits.condition.give_back(&waits.mutex, &first, wakeup).unwrap();
    assert!(waits.is_notified(&second));
}

#[test]
fn a_mutex_that_is_given_back_is_recovered_by_the_next() {
    let waits = Waits::new();
    let other = open(&waits.file);
    let waiting = waits.begin();
    Mutex::new(&other, 0).unwrap().lock(&Patience::FOREVER).unwrap();
    other.close();
    waits.notify(1);
    let wakeup = waits.condition.wait_on(&waits.mutex, &waiting, &ms(HANG)).unwrap();
    assert_eq!(wakeup, Wakeup::Recovered);
    waits.condition.give_back(&waits.mutex, &waiting, wakeup).unwrap();
    assert_eq!(waits.mutex.lock(&ms(HANG)), Ok(Some(Locked::Recovered)));
}

#[test]
fn a_wait_that_fails_is_not_counted_any_more() {
    let waits = Waits::new();
    let over = || false;
    waits.mutex.lock(&Patience::FOREVER).unwrap();
    let patience = Patience::FOREVER.while_true(&over);
    waits.condition.wait(&waits.mutex, &patience).unwrap_err();
    waits.notify(2);
    let [first, second] = [waits.begin(), waits.begin()];
    waits.notify(1);
    assert!(waits.is_notified(&first));
    assert!(!waits.is_notified(&second));
}

#[test]
#[cfg(not(windows))] // where a mapped file keeps its pages
fn the_mutex_is_given_back_also_where_the_memory_of_the_condition_is_lost() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let maps = [open(&file), open(&file)];
    let [mutex, other] = maps.each_ref().map(|map| Mutex::new(map, 0).unwrap());
    let condition = Condition::new(&maps[0], PAGE).unwrap();
    mutex.lock(&Patience::FOREVER).unwrap();
    let waiting = condition.begin(&mutex).unwrap();
    condition.notify(1).unwrap();
    let wakeup = condition.wait_on(&mutex, &waiting, &Patience::FOREVER).unwrap();
    file.truncate(PAGE as u64);
    assert!(condition.give_back(&mutex, &waiting, wakeup).is_err());
    assert_eq!(other.try_lock(), Ok(Some(Locked::Acquired)));
}
