//! Both sides as the rows drive them: publishers and readers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel as crossbeam;
use reqbus_core::bus::{BusOptions, Filter, Limits, Overflow, SubscribeOptions};
use reqbus_core::{Batch, Bus, Event, Subscription};
use tokio::sync::broadcast;

use super::event::{self, Requests};

/// Events that are published before the readers are drained.
pub const BURST: u64 = 32;
/// The channel of a drop-newest reader, ours and the peers'.
pub const CHANNEL: usize = 64;

/// Publishes. `at` is the running number of the event.
pub trait Publish {
    fn publish(&self, at: u64);
}

/// Takes all there is, and looks at it.
pub trait Read {
    /// How many events were there.
    fn drain(&mut self) -> usize;
}

/// A publisher and its readers.
pub struct Side<P, R> {
    pub publisher: P,
    pub readers: Vec<R>,
    at: u64,
}

/// What bursts took.
pub struct Bursts {
    /// Publishing alone.
    pub publishing: Duration,
    pub published: u64,
    pub delivered: u64,
}

impl<P: Publish, R: Read> Side<P, R> {
    pub fn new(publisher: P, readers: Vec<R>) -> Self {
        Self {
            publisher,
            readers,
            at: 0,
        }
    }

    /// Publishes bursts, each drained by all readers before the next.
    pub fn bursts(&mut self, bursts: u64) -> Bursts {
        let mut publishing = Duration::ZERO;
        let mut delivered = 0;
        for _ in 0..bursts {
            publishing += self.burst();
            for reader in &mut self.readers {
                delivered += reader.drain() as u64;
            }
        }
        Bursts {
            publishing,
            published: bursts * BURST,
            delivered,
        }
    }

    /// Publishes one burst, which nobody reads.
    pub fn burst(&mut self) -> Duration {
        let begin = Instant::now();
        for at in self.at..self.at + BURST {
            self.publisher.publish(at);
        }
        self.at += BURST;
        begin.elapsed()
    }
}

impl Bursts {
    /// Nanoseconds of the publisher's time per event.
    pub fn publish_ns(&self) -> f64 {
        self.publishing.as_nanos() as f64 / self.published as f64
    }
}

/// Our side.
pub struct Ours {
    pub bus: Bus,
    pub requests: Arc<Requests>,
}

impl Ours {
    pub fn new(requests: Requests) -> Self {
        Self {
            bus: Bus::new(BusOptions::default()).expect("a bus"),
            requests: Arc::new(requests),
        }
    }

    pub fn reader(&self, overflow: Overflow, filter: Filter) -> OurReader {
        let options = SubscribeOptions {
            overflow,
            filter,
            ..SubscribeOptions::default()
        };
        OurReader {
            subscription: self.bus.subscribe(options).expect("a subscription"),
            batch: Batch::new(),
        }
    }

    /// With readers of the log.
    pub fn with_log_readers(readers: usize) -> Side<Self, OurReader> {
        let ours = Self::new(Requests::new());
        let readers = (0..readers).map(|_| ours.reader(Overflow::CatchUp, Filter::all()));
        let readers = readers.collect();
        Side::new(ours, readers)
    }

    /// With drop-newest readers.
    pub fn with_channel_readers(readers: usize) -> Side<Self, OurReader> {
        let ours = Self::new(Requests::new());
        let readers = (0..readers).map(|_| ours.reader(Overflow::default(), Filter::all()));
        let readers = readers.collect();
        Side::new(ours, readers)
    }

    /// With readers of the log, each of which wants one key.
    pub fn with_keyed_readers(readers: usize) -> Side<Self, OurReader> {
        let ours = Self::new(Requests::keyed());
        let of = |at| Filter::new(&[&event::key(at)], &[]).expect("a filter");
        let readers = (0..readers).map(|at| ours.reader(Overflow::CatchUp, of(at)));
        let readers = readers.collect();
        Side::new(ours, readers)
    }
}

impl Publish for Ours {
    #[inline]
    fn publish(&self, at: u64) {
        let published = self.bus.publish_request(self.requests.get(at));
        black_box(published.expect("published"));
    }
}

/// One of our readers; it reuses its batch.
pub struct OurReader {
    pub subscription: Subscription,
    pub batch: Batch,
}

