//! A reader's place on a bus.

use napi::Either;
use napi::Env;
use napi::bindgen_prelude::{Array, BufferSlice, Either3, Uint8Array};
use napi_derive::napi;
use reqbus_core::bus::{Batch, Limits};
use reqbus_core::wire::Form;
use reqbus_core::{Error, ErrorKind, Subscription};

use crate::failure::OrThrow;
use crate::guard::NativeGuard;
use crate::items;
use crate::looping::{NativeLoop, ringing};
use crate::stats::NativeStats;
use crate::whole::{Whole, to_size};

/// A subscription. Freed, its row and its queue are gone from the bus.
#[napi]
pub struct NativeSubscription {
    subscription: Option<Subscription>,
    batch: Batch,
}

/// What one [`NativeSubscription::drain_bytes`] goes on reading below, in bytes.
const MOST_DRAINED: usize = 1 << 20;

/// What [`NativeSubscription::close`] found.
#[napi(object, object_from_js = false)]
pub struct NativeClosed {
    /// Whether this ended the audience's last membership.
    pub was_last: Option<bool>,
    /// Whether this thread must drain.
    pub rang: bool,
}

fn freed() -> Error {
    Error::closed("subscription")
}

fn form(name: &str) -> napi::Result<Form> {
    let why = "it is none of json, envelope, ndjson and sse";
    Form::from_name(name)
        .ok_or_else(|| Error::fixed(ErrorKind::InvalidArgument, "form", why))
        .or_throw()
}

fn limits(max_items: Option<&Whole>, max_bytes: Option<&Whole>) -> napi::Result<Limits> {
    let mut limits = Limits::default();
    if let Some(items) = max_items {
        limits.max_items = to_size(items, "max_items").or_throw()?;
    }
    if let Some(bytes) = max_bytes {
        limits.max_bytes = to_size(bytes, "max_bytes").or_throw()?;
    }
    Ok(limits)
}

impl NativeSubscription {
    pub(crate) const fn new(subscription: Subscription) -> Self {
        Self {
            subscription: Some(subscription),
            batch: Batch::new(),
        }
    }

    fn get(&self) -> napi::Result<&Subscription> {
        self.subscription.as_ref().ok_or_else(freed).or_throw()
    }

    /// What a read took: how many items, or `None` at the end.
    fn read(&mut self, limits: Limits, form: Option<Form>) -> napi::Result<Option<usize>> {
        let Some(subscription) = &self.subscription else {
            return Ok(None);
        };
        let answer = match form {
            None => subscription.try_recv(&mut self.batch, limits),
            Some(form) => subscription.try_recv_texts(&mut self.batch, form, limits),
        };
        match answer {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::Closed => Ok(None),
            Err(error) => Err(error).or_throw(),
        }
    }
}

#[napi]
impl NativeSubscription {
    /// Its number on its bus.
    #[napi]
    pub fn id(&self) -> napi::Result<f64> {
        Ok(self.get()?.id() as f64)
    }

    /// Whether it was the first of its audience.
    #[napi]
    pub fn is_first(&self) -> bool {
        self.subscription
            .as_ref()
            .is_some_and(Subscription::is_first)
    }

