//! The scripts of `slots_*.json`: one pool, its slots and waits. The steps are in `tests/conformance/README.md`.

mod asking;
mod backoffs;
mod keys;
mod noticing;
pub mod saying;
mod script;

pub use script::{Face, Place, Ran, run};
