//! `publish/64/channel`, `publish/1024/channel`: drop-newest readers, as in [`super::publish`].
//!
//! Ours appends to the log besides, and evicts from it.

use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{Channels, Ours, Publish, Read, Side};

pub const ROWS: [&str; 2] = ["publish/64/channel", "publish/1024/channel"];

fn round<P: Publish, R: Read>(side: &mut Side<P, R>) -> [f64; 1] {
    let bursts = if side.readers.len() > 64 { 2 } else { 16 };
    [side.bursts(bursts).publish_ns()]
}

pub fn measure(report: &mut Report) {
    for (name, readers, target) in [(ROWS[0], 64, 0.8), (ROWS[1], 1024, 0.75)] {
        if !report.wants(name) {
            continue;
        }
        let mut ours = Ours::with_channel_readers(readers);
        let mut peer = Channels::with_readers(readers);
        let rounds = report.rounds(300);
        let [outcome] = interleave(rounds, || round(&mut ours), || round(&mut peer));
        let row = Row {
            name,
            peer: Channels::NAME,
            unit: "ns/publish",
            target,
        };
        report.add(row, outcome);
    }
}
