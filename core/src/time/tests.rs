use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::system_timer::{IDLE_NS, Service, THREAD_NAME};
use super::{Clock, TimerHandle};

const MS: u64 = 1_000_000;

/// Writes a number down when it is woken.
struct Note(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Calls a closure when it is woken.
struct Call<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn call(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Call(f)))
}

#[derive(Default)]
struct Notes(Arc<Mutex<Vec<u64>>>);

impl Notes {
    fn waker(&self, number: u64) -> Waker {
        Waker::from(Arc::new(Note(number, self.0.clone())))
    }
    fn read(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
    fn await_len(&self, len: usize) -> Vec<u64> {
        within(Duration::from_secs(10), || self.read().len() >= len);
        self.read()
    }
}

/// Looks every millisecond until `what` holds.
fn within(limit: Duration, mut what: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A service of the test's own, so that the other tests' timers do not keep its thread alive.
fn service() -> &'static Service {
    Box::leak(Service::new())
}

fn now_ns() -> u64 {
    Clock::system().now_ns()
}

#[test]
fn system_lines_move_and_are_what_they_say() {
    let clock = Clock::default();
    let (wall, coarse, now) = (clock.wall_ns(), clock.coarse_ns(), clock.now_ns());
    thread::sleep(Duration::from_millis(20));
    assert!(clock.wall_ns() > wall && clock.coarse_ns() > coarse);
    assert!(clock.now_ns() >= now + 20 * MS);
    assert!(wall > 1_700_000_000_000_000_000, "after 2023");
    assert!(coarse.abs_diff(now) < 1_000 * MS, "both count from boot");
    assert_eq!(clock.deadline_after(Duration::MAX), u64::MAX);
}

#[test]
fn driven_lines_stand_still_and_move_together() {
    let (clock, driver) = Clock::driven();
    let (wall, coarse, now) = (clock.wall_ns(), clock.coarse_ns(), clock.now_ns());
    assert_eq!(coarse, now);
    thread::sleep(Duration::from_millis(2));
    assert_eq!(clock.now_ns(), now);
    driver.clone().advance(Duration::from_nanos(7));
    let other = clock.clone();
    assert_eq!(other.wall_ns(), wall + 7);
    assert_eq!((other.coarse_ns(), other.now_ns()), (coarse + 7, now + 7));
    driver.advance(Duration::MAX);
    assert_eq!(clock.now_ns(), u64::MAX, "saturates");
}

#[test]
fn driven_timers_fire_in_time_order_at_their_time() {
    let (clock, driver) = Clock::driven();
    let start = clock.now_ns();
    let fired = Arc::new(Mutex::new(Vec::new()));
    let timer = |after: u64, name: u64| {
        let (fired, clock_now) = (fired.clone(), clock.clone());
        let note = move || {
            let at = clock_now.now_ns() - start;
            fired.lock().unwrap().push((at, name));
        };
        clock.schedule(start + after, call(note)).unwrap()
    };
    let _handles = [
        timer(30, 0),
        timer(10, 1),
        timer(20, 2),
        timer(10, 3),
        timer(31, 4),
    ];
    driver.advance(Duration::from_nanos(9));
    assert!(fired.lock().unwrap().is_empty());
    driver.advance(Duration::from_nanos(21));
    assert_eq!(*fired.lock().unwrap(), [(10, 1), (10, 3), (20, 2), (30, 0)]);
    assert_eq!(clock.now_ns(), start + 30);
    driver.advance(Duration::from_nanos(1));
    assert_eq!(fired.lock().unwrap().len(), 5);
}

#[test]
fn driven_timer_set_by_a_timer_fires_in_the_same_advance() {
    let (clock, driver) = Clock::driven();
    let start = clock.now_ns();
    let notes = Notes::default();
    let chain: Arc<Mutex<Option<TimerHandle>>> = Arc::default();
    let (then, inner, inner_clock) = (notes.waker(2), chain.clone(), clock.clone());
    let set_next = move || {
        let next = inner_clock.schedule(start + 20, then.clone()).unwrap();
        *inner.lock().unwrap() = Some(next);
    };
    let _first = clock.schedule(start + 10, call(set_next)).unwrap();
    driver.advance(Duration::from_nanos(20));
    assert_eq!(notes.read(), [2]);
}

#[test]
fn dropped_and_never_due_timers_do_not_fire() {
    let (clock, driver) = Clock::driven();
    let notes = Notes::default();
    let cancelled = clock.schedule(clock.now_ns() + 5, notes.waker(1)).unwrap();
    let _never = clock.schedule(u64::MAX, notes.waker(2)).unwrap();
    drop(cancelled);
    driver.advance(Duration::from_secs(1 << 30));
    assert!(notes.read().is_empty());
    assert_eq!(Arc::strong_count(&notes.0), 1, "their wakers are dropped");
    let _due = clock.schedule(clock.now_ns(), notes.waker(3)).unwrap();
    assert_eq!(notes.read(), [3], "what is due wakes at once");
}

#[test]
fn driven_timer_is_never_stranded_between_look_and_set() {
    let (clock, driver) = Clock::driven();
    let (tell, told) = mpsc::channel();
    let advancing = thread::spawn(move || {
        while told.try_recv() == Err(mpsc::TryRecvError::Empty) {
            driver.advance(Duration::from_nanos(1));
        }
        driver.advance(Duration::from_nanos(10));
    });
    let notes = Notes::default();
    let handles: Vec<_> = (0..20_000)
        .map(|number| {
            clock
                .schedule(clock.now_ns() + 2, notes.waker(number))
                .unwrap()
        })
        .collect();
    tell.send(()).unwrap();
    advancing.join().unwrap();
    assert_eq!(notes.read().len(), 20_000);
    drop(handles);
}

#[test]
fn system_timers_fire_in_order_and_never_early() {
    let clock = Clock::system();
    let notes = Notes::default();
    let begun = clock.now_ns();
    let _handles: Vec<_> = [(60, 3), (20, 1), (40, 2)]
        .map(|(after_ms, n)| {
            clock
                .schedule(begun + after_ms * MS, notes.waker(n))
                .unwrap()
        })
        .into();
    assert_eq!(notes.await_len(3), [1, 2, 3]);
    assert!(clock.now_ns() >= begun + 60 * MS);
    let _past = clock.schedule(begun, notes.waker(4)).unwrap();
    assert_eq!(
        notes.read(),
        [1, 2, 3, 4],
        "what is due wakes at once, on this thread"
    );
}

#[test]
fn system_1000_timers_half_of_them_cancelled() {
    let (service, notes) = (service(), Notes::default());
    let begun = now_ns() + 100 * MS;
    let mut handles: Vec<_> = (0..1_000)
        // Set in an order that is not that of the deadlines: 617 and 1,000 have no common factor.
        .map(|i| i * 617 % 1_000)
        .map(|n| (n, service.set(begun + n * 50_000, notes.waker(n)).unwrap()))
        .collect();
    handles.retain(|(n, _)| n % 2 == 0);
    let fired = notes.await_len(500);
    assert_eq!(fired, (0..1_000).step_by(2).collect::<Vec<_>>());
    drop(handles);
    within(Duration::from_secs(5), || !service.is_running());
    assert_eq!(notes.read().len(), 500);
    assert_eq!(
        Arc::strong_count(&notes.0),
        1,
        "every waker was used up or dropped"
    );
}

#[test]
fn system_thread_ends_when_idle_and_starts_anew() {
    let (service, notes) = (service(), Notes::default());
    for round in 0..3 {
        assert!(!service.is_running());
        let _timer = service.set(now_ns() + 5 * MS, notes.waker(round)).unwrap();
        assert!(service.is_running());
        notes.await_len(round as usize + 1);
        let fired = Instant::now();
        within(Duration::from_secs(5), || !service.is_running());
        assert!(
            fired.elapsed() >= Duration::from_nanos(IDLE_NS / 2),
            "not at once"
        );
    }
}

#[test]
fn system_thread_does_not_stay_for_a_cancelled_timer() {
    let (service, notes) = (service(), Notes::default());
    let timer = service
        .set(now_ns() + 3_600_000 * MS, notes.waker(1))
        .unwrap();
    thread::sleep(Duration::from_millis(20));
    drop(timer);
    within(Duration::from_secs(5), || !service.is_running());
    assert!(service.is_empty());
}

#[test]
fn system_thread_survives_a_waker_that_panics_and_may_set_timers() {
    let (service, notes) = (service(), Notes::default());
    let _bad = service
        .set(now_ns() + MS, call(|| panic!("a test's waker")))
        .unwrap();
    let kept: Arc<Mutex<Option<super::system_timer::SystemTimer>>> = Arc::default();
    let (then, inner) = (notes.waker(1), kept.clone());
    let set_next = move || {
        let next = service.set(now_ns() + MS, then.clone()).unwrap();
        *inner.lock().unwrap() = Some(next);
    };
    let _good = service.set(now_ns() + 10 * MS, call(set_next)).unwrap();
    assert_eq!(notes.await_len(1), [1]);
}

#[test]
fn system_an_earlier_timer_wakes_a_thread_that_sleeps_for_a_later_one() {
    let (service, notes) = (service(), Notes::default());
    let _late = service
        .set(now_ns() + 3_600_000 * MS, notes.waker(1))
        .unwrap();
    thread::sleep(Duration::from_millis(20));
    let _soon = service.set(now_ns() + 5 * MS, notes.waker(2)).unwrap();
    assert_eq!(notes.await_len(1), [2]);
}

#[cfg(target_os = "linux")]
#[test]
fn system_timers_leave_no_thread_behind() {
    let count = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks
            .filter(|task| {
                let name = std::fs::read_to_string(task.path().join("comm"));
                name.is_ok_and(|name| name.trim_end() == THREAD_NAME)
            })
            .count()
    };
    let (service, notes) = (service(), Notes::default());
    let timers: Vec<_> = (0..100)
        .map(|n| {
            service
                .set(now_ns() + 200 * MS + n, notes.waker(n))
                .unwrap()
        })
        .collect();
    within(Duration::from_secs(5), || count() >= 1);
    notes.await_len(100);
    drop(timers);
    // Other tests of this process have threads of that name too, none for long.
    within(Duration::from_secs(60), || count() == 0);
}

#[cfg(target_os = "linux")]
#[test]
fn forked_child_has_timers_of_its_own() {
    let clock = Clock::system();
    let notes = Notes::default();
    let parents = clock
        .schedule(now_ns() + 3_600_000 * MS, notes.waker(1))
        .unwrap();
    // SAFETY: the child runs this closure only, under an alarm that ends it should it hang, and
    // leaves by _exit, which runs nothing of the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::alarm(20) };
        drop(parents);
        let timer = clock.schedule(now_ns() + MS, notes.waker(2));
        let begun = now_ns();
        while notes.read().is_empty() && now_ns() < begun + 10_000 * MS {
            thread::yield_now();
        }
        let fine = timer.is_ok() && notes.read() == [2];
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: `status` is a valid place, and `child` is ours to wait for.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child's timer fired");
    drop(parents);
    let _timer = clock.schedule(now_ns() + MS, notes.waker(3)).unwrap();
    assert_eq!(notes.await_len(1), [3], "the parent's thread goes on");
}
