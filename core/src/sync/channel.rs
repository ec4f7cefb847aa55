//! The bounded channel of a drop-newest reader: crossbeam's, used with `try_send` and `try_recv` only.

#[cfg(not(loom))]
mod imp {
    /// The sending half.
    pub(crate) struct Sender<T>(crossbeam_channel::Sender<T>);
    /// The receiving half.
    pub(crate) struct Receiver<T>(crossbeam_channel::Receiver<T>);

    /// A channel with room for `capacity` messages, 1 or more.
    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let (tx, rx) = crossbeam_channel::bounded(capacity);
        (Sender(tx), Receiver(rx))
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<T> Sender<T> {
        #[inline]
        pub(crate) fn try_send(&self, message: T) -> super::TrySend<T> {
            match self.0.try_send(message) {
                Ok(()) => super::TrySend::Sent,
                Err(refused) => super::TrySend::Refused(refused.into_inner()),
            }
        }
    }

    impl<T> Receiver<T> {
        #[inline]
        pub(crate) fn try_recv(&self) -> Option<T> {
            self.0.try_recv().ok()
        }
        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }
    }
}

#[cfg(loom)]
mod imp {
    use super::super::Mutex;
    use std::collections::VecDeque;
    use std::sync::Arc;

    struct Queue<T> {
        messages: Mutex<VecDeque<T>>,
        capacity: usize,
    }
    pub(crate) struct Sender<T>(Arc<Queue<T>>);
    pub(crate) struct Receiver<T>(Arc<Queue<T>>);

    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let queue = Arc::new(Queue {
            messages: Mutex::new(VecDeque::new()),
            capacity,
        });
        (Sender(queue.clone()), Receiver(queue))
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn try_send(&self, message: T) -> super::TrySend<T> {
            let mut messages = self.0.messages.lock();
            if messages.len() == self.0.capacity {
                return super::TrySend::Refused(message);
            }
            messages.push_back(message);
            super::TrySend::Sent
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Option<T> {
            self.0.messages.lock().pop_front()
        }
        pub(crate) fn len(&self) -> usize {
            self.0.messages.lock().len()
        }
    }
}

pub(crate) use imp::{Receiver, Sender, bounded};

/// What became of a message.
pub(crate) enum TrySend<T> {
    /// It is in the channel.
    Sent,
    /// The channel is full, or its reader is gone: the message comes back.
    Refused(T),
}
