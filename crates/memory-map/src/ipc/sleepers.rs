//! A thread that sleeps for many waits at once. (Long: one machine, with its test.)
//!
//! At best the system tells which words were woken (`FutexRing`): then one thread sleeps for all waits of
//! the process, exactly as each would by itself. Otherwise it may tell that one of about a hundred words was
//! woken (`futex_wait_any`), and waits that can look again share such threads. If it cannot do that either,
//! the thread looks again and again. Waits for which that is not enough get threads of their own, as long
//! as there are any.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::nap::{Outcome, Sleep};
use super::{spin, threads};
use crate::lock_anyway::LockAnyway;
use crate::sys::{self, FutexRing, Woken, WokenOf};

/// A wait that has no thread.
pub(crate) trait Sleeper: Send + Sync {
    /// Goes on, told how it slept if it did.
    fn go_on(self: Arc<Self>, how: Option<Outcome>) -> Next;

    /// Looks at its memory, while its sleep goes on.
    fn look(self: Arc<Self>) -> Next;

    /// Goes on to sleep on a thread of its own; `false` if there is none.
    fn move_out(self: Arc<Self>) -> bool;

    /// Whether somebody waits for it to sleep.
    fn is_awaited(&self) -> bool;

    /// Is told that it sleeps: who notifies from now on wakes it.
    fn sleeps(&self);
}

/// What a wait does next.
pub(crate) enum Next {
    Sleep(Sleep),
    /// Nothing, until it is nudged.
    Rest,
    Over,
}

/// A wait's place in a group.
pub(crate) struct Place {
    group: Arc<Group>,
    number: u64,
}

impl Place {
    /// Has the group's thread run the wait.
    pub fn start(&self, sleeper: Arc<dyn Sleeper>) {
        self.group.tell(News::Start(self.number, sleeper));
    }

    /// Has the wait go on, although it sleeps or rests.
    pub fn nudge(&self) {
        self.group.tell(News::Nudge(self.number));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.group.state().members -= 1;
    }
}

/// The waits of one thread.
struct Group {
    state: Mutex<State>,
    changed: Condvar,
    /// 0 while the thread sleeps.
    control: AtomicU32,
}

#[derive(Default)]
struct State {
    news: Vec<News>,
    /// Whether the thread will see the news without being woken.
    awake: bool,
    /// How many places are held, and how many there are, once that is known.
    members: usize,
    room: Option<usize>,
    /// Whether the thread has ended.
    gone: bool,
    /// Whether it sleeps until `changed`.
    on_condition: bool,
}

enum News {
    Start(u64, Arc<dyn Sleeper>),
    Nudge(u64),
}

struct Groups {
    process: u32,
    all: Vec<Arc<Group>>,
}

static GROUPS: Mutex<Groups> = Mutex::new(Groups { process: 0, all: Vec::new() });
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// How long a thread stays without waits.
const IDLE: Duration = Duration::from_secs(2);
/// How often to look at words that wake nobody: at first, and at last.
const GLANCES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(16));
/// How long to wait before trying again what the system refused.
const PAUSE: Duration = Duration::from_millis(1);

/// A place for a wait; `None` if there is no thread for it.
pub(crate) fn place() -> Option<Place> {
    let mut groups = GROUPS.lock_anyway();
    let process = std::process::id();
    if groups.process != process {
        // After a fork(2) the threads are those of the parent.
        *groups = Groups { process, all: Vec::new() };
    }
    groups.all.retain(|group| !group.state().gone);
    let free = groups.all.iter().find_map(|group| group.join(false));
    free.or_else(|| {
        groups.all.extend(Group::spawn());
        groups.all.iter().rev().find_map(|group| group.join(true))
    })
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock_anyway()
    }

    fn spawn() -> Option<Arc<Self>> {
        let state = Mutex::new(State { awake: true, ..State::default() });
        let (changed, control) = (Condvar::new(), AtomicU32::new(1));
        let group = Arc::new(Self { state, changed, control });
        let own = Arc::clone(&group);
        threads::spawn(move || Thread::new(own).run()).ok()?;
        let mut state = group.state();
        while state.room.is_none() {
            state = group.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        Some(group)
    }

    fn join(self: &Arc<Self>, anyway: bool) -> Option<Place> {
        let mut state = self.state();
        let has_room = anyway || state.room.is_some_and(|room| state.members < room);
        if state.gone || !has_room {
            return None;
        }
        state.members += 1;
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Some(Place { group: Arc::clone(self), number })
    }

    fn tell(&self, news: News) {
        let mut state = self.state();
        state.news.push(news);
        if state.awake {
            return;
        }
        state.awake = true;
        self.control.store(1, Ordering::SeqCst);
        let on_condition = state.on_condition;
        drop(state);
        if on_condition {
            self.changed.notify_all();
        } else {
            sys::wake_private(&self.control);
        }
    }
}

