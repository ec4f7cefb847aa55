//! The drop-newest readers of one filter in one shard.

use std::sync::Arc;

use super::outlet::Outlet;
use super::row::{Meta, Row};
use crate::event::{Event, Shares};
use crate::sync::{AtomicBool, AtomicI64, AtomicU64, Ordering, Sender, TrySend};

/// Readers that match the same events, offered them together: one addition raises the reference count for all, and as
/// long as no queue can be over its bytes, nothing but the channels is touched.
///
/// Replaced, not changed, when a reader comes or goes; the counts are shared by the old and the new.
pub(super) struct Group {
    pub(super) row: Arc<Row>,
    counts: Arc<Counts>,
    /// In the order of `outlets`, side by side, so that the loop over them reads memory as it lies.
    senders: Box<[Sender<Event>]>,
    outlets: Box<[Arc<Outlet>]>,
    /// Some reader joined after this ordinal: up to it, each is asked.
    last_join: i64,
    /// As long as no event was larger, a full queue is within its bytes, for every reader.
    fits: u64,
}

/// Written under the shard's lock, hence plain stores, Relaxed.
#[derive(Default)]
pub(super) struct Counts {
    /// Ordinal of the newest event that was offered.
    fanned: AtomicI64,
    /// Bytes of all events that were offered.
    bytes: AtomicU64,
    /// The largest of them.
    largest: AtomicU64,
    /// A reader is ending: each is asked whether it still wants an event.
    ending: AtomicBool,
}

/// One reader of a group.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) sender: Sender<Event>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) fits: u64,
}

impl Counts {
    /// Counts that begin at an ordinal.
    pub(super) fn at(ordinal: i64) -> Arc<Self> {
        Arc::new(Self {
            fanned: AtomicI64::new(ordinal),
            ..Self::default()
        })
    }

    /// Ordinal of the newest event that was offered.
    pub(super) fn fanned(&self) -> i64 {
        self.fanned.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A member is about to end, and to leave with the next change of the group.
    pub(super) fn set_ending(&self, ending: bool) {
        self.ending.store(ending, Ordering::Relaxed);
    }
}

impl Group {
    pub(super) fn new(row: Arc<Row>, counts: Arc<Counts>, members: &[Member]) -> Self {
        Self {
            row,
            counts,
            senders: members.iter().map(|member| member.sender.clone()).collect(),
            outlets: members.iter().map(|member| member.outlet.clone()).collect(),
            last_join: members
                .iter()
                .map(|member| member.outlet.join)
                .max()
                .unwrap_or(0),
            fits: members.iter().map(|member| member.fits).min().unwrap_or(0),
        }
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Its readers.
    pub(super) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let pairs = self.senders.iter().zip(&*self.outlets);
        pairs.map(|(sender, outlet)| Member {
            sender: sender.clone(),
            outlet: outlet.clone(),
            fits: self.fits,
        })
    }

    /// Offers a matching event to every reader.
    #[inline]
    pub(super) fn offer(&self, event: &Event, meta: Meta) {
        let Counts {
            fanned,
            bytes,
            largest,
            ending,
        } = &*self.counts;
        let size = u64::from(meta.size);
        let ordinal = fanned.load(Ordering::Relaxed) + 1;
        fanned.store(ordinal, Ordering::Relaxed);
        let before = bytes.load(Ordering::Relaxed);
        bytes.store(before + size, Ordering::Relaxed);
        let largest_now = largest.load(Ordering::Relaxed).max(size);
        largest.store(largest_now, Ordering::Relaxed);
        let careful =
            ordinal <= self.last_join || largest_now > self.fits || ending.load(Ordering::Relaxed);
        let mut shares = Shares::new(event, self.senders.len());
        for (sender, outlet) in self.senders.iter().zip(&*self.outlets) {
            if careful && !outlet.wants(ordinal) {
                outlet.pass_over(size);
                continue;
            }
            if careful && outlet.is_over(before, size) {
                outlet.lose_full(ordinal, size);
                continue;
            }
            let Some(own) = shares.take() else { return };
            if let TrySend::Refused(own) = sender.try_send(own) {
                shares.put_back(own);
                outlet.lose_full(ordinal, size);
            }
        }
    }

    /// The log has let go of events up to the ordinal `evicted` before they were offered.
    pub(super) fn skip_to(&self, evicted: i64) {
        let fanned = self.counts.fanned();
        if evicted > fanned {
            for outlet in &*self.outlets {
                outlet.lose_evicted(fanned, evicted);
            }
            self.counts.fanned.store(evicted, Ordering::Relaxed);
        }
    }
}
