//! Threads that do everything that a pool can do, at once, and keep their own account of it.

use std::array::from_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use reqbus_core::ErrorKind;
use reqbus_core::slots::{
    Ask, Key, Limit, Outcome, Refusal, Released, Slot, SlotPool, Step, Wait, WaitOptions,
};

use crate::common::until;
use crate::gauge::Gauge;

/// The keys, and the limit that calls give for each.
const KEYS: [(&str, &str, u32); 4] = [
    ("user", "1", 2),
    ("user", "2", 1),
    ("model", "m", 2),
    ("account", "7", 3),
];
/// Which keys a call asks for, in the order of ranks.
const CALLS: [&[usize]; 7] = [&[0], &[1], &[2], &[3], &[0, 3], &[1, 2, 3], &[0, 2]];
/// What a holder is called whom anybody may force.
const FORCEABLE: &str = "may be forced";
/// As good as no limit.
const MANY: u32 = 1_000;

/// A key, and what its users say of it.
struct Site {
    gauge: Gauge,
    /// What is set on it, for whoever changes that.
    limit: Mutex<u32>,
    /// Slots that callers had.
    handed: AtomicU64,
    /// Refusals by this key, by outcome.
    ended: [AtomicU64; 7],
    /// Waits that asked for it, and ended without a slot.
    in_vain: AtomicU64,
    lost: AtomicU64,
    leaked: AtomicU64,
}

/// A pool and all who use it.
pub struct World {
    pub pool: SlotPool,
    sites: [Site; 4],
    /// Waits of all threads, for anybody to cancel.
    board: Mutex<Vec<Arc<Wait>>>,
    /// What timeouts are made of.
    unit: Duration,
    leaked: AtomicU64,
    /// What the threads have done so far.
    pub ops: AtomicU64,
}

/// Ends the others with a thread that panicked: they would wait for it.
struct Bail<'a>(&'a World);

impl Drop for Bail<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.ops.store(u64::MAX / 2, Ordering::Relaxed);
            self.0.pool.close();
        }
    }
}

fn add(to: &AtomicU64) {
    to.fetch_add(1, Ordering::Relaxed);
}

/// A generator of its own for each thread (xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % end
    }
}

/// Says that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn key(at: usize) -> Key<'static> {
    Key::new(KEYS[at].0, KEYS[at].1)
}

fn asks(keys: &[usize]) -> Vec<Ask<'static>> {
    // Named in another order than they are taken in.
    let ask = |&at: &usize| Ask::new(KEYS[at].0, KEYS[at].1, Limit::Of(KEYS[at].2));
    keys.iter().rev().map(ask).collect()
}

impl World {
    pub fn new(pool: SlotPool, unit: Duration) -> Self {
        let site = |at: usize| Site {
            gauge: Gauge::new(KEYS[at].2),
            limit: Mutex::new(KEYS[at].2),
            handed: AtomicU64::new(0),
            ended: from_fn(|_| AtomicU64::new(0)),
            in_vain: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
        };
        Self {
            pool,
            sites: from_fn(site),
            board: Mutex::new(Vec::new()),
            unit,
            leaked: AtomicU64::new(0),
            ops: AtomicU64::new(0),
        }
    }

    /// One thread's part.
    pub fn work(&self, seed: u64, ops: u64) {
        let _bail = Bail(self);
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..ops {
            let call = CALLS[dice.below(CALLS.len())];
            match dice.below(20) {
                0..=5 => self.attempt(&mut dice, call),
                6..=13 => self.queue(&mut dice, call),
                14 => self.stack(&mut dice),
                15 | 16 => self.cancel_any(&mut dice),
                17 => self.force_any(&mut dice),
                18 => self.change_limit(&mut dice),
                _ => self.close_a_key(&mut dice),
            }
            add(&self.ops);
        }
    }

    fn refused(&self, keys: &[usize], refusal: &Refusal, may: &[Outcome]) {
        let outcome = refusal.outcome();
        assert!(may.contains(&outcome), "{refusal}");
        let by = keys.iter().find(|&&at| KEYS[at].0 == refusal.scope());
        add(&self.sites[*by.expect("a scope of the call")].ended[outcome as usize]);
    }

    fn attempt(&self, dice: &mut Dice, keys: &[usize]) {
        let label = ["", "mine", FORCEABLE][dice.below(3)];
        match self.pool.try_acquire(&asks(keys), label) {
            Ok(slot) => self.hold(dice, keys, label, slot),
            Err(refusal) => self.refused(keys, &refusal, &[Outcome::Busy, Outcome::Closed]),
        }
    }

