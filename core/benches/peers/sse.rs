//! `deliver-sse/64`: CPU per frame that is ready to be written, publish and receive included.
//!
//! The peer is what gateways write: a broadcast of the event, which each of 64 readers encodes with serde_json into a
//! buffer of its own that it reuses. Both sides write the same bytes, but for the ids; a check says so before.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use reqbus_core::bus::{Limits, Texts};
use reqbus_core::event::Payload;
use reqbus_core::wire::Form;
use reqbus_core::{Event, Subscription};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::sync::broadcast::error::TryRecvError;

use super::cpu;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{OurReader, Ours, Publish, Read, Side, Tokio, TokioReader};

pub const ROWS: [&str; 1] = ["deliver-sse/64"];

const READERS: usize = 64;
const BURSTS: u64 = 8;

/// A request event as serde writes it: what `#[derive(Serialize)]` comes to.
struct Record<'a>(&'a Event);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Timestamp(u64);
        impl Serialize for Timestamp {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let time = UNIX_EPOCH + Duration::from_nanos(self.0);
                serializer.collect_str(&humantime::format_rfc3339_nanos(time))
            }
        }
        let Payload::Request(request) = self.0.payload() else {
            return Err(serde::ser::Error::custom("no request event"));
        };
        let mut fields = serializer.serialize_struct("RequestEvent", 7)?;
        fields.serialize_field("timestamp", &Timestamp(self.0.time_ns()))?;
        fields.serialize_field("method", request.method)?;
        fields.serialize_field("path", request.path)?;
        fields.serialize_field("model", request.model)?;
        fields.serialize_field("account_id", &request.account_id)?;
        fields.serialize_field("status", request.status.name())?;
        fields.serialize_field("latency_ms", &request.latency_ms)?;
        fields.end()
    }
}

fn write_frame(event: &Event, out: &mut Vec<u8>) {
    let written = write!(out, "id: {}\nevent: {}\ndata: ", event.id(), event.kind());
    written.expect("a buffer takes all");
    serde_json::to_writer(&mut *out, &Record(event)).expect("a request event");
    out.extend_from_slice(b"\n\n");
}

/// One of our readers; its batch holds the frames.
struct OurFrames(OurReader);

impl OurFrames {
    fn recv(subscription: &Subscription, batch: &mut reqbus_core::Batch) -> usize {
        let limits = Limits::default();
        let read = subscription.try_recv_texts(batch, Form::Sse, limits);
        read.expect("an open subscription")
    }
}

impl Read for OurFrames {
    /// Makes the frames of all there is, ready to be written.
    fn drain(&mut self) -> usize {
        let OurReader {
            subscription,
            batch,
        } = &mut self.0;
        let frames = Self::recv(subscription, batch);
        let Texts { buffer, ends } = batch.texts();
        assert_eq!(ends.len(), frames);
        black_box(buffer);
        frames
    }
}

struct PeerFrames {
    reader: TokioReader,
    buffer: Vec<u8>,
}

impl Read for PeerFrames {
    fn drain(&mut self) -> usize {
        self.buffer.clear();
        let mut frames = 0;
        loop {
            match self.reader.receiver.try_recv() {
                Ok(event) => {
                    write_frame(&event, &mut self.buffer);
                    frames += 1;
                }
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        black_box(&self.buffer);
        frames
    }
}

/// Nanoseconds of CPU per frame.
fn round<P: Publish, R: Read>(side: &mut Side<P, R>) -> [f64; 1] {
    let begin = cpu::of_this_thread();
    let bursts = side.bursts(BURSTS);
    let cpu = cpu::of_this_thread() - begin;
    assert_eq!(bursts.delivered, bursts.published * READERS as u64);
    [cpu.as_nanos() as f64 / bursts.delivered as f64]
}

/// The same bytes on both sides.
fn check(ours: &mut Side<Ours, OurFrames>) {
    ours.burst();
    for OurFrames(reader) in &mut ours.readers {
        OurFrames::recv(&reader.subscription, &mut reader.batch);
        let mut wanted = Vec::new();
        reader
            .batch
            .events()
            .for_each(|event| write_frame(event, &mut wanted));
        assert_eq!(
            reader.batch.texts().buffer,
            wanted,
            "both sides write the same"
        );
    }
}

pub fn measure(report: &mut Report) {
    let side = Ours::with_log_readers(READERS);
    let readers = side.readers.into_iter().map(OurFrames).collect();
    let mut ours = Side::new(side.publisher, readers);
    check(&mut ours);

    let side = Tokio::with_readers(READERS);
    let readers = side.readers.into_iter().map(|reader| PeerFrames {
        reader,
        buffer: Vec::new(),
    });
    let mut peer = Side::new(side.publisher, readers.collect());

    let rounds = report.rounds(100);
    let [outcome] = interleave(rounds, || round(&mut ours), || round(&mut peer));
    let row = Row {
        name: ROWS[0],
        peer: "each encodes with serde_json",
        unit: "ns/frame",
        target: 0.1,
    };
    report.add(row, outcome);
}