    /// The items that are there, laid flat ([`items`]); `null` for none, `true` at the end.
    #[napi]
    pub fn try_items<'env>(
        &mut self,
        env: &'env Env,
        max_items: Option<Whole>,
        max_bytes: Option<Whole>,
    ) -> napi::Result<Option<napi::Either<bool, Array<'env>>>> {
        let limits = limits(max_items.as_ref(), max_bytes.as_ref())?;
        let answer = match self.read(limits, None)? {
            None => Some(napi::Either::A(true)),
            Some(0) => None,
            Some(_) => Some(napi::Either::B(items::flat(env, &self.batch)?)),
        };
        self.batch.clear();
        Ok(answer)
    }

    /// The texts that are there; `null` for none, `true` at the end. As one text for all if `joined`, or as its bytes
    /// if `bytes`, else one each.
    #[napi]
    pub fn try_texts(
        &mut self,
        form_name: String,
        shape: u32,
        max_items: Option<Whole>,
        max_bytes: Option<Whole>,
    ) -> napi::Result<Option<Either3<bool, Vec<String>, Uint8Array>>> {
        let form = form(&form_name)?;
        let limits = limits(max_items.as_ref(), max_bytes.as_ref())?;
        let answer = match self.read(limits, Some(form))? {
            None => Some(Either3::A(true)),
            Some(0) => None,
            Some(count) => {
                let texts = self.batch.texts();
                Some(if shape == 1 {
                    Either3::C(Uint8Array::from(texts.buffer))
                } else {
                    let each = (0..count).filter_map(|at| texts.get(at));
                    let each = each.map(|text| String::from_utf8_lossy(text).into_owned());
                    Either3::B(each.collect())
                })
            }
        };
        self.batch.clear();
        Ok(answer)
    }

    /// The bytes of all that is there, up to about 1 MiB, read until nothing is left: after that the next event rings.
    /// `null` for none, `true` at the end.
    #[napi]
    pub fn drain_bytes<'env>(
        &mut self,
        env: &'env Env,
        form_name: String,
    ) -> napi::Result<Option<Either<bool, BufferSlice<'env>>>> {
        let form = Some(form(&form_name)?);
        let limits = Limits::default();
        let first = match self.read(limits, form)? {
            None => return Ok(Some(Either::A(true))),
            Some(0) => return Ok(None),
            // Copied to memory of the engine's own: what it has to finalise costs more than the copy.
            Some(_) => BufferSlice::copy_from(env, self.batch.texts().buffer)?,
        };
        let mut more = Vec::new();
        while more.len() < MOST_DRAINED && self.read(limits, form)?.is_some_and(|count| count > 0) {
            more.extend_from_slice(self.batch.texts().buffer);
        }
        self.batch.clear();
        if more.is_empty() {
            return Ok(Some(Either::B(first)));
        }
        more.splice(..0, first.iter().copied());
        Ok(Some(Either::B(BufferSlice::copy_from(env, more)?)))
    }

    /// The id up to which everything was delivered, filtered out or reported lost.
    #[napi]
    pub fn settled(&self) -> napi::Result<String> {
        Ok(self.get()?.settled().to_string())
    }

    /// The text of a heartbeat.
    #[napi]
    pub fn heartbeat(&self, form_name: String) -> napi::Result<String> {
        let mut text = Vec::new();
        self.get()?.heartbeat(form(&form_name)?, &mut text);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Its account.
    #[napi]
    pub fn stats(&self) -> napi::Result<NativeStats> {
        Ok(NativeStats::of(&self.get()?.stats()))
    }

    /// The cleanup guard of its audience, if it is the sole member.
    #[napi]
    pub fn cleanup_guard(&self) -> napi::Result<Option<NativeGuard>> {
        Ok(self.get()?.cleanup_guard().map(NativeGuard::new))
    }

    /// Rings under `token` from now on. Whether this thread must drain.
    #[napi]
    pub fn attach(&self, rings: &NativeLoop, token: f64) -> napi::Result<bool> {
        let subscription = self.get()?;
        let (answer, rang) = ringing(|| subscription.attach(rings.bell(), token as u64));
        answer.or_throw().map(|()| rang)
    }

    /// Closes it: it may be read up to here.
    #[napi]
    pub fn close(&self) -> NativeClosed {
        let close = || {
            self.subscription
                .as_ref()
                .and_then(|it| it.close().was_last)
        };
        let (was_last, rang) = ringing(close);
        NativeClosed { was_last, rang }
    }

    /// Frees it; what it has not read is abandoned. Whether this thread must drain.
    #[napi]
    pub fn free(&mut self) -> bool {
        self.batch.clear();
        ringing(|| drop(self.subscription.take())).1
    }

    /// Whether it, or its bus, was closed.
    #[napi]
    pub fn is_closed(&self) -> bool {
        self.subscription
            .as_ref()
            .is_none_or(Subscription::is_closed)
    }
}
