//! A subscription that is being made.

use napi_derive::napi;
use reqbus_core::bus::Join;

use crate::failure::OrThrow;
use crate::looping::{NativeLoop, ringing};
use crate::subscription::NativeSubscription;

/// A subscription that is being made: it waits while its audience is being cleaned up.
#[napi]
pub struct NativeJoin {
    join: Option<Join>,
}

impl NativeJoin {
    pub(crate) const fn new(join: Join) -> Self {
        Self { join: Some(join) }
    }
}

#[napi]
impl NativeJoin {
    /// The subscription, or `null` while the audience is being cleaned up.
    #[napi]
    pub fn try_finish(&mut self) -> napi::Result<Option<NativeSubscription>> {
        let answer = self.join.as_mut().and_then(Join::try_finish).transpose();
        let subscription = answer.or_throw()?;
        if subscription.is_some() {
            self.join = None;
        }
        Ok(subscription.map(NativeSubscription::new))
    }

    /// Rings under `token` when it is worth to try again. Whether this thread must drain.
    #[napi]
    pub fn attach(&self, rings: &NativeLoop, token: f64) -> bool {
        let attach = || {
            if let Some(join) = &self.join {
                join.attach(rings.bell(), token as u64);
            }
        };
        ringing(attach).1
    }

    /// Gives up: nothing is joined. Whether this thread must drain.
    #[napi]
    pub fn cancel(&mut self) -> bool {
        ringing(|| drop(self.join.take())).1
    }
}
