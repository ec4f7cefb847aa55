//! Items one by one, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::batch::Batch;
use super::item::OwnedItem;
use super::options::Limits;
use super::read::Want;
use super::subscription::Subscription;
use crate::error::{ErrorKind, Result};

/// The items of a subscription, read in batches and yielded one by one: [`Subscription::items`].
///
/// Ends when the subscription or the bus was closed and everything was read; every other error is yielded.
/// It holds no item: what it has read ahead is next for whoever reads the subscription next, while it lives and
/// after it was dropped, and is not settled ([`Subscription::settled`]) before that.
pub struct Items<'a> {
    subscription: &'a Subscription,
    /// Of one read; empty in between.
    batch: Batch,
    waits: bool,
    ended: bool,
}

impl Subscription {
    /// The items as a [`Stream`], on any runtime.
    #[must_use]
    pub fn items(&self) -> Items<'_> {
        Items {
            subscription: self,
            batch: Batch::new(),
            waits: false,
            ended: false,
        }
    }
}

impl Stream for Items<'_> {
    type Item = Result<OwnedItem>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let want = Want {
            limits: Limits::default(),
            form: None,
            arm: true,
            leave: true,
        };
        let this = &mut *self;
        let core = this.subscription.core();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            // In a forked child the lock may be held for ever; there the read below says so.
            if !this.waits && core.bus.generation.is_current() {
                let next = core.reader.lock().take_left();
                if let Some(item) = next {
                    // As after every read that took something.
                    core.source.stay_ready();
                    return Poll::Ready(Some(Ok(item)));
                }
            }
            let answer = core.poll_fill(cx, &mut this.batch, want, &mut this.waits);
            let Poll::Ready(answer) = answer else {
                return Poll::Pending;
            };
            if std::mem::take(&mut this.waits) {
                core.end_poll();
            }
            match answer {
                // There is something left now, unless another reader was faster.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Closed => this.ended = true,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Drop for Items<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.subscription.core().end_poll();
        }
    }
}
