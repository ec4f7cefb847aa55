//! Items one by one, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::batch::Batch;
use super::item::OwnedItem;
use super::options::Limits;
use super::subscription::Subscription;
use crate::error::{ErrorKind, Result};

/// The items of a subscription, read in batches and yielded one by one: [`Subscription::items`].
///
/// Ends when the subscription or the bus was closed and everything was read; every other error is yielded.
/// Dropped midway, it leaves the rest for the next one.
pub struct Items<'a> {
    subscription: &'a Subscription,
    batch: Batch,
    /// What is left of the batch.
    rest: std::vec::IntoIter<OwnedItem>,
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
            rest: Vec::new().into_iter(),
            waits: false,
            ended: false,
        }
    }
}

impl Stream for Items<'_> {
    type Item = Result<OwnedItem>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(item) = this.rest.next() {
            return Poll::Ready(Some(Ok(item)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let core = this.subscription.core();
        let answer = core.poll_fill(
            cx,
            &mut this.batch,
            Limits::default(),
            None,
            &mut this.waits,
        );
        let Poll::Ready(answer) = answer else {
            return Poll::Pending;
        };
        if std::mem::take(&mut this.waits) {
            core.end_poll();
        }
        match answer {
            Ok(_) => {
                this.rest = this.batch.take_items().into_iter();
                Poll::Ready(this.rest.next().map(Ok))
            }
            Err(error) if error.kind() == ErrorKind::Closed => {
                this.ended = true;
                Poll::Ready(None)
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl Drop for Items<'_> {
    fn drop(&mut self) {
        let core = self.subscription.core();
        if self.waits {
            core.end_poll();
        }
        if self.rest.len() > 0 && core.bus.generation.is_current() {
            core.reader.lock().left.extend(self.rest.by_ref());
            // Who began to wait meanwhile has not seen these.
            std::task::Waker::from(core.source.clone()).wake();
        }
    }
}
