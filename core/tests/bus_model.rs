//! The bus against a small model that is obviously right: lists of numbers, walked from the front.
//!
//! One thread, random histories. After every step the account of every subscription must be the model's to the
//! last digit (B2); every read must bring a beginning of what the model says is next, and may stop only at a limit
//! (B3); every resume is answered by the table (B4); a cut and a resume from the settled id skip nothing (B9).

#![cfg(not(loom))]

mod common;

use std::collections::VecDeque;
use std::time::Duration;

use common::{Got, Ledger, items};
use proptest::prelude::*;
use reqbus_core::bus::{
    Batch, Bus, BusOptions, Filter, Limits, LostReason, Overflow, ResyncReason, Start,
    SubscribeOptions, SubscriptionStats,
};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, EventId, NewEvent, Subscription};

const KINDS: [&str; 4] = ["request", "a", "c", "nobody-registers-this"];
const KEYS: [&str; 4] = ["", "x", "y", "z"];
const AGE_MS: u64 = 1_000;

/// Keys and kinds of each filter; empty = all.
const FILTERS: [(&[&str], &[&str]); 9] = [
    (&[], &[]),
    (&[], &["a"]),
    (&[], &["a", "c"]),
    (&["x"], &[]),
    (&["x", "y"], &[]),
    (&[""], &[]),
    (&["x", "z"], &["a", "request"]),
    (&[], &["never published"]),
    (&["no such key"], &[]),
];

const POLICIES: [Overflow; 8] = [
    Overflow::DropNewest {
        events: 1,
        bytes: 1 << 20,
    },
    Overflow::DropNewest {
        events: 3,
        bytes: 1 << 20,
    },
    Overflow::DropNewest {
        events: 8,
        bytes: 700,
    },
    Overflow::DropNewest {
        events: 64,
        bytes: 1 << 20,
    },
    Overflow::DropOldest { events: 1 },
    Overflow::DropOldest { events: 4 },
    Overflow::DropOldest { events: 256 },
    Overflow::CatchUp,
];

/// Texts that are no ids.
const MALFORMED: [&str; 9] = [
    "",
    "5",
    "-",
    "0123456789abcdef",
    "0123456789abcdef-",
    "0123456789abcdef-+1",
    "0123456789abcdef-01",
    "0123456789abcdef-1-1",
    "0123456789abcdef-18446744073709551615",
];

#[derive(Clone, Copy, Debug)]
struct New {
    kind: usize,
    key: usize,
    size: usize,
}

/// Where a resume begins.
#[derive(Clone, Copy, Debug)]
enum Pos {
    /// This many before the newest.
    Newest(u64),
    /// This many after the newest.
    Ahead(u64),
    /// This many before the oldest kept: 1 is the id from which everything that is kept follows.
    BeforeOldest(u64),
    Zero,
    OtherEpoch,
    Malformed(usize),
}

#[derive(Clone, Copy, Debug)]
enum Begin {
    Live,
    Oldest,
    After(Pos),
}

#[derive(Clone, Debug)]
enum Op {
    Publish(New),
    Many(Vec<New>),
    Subscribe {
        filter: usize,
        policy: usize,
        begin: Begin,
    },
    Recv {
        sub: usize,
        max_items: usize,
        max_bytes: usize,
        form: Option<usize>,
    },
    Drain {
        sub: usize,
    },
    /// The connection breaks; the client comes back with the id that it heard last.
    Cut {
        sub: usize,
        policy: Option<usize>,
    },
    Close {
        sub: usize,
    },
    Free {
        sub: usize,
    },
    Advance {
        ms: u64,
    },
    CloseBus,
}

fn new_event() -> impl Strategy<Value = New> {
    let size = prop_oneof![8 => 0_usize..200, 1 => 5_000_usize..40_000];
    (0..KINDS.len(), 0..KEYS.len(), size).prop_map(|(kind, key, size)| New { kind, key, size })
}

