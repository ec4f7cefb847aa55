//! The cleanup guard of an audience.

use napi_derive::napi;
use reqbus_core::bus::CleanupGuard;

use crate::looping::ringing;

/// A cleanup guard. Collected, it is released.
#[napi]
pub struct NativeGuard {
    guard: Option<CleanupGuard>,
}

impl NativeGuard {
    pub(crate) const fn new(guard: CleanupGuard) -> Self {
        Self { guard: Some(guard) }
    }
}

/// What ending a guard came to: `held` is whether it was in force or the membership lives again; `rang` is whether this
/// thread must drain.
#[napi(object)]
pub struct NativeEnded {
    /// In force, or a member again.
    pub held: bool,
    /// Drain.
    pub rang: bool,
}

#[napi]
impl NativeGuard {
    /// Whether it is over its limit, or was ended.
    #[napi]
    pub fn is_expired(&self) -> bool {
        self.guard.as_ref().is_none_or(CleanupGuard::is_expired)
    }

    /// Admits newcomers.
    #[napi]
    pub fn release(&mut self) -> NativeEnded {
        let guard = self.guard.take();
        let (held, rang) = ringing(|| guard.is_some_and(CleanupGuard::release));
        NativeEnded { held, rang }
    }

    /// Gives the membership back.
    #[napi]
    pub fn abort(&mut self) -> NativeEnded {
        let guard = self.guard.take();
        let (held, rang) = ringing(|| guard.is_some_and(CleanupGuard::abort));
        NativeEnded { held, rang }
    }
}
