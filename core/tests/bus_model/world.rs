//! The bus as the model has it, beside the real one: what is published, kept and counted.

use std::time::Duration;

use reqbus_core::bus::{Batch, Bus, BusOptions, Limits, SubscriptionStats};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, NewEvent};

use crate::common;
use crate::history::*;
use crate::reader::*;

pub struct World {
    pub bus: Bus,
    pub clock: ClockDriver,
    pub setup: Setup,
    pub now_ms: u64,
    /// What a block is longer than its kind, key and payload.
    pub header: usize,
    pub events: Vec<Published>,
    pub tail: u64,
    pub made_texts: bool,
    pub closed: bool,
    pub subs: Vec<Sub>,
    /// Of the freed ones.
    pub freed: SubscriptionStats,
    pub batch: Batch,
}

/// What a block is longer than what is put into it.
pub fn header() -> usize {
    let bus = Bus::new(BusOptions::default()).unwrap();
    bus.publish(NewEvent::text("k", "")).unwrap();
    bus.stats().kept_bytes as usize - 1
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let (clock, driver) = Clock::driven();
        let bus = Bus::new(BusOptions {
            log_events: setup.log_events,
            log_bytes: setup.log_bytes,
            resume: setup.resume,
            resume_age: Duration::from_millis(AGE_MS),
            clock,
        })
        .unwrap();
        Self {
            bus,
            clock: driver,
            setup,
            now_ms: 0,
            header: header(),
            events: Vec::new(),
            tail: 1,
            made_texts: false,
            closed: false,
            subs: Vec::new(),
            freed: SubscriptionStats::default(),
            batch: Batch::new(),
        }
    }

    pub fn head(&self) -> u64 {
        self.events.len() as u64
    }

    pub fn event(&self, seq: u64) -> &Published {
        &self.events[seq as usize - 1]
    }

    pub fn is_old(&self, seq: u64) -> bool {
        self.now_ms - self.event(seq).arrived_ms > AGE_MS
    }

    pub fn publish(&mut self, new: &[New]) {
        let payloads: Vec<String> = new.iter().map(|new| "p".repeat(new.size)).collect();
        let events: Vec<NewEvent<'_>> = new
            .iter()
            .zip(&payloads)
            .map(|(new, payload)| NewEvent::text(KINDS[new.kind], payload).key(KEYS[new.key]))
            .collect();
        let answer = match events.as_slice() {
            [event] => self.bus.publish(*event),
            events => self.bus.publish_many(events),
        };
        if self.closed {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
            return;
        }
        let tail_before = self.tail;
        let mut by_bounds = self.tail;
        for new in new {
            let names = KINDS[new.kind].len() + KEYS[new.key].len();
            self.events.push(Published {
                kind: new.kind,
                key: new.key,
                len: new.size,
                size: self.header + names + new.size,
                arrived_ms: self.now_ms,
            });
            let kept = |tail: u64| -> usize {
                let kept = &self.events[tail as usize - 1..];
                kept.iter().map(|event| event.size).sum()
            };
            while by_bounds < self.head()
                && ((self.head() - by_bounds) as usize >= self.setup.log_events
                    || kept(by_bounds) > self.setup.log_bytes)
            {
                by_bounds += 1;
            }
        }
        assert_eq!(answer.unwrap().seq, self.head());
        let stats = self.bus.stats();
        self.tail = self.head() + 1 - stats.kept_events;
        assert!(
            self.tail >= by_bounds,
            "the log keeps more than it may: {stats:?}, by bounds {by_bounds}, header {}, sizes {:?}",
            self.header,
            self.events
                .iter()
                .map(|event| event.size)
                .collect::<Vec<_>>()
        );
        assert!(
            stats.kept_bytes as usize <= self.setup.log_bytes || stats.kept_events == 1,
            "B8: {stats:?}"
        );
        if self.setup.resume && !self.made_texts {
            assert_eq!(self.tail, by_bounds, "the log evicts more than it must");
        }
        self.offer(tail_before, by_bounds, new.len());
    }

    /// What the newest `count` events come to for each subscription.
    pub fn offer(&mut self, tail_before: u64, by_bounds: u64, count: usize) {
        let first = self.head() + 1 - count as u64;
        for at in 0..self.subs.len() {
            let mut matched = std::mem::take(&mut self.subs[at].matched);
            let filter = self.subs[at].filter;
            if self.subs[at].end.is_none() {
                matched.extend((first..=self.head()).filter(|seq| {
                    let event = self.event(*seq);
                    matches(filter, event.kind, event.key)
                }));
            }
            let new: Vec<u64> = matched
                .iter()
                .copied()
                .filter(|seq| *seq >= first)
                .collect();
            self.subs[at].matched = matched;
            if !self.setup.resume {
                // Only what nobody has yet to read may go before the bounds ask for it.
                let sub = &self.subs[at];
                let needed = sub.reads_log().then(|| sub.matched.get(sub.at)).flatten();
                if let Some(needed) = needed
                    && *needed >= by_bounds
                    && *needed >= tail_before
                    && *needed < first
                {
                    assert!(self.tail <= *needed, "an event went that is needed");
                }
            }
            if self.subs[at].end.is_some() || self.subs[at].queue.is_none() {
                continue;
            }
            let lost = self.subs[at].real.stats().lost_full;
            let queue = self.subs[at].queue.clone().unwrap();
            let filled: Vec<Queue> = [queue.events, queue.events + usize::from(queue.may_hold)]
                .into_iter()
                .map(|room| self.filled(queue.clone(), &new, room))
                .collect();
            let real = filled.into_iter().find(|queue| queue.lost_full == lost);
            let real = real
                .unwrap_or_else(|| panic!("lost_full is {lost}, queue was {queue:?}, new {new:?}"));
            self.subs[at].queue = Some(real);
        }
    }

    /// A queue with room for so many, after these events were offered to it.
    pub fn filled(&self, mut queue: Queue, new: &[u64], room: usize) -> Queue {
        for seq in new {
            let queued = |fate: &Fate| match fate {
                Fate::Queued(seq) => self.event(*seq).size,
                Fate::Full => 0,
            };
            let bytes: usize = queue.fates.iter().map(queued).sum();
            let is_over = bytes > 0 && bytes + self.event(*seq).size > queue.bytes;
            // Whatever is published at once is offered before the log can let go of it.
            let fate = if is_over || queue.len() >= room {
                queue.lost_full += 1;
                Fate::Full
            } else {
                Fate::Queued(*seq)
            };
            queue.fates.push_back(fate);
        }
        queue
    }

    pub fn id(&self, seq: u64) -> String {
        format!("{:016x}-{seq}", self.bus.epoch())
    }

    pub fn drain(&mut self, at: usize) {
        let limits = Limits {
            max_items: 7,
            max_bytes: 1 << 30,
        };
        while self.recv(at, limits, None) > 0 {}
        let stats = self.subs[at].real.stats();
        self.subs[at].ledger.assert_matches(&stats);
    }

    pub fn free(&mut self, at: usize) {
        let sub = self.subs.swap_remove(at);
        let stats = sub.stats(self.tail);
        self.freed.matched += stats.matched;
        self.freed.delivered += stats.delivered;
        self.freed.lost_full += stats.lost_full;
        self.freed.lost_window += stats.lost_window;
        self.freed.lost_evicted += stats.lost_evicted;
        self.freed.abandoned += stats.pending;
        self.freed.resyncs += stats.resyncs;
    }

    pub fn step(&mut self, op: &Op) {
        let pick = |sub: usize| (!self.subs.is_empty()).then(|| sub % self.subs.len());
        match op {
            Op::Publish(new) => self.publish(&[*new]),
            Op::Many(new) => self.publish(new),
            Op::Subscribe {
                filter,
                policy,
                begin,
            } => self.subscribe(*filter, POLICIES[*policy], *begin),
            Op::Recv {
                sub,
                max_items,
                max_bytes,
                form,
            } => {
                if let Some(at) = pick(*sub) {
                    let limits = Limits {
                        max_items: *max_items,
                        max_bytes: *max_bytes,
                    };
                    // Without resume, what a text pushes out cannot be told from what nobody needs.
                    let form = form.filter(|_| self.setup.resume);
                    self.recv(at, limits, form.map(|form| Form::ALL[form]));
                }
            }
            Op::Drain { sub } => {
                if let Some(at) = pick(*sub) {
                    self.drain(at);
                }
            }
            Op::Cut { sub, policy } => {
                if let Some(at) = pick(*sub) {
                    let (filter, heard) = (self.subs[at].filter, self.subs[at].heard);
                    let policy = policy.map_or(self.subs[at].policy, |at| POLICIES[at]);
                    self.free(at);
                    let begin = Begin::After(Pos::Zero);
                    self.subscribe_after(filter, policy, begin, Some(heard.to_string()));
                }
            }
            Op::Close { sub } => {
                if let Some(at) = pick(*sub) {
                    let head = self.head();
                    self.subs[at].real.close();
                    self.subs[at].end.get_or_insert(head);
                }
            }
            Op::Free { sub } => {
                if let Some(at) = pick(*sub) {
                    self.free(at);
                }
            }
            Op::Advance { ms } => {
                self.clock.advance(Duration::from_millis(*ms));
                self.now_ms += ms;
            }
            Op::CloseBus => {
                self.bus.close();
                self.closed = true;
            }
        }
    }

    pub fn check(&self) {
        let mut totals = self.freed;
        for sub in &self.subs {
            let stats = sub.real.stats();
            common::assert_adds_up(&stats);
            assert_eq!(stats, sub.stats(self.tail), "B2");
            totals.matched += stats.matched;
            totals.delivered += stats.delivered;
            totals.lost_full += stats.lost_full;
            totals.lost_window += stats.lost_window;
            totals.lost_evicted += stats.lost_evicted;
            totals.pending += stats.pending;
            totals.resyncs += stats.resyncs;
        }
        let stats = self.bus.stats();
        assert_eq!(stats.totals, totals, "B2: the bus's totals");
        assert_eq!(stats.newest.seq, self.head());
        assert_eq!(stats.subscriptions, self.subs.len() as u64);
        common::assert_adds_up(&stats.totals);
    }
}
