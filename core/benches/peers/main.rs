//! `make bench`: reqbus beside its peers, in one run.
//!
//! Each row runs ours and the peer round by round, in turn, many short rounds. Its ratio is the median of the ratios of
//! single rounds: what else the machine does then falls on both sides alike, or on few rounds. `peer` is the median of
//! the peer's rounds, and `ours` is that times the ratio. How far single rounds lie apart is printed beside it.
//! Percentiles are taken within a round.
//!
//! On both sides the events are the same type, built and stamped by the same code ([`reqbus_core::Event::detached`]
//! for the peer), and a reader looks at every event it gets. Peers are bounded as our log is.
//!
//! Rows of slots are told in their own files; `slot/wait-after-release` alone takes a minute.

mod asleep;
mod channels;
mod contended;
mod cpu;
mod event;
mod free_slots;
mod hand_over;
mod lost_requests;
mod meeting;
mod parked;
mod publish;
mod random;
mod report;
mod resume;
mod rounds;
mod sides;
mod slots;
mod sse;
mod tick;
mod wakes;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

const HELP: &str = "\
Measures reqbus beside its peers, in one run.

usage: cargo bench -p reqbus-core --bench peers -- [options]

  --quick        an eighth of the rounds: a first look, not a result
  --rows TEXT    only rows whose name holds TEXT; the file then holds only those
  --out PATH     where to write the rows as JSON (default: target/bench.json of the workspace)
  --help         this text

Progress goes to stderr, the table to stdout. A missed target is no error.
";

/// A group's rows, by name, and what measures them.
type Group = (&'static [&'static str], fn(&mut Report));

const GROUPS: [Group; 14] = [
    (&publish::ROWS, publish::measure),
    (&channels::ROWS, channels::measure),
    (&asleep::ROWS, asleep::measure),
    (&parked::ROWS, parked::measure),
    (&contended::ROWS, contended::measure),
    (&sse::ROWS, sse::measure),
    (&resume::SHUT_OUT, resume::measure_shut_out),
    (&resume::READ, resume::measure_read),
    (&wakes::ROWS, wakes::measure),
    (&slots::ROWS, slots::measure),
    (&hand_over::ROWS, hand_over::measure),
    (&lost_requests::ROWS, lost_requests::measure),
    (&free_slots::ROWS, free_slots::measure),
    (&tick::ROWS, tick::measure),
];

struct Options {
    quick: bool,
    rows: String,
    out: PathBuf,
}

fn options() -> Result<Option<Options>, String> {
    let mut options = Options {
        quick: false,
        rows: String::new(),
        out: concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench.json").into(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--rows" => options.rows = value()?,
            "--out" => options.out = value()?.into(),
            "--help" | "-h" => return Ok(None),
            "--bench" => {} // cargo says this
            _ => return Err(format!("{argument} is no option")),
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprint!("{problem}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(options.quick, options.rows);
    for (rows, measure) in GROUPS {
        if rows.iter().any(|row| report.wants(row)) {
            measure(&mut report);
        }
    }
    report.print();
    match report.write(&options.out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}: {problem}", options.out.display());
            ExitCode::FAILURE
        }
    }
}
