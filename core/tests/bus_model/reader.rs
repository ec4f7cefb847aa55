//! A subscription as the model has it: lists of numbers.

use std::collections::VecDeque;

use reqbus_core::bus::{LostReason, Overflow, ResyncReason, SubscriptionStats};
use reqbus_core::{EventId, Subscription};

use crate::common::{Got, Ledger};
use crate::history::*;

/// An event, as the model knows it.
pub struct Published {
    pub kind: usize,
    pub key: usize,
    /// Of its payload.
    pub len: usize,
    /// Of its block.
    pub size: usize,
    pub arrived_ms: u64,
}

pub fn matches(filter: usize, kind: usize, key: usize) -> bool {
    let (keys, kinds) = FILTERS[filter];
    (keys.is_empty() || keys.contains(&KEYS[key]))
        && (kinds.is_empty() || kinds.contains(&KINDS[kind]))
}

/// What became of an event that was offered to a drop-newest reader's queue.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Queued(u64),
    Full,
}

/// The queue of a drop-newest reader.
#[derive(Clone, Debug)]
pub struct Queue {
    pub events: usize,
    pub bytes: usize,
    /// The newest seq when it subscribed: up to there it reads the log.
    pub join: u64,
    /// It has not yet come to `join`.
    pub in_log: bool,
    pub fates: VecDeque<Fate>,
    /// A message may stand beside the queue: taken out by a read that had no room for it.
    pub may_hold: bool,
    pub lost_full: u64,
}

impl Queue {
    pub fn len(&self) -> usize {
        let queued = |fate: &&Fate| matches!(fate, Fate::Queued(_));
        self.fates.iter().filter(queued).count()
    }
}

/// A subscription and what the model says of it.
pub struct Sub {
    pub real: Subscription,
    pub filter: usize,
    pub policy: Overflow,
    /// Seqs of the events that match, from its start up to its end.
    pub matched: Vec<u64>,
    /// How many of those are dealt with: given, or counted as lost. In the log only.
    pub at: usize,
    pub queue: Option<Queue>,
    /// Told, by an event or a loss.
    pub told: usize,
    pub untold: [u64; 3],
    pub lost: [u64; 3],
    pub delivered: u64,
    pub resync: Option<(ResyncReason, u64)>,
    pub resyncs: u64,
    /// Where it ends, if it was closed.
    pub end: Option<u64>,
    pub ledger: Ledger,
    /// What its client heard last.
    pub heard: EventId,
}

/// What the model says a read goes through, in order.
#[derive(Debug)]
pub enum Step {
    /// Brings this item.
    Emit(Got),
    /// Takes the next event of the log, or of the queue, before it is brought.
    Pass,
    /// A drop-newest reader leaves the log for its queue.
    LeaveLog,
}

impl Sub {
    pub fn reads_log(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.in_log)
    }

    /// How much of `matched` is read from the log.
    pub fn log_len(&self) -> usize {
        match &self.queue {
            Some(queue) => self.matched.partition_point(|seq| *seq <= queue.join),
            None => self.matched.len(),
        }
    }

    /// What it has lost of the log by now: to its window, to eviction.
    pub fn losses(&self, tail: u64) -> (usize, usize) {
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

    pub fn stats(&self, tail: u64) -> SubscriptionStats {
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
    pub fn steps(&mut self, tail: u64, epoch: u64) -> Vec<Step> {
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
    pub fn apply(&mut self, step: &Step) {
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
