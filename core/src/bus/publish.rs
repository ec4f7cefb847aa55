//! Publishing: build outside the lock, order inside it, fan out and ring after it.

use super::bus::{Bus, Core};
use super::fanout::TURN;
use super::kinds::Kind;
use super::log::{Fresh, Reaped};
use super::row::Meta;
use crate::bell::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Draft, EventId, NewEvent, Payload, RequestEvent};
use crate::sync::Ordering;

/// Most events that one hold of the log's lock appends.
pub(super) const HOLD: usize = 64;

impl Bus {
    /// Publishes one event and returns its id.
    ///
    /// Never waits for a reader, never fails because of one, makes no system call while nobody sleeps, and
    /// allocates the event's block and nothing else. A refused event uses no seq:
    /// [`ErrorKind::TooLarge`], [`ErrorKind::InvalidArgument`], [`ErrorKind::InvalidJson`],
    /// [`ErrorKind::ReservedKind`], [`ErrorKind::Closed`], [`ErrorKind::Forked`],
    /// [`ErrorKind::System`] (no memory).
    pub fn publish(&self, event: NewEvent<'_>) -> Result<EventId> {
        self.core().generation.check()?;
        self.core().publish(&event)
    }

    /// Publishes the event of a finished request: kind `request`. As [`Bus::publish`].
    pub fn publish_request(&self, request: &RequestEvent<'_>) -> Result<EventId> {
        self.core().generation.check()?;
        self.core().publish(&NewEvent::request(request)?)
    }

    /// Publishes many events in their order and returns the id of the last. Every event is checked before
    /// the first is published: all or none. Others' events may come between them. An empty slice is
    /// [`ErrorKind::InvalidArgument`].
    ///
    /// Cheaper than one call each: one hold of the lock, one fan-out and one ring per 64.
    pub fn publish_many(&self, events: &[NewEvent<'_>]) -> Result<EventId> {
        self.core().generation.check()?;
        let core = self.core();
        let mut drafts = Vec::with_capacity(events.len());
        for event in events {
            drafts.push(core.draft(event)?);
        }
        let mut drafts = drafts.into_iter();
        let mut last = None;
        while drafts.len() > 0 {
            // In one hold of the lock much less than the log keeps: what is appended is offered to channels
            // before it can be evicted.
            let mut room = core.hold_bytes;
            let few = drafts.as_slice().iter().take(core.hold_events);
            let fit = few.take_while(|(_, meta)| {
                let fits = meta.size as usize <= room;
                room = room.saturating_sub(meta.size as usize);
                fits
            });
            let hold = fit.count().max(1);
            last = Some(core.append(drafts.by_ref().take(hold))?);
        }
        let seq = last.ok_or_else(|| {
            Error::fixed(
                ErrorKind::InvalidArgument,
                "events",
                "there is no event to publish",
            )
        })?;
        Ok(EventId {
            epoch: core.epoch,
            seq,
        })
    }

    /// Whether anybody could get an event of this kind: always on a bus that can be resumed, else whether
    /// an open subscription's kinds hold it. One load; lets a host skip building an event.
    #[inline]
    #[must_use]
    pub fn wanted(&self, kind: Kind) -> bool {
        // Relaxed: a hint; a subscription that is being made may miss what is being skipped.
        self.core().wanted.load(Ordering::Relaxed) & kind.mask() != 0
    }
}

impl Core {
    /// The event in its block, with what the log needs to know of it.
    #[inline]
    fn draft(&self, event: &NewEvent<'_>) -> Result<(Draft, Meta)> {
        let draft = Draft::new(event, || self.clock.wall_ns())?;
        if let Payload::Request(record) = event.payload()
            && record.clashes > 0
        {
            // Relaxed: a statistic.
            self.extra_clashes
                .fetch_add(u64::from(record.clashes), Ordering::Relaxed);
        }
        let kind = match event.payload() {
            Payload::Request(_) => Kind::REQUEST,
            _ => self.kinds.find(event.kind()),
        };
        let meta = Meta {
            kind,
            key_hash: self.hasher.hash(draft.peek().key()),
            size: draft.peek().size() as u32,
        };
        Ok((draft, meta))
    }

    #[inline]
    fn publish(&self, event: &NewEvent<'_>) -> Result<EventId> {
        let draft = self.draft(event)?;
        let seq = self.append(std::iter::once(draft))?;
        Ok(EventId {
            epoch: self.epoch,
            seq,
        })
    }

    /// Appends drafts (at most [`HOLD`]), fans out and rings. The seq of the last.
    #[inline]
    fn append(&self, drafts: impl ExactSizeIterator<Item = (Draft, Meta)>) -> Result<u64> {
        let visits = TURN + drafts.len().div_ceil(TURN);
        let arrived_ns = self.clock.coarse_ns();
        let mut chain = Chain::new();
        let mut reaped = Reaped::default();
        let mut last: Option<Fresh> = None;
        let mut state = self.log.lock();
        if state.closed {
            return Err(Error::closed("bus"));
        }
        let before = state.head();
        let fan_out = !self.fanout.is_idle();
        for (draft, meta) in drafts {
            // A reference for the fan-out: of one event its publisher's own, of several they are read from
            // the log.
            let lend = fan_out && last.is_none();
            if let Some(Fresh {
                seq,
                event: Some(own),
                ..
            }) = last.take()
                && state.ring.take_back(seq, 1) == 0
            {
                std::mem::forget(own);
            }
            let draft = (draft, meta, arrived_ns);
            last = Some(
                self.log
                    .append(&mut state, draft, lend, &mut chain, &mut reaped),
            );
        }
        drop(state);
        self.log.free(&mut reaped);
        let Some(last) = last else { return Ok(0) };
        if fan_out {
            self.fanout.turn(&self.log, &last, visits);
        }
        if !chain.is_empty() {
            self.ring(chain);
        }
        if !self.resume {
            self.trim(before, last.seq);
        }
        Ok(last.seq)
    }

    /// Rings everybody in `chain`, without a lock.
    pub(super) fn ring(&self, mut chain: Chain) {
        while let Some(source) = chain.pop() {
            source.ring(&self.line);
        }
        self.line.wake_next();
    }
}
