//! `wakes`: writes to the bell while 300,000 events are published as fast as can be, to one reader that sleeps in
//! `poll`. The peer's way, one write each, needs no measuring: it is the number of events.

use std::thread;

use reqbus_core::bus::{Filter, Limits, Overflow};
use reqbus_core::{Bell, Item};

use super::event::Requests;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{OurReader, Ours, Publish, look};

pub const ROWS: [&str; 1] = ["wakes"];

const EVENTS: u64 = 300_000;

/// Reads until everything was delivered or lost; returns how many events that were.
fn read_all(mut reader: OurReader, bell: &Bell) -> u64 {
    let fd = bell.fd().expect("a descriptor");
    let mut seen = 0;
    while seen < EVENTS {
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, as the count says.
        let ready = unsafe { libc::poll(&mut poll, 1, -1) };
        if ready < 1 || bell.take(&mut [0]) == 0 {
            continue;
        }
        loop {
            let limits = Limits::default();
            let read = reader.subscription.try_recv(&mut reader.batch, limits);
            if read.expect("an open subscription") == 0 {
                break;
            }
            for item in reader.batch.iter() {
                match item {
                    Item::Event { event, .. } => {
                        look(event);
                        seen += 1;
                    }
                    Item::Lost { missed, .. } => seen += missed,
                    _ => {}
                }
            }
        }
    }
    seen
}

fn round() -> [f64; 1] {
    let ours = Ours::new(Requests::new());
    let reader = ours.reader(Overflow::CatchUp, Filter::all());
    let bell = Bell::new();
    reader.subscription.attach(&bell, 1).expect("attached");
    let reading = {
        let bell = bell.clone();
        thread::spawn(move || read_all(reader, &bell))
    };
    for at in 0..EVENTS {
        ours.publish(at);
    }
    let seen = reading.join().expect("a reader that ends");
    assert_eq!(seen, EVENTS, "every event was delivered or lost");
    [bell.raises() as f64]
}

pub fn measure(report: &mut Report) {
    let [outcome] = interleave(report.rounds(16), round, || [EVENTS as f64]);
    let row = Row {
        name: ROWS[0],
        peer: "one write each",
        unit: "writes",
        target: 0.05,
    };
    report.add(row, outcome);
}