/// How the thread sleeps.
enum Floor {
    /// A ring, and whether it has a sleep on the group's control word.
    Ring(FutexRing, bool),
    Vector,
    Timer,
}

impl Floor {
    /// The best that the system has.
    fn of(group: &Group) -> Self {
        if let Ok(ring) = FutexRing::new() {
            return Self::Ring(ring, false);
        }
        // It ends at once.
        match sys::futex_wait_any([].into_iter(), &group.control, Some(Duration::ZERO)) {
            WokenOf::Failed => Self::Timer,
            _ => Self::Vector,
        }
    }
}

/// A wait, and its sleep if it is asleep.
struct Bed {
    sleeper: Arc<dyn Sleeper>,
    sleep: Option<Sleep>,
    /// Counts the sleeps, so that the end of an earlier one can be ignored.
    sleeps: u16,
    /// How often in a row it looked at the same word, if nothing wakes it.
    glances: u32,
    /// Whether it stays, because there is no thread for it.
    stays: bool,
}

struct Thread {
    /// Goes before the group, on whose control word a ring sleeps.
    floor: Floor,
    group: Arc<Group>,
    beds: HashMap<u64, Bed>,
    timers: BTreeSet<(Instant, u64)>,
    /// The waits that go on, by their marks, and how they slept if they did.
    woken: Vec<(u64, Option<Outcome>)>,
    /// Those whose sleep is awaited and has been queued.
    awaited: Vec<u64>,
    /// How often in a row the ring has failed.
    refused: u32,
}

/// How often in a row the ring may fail.
const PATIENCE: u32 = 100;

const PERHAPS: Option<Outcome> = Some(Ok(Woken::Perhaps));

/// The mark of the control word's sleep.
const CONTROL: u64 = 0;

impl Bed {
    fn new(sleeper: Arc<dyn Sleeper>) -> Self {
        Self { sleeper, sleep: None, sleeps: 0, glances: 0, stays: false }
    }

    fn mark(&self, number: u64) -> u64 {
        number << 16 | u64::from(self.sleeps)
    }
}

impl Thread {
    fn new(group: Arc<Group>) -> Self {
        let (floor, beds, timers) = (Floor::of(&group), HashMap::new(), BTreeSet::new());
        let (woken, awaited) = (Vec::new(), Vec::new());
        Self { group, floor, beds, timers, woken, awaited, refused: 0 }
    }

    fn run(mut self) {
        spin::never_on_this_thread();
        self.tell_floor();
        self.group.changed.notify_all();
        loop {
            for (mark, how) in std::mem::take(&mut self.woken) {
                self.go_on(mark, how);
            }
            let now = Instant::now();
            while let Some(timer) = self.timers.first().copied().filter(|timer| timer.0 <= now) {
                self.timers.remove(&timer);
                self.be_due(timer.1);
            }
            if !self.hear() && self.woken.is_empty() && !self.sleep() {
                return;
            }
        }
    }

    fn tell_floor(&self) {
        let mut state = self.group.state();
        let is_vector = matches!(self.floor, Floor::Vector);
        state.room = Some(if is_vector { sys::MOST_WORDS } else { usize::MAX });
        state.on_condition = matches!(self.floor, Floor::Timer);
    }

