//! Why there is no slot.

use napi_derive::napi;
use reqbus_core::slots::Refusal;

use crate::asks::limit_as_number;
use crate::whole::ms;

/// A refusal. Its fields are those of the core's.
#[napi(object, object_from_js = false)]
pub struct NativeRefusal {
    /// The outcome's name.
    pub outcome: String,
    /// The sentence.
    pub message: String,
    /// The scope that refused.
    pub scope: String,
    /// Its limit; `Infinity`, NaN for none.
    pub limit: f64,
    /// In use.
    pub in_use: u32,
    /// Waiting.
    pub waiting: u32,
    /// Where the caller stood.
    pub position: u32,
    /// How long it waited.
    pub waited_ms: f64,
    /// Pings written.
    pub pings: u32,
    /// When to try again, in seconds.
    pub retry_after_s: Option<f64>,
    /// Kind of the cause.
    pub cause_code: Option<String>,
    /// Context of the cause.
    pub cause_context: Option<String>,
    /// Sentence of the cause.
    pub cause_message: Option<String>,
}

impl NativeRefusal {
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let cause = refusal.cause();
        Self {
            outcome: refusal.outcome().name().to_owned(),
            message: refusal.to_string(),
            scope: refusal.scope().to_owned(),
            limit: limit_as_number(refusal.limit()),
            in_use: refusal.in_use(),
            waiting: refusal.waiting(),
            position: refusal.position(),
            waited_ms: ms(refusal.waited()),
            pings: refusal.pings(),
            retry_after_s: refusal.retry_after().map(|after| after.as_secs_f64()),
            cause_code: cause.map(|cause| cause.kind().name().to_owned()),
            cause_context: cause.map(|cause| cause.context().to_owned()),
            cause_message: cause.map(|cause| cause.message().to_owned()),
        }
    }
}