fn pos() -> impl Strategy<Value = Pos> {
    prop_oneof![
        4 => (0_u64..60).prop_map(Pos::Newest),
        1 => (1_u64..4).prop_map(Pos::Ahead),
        4 => (0_u64..4).prop_map(Pos::BeforeOldest),
        1 => Just(Pos::Zero),
        1 => Just(Pos::OtherEpoch),
        1 => (0..MALFORMED.len()).prop_map(Pos::Malformed),
    ]
}

fn begin() -> impl Strategy<Value = Begin> {
    prop_oneof![2 => Just(Begin::Live), 1 => Just(Begin::Oldest), 4 => pos().prop_map(Begin::After)]
}

fn op() -> impl Strategy<Value = Op> {
    let max_items = prop_oneof![3 => 1_usize..6, 1 => 6_usize..400];
    let max_bytes = prop_oneof![1 => 1_usize..1_000, 1 => 1_000_usize..100_000, 2 => Just(1 << 20)];
    let form = prop_oneof![3 => Just(None), 1 => (0..Form::ALL.len()).prop_map(Some)];
    prop_oneof![
        30 => new_event().prop_map(Op::Publish),
        4 => prop::collection::vec(new_event(), 1..=90).prop_map(Op::Many),
        6 => (0..FILTERS.len(), 0..POLICIES.len(), begin())
            .prop_map(|(filter, policy, begin)| Op::Subscribe { filter, policy, begin }),
        20 => (any::<prop::sample::Index>(), max_items, max_bytes, form)
            .prop_map(|(sub, max_items, max_bytes, form)| Op::Recv { sub: sub.index(64), max_items, max_bytes, form }),
        4 => any::<prop::sample::Index>().prop_map(|sub| Op::Drain { sub: sub.index(64) }),
        4 => (any::<prop::sample::Index>(), prop::option::of(0..POLICIES.len()))
            .prop_map(|(sub, policy)| Op::Cut { sub: sub.index(64), policy }),
        1 => any::<prop::sample::Index>().prop_map(|sub| Op::Close { sub: sub.index(64) }),
        1 => any::<prop::sample::Index>().prop_map(|sub| Op::Free { sub: sub.index(64) }),
        3 => (0_u64..AGE_MS * 3 / 2).prop_map(|ms| Op::Advance { ms }),
    ]
}

#[derive(Clone, Debug)]
struct Setup {
    log_events: usize,
    log_bytes: usize,
    resume: bool,
}

fn setup() -> impl Strategy<Value = Setup> {
    let log_events = prop_oneof![2 => 1_usize..6, 3 => 6_usize..50, 1 => Just(2_000)];
    let log_bytes = prop_oneof![Just(64_usize << 10), Just(8 << 20)];
    let resume = prop_oneof![6 => Just(true), 1 => Just(false)];
    (log_events, log_bytes, resume).prop_map(|(log_events, log_bytes, resume)| Setup {
        log_events,
        log_bytes,
        resume,
    })
}

fn history() -> impl Strategy<Value = Vec<Op>> {
    let end = prop_oneof![3 => Just(None), 1 => (0_usize..10).prop_map(Some)];
    (prop::collection::vec(op(), 1..150), end).prop_map(|(mut ops, end)| {
        if let Some(from_end) = end {
            ops.insert(ops.len().saturating_sub(from_end), Op::CloseBus);
        }
        ops
    })
}

/// An event, as the model knows it.
struct Published {
    kind: usize,
    key: usize,
    /// Of its payload.
    len: usize,
    /// Of its block.
    size: usize,
    arrived_ms: u64,
}

fn matches(filter: usize, kind: usize, key: usize) -> bool {
    let (keys, kinds) = FILTERS[filter];
    (keys.is_empty() || keys.contains(&KEYS[key]))
        && (kinds.is_empty() || kinds.contains(&KINDS[kind]))
}

/// What became of an event that was offered to a drop-newest reader's queue.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Queued(u64),
    Full,
}