    /// Takes the news; whether there were any.
    fn hear(&mut self) -> bool {
        let news = std::mem::take(&mut self.group.state().news);
        let any = !news.is_empty();
        for news in news {
            match news {
                News::Start(number, sleeper) => {
                    let bed = Bed::new(sleeper);
                    self.woken.push((bed.mark(number), None));
                    self.beds.insert(number, bed);
                }
                News::Nudge(number) => match self.beds.get(&number) {
                    Some(Bed { sleep: Some(_), .. }) => self.wake(number),
                    Some(bed) => self.woken.push((bed.mark(number), None)),
                    None => {}
                },
            }
        }
        any
    }

    fn go_on(&mut self, mark: u64, how: Option<Outcome>) {
        let number = mark >> 16;
        let Some(bed) = self.beds.get_mut(&number) else { return };
        if how.is_some() && bed.mark(number) != mark {
            return;
        }
        match (bed.sleep.take(), how) {
            (Some(sleep), Some(_)) => {
                if let Some(until) = sleep.until {
                    self.timers.remove(&(until, number));
                }
            }
            (None, None) => {}
            (None, Some(_)) => return, // it has been told already
            (sleep, None) => {
                bed.sleep = sleep;
                return self.wake(number);
            }
        }
        let next = Arc::clone(&bed.sleeper).go_on(how);
        self.follow(number, next);
    }

    fn follow(&mut self, number: u64, next: Next) {
        match next {
            Next::Sleep(sleep) => self.lie_down(number, sleep),
            Next::Rest => {}
            Next::Over => drop(self.beds.remove(&number)),
        }
    }

    /// Has a wait look, because its time is up.
    fn be_due(&mut self, number: u64) {
        let Some(bed) = self.beds.get_mut(&number) else { return };
        let Some(before) = bed.sleep.take_if(|sleep| sleep.is_slice) else {
            return self.wake(number);
        };
        // Most go on sleeping as they did. If a wake-up meant for others came while this one looked, nothing is
        // lost: the next to look sees what it was about. An exact wait does not miss it.
        let is_in_ring = matches!(self.floor, Floor::Ring(..));
        let next = match before.is_exact && is_in_ring {
            true => Arc::clone(&bed.sleeper).look(),
            false => Arc::clone(&bed.sleeper).go_on(PERHAPS),
        };
        if let Next::Sleep(sleep) = &next
            && is_in_ring
            && (sleep.address, sleep.expected) == (before.address, before.expected)
        {
            bed.sleep = Some(*sleep);
            self.timers.extend(sleep.until.map(|until| (until, number)));
            return;
        }
        let mark = bed.mark(number);
        self.cancel(mark);
        self.follow(number, next);
    }

    fn lie_down(&mut self, number: u64, mut sleep: Sleep) {
        let Some(bed) = self.beds.get_mut(&number) else { return };
        let is_enough = match self.floor {
            Floor::Ring(..) => true,
            Floor::Vector => !sleep.is_exact,
            Floor::Timer => !sys::sleeps_on_a_word(),
        };
        if !is_enough && !bed.stays {
            if Arc::clone(&bed.sleeper).move_out() {
                self.beds.remove(&number);
            } else {
                bed.stays = true;
                self.woken.push((bed.mark(number), None));
            }
            return;
        }
        if matches!(self.floor, Floor::Timer) {
            bed.glances = if sleep.is_again { bed.glances + 1 } else { 0 };
            let glance = Instant::now() + (GLANCES.0 * (1 << bed.glances.min(16))).min(GLANCES.1);
            sleep.until = Some(sleep.until.map_or(glance, |until| until.min(glance)));
        }
        bed.sleep = Some(sleep);
        bed.sleeps = bed.sleeps.wrapping_add(1);
        if bed.sleeper.is_awaited() {
            self.awaited.push(number);
        }
        let mark = bed.mark(number);
        self.timers.extend(sleep.until.map(|until| (until, number)));
        if let Floor::Ring(ring, _) = &mut self.floor
            && ring.wait(mark, sleep.address, sleep.expected).is_err()
        {
            std::thread::sleep(PAUSE);
            self.woken.push((mark, PERHAPS));
        }
    }

