//! What the fuzz targets check, as plain functions: each takes any bytes and panics if a promise of
//! `reqbus_core::wire` or of event ids does not hold for what they describe.
//!
//! `core/tests/wire_fuzz.rs` includes this file, so it names its own modules by `super` only.

mod id_parse;
mod json_writer;
mod recipe;
mod sse_reader;
mod sse_writer;

pub use id_parse::id_parse;
pub use json_writer::json_writer;
pub use sse_writer::sse_writer;
