//! How subscriptions begin and read, in the model and in the bus.

use std::collections::VecDeque;

use reqbus_core::bus::{Filter, Limits, Overflow, ResyncReason, Start, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, EventId};

use crate::common::{Got, Ledger, items};
use crate::history::*;
use crate::reader::*;
use crate::world::World;

impl World {
    pub fn subscribe(&mut self, filter: usize, policy: Overflow, begin: Begin) {
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
    pub fn resolve(&self, begin: Begin, text: Option<&str>) -> Result<u64, ResyncReason> {
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

    pub fn subscribe_after(
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

    pub fn recv(&mut self, at: usize, limits: Limits, form: Option<Form>) -> usize {
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
}
