//! Slots against a small model that is obviously right: a list of holders and a list of those who wait, for each key.
//!
//! One thread, random histories on a driven clock. On the memory store every answer, load and counter must be the model's
//! to the last digit; on the store behind a bad line only what must hold whatever the line does.

#![cfg(not(loom))]

mod common;
#[path = "slots_model/faults.rs"]
mod faults;
#[path = "slots_model/memory.rs"]
mod memory;
#[path = "slots_model/op.rs"]
mod op;
#[path = "slots_model/reference.rs"]
mod reference;