    /// Ends a sleep.
    fn wake(&mut self, number: u64) {
        let Some(bed) = self.beds.get(&number) else { return };
        let mark = bed.mark(number);
        if !self.cancel(mark) {
            self.woken.push((mark, PERHAPS));
        }
    }

    /// Has the ring end a sleep; it tells when that is done. If it refuses, the ring is given up: a sleep that stayed
    /// in it would take a wake-up from others.
    fn cancel(&mut self, mark: u64) -> bool {
        let Floor::Ring(ring, _) = &mut self.floor else { return false };
        let is_begun = ring.cancel(mark).is_ok();
        if !is_begun {
            self.leave_ring();
        }
        is_begun
    }

    /// Takes from the ring which sleeps have ended.
    fn take(&mut self) {
        let Floor::Ring(ring, is_armed) = &mut self.floor else { return };
        ring.take(|mark, how| match mark {
            CONTROL => *is_armed = false,
            mark => self.woken.push((mark, Some(how))),
        });
    }

    /// Ends all sleeps, and has the waits lie down elsewhere.
    fn leave_ring(&mut self) {
        if let Floor::Ring(ring, _) = &mut self.floor {
            ring.cancel_all();
        }
        self.take();
        self.floor = Floor::of(&self.group);
        self.refused = 0;
        self.tell_floor();
        let asleep = self.beds.iter().filter(|(_, bed)| bed.sleep.is_some());
        self.woken.extend(asleep.map(|(number, bed)| (bed.mark(*number), PERHAPS)));
    }

    /// Begins the sleeps that are awaited, if there is a ring. Else they begin a moment later, and a wake before is lost.
    fn begin_awaited(&mut self) {
        if self.awaited.is_empty() {
            return;
        }
        if let Floor::Ring(ring, _) = &mut self.floor {
            let _ = ring.begin(); // what it refuses it is given again
        }
        for number in self.awaited.drain(..) {
            if let Some(bed) = self.beds.get(&number) {
                bed.sleeper.sleeps();
            }
        }
    }

    /// Sleeps until something happens; `false` if nothing does for long, and nobody needs the thread.
    fn sleep(&mut self) -> bool {
        self.begin_awaited();
        let mut state = self.group.state();
        if !state.news.is_empty() {
            return true;
        }
        let is_idle = self.beds.is_empty();
        state.awake = false;
        self.group.control.store(0, Ordering::SeqCst);
        let next =
            self.timers.first().map(|timer| timer.0.saturating_duration_since(Instant::now()));
        let limit = if is_idle { Some(IDLE) } else { next };
        let start = Instant::now();
        if state.on_condition {
            let is_quiet = |state: &mut State| state.news.is_empty();
            let limit = limit.unwrap_or(IDLE);
            drop(self.group.changed.wait_timeout_while(state, limit, is_quiet));
        } else {
            drop(state);
            self.sleep_on_words(limit);
        }
        let mut state = self.group.state();
        state.awake = true;
        self.group.control.store(1, Ordering::SeqCst);
        let is_over =
            is_idle && state.members == 0 && state.news.is_empty() && start.elapsed() >= IDLE;
        state.gone = is_over;
        !is_over
    }

    fn sleep_on_words(&mut self, limit: Option<Duration>) {
        match &mut self.floor {
            Floor::Ring(ring, is_armed) => {
                *is_armed = *is_armed || ring.wait_private(CONTROL, &self.group.control, 0).is_ok();
                let status = if *is_armed { ring.enter(limit) } else { Err(0) };
                self.take();
                self.refused = if status.is_ok() { 0 } else { self.refused + 1 };
                if self.refused > 0 {
                    std::thread::sleep(PAUSE);
                }
                if self.refused == PATIENCE {
                    self.leave_ring();
                }
            }
            Floor::Vector => self.sleep_on_vector(limit),
            Floor::Timer => {}
        }
    }

