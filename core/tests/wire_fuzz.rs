//! The fuzz targets' bodies (`fuzz/src`), on random and mutated inputs for a moment each: what a machine
//! without a nightly compiler and cargo-fuzz can do.
//!
//! Inputs follow from the seed alone: `REQBUS_FUZZ_SEED` (printed), `REQBUS_FUZZ_MS` per target.

#[path = "../../fuzz/src/lib.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea and Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// What hurts a writer of lines, of JSON or of ids.
const TOKENS: [&[u8]; 20] = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b": ",
    b"data: x\n\n",
    b"id: 1\n",
    b"event: reqbus.lost\n",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"\xff",
    b"\"",
    b"\\",
    b"\\u0000",
    b"{\"kind\":\"reqbus.lost\"}",
    b"{\"path\":1,\n\"a\":[]}",
    b"0123456789abcdef-18446744073709551614",
    b"-0",
    b" ",
];

fn input(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = if random.next().is_multiple_of(4) {
        (0..random.below(300))
            .map(|_| random.next() as u8)
            .collect()
    } else {
        corpus[random.below(corpus.len())].clone()
    };
    for _ in 0..random.below(6) {
        let at = random.below(data.len() + 1);
        match random.below(4) {
            0 => {
                let token = TOKENS[random.below(TOKENS.len())];
                data.splice(at..at, token.iter().copied());
            }
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => {
                let end = at + random.below(data.len() - at + 1);
                data.drain(at..end);
            }
            _ => data.insert(at, random.below(9) as u8),
        }
    }
    data
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn run(name: &str, body: fn(&[u8])) {
    let seed = variable("REQBUS_FUZZ_SEED", 0x7265_7162_7573);
    let time = Duration::from_millis(variable("REQBUS_FUZZ_MS", 1000));
    let mut random = Random(seed);
    let mut corpus: Vec<Vec<u8>> = TOKENS.iter().map(|token| token.to_vec()).collect();
    for token in TOKENS {
        // The recipes begin with numbers, then lengths: something that reads as several texts.
        let mut data = vec![0; 24];
        for sort in 0..8 {
            data.extend_from_slice(&[sort, token.len() as u8]);
            data.extend_from_slice(token);
        }
        corpus.push(data);
    }
    let end = Instant::now() + time;
    let mut runs = 0_u64;
    while Instant::now() < end {
        let data = input(&mut random, &corpus);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&data))) {
            eprintln!("{name}: seed {seed}, run {runs}, input {data:02x?}");
            resume_unwind(panic);
        }
        runs += 1;
    }
    println!("{name}: seed {seed}, {runs} runs");
    assert!(runs > 0);
}

#[test]
fn b4_ids_parse_or_are_refused() {
    run("id_parse", bodies::id_parse);
}

#[test]
fn sse_comes_back_whatever_is_published() {
    run("sse_writer", bodies::sse_writer);
}

#[test]
fn json_comes_back_whatever_is_published() {
    run("json_writer", bodies::json_writer);
}
