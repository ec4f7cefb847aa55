//! The table and the file.

use std::io;
use std::path::Path;

use serde_json::json;

use super::rounds::Outcome;

/// What a row is.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub peer: &'static str,
    pub unit: &'static str,
    /// The ratio that it must not exceed.
    pub target: f64,
}

/// The rows so far.
pub struct Report {
    quick: bool,
    only: String,
    rows: Vec<(Row, Outcome)>,
}

impl Report {
    pub fn new(quick: bool, only: String) -> Self {
        Self {
            quick,
            only,
            rows: Vec::new(),
        }
    }

    /// Whether this row was asked for.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// How many rounds to make of `full`.
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(8) } else { full }
    }

    pub fn add(&mut self, row: Row, outcome: Outcome) {
        if self.wants(row.name) {
            let Outcome { ours, peer, .. } = outcome;
            eprintln!("{:32} {:.2}", row.name, ours / peer);
            self.rows.push((row, outcome));
        }
    }

    /// The table. `rounds`: the quartiles of the ratios of single rounds.
    pub fn print(&self) {
        println!(
            "{:31} {:>9} {:>9}  {:11} {:>6} {:>6}        {:11} peer",
            "row", "ours", "peer", "unit", "ratio", "target", "rounds"
        );
        for (row, outcome) in &self.rows {
            let Outcome { ours, peer, spread } = *outcome;
            let ratio = ours / peer;
            let met = if ratio <= row.target { "met" } else { "MISSED" };
            println!(
                "{:31} {:>9} {:>9}  {:11} {ratio:>6.3} {:>6} {met:6} {:.2}-{:.2}   {}",
                row.name,
                short(ours),
                short(peer),
                row.unit,
                row.target,
                spread[0],
                spread[1],
                row.peer,
            );
        }
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let rows = self.rows.iter().map(|(row, Outcome { ours, peer, .. })| {
            json!({
                "name": row.name,
                "ours": ours,
                "peer": peer,
                "peer_name": row.peer,
                "unit": row.unit,
                "ratio": ours / peer,
            })
        });
        let file = json!({ "rows": rows.collect::<Vec<_>>() });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{file:#}\n"))
    }
}

/// Three digits or more.
fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