    fn queue(&self, dice: &mut Dice, keys: &[usize]) {
        // Never forceable: an offer could be, that nobody takes, and nobody would be told.
        let label = ["", "mine"][dice.below(2)];
        let options = WaitOptions {
            label,
            timeout: self.unit * [0, 1, 4, 20][dice.below(4)],
            max_waiting: [20, 20, 2, 0][dice.below(4)],
            ping_every: [None, Some(self.unit)][dice.below(2)],
        };
        let wait = Arc::new(self.pool.wait(&asks(keys), &options));
        {
            let mut board = self.board.lock();
            let at = dice.below(8);
            match board.get_mut(at) {
                Some(place) => *place = wait.clone(),
                None => board.push(wait.clone()),
            }
        }
        if let Some(slot) = self.step_to_the_end(dice, keys, &wait) {
            self.hold(dice, keys, label, slot);
        }
    }

    fn step_to_the_end(&self, dice: &mut Dice, keys: &[usize], wait: &Wait) -> Option<Slot> {
        let way = dice.below(4);
        if dice.below(16) == 0 {
            // Away: on a clock that runs, an offer lapses meanwhile.
            (0..100).for_each(|_| thread::yield_now());
        }
        let mut looks = 0;
        let end = loop {
            looks += 1;
            let step = match way {
                0 => Some(wait.next_timeout(None).unwrap()),
                1 => match wait.next_timeout(Some(self.unit / 4)) {
                    Ok(step) => Some(step),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Timeout);
                        None
                    }
                },
                2 => {
                    thread::yield_now();
                    wait.try_next()
                }
                _ => Some(poll_to_a_step(wait)),
            };
            match step {
                Some(Step::Ping) => {}
                Some(end) => break end,
                None if looks == 5 => wait.cancel(None),
                None => {}
            }
        };
        let outcomes = [
            Outcome::Busy,
            Outcome::QueueFull,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::Closed,
        ];
        let (slot, said) = match end {
            Step::Granted(slot) => (Some(slot), Outcome::Invalid),
            Step::Ended(refusal) => {
                self.refused(keys, &refusal, &outcomes);
                keys.iter().for_each(|&at| add(&self.sites[at].in_vain));
                (None, refusal.outcome())
            }
            Step::Ping => unreachable!("passed over"),
        };
        // S2: it ends once.
        wait.cancel(None);
        match wait.try_next() {
            Some(Step::Ended(again)) => assert_eq!(again.outcome(), said),
            other => panic!("{other:?} after the end"),
        }
        slot
    }

    /// A user's slot, then an account's on top of it.
    fn stack(&self, dice: &mut Dice) {
        let options = WaitOptions {
            timeout: self.unit,
            ..WaitOptions::default()
        };
        let slot = match self.pool.try_acquire(&asks(&[0]), "") {
            Ok(slot) => slot,
            Err(refusal) => {
                return self.refused(&[0], &refusal, &[Outcome::Busy, Outcome::Closed]);
            }
        };
        let wait = self.pool.wait_on_top(&slot, &asks(&[3]), &options);
        match self.step_to_the_end(dice, &[3], &wait) {
            Some(mut account) => {
                slot.join(&mut account).unwrap();
                self.hold(dice, &[0, 3], "", slot);
            }
            None => self.hold(dice, &[0], "", slot),
        }
    }

    /// Has a slot for a moment, then gives it back in one of the ways.
    fn hold(&self, dice: &mut Dice, keys: &[usize], label: &str, slot: Slot) {
        for &at in keys {
            add(&self.sites[at].handed);
            self.sites[at].gauge.enter();
        }
        (0..dice.below(4)).for_each(|_| thread::yield_now());
        let way = dice.below(6);
        if label == FORCEABLE || way == 0 {
            for &at in keys {
                self.sites[at].gauge.leave();
                let answer = match keys {
                    [_] => slot.release(),
                    _ => slot.release_scope(KEYS[at].0).unwrap(),
                };
                if answer == Released::Lost {
                    assert_eq!(label, FORCEABLE);
                    add(&self.sites[at].lost);
                    self.sites[at].gauge.lower(1);
                }
            }
            assert_eq!(slot.release(), Released::Already);
            return;
        }
        keys.iter().for_each(|&at| self.sites[at].gauge.leave());
        match way {
            1 => drop(slot),
            2 => {
                add(&self.leaked);
                keys.iter().for_each(|&at| add(&self.sites[at].leaked));
                slot.leak();
            }
            _ => {
                assert_eq!(slot.release(), Released::Released);
                assert_eq!(slot.release(), Released::Already);
            }
        }
    }

    fn cancel_any(&self, dice: &mut Dice) {
        let at = dice.below(8);
        let wait = self.board.lock().get(at).cloned();
        if let Some(wait) = wait {
            wait.cancel(None);
        }
    }

    fn force_any(&self, dice: &mut Dice) {
        let at = dice.below(KEYS.len());
        let holders = self.pool.holders(key(at)).wait(None).unwrap();
        if let Some(holder) = holders.iter().find(|holder| &*holder.label == FORCEABLE) {
            // Its work goes on until it hears of it.
            self.sites[at].gauge.raise(1);
            if !self.pool.force(key(at), holder.id).wait(None).unwrap() {
                self.sites[at].gauge.lower(1);
            }
        }
    }

    fn change_limit(&self, dice: &mut Dice) {
        let at = dice.below(KEYS.len());
        let Some(mut limit) = self.sites[at].limit.try_lock() else {
            return;
        };
        let new = [0, 1, 2, 4, MANY, KEYS[at].2][dice.below(6)];
        let gauge = &self.sites[at].gauge;
        gauge.raise(new.saturating_sub(*limit));
        let set = match new {
            MANY => self.pool.set_limit(key(at), Limit::Unlimited),
            _ if new == KEYS[at].2 && dice.below(2) == 0 => self.pool.clear_limit(key(at)),
            _ => self.pool.set_limit(key(at), Limit::Of(new)),
        };
        set.wait(None).unwrap();
        if new < *limit {
            // The declared window: who holds may go on.
            until(|| self.pool.load(&[key(at)]).wait(None).unwrap()[0].in_use <= new);
            gauge.lower(*limit - new);
        }
        *limit = new;
    }

    fn close_a_key(&self, dice: &mut Dice) {
        let at = dice.below(KEYS.len());
        self.pool.close_key(key(at)).wait(None).unwrap();
        (0..dice.below(4)).for_each(|_| thread::yield_now());
        self.pool.open_key(key(at)).wait(None).unwrap();
    }

    /// All threads have ended: nothing is held, nobody waits, and the counters are the sums of what each was told.
    pub fn assert_adds_up(&self) {
        self.board.lock().clear();
        assert_eq!(self.pool.leaked(), self.leaked.load(Ordering::Relaxed));
        let loads = self.pool.load(&[key(0), key(1), key(2), key(3)]);
        for (load, site) in loads.wait(None).unwrap().iter().zip(&self.sites) {
            assert_eq!((load.in_use, load.waiting), (0, 0), "S2");
            assert_eq!(site.gauge.hold(), 0);
        }
        let holders = self.pool.held_longer_than(Duration::ZERO);
        assert!(holders.wait(None).unwrap().is_empty());
        for scope in ["user", "model", "account"] {
            let sum = |of: &dyn Fn(&Site) -> &AtomicU64| -> u64 {
                let sites = self.sites.iter().zip(KEYS);
                let own = sites.filter(|(_, key)| key.0 == scope);
                own.map(|(site, _)| of(site).load(Ordering::Relaxed)).sum()
            };
            let stats = self.pool.scope_stats(scope);
            let counted = stats.counters;
            let ended = |outcome: Outcome| sum(&|site| &site.ended[outcome as usize]);
            assert_eq!(counted.busy, ended(Outcome::Busy), "{scope}");
            assert_eq!(counted.queue_full, ended(Outcome::QueueFull), "{scope}");
            assert_eq!(counted.timed_out, ended(Outcome::TimedOut), "{scope}");
            assert_eq!(counted.cancelled, ended(Outcome::Cancelled), "{scope}");
            assert_eq!(counted.closed, ended(Outcome::Closed), "{scope}");
            assert_eq!(counted.store_unavailable, 0);
            assert_eq!(counted.lost, sum(&|site| &site.lost), "{scope}");
            assert_eq!(counted.leaked, sum(&|site| &site.leaked), "{scope}");
            // A wait that ended may have held this key before it came to the next.
            let handed = sum(&|site| &site.handed);
            let most = handed + sum(&|site| &site.in_vain);
            assert!(
                (handed..=most).contains(&counted.granted),
                "{scope}: {} of {handed} to {most}",
                counted.granted
            );
            assert_eq!(stats.waits.count, counted.granted_after_wait, "{scope}");
        }
    }
}

/// As a task does: polls, sleeps till it is woken, polls again. A wake that is missed is a hang.
fn poll_to_a_step(wait: &Wait) -> Step {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        match wait.poll_next(&mut cx) {
            Poll::Ready(step) => return step,
            Poll::Pending => until(|| woken.0.swap(false, Ordering::AcqRel)),
        }
    }
}