impl Read for OurReader {
    #[inline]
    fn drain(&mut self) -> usize {
        let limits = Limits::default();
        let mut events = 0;
        loop {
            let items = self
                .subscription
                .try_recv(&mut self.batch, limits)
                .expect("an open subscription");
            events += self.batch.events().map(look).count();
            if items < limits.max_items {
                return events;
            }
        }
    }
}

/// What a reader does with an event: it looks at it.
#[inline]
pub fn look(event: &Event) {
    black_box(event.id().seq);
}

/// tokio's broadcast channel, as long as our log.
pub struct Tokio {
    pub sender: broadcast::Sender<Event>,
    pub requests: Requests,
}

/// A receiver of [`Tokio`]; with a key, it passes over events of others.
pub struct TokioReader {
    pub receiver: broadcast::Receiver<Event>,
    key: Option<String>,
}

impl Tokio {
    pub const NAME: &str = "tokio broadcast";

    pub fn new(requests: Requests) -> Self {
        let (sender, _) = broadcast::channel(BusOptions::default().log_events);
        Self { sender, requests }
    }

    pub fn reader(&self, key: Option<String>) -> TokioReader {
        TokioReader {
            receiver: self.sender.subscribe(),
            key,
        }
    }

    pub fn with_readers(readers: usize) -> Side<Self, TokioReader> {
        let tokio = Self::new(Requests::new());
        let readers = (0..readers).map(|_| tokio.reader(None)).collect();
        Side::new(tokio, readers)
    }

    pub fn with_keyed_readers(readers: usize) -> Side<Self, TokioReader> {
        let tokio = Self::new(Requests::keyed());
        let readers = (0..readers).map(|at| tokio.reader(Some(event::key(at))));
        let readers = readers.collect();
        Side::new(tokio, readers)
    }
}

impl Publish for Tokio {
    #[inline]
    fn publish(&self, at: u64) {
        let sent = self.sender.send(self.requests.stamped(at));
        black_box(sent.is_ok());
    }
}

impl Read for TokioReader {
    #[inline]
    fn drain(&mut self) -> usize {
        let mut events = 0;
        loop {
            match self.receiver.try_recv() {
                Ok(event) => {
                    if self.key.as_ref().is_none_or(|key| event.key() == key) {
                        look(&event);
                        events += 1;
                    }
                }
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return events,
            }
        }
    }
}

/// A crossbeam channel for each reader, without a lock: for one publisher.
pub struct Channels {
    pub senders: Vec<crossbeam::Sender<Event>>,
    pub requests: Requests,
}

impl Channels {
    pub const NAME: &str = "crossbeam channel each";

    pub fn with_readers(readers: usize) -> Side<Self, crossbeam::Receiver<Event>> {
        let (senders, readers) = (0..readers).map(|_| crossbeam::bounded(CHANNEL)).unzip();
        let channels = Self {
            senders,
            requests: Requests::new(),
        };
        Side::new(channels, readers)
    }
}

impl Publish for Channels {
    #[inline]
    fn publish(&self, at: u64) {
        offer(&self.senders, &self.requests.stamped(at));
    }
}

/// Offers an event to every channel; what is full loses it.
#[inline]
pub fn offer(senders: &[crossbeam::Sender<Event>], event: &Event) {
    for sender in senders {
        let sent = sender.try_send(event.clone());
        black_box(sent.is_ok());
    }
}

impl Read for crossbeam::Receiver<Event> {
    #[inline]
    fn drain(&mut self) -> usize {
        self.try_iter().inspect(look).count()
    }
}

/// The seed's shape: a crossbeam channel for each reader, fan-out under a read lock.
pub struct ReadLocked {
    senders: parking_lot::RwLock<Vec<crossbeam::Sender<Event>>>,
    requests: Requests,
}

impl ReadLocked {
    pub const NAME: &str = "fan-out under a read lock";

    pub fn with_readers(readers: usize) -> Side<Self, crossbeam::Receiver<Event>> {
        let side = Channels::with_readers(readers);
        let locked = Self {
            senders: parking_lot::RwLock::new(side.publisher.senders),
            requests: side.publisher.requests,
        };
        Side::new(locked, side.readers)
    }
}

impl Publish for ReadLocked {
    #[inline]
    fn publish(&self, at: u64) {
        let event = self.requests.stamped(at);
        offer(&self.senders.read(), &event);
    }
}
