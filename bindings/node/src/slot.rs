//! A slot.

use napi::Either;
use napi_derive::napi;
use reqbus_core::slots::{Key, OwnedKey, Refusal, Released, Slot};
use reqbus_core::{Error, ErrorKind};

use crate::failure::OrThrow;
use crate::looping::{NativeLoop, ringing};
use crate::refusal::NativeRefusal;
use crate::young;

/// Added to what a release came to when this thread must drain.
const RANG: u32 = 8;

/// A slot. Collected without a release, it is released by the pool's next call and counted as leaked.
#[napi]
pub struct NativeSlot {
    slot: Option<Slot>,
}

/// The number of a slot that is [`young`], or why there is none.
pub type Answer = Either<u32, NativeRefusal>;

/// The answer of a call.
pub fn answer(answer: Result<Slot, Refusal>) -> Answer {
    match answer {
        Ok(slot) => Either::A(young::keep(slot)),
        Err(refusal) => Either::B(NativeRefusal::of(&refusal)),
    }
}

/// Scopes and ids, one behind the other.
pub fn names(keys: &[OwnedKey]) -> Vec<String> {
    let names = |key: &OwnedKey| {
        let Key { scope, id } = key.as_key();
        [scope.to_owned(), id.to_owned()]
    };
    keys.iter().flat_map(names).collect()
}

pub fn number(released: Released, rang: bool) -> u32 {
    let number = match released {
        Released::Released => 0,
        Released::Already => 1,
        Released::Lost => 2,
    };
    number + if rang { RANG } else { 0 }
}

impl NativeSlot {
    /// Without one, it is as one that was joined to another.
    pub(crate) const fn of(slot: Option<Slot>) -> Self {
        Self { slot }
    }

    pub(crate) fn get(&self) -> napi::Result<&Slot> {
        let gone = || {
            let why = "it was joined to another or freed";
            Error::fixed(ErrorKind::InvalidArgument, "slot", why)
        };
        self.slot.as_ref().ok_or_else(gone).or_throw()
    }
}

#[napi]
impl NativeSlot {
    /// Gives all back: 0 released, 1 already, 2 lost, and 8 more if this thread must drain.
    #[napi]
    pub fn release(&self) -> u32 {
        let release = || self.slot.as_ref().map_or(Released::Already, Slot::release);
        let (released, rang) = ringing(release);
        number(released, rang)
    }

    /// Gives one scope back: as [`NativeSlot::release`], or `null` if it has no such scope.
    #[napi]
    pub fn release_scope(&self, scope: String) -> napi::Result<Option<u32>> {
        let slot = self.get()?;
        let (released, rang) = ringing(|| slot.release_scope(&scope));
        Ok(released.map(|released| number(released, rang)))
    }

    /// Moves what `other` holds to this slot. Whether this thread must drain.
    #[napi]
    pub fn join(&self, other: &mut NativeSlot) -> napi::Result<bool> {
        let slot = self.get()?;
        other.get()?;
        let Some(moved) = &mut other.slot else {
            return Ok(false);
        };
        let (answer, rang) = ringing(|| slot.join(moved));
        answer.or_throw().map(|()| rang)
    }

    /// Scopes and ids of its keys, one behind the other.
    #[napi]
    pub fn keys(&self) -> Vec<String> {
        self.slot
            .as_ref()
            .map(|slot| names(&slot.keys()))
            .unwrap_or_default()
    }

    /// Why it was lost.
    #[napi]
    pub fn lost(&self) -> Option<String> {
        let lost = self.slot.as_ref().and_then(Slot::lost);
        lost.map(|reason| reason.name().to_owned())
    }

    /// Rings under `token` when it is lost. Whether this thread must drain.
    #[napi]
    pub fn attach(&self, rings: &NativeLoop, token: f64) -> napi::Result<bool> {
        let slot = self.get()?;
        let (answer, rang) = ringing(|| slot.attach(rings.bell(), token as u64));
        answer.or_throw().map(|()| rang)
    }

    /// What the finaliser does.
    #[napi]
    pub fn leak(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.leak();
        }
    }
}

impl Drop for NativeSlot {
    fn drop(&mut self) {
        self.leak();
    }
}
