//! Slots that are young: JavaScript has only their number.
//!
//! An object of JavaScript that has a handle of the extension costs more than to take and to release a slot. Most slots of
//! short calls are released in the turn of the loop in which they were taken: they never get one. Whatever outlives its turn
//! is given its own ([`grown_slot`]), which the collector finds when nobody has it any more (`lib/slot.js`).

use std::cell::RefCell;

use napi_derive::napi;
use reqbus_core::slots::{Released, Slot};

use crate::looping::ringing;
use crate::slot::{NativeSlot, number};

/// Slots by number.
#[derive(Default)]
struct Young {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
}

thread_local! {
    /// Those of this thread's environment.
    static YOUNG: RefCell<Young> = RefCell::default();
}

/// Keeps a slot. Its number.
pub fn keep(slot: Slot) -> u32 {
    YOUNG.with_borrow_mut(|young| {
        if let Some(at) = young.free.pop()
            && let Some(place) = young.slots.get_mut(at as usize)
        {
            *place = Some(slot);
            return at;
        }
        young.slots.push(Some(slot));
        // As many slots do not fit into memory.
        u32::try_from(young.slots.len() - 1).unwrap_or(u32::MAX)
    })
}

/// Takes a slot out. `None` for a number that no slot has.
fn take(at: u32) -> Option<Slot> {
    YOUNG.with_borrow_mut(|young| {
        let slot = young.slots.get_mut(at as usize)?.take()?;
        young.free.push(at);
        Some(slot)
    })
}

/// Releases all: their environment ends.
pub fn clear() {
    // Out first: a release may call for others.
    drop(YOUNG.take());
}

/// Releases a slot by its number, which is then another's: as [`NativeSlot::release`].
#[napi]
pub fn release_young(at: u32) -> u32 {
    let Some(slot) = take(at) else {
        return number(Released::Already, false);
    };
    let (released, rang) = ringing(|| slot.release());
    number(released, rang)
}

/// A handle of its own for a slot that has a number; the number is then another's.
#[napi]
pub fn grown_slot(at: u32) -> NativeSlot {
    NativeSlot::of(take(at))
}