    fn sleep_on_vector(&mut self, limit: Option<Duration>) {
        let beds = self.beds.iter();
        let asleep: Vec<_> =
            beds.filter_map(|(number, bed)| Some((bed.mark(*number), bed.sleep?))).collect();
        let (seen, unseen) = asleep.split_at_checked(sys::MOST_WORDS).unwrap_or((&asleep, &[]));
        let glance = (!unseen.is_empty()).then_some(GLANCES.1);
        let limit = [limit, glance].into_iter().flatten().min();
        let words = seen.iter().map(|(_, sleep)| (sleep.address, sleep.expected));
        let one = match sys::futex_wait_any(words, &self.group.control, limit) {
            WokenOf::Nothing if unseen.is_empty() => return,
            WokenOf::Nothing => {
                return self.woken.extend(unseen.iter().map(|bed| (bed.0, PERHAPS)));
            }
            WokenOf::Word(index) => seen.get(index).map(|bed| bed.0),
            WokenOf::Any => None,
            WokenOf::Failed => {
                std::thread::sleep(GLANCES.1);
                None
            }
        };
        // Which of the others were woken too is not known.
        self.woken.extend(asleep.iter().map(|bed| match one {
            Some(mark) if mark == bed.0 => (mark, Some(Ok(Woken::Notified))),
            _ => (bed.0, PERHAPS),
        }));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    struct Sound;

    impl Sleeper for Sound {
        fn go_on(self: Arc<Self>, _how: Option<Outcome>) -> Next {
            Next::Rest
        }

        fn look(self: Arc<Self>) -> Next {
            Next::Rest
        }

        fn move_out(self: Arc<Self>) -> bool {
            false
        }

        fn is_awaited(&self) -> bool {
            false
        }

        fn sleeps(&self) {}
    }

    /// A thread whose ring sleeps on words, for waits with the numbers from 1 on; `None` where there is no ring.
    fn asleep_on(words: &[&AtomicU32]) -> Option<Thread> {
        let (state, changed, control) = (Mutex::default(), Condvar::new(), AtomicU32::new(1));
        let mut thread = Thread::new(Arc::new(Group { state, changed, control }));
        for (number, word) in (1..).zip(words) {
            let address = word.as_ptr() as usize;
            let (is_slice, is_again, is_exact) = (false, false, true);
            let sleep = Sleep { address, expected: 0, until: None, is_slice, is_again, is_exact };
            thread.beds.insert(number, Bed::new(Arc::new(Sound)));
            thread.lie_down(number, sleep);
        }
        let Floor::Ring(ring, _) = &mut thread.floor else { return None };
        assert_eq!(ring.enter(Some(Duration::ZERO)), Ok(()));
        Some(thread)
    }

    /// Has the ring refuse to end a sleep, which it does when its queue is full.
    fn refuse_to_end(thread: &mut Thread, number: u64) {
        let Floor::Ring(ring, _) = &mut thread.floor else { return };
        ring.is_refused = true;
        while thread.woken.is_empty() {
            thread.wake(number);
        }
    }

    #[test]
    fn a_sleep_that_the_ring_refuses_to_end_takes_no_wake_up() {
        let word = AtomicU32::new(0);
        let Some(mut thread) = asleep_on(&[&word]) else { return };
        refuse_to_end(&mut thread, 1);
        assert_eq!(sys::futex_wake(word.as_ptr() as usize, 1), 0);
    }

    #[test]
    fn a_wake_up_that_the_ring_has_not_told_yet_is_not_lost_with_it() {
        let (word, other) = (AtomicU32::new(0), AtomicU32::new(0));
        let Some(mut thread) = asleep_on(&[&word, &other]) else { return };
        assert_eq!(sys::futex_wake(other.as_ptr() as usize, 1), 1);
        refuse_to_end(&mut thread, 1);
        let of_other = thread.woken.iter().find(|(mark, _)| mark >> 16 == 2);
        assert_eq!(of_other.and_then(|woken| woken.1), Some(Ok(Woken::Notified)));
    }
}
