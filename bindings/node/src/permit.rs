//! The right to check one item.

use napi_derive::napi;
use reqbus_core::runner::{Permit, Verdict};
use reqbus_core::{Error, ErrorKind};

use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::whole::ms;

/// A permit. Collected without a verdict, its check counts as one that broke down.
#[napi]
pub struct NativePermit {
    id: String,
    permit: Option<Permit>,
}

impl NativePermit {
    pub(crate) fn new(permit: Permit) -> Self {
        Self {
            id: permit.id().to_owned(),
            permit: Some(permit),
        }
    }
}

#[napi]
impl NativePermit {
    /// What is to be checked.
    #[napi]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// How much time its check has left, in milliseconds; none once it was given back.
    #[napi]
    pub fn time_left(&self) -> f64 {
        self.permit
            .as_ref()
            .map_or(0.0, |permit| ms(permit.time_left()))
    }

    /// Whether its check is to end.
    #[napi]
    pub fn should_end(&self) -> bool {
        self.permit.as_ref().is_none_or(Permit::should_end)
    }

    /// Gives it back, with a verdict or, by a drop, without one. Whether this thread must drain.
    #[napi]
    pub fn finish(&mut self, verdict: Option<String>) -> napi::Result<bool> {
        let verdict = match verdict.as_deref() {
            None => None,
            Some("succeeded") => Some(Verdict::Succeeded),
            Some("failed") => Some(Verdict::Failed),
            Some("panicked") => Some(Verdict::Panicked),
            Some(_) => {
                let why = "it is none of succeeded, failed and panicked";
                return Err(Error::fixed(ErrorKind::InvalidArgument, "verdict", why)).or_throw();
            }
        };
        let permit = self.permit.take();
        let finish = || match (permit, verdict) {
            (Some(permit), Some(verdict)) => permit.finish(verdict),
            (permit, _) => drop(permit),
        };
        Ok(ringing(finish).1)
    }
}