/// The queue of a drop-newest reader.
#[derive(Clone, Debug)]
struct Queue {
    events: usize,
    bytes: usize,
    /// The newest seq when it subscribed: up to there it reads the log.
    join: u64,
    /// It has not yet come to `join`.
    in_log: bool,
    fates: VecDeque<Fate>,
    /// A message may stand beside the queue: taken out by a read that had no room for it.
    may_hold: bool,
    lost_full: u64,
}

impl Queue {
    fn len(&self) -> usize {
        let queued = |fate: &&Fate| matches!(fate, Fate::Queued(_));
        self.fates.iter().filter(queued).count()
    }
}

/// A subscription and what the model says of it.
struct Sub {
    real: Subscription,
    filter: usize,
    policy: Overflow,
    /// Seqs of the events that match, from its start up to its end.
    matched: Vec<u64>,
    /// How many of those are dealt with: given, or counted as lost. In the log only.
    at: usize,
    queue: Option<Queue>,
    /// Told, by an event or a loss.
    told: usize,
    untold: [u64; 3],
    lost: [u64; 3],
    delivered: u64,
    resync: Option<(ResyncReason, u64)>,
    resyncs: u64,
    /// Where it ends, if it was closed.
    end: Option<u64>,
    ledger: Ledger,
    /// What its client heard last.
    heard: EventId,
}

/// What the model says a read goes through, in order.
#[derive(Debug)]
enum Step {
    /// Brings this item.
    Emit(Got),
    /// Takes the next event of the log, or of the queue, before it is brought.
    Pass,
    /// A drop-newest reader leaves the log for its queue.
    LeaveLog,
}

impl Sub {
    fn reads_log(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.in_log)
    }

    /// How much of `matched` is read from the log.
    fn log_len(&self) -> usize {
        match &self.queue {
            Some(queue) => self.matched.partition_point(|seq| *seq <= queue.join),
            None => self.matched.len(),
        }
    }

    /// What it has lost of the log by now: to its window, to eviction.
    fn losses(&self, tail: u64) -> (usize, usize) {
        if !self.reads_log() {
            return (0, 0);
        }
        let len = self.log_len();
        let edge = match self.policy {
            Overflow::DropOldest { events } => len.saturating_sub(events).max(self.at),
            _ => self.at,
        };
        let evicted = self.matched[..len].partition_point(|seq| *seq < tail);
        (edge - self.at, evicted.saturating_sub(edge))
    }

    fn stats(&self, tail: u64) -> SubscriptionStats {
        let (window, gone) = self.losses(tail);
        let mut pending = 0;
        if self.reads_log() {
            pending += self.log_len() - self.at - window - gone;
        }
        let mut full = 0;
        if let Some(queue) = &self.queue {
            full = queue.lost_full;
            pending += queue.len();
        }
        SubscriptionStats {
            matched: self.matched.len() as u64,
            delivered: self.delivered,
            lost_full: full,
            lost_window: self.lost[LostReason::Window as usize] + window as u64,
            lost_evicted: self.lost[LostReason::Evicted as usize] + gone as u64,
            pending: pending as u64,
            abandoned: 0,
            resyncs: self.resyncs,
            sleeping: false,
        }
    }

    /// What a read of everything would bring.
    fn steps(&mut self, tail: u64, epoch: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some((reason, seq)) = self.resync {
            steps.push(Step::Emit(Got::Resync(reason, EventId { epoch, seq })));
        }
        // Loss is decided before the position moves.
        let (window, gone) = self.losses(tail);
        for (reason, missed) in [(LostReason::Window, window), (LostReason::Evicted, gone)] {
            self.untold[reason as usize] += missed as u64;
            self.lost[reason as usize] += missed as u64;
            self.at += missed;
        }
        let mut untold = self.untold;
        let mut told = self.told as u64;
        let mut tell = |untold: &mut [u64; 3], steps: &mut Vec<Step>, event: Option<u64>| {
            for reason in [LostReason::Window, LostReason::Evicted, LostReason::Full] {
                let missed = std::mem::take(&mut untold[reason as usize]);
                if missed > 0 {
                    told += missed;
                    steps.push(Step::Emit(Got::Lost(missed, reason, told + 1)));
                }
            }
            if let Some(seq) = event {
                told += 1;
                steps.push(Step::Emit(Got::Event { seq, n: told }));
            }
        };
        if self.reads_log() {
            for seq in &self.matched[self.at..self.log_len()] {
                tell(&mut untold, &mut steps, Some(*seq));
            }
            steps.push(Step::LeaveLog);
            tell(&mut untold, &mut steps, None);
        }
        if let Some(queue) = &self.queue {
            for fate in &queue.fates {
                steps.push(Step::Pass);
                match fate {
                    Fate::Full => untold[LostReason::Full as usize] += 1,
                    Fate::Queued(seq) => tell(&mut untold, &mut steps, Some(*seq)),
                }
            }
            tell(&mut untold, &mut steps, None);
        }
        steps
    }

    /// The read went this far.
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Emit(Got::Resync(..)) => self.resync = None,
            Step::Emit(Got::Lost(missed, reason, _)) => {
                self.untold[*reason as usize] -= missed;
                self.told += *missed as usize;
            }
            Step::Emit(Got::Event { .. }) => {
                self.told += 1;
                self.delivered += 1;
                if self.reads_log() {
                    self.at += 1;
                } else if let Some(queue) = &mut self.queue {
                    queue.fates.pop_front();
                }
            }
            Step::Emit(Got::Status(..)) => {}
            Step::LeaveLog => {
                if let Some(queue) = &mut self.queue {
                    queue.in_log = false;
                }
            }
            Step::Pass => {
                if let Some(queue) = &mut self.queue
                    && matches!(queue.fates.front(), Some(Fate::Full))
                {
                    queue.fates.pop_front();
                    self.untold[LostReason::Full as usize] += 1;
                }
            }
        }
    }
}

