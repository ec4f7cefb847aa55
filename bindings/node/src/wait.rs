//! A request that waits for its slot.

use napi::bindgen_prelude::Either3;
use napi_derive::napi;
use reqbus_core::slots::{Step, Wait};
use reqbus_core::{Error, ErrorKind};

use crate::failure::OrThrow;
use crate::looping::{NativeLoop, ringing};
use crate::refusal::NativeRefusal;
use crate::young;

/// A wait. Collected, it is cancelled.
#[napi]
pub struct NativeWait {
    wait: Option<Wait>,
}

impl NativeWait {
    pub(crate) const fn new(wait: Wait) -> Self {
        Self { wait: Some(wait) }
    }

    pub(crate) const fn take(&mut self) -> Option<Wait> {
        self.wait.take()
    }
}

#[napi]
impl NativeWait {
    /// What is new: `null`, `true` for a ping, the number of a slot, or a refusal.
    #[napi]
    pub fn try_next(&self) -> Option<Either3<bool, u32, NativeRefusal>> {
        let step = self.wait.as_ref().and_then(Wait::try_next)?;
        Some(match step {
            Step::Ping => Either3::A(true),
            Step::Granted(slot) => Either3::B(young::keep(slot)),
            Step::Ended(refusal) => Either3::C(NativeRefusal::of(&refusal)),
        })
    }

    /// Where it stood when it joined its queue.
    #[napi]
    pub fn position(&self) -> u32 {
        self.wait.as_ref().map_or(0, Wait::position)
    }

    /// Rings under `token` when there is something new. Whether this thread must drain.
    #[napi]
    pub fn attach(&self, rings: &NativeLoop, token: f64) -> napi::Result<bool> {
        let Some(wait) = &self.wait else {
            return Ok(false);
        };
        let (answer, rang) = ringing(|| wait.attach(rings.bell(), token as u64));
        answer.or_throw().map(|()| rang)
    }

    /// Gives up, with the host's reason. Whether this thread must drain.
    #[napi]
    pub fn cancel(&self, cause: Option<String>) -> bool {
        let cause = cause.map(|cause| Error::new(ErrorKind::System, "host", cause));
        let cancel = || {
            if let Some(wait) = &self.wait {
                wait.cancel(cause);
            }
        };
        ringing(cancel).1
    }

    /// Lets go of it; cancels it if it is not over. Whether this thread must drain.
    #[napi]
    pub fn free(&mut self) -> bool {
        ringing(|| drop(self.wait.take())).1
    }
}