struct World {
    bus: Bus,
    clock: ClockDriver,
    setup: Setup,
    now_ms: u64,
    /// What a block is longer than its kind, key and payload.
    header: usize,
    events: Vec<Published>,
    tail: u64,
    made_texts: bool,
    closed: bool,
    subs: Vec<Sub>,
    /// Of the freed ones.
    freed: SubscriptionStats,
    batch: Batch,
}

/// What a block is longer than what is put into it.
fn header() -> usize {
    let bus = Bus::new(BusOptions::default()).unwrap();
    bus.publish(NewEvent::text("k", "")).unwrap();
    bus.stats().kept_bytes as usize - 1
}

impl World {
    fn new(setup: Setup) -> Self {
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

    fn head(&self) -> u64 {
        self.events.len() as u64
    }

    fn event(&self, seq: u64) -> &Published {
        &self.events[seq as usize - 1]
    }

    fn is_old(&self, seq: u64) -> bool {
        self.now_ms - self.event(seq).arrived_ms > AGE_MS
    }

    fn publish(&mut self, new: &[New]) {
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
    fn offer(&mut self, tail_before: u64, by_bounds: u64, count: usize) {
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
    fn filled(&self, mut queue: Queue, new: &[u64], room: usize) -> Queue {
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

    fn id(&self, seq: u64) -> String {
        format!("{:016x}-{seq}", self.bus.epoch())
    }

    fn subscribe(&mut self, filter: usize, policy: Overflow, begin: Begin) {
        let text = match begin {
            Begin::Live | Begin::Oldest => None,
            Begin::After(pos) => Some(match pos {
                Pos::Newest(back) => self.id(self.head().saturating_sub(back)),
                Pos::Ahead(by) => self.id(self.head() + by),
                Pos::BeforeOldest(back) => self.id(self.tail.saturating_sub(back)),
                Pos::Zero => self.id(0),
                Pos::OtherEpoch => format!("{:016x}-1", self.bus.epoch() ^ 1),
                Pos::Malformed(at) => MALFORMED[at].to_owned(),
            }),
        };
        self.subscribe_after(filter, policy, begin, text);
    }

    /// The table of B4: the seq after which it begins, or why not.
    fn resolve(&self, begin: Begin, text: Option<&str>) -> Result<u64, ResyncReason> {
        let head = self.head();
        let Some(text) = text else {
            let oldest = matches!(begin, Begin::Oldest) && self.setup.resume;
            let first = (self.tail..=head).find(|seq| oldest && !self.is_old(*seq));
            return Ok(first.unwrap_or(head + 1) - 1);
        };
        let Ok(id) = text.parse::<EventId>() else {
            return Err(ResyncReason::Malformed);
        };
        if id.epoch != self.bus.epoch() {
            Err(ResyncReason::Epoch)
        } else if id.seq > head {
            Err(ResyncReason::Ahead)
        } else if !self.setup.resume
            || (id.seq + 1..=head).any(|seq| seq < self.tail || self.is_old(seq))
        {
            Err(ResyncReason::Expired)
        } else {
            Ok(id.seq)
        }
    }

    fn subscribe_after(
        &mut self,
        filter: usize,
        policy: Overflow,
        begin: Begin,
        text: Option<String>,
    ) {
        let (keys, kinds) = FILTERS[filter];
        let start = match (begin, &text) {
            (Begin::Live, None) => Start::Live,
            (Begin::Oldest, None) => Start::Oldest,
            (_, Some(text)) => Start::After(text.as_bytes()),
            (Begin::After(_), None) => unreachable!(),
        };
        let answer = self.bus.subscribe(SubscribeOptions {
            filter: Filter::new(keys, kinds).unwrap(),
            overflow: policy,
            start,
            ..SubscribeOptions::default()
        });
        if self.closed {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
            return;
        }
        let real = answer.unwrap();
        let head = self.head();
        let (after, resync) = match self.resolve(begin, text.as_deref()) {
            Ok(after) => (after, None),
            Err(reason) => (head, Some((reason, head))),
        };
        let matched: Vec<u64> = (after + 1..=head)
            .filter(|seq| matches(filter, self.event(*seq).kind, self.event(*seq).key))
            .collect();
        let queue = match policy {
            Overflow::DropNewest { events, bytes } => Some(Queue {
                events,
                bytes,
                join: head,
                in_log: after < head,
                fates: VecDeque::new(),
                may_hold: false,
                lost_full: 0,
            }),
            _ => None,
        };
        let heard = match resync {
            // What it hears before the resync was told must not make it skip the resync.
            Some(_) => EventId {
                epoch: self.bus.epoch(),
                seq: 0,
            },
            None => real.settled(),
        };
        assert!(
            resync.is_some() || heard.seq == after,
            "B9: {heard} after {after}"
        );
        self.subs.push(Sub {
            real,
            filter,
            policy,
            matched,
            at: 0,
            queue,
            told: 0,
            untold: [0; 3],
            lost: [0; 3],
            delivered: 0,
            resync,
            resyncs: u64::from(resync.is_some()),
            end: None,
            ledger: Ledger::default(),
            heard,
        });
    }

    fn recv(&mut self, at: usize, limits: Limits, form: Option<Form>) -> usize {
        self.made_texts |= form.is_some();
        let (tail, epoch, head) = (self.tail, self.bus.epoch(), self.head());
        let mut batch = std::mem::take(&mut self.batch);
        let sub = &mut self.subs[at];
        let end = sub.end.or(self.closed.then_some(head));
        let steps = sub.steps(tail, epoch);
        let expected: Vec<&Got> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Emit(got) => Some(got),
                _ => None,
            })
            .collect();
        let answer = match form {
            Some(form) => sub.real.try_recv_texts(&mut batch, form, limits),
            None => sub.real.try_recv(&mut batch, limits),
        };
        if expected.is_empty() && end.is_some() {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
        } else {
            assert_eq!(answer.unwrap(), batch.len());
        }
        let got = items(&batch);
        let beginning = expected.iter().take(got.len()).copied();
        assert!(
            got.len() <= expected.len() && got.iter().eq(beginning),
            "B3: got {got:?}, expected {expected:?}"
        );
        // A read stops at a limit only.
        assert!(got.len() <= limits.max_items);
        let len = |got: &Got| got.seq().map(|seq| &self.events[seq as usize - 1]);
        let payloads: usize = got.iter().filter_map(len).map(|event| event.len).sum();
        let blocks: usize = got.iter().filter_map(len).map(|event| event.size).sum();
        let events = got.iter().filter(|got| got.seq().is_some()).count();
        let texts = batch.texts();
        assert_eq!(texts.ends.len(), form.map_or(0, |_| got.len()));
        let of_events = (0..got.len()).filter(|at| got[*at].seq().is_some());
        let event_texts: usize = of_events
            .filter_map(|at| texts.get(at))
            .map(<[u8]>::len)
            .sum();
        match form {
            Some(_) => assert!(
                event_texts <= limits.max_bytes || events == 1,
                "{event_texts} bytes"
            ),
            None => assert!(
                payloads <= limits.max_bytes || events == 1,
                "{payloads} bytes of payloads in {events} events; the limit is {}",
                limits.max_bytes
            ),
        }
        if got.len() < expected.len() && got.len() < limits.max_items {
            let mut rest = expected[got.len()..].iter().copied();
            let next = rest.find_map(len).expect("only an event may find no room");
            let room = match form {
                Some(_) => texts.buffer.len() + 6 * next.len + 600 > limits.max_bytes,
                None => events > 0 && blocks + next.size > limits.max_bytes,
            };
            assert!(room, "it stopped early: {got:?} of {expected:?}");
        }
        assert!(
            expected.is_empty() || !got.is_empty(),
            "it brought nothing of {expected:?}"
        );

        let all = got.len() == expected.len();
        let mut left = got.len();
        for step in &steps {
            if matches!(step, Step::Emit(_)) {
                if left == 0 {
                    break;
                }
                left -= 1;
            }
            sub.apply(step);
        }
        if let Some(queue) = &mut sub.queue {
            queue.may_hold = !queue.in_log && queue.len() > 0;
        }
        // B9: everything up to the settled id was told.
        if all && got.len() < limits.max_items {
            assert_eq!(sub.real.settled().seq, end.unwrap_or(head), "B9: all told");
        }
        if !got.is_empty() {
            sub.ledger.take(&batch);
            sub.heard = batch.settled();
            assert_eq!(sub.real.settled(), batch.settled());
        }
        if let Some(next) = sub.matched.get(sub.told) {
            let settled = sub.real.settled();
            assert!(
                settled.seq < *next,
                "B9: settled {settled} skips {next}, which was not told"
            );
        }
        if form.is_some() {
            // Texts count from when they are made: the log may have let go of its oldest.
            let stats = self.bus.stats();
            assert!(
                stats.kept_bytes as usize <= self.setup.log_bytes || stats.kept_events <= 1,
                "B8: {stats:?}"
            );
            let tail = self.head() + 1 - stats.kept_events;
            assert!(tail >= self.tail);
            self.tail = tail;
        }
        self.batch = batch;
        got.len()
    }

    fn drain(&mut self, at: usize) {
        let limits = Limits {
            max_items: 7,
            max_bytes: 1 << 30,
        };
        while self.recv(at, limits, None) > 0 {}
        let stats = self.subs[at].real.stats();
        self.subs[at].ledger.assert_matches(&stats);
    }

    fn free(&mut self, at: usize) {
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

    fn step(&mut self, op: &Op) {
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

    fn check(&self) {
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

/// Runs a history, checking after every step; at the end everybody reads to the end and goes.
fn run(setup: Setup, ops: &[Op]) {
    let mut world = World::new(setup);
    for op in ops {
        world.step(op);
        world.check();
    }
    for at in 0..world.subs.len() {
        world.drain(at);
        world.check();
    }
    while !world.subs.is_empty() {
        world.free(0);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400 * common::stress() as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn b2_b3_b4_b9_the_bus_does_what_the_model_says(setup in setup(), ops in history()) {
        run(setup, &ops);
    }
}

/// B3, B4, B9: a client that breaks off after any event, and comes back, has each event once.
#[test]
fn b4_a_cut_at_every_position_for_every_policy() {
    const EVENTS: u64 = 40;
    for policy in POLICIES {
        for again in POLICIES {
            let mut world = World::new(Setup {
                log_events: 25,
                log_bytes: 8 << 20,
                resume: true,
            });
            let new = |seq: u64| New {
                kind: seq as usize % KINDS.len(),
                key: 0,
                size: 3,
            };
            (1..=EVENTS).for_each(|seq| world.publish(&[new(seq)]));
            assert_eq!(world.tail, EVENTS - 24);
            // From before the first to after the newest; one before the oldest is the last that works.
            for cut in 0..=EVENTS + 2 {
                for filter in [0, 2] {
                    let id = world.id(cut);
                    world.subscribe_after(filter, policy, Begin::After(Pos::Zero), Some(id));
                    let at = world.subs.len() - 1;
                    let resumed = (world.tail - 1..=EVENTS).contains(&cut);
                    assert_eq!(world.subs[at].resync.is_none(), resumed, "{cut}");
                    // It is cut again after each item that it gets.
                    loop {
                        let one = Limits {
                            max_items: 1,
                            max_bytes: 1,
                        };
                        if world.recv(at, one, None) == 0 {
                            break;
                        }
                        let heard = world.subs[at].heard.to_string();
                        let expected = world.resolve(Begin::Live, Some(&heard));
                        world.subscribe_after(filter, again, Begin::After(Pos::Zero), Some(heard));
                        let back = world.subs.len() - 1;
                        if let Ok(after) = expected {
                            // Nothing that it was given comes again, nothing that it was not told is left
                            // out. (What it was told to be lost may come after all.)
                            let sub = &world.subs[at];
                            assert!(after >= sub.ledger.last_seq, "{after}: B3");
                            let untold = &sub.matched[sub.told..];
                            assert!(untold.iter().all(|seq| *seq > after), "{after}: B9");
                        }
                        world.drain(back);
                        world.check();
                        world.free(back);
                    }
                    world.free(at);
                }
            }
            world.check();
        }
    }
}

/// B4: the id of the last event before the oldest kept one works, the one before it has expired; and by age, to
/// the millisecond.
#[test]
fn b4_one_before_the_oldest_and_age_to_the_millisecond() {
    for policy in POLICIES {
        let mut world = World::new(Setup {
            log_events: 10,
            log_bytes: 8 << 20,
            resume: true,
        });
        let new = New {
            kind: 1,
            key: 1,
            size: 1,
        };
        for _ in 0..20 {
            world.publish(&[new]);
            world.step(&Op::Advance { ms: 10 });
        }
        // Event 20 is 10 ms old, event 11 is 100 ms old.
        let begin = Begin::After(Pos::Zero);
        for ms in [0, AGE_MS - 100, 1, 9, 1, 79, 1, 9, 1, AGE_MS] {
            world.step(&Op::Advance { ms });
            for seq in 0..=21 {
                let id = world.id(seq);
                world.subscribe_after(1, policy, begin, Some(id));
                let at = world.subs.len() - 1;
                world.check();
                world.drain(at);
                world.free(at);
            }
        }
        let id = world.id(20);
        assert_eq!(
            world.resolve(begin, Some(&id)),
            Ok(20),
            "the newest never expires"
        );
    }
}
