//! A pool.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Either;
use napi_derive::napi;
use reqbus_core::slots::{Ask, Key, Leak, PoolOptions, Ranks, SlotPool, Step, WaitOptions};
use reqbus_core::{Error, ErrorKind};

use crate::asks::{self, Asked};
use crate::expected;
use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::refusal::NativeRefusal;
use crate::slot::{Answer, NativeSlot, answer};
use crate::teller::NativeTeller;
use crate::wait::NativeWait;
use crate::whole::{Whole, ms, to_duration, to_u32};
use crate::young;

/// Most leaks that are kept for a host that does not ask for them.
const MOST_TOLD: usize = 1_024;

/// Options of a pool; what is left out has the library's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativePoolOptions {
    /// Scopes that come first.
    pub first: Option<Vec<String>>,
    /// Scopes that come last.
    pub last: Option<Vec<String>>,
    /// Among how many processes a limit is divided.
    pub processes: Option<Whole>,
    /// From when on a slot is held for long.
    pub held_long_ms: Option<f64>,
}

/// How a wait goes; what is left out has the library's default.
#[napi(object, object_to_js = false)]
pub struct NativeWaitOptions {
    /// What the holder is called in lists.
    pub label: Option<String>,
    /// How long to wait at most.
    pub timeout_ms: Option<f64>,
    /// How many may wait before it.
    pub max_waiting: Option<Whole>,
    /// After how long a ping is due; `null` for never.
    pub ping_every_ms: Option<f64>,
    /// Whether pings are due at all.
    pub pings: bool,
}

impl NativeWaitOptions {
    fn to_core(&self) -> Result<WaitOptions<'_>, Error> {
        let default = WaitOptions::default();
        Ok(WaitOptions {
            label: self.label.as_deref().unwrap_or_default(),
            timeout: match self.timeout_ms {
                Some(time_ms) => to_duration(time_ms, "timeout")?,
                None => default.timeout,
            },
            max_waiting: match &self.max_waiting {
                Some(most) => to_u32(most, "max_waiting")?,
                None => default.max_waiting,
            },
            ping_every: match (self.pings, self.ping_every_ms) {
                (false, _) => None,
                (true, None) => default.ping_every,
                (true, Some(time_ms)) => Some(to_duration(time_ms, "ping_every")?),
            },
        })
    }
}

/// A slot that was collected without a release.
#[napi(object, object_from_js = false)]
pub struct NativeLeak {
    /// Of what scope.
    pub scope: String,
    /// Of what id.
    pub id: String,
    /// What it was called.
    pub label: String,
    /// How long it was held.
    pub age_ms: f64,
}

impl NativeLeak {
    fn of(leak: &Leak) -> Self {
        let Key { scope, id } = leak.key.as_key();
        Self {
            scope: scope.to_owned(),
            id: id.to_owned(),
            label: leak.label.to_string(),
            age_ms: ms(leak.age),
        }
    }
}

/// A pool.
#[napi]
pub struct NativePool {
    pub(crate) pool: Option<SlotPool>,
    told: Arc<Mutex<Vec<NativeLeak>>>,
}

impl NativePoolOptions {
    pub(crate) fn to_core(&self) -> Result<PoolOptions, Error> {
        let mut options = PoolOptions::default();
        fn own(names: &Option<Vec<String>>) -> Vec<&str> {
            names.iter().flatten().map(String::as_str).collect()
        }
        if self.first.is_some() || self.last.is_some() {
            options.ranks = Ranks::new(&own(&self.first), &own(&self.last));
        }
        if let Some(processes) = &self.processes {
            let processes = NonZeroU32::new(to_u32(processes, "processes")?);
            options.processes = processes.ok_or_else(|| {
                let why = "it is 0; say how many processes share the limits";
                Error::fixed(ErrorKind::InvalidArgument, "processes", why)
            })?;
        }
        if let Some(time_ms) = self.held_long_ms {
            options.held_long = to_duration(time_ms, "held_long")?;
        }
        Ok(options)
    }
}

/// The number of a slot; below 0, -1 and the number of the wait that it will come from; or a refusal.
type Acquired = Either<f64, NativeRefusal>;

fn acquired(pool: &SlotPool, ask: Ask<'_>, options: &WaitOptions<'_>) -> napi::Result<Acquired> {
    let wait = match pool.acquire(&[ask], options) {
        Ok(slot) => return Ok(Either::A(f64::from(young::keep(slot)))),
        Err(wait) => wait,
    };
    Ok(match wait.try_next() {
        Some(Step::Granted(slot)) => Either::A(f64::from(young::keep(slot))),
        Some(Step::Ended(refusal)) => Either::B(NativeRefusal::of(&refusal)),
        Some(Step::Ping) | None => Either::A(-1.0 - f64::from(expected::expect(wait)?)),
    })
}

impl NativePool {
    pub(crate) fn make(
        mut options: PoolOptions,
        teller: Option<&NativeTeller>,
    ) -> napi::Result<Self> {
        if let Some(teller) = teller {
            options.observer = Some(teller.shared());
        }
        let told: Arc<Mutex<Vec<NativeLeak>>> = Arc::default();
        let sink = told.clone();
        // On whatever thread found the leak: kept until JavaScript asks.
        options.sink = Some(Arc::new(move |leak: &Leak| {
            let mut told = sink.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < MOST_TOLD {
                told.push(NativeLeak::of(leak));
            }
        }));
        let pool = SlotPool::new(options).or_throw()?;
        Ok(Self {
            pool: Some(pool),
            told,
        })
    }

    pub(crate) fn get(&self) -> napi::Result<&SlotPool> {
        let gone = || Error::closed("pool");
        self.pool.as_ref().ok_or_else(gone).or_throw()
    }
}

#[napi]
impl NativePool {
    /// A pool, of which the teller hears.
    #[napi(constructor)]
    pub fn new(options: NativePoolOptions, teller: Option<&NativeTeller>) -> napi::Result<Self> {
        Self::make(options.to_core().or_throw()?, teller)
    }

    /// Takes a slot of one key or not.
    #[napi]
    pub fn try_one(
        &self,
        scope: String,
        id: String,
        limit: f64,
        label: String,
    ) -> napi::Result<Answer> {
        let ask = Ask {
            key: Key::new(&scope, &id),
            limit: asks::limit(limit).or_throw()?,
        };
        let pool = self.get()?;
        Ok(answer(pool.try_acquire(&[ask], &label)))
    }

    /// Takes a slot of all keys or of none.
    #[napi]
    pub fn try_all(
        &self,
        names: Vec<String>,
        limits: Vec<f64>,
        label: String,
    ) -> napi::Result<Answer> {
        let asked = Asked::new(names, &limits)?;
        Ok(answer(self.get()?.try_acquire(&asked.asks(), &label)))
    }

    /// Takes the first key that has room.
    #[napi]
    pub fn try_first_of(
        &self,
        names: Vec<String>,
        limits: Vec<f64>,
        label: String,
    ) -> napi::Result<Either<NativeRefusal, NativeFirst>> {
        let asked = Asked::new(names, &limits)?;
        Ok(match self.get()?.try_first_of(&asked.asks(), &label) {
            Ok((at, slot)) => Either::B(NativeFirst {
                at: u32::try_from(at).unwrap_or(u32::MAX),
                slot: young::keep(slot),
            }),
            Err(refusal) => Either::A(NativeRefusal::of(&refusal)),
        })
    }

    /// As [`NativePool::acquire_one`], with the library's defaults: fewer arguments cross.
    #[napi]
    pub fn acquire_plain(&self, scope: String, id: String, limit: f64) -> napi::Result<Acquired> {
        let ask = Ask {
            key: Key::new(&scope, &id),
            limit: asks::limit(limit).or_throw()?,
        };
        acquired(self.get()?, ask, &WaitOptions::default())
    }

    /// A slot of one key, a refusal, or the wait that both come from, in one call. NaN is the library's default; a
    /// `ping_every_ms` below 0 is never.
    #[napi]
    pub fn acquire_one(
        &self,
        scope: String,
        id: String,
        limit: f64,
        label: Option<String>,
        timeout_ms: f64,
        max_waiting: f64,
        ping_every_ms: f64,
    ) -> napi::Result<Acquired> {
        let ask = Ask {
            key: Key::new(&scope, &id),
            limit: asks::limit(limit).or_throw()?,
        };
        let options = NativeWaitOptions {
            label,
            timeout_ms: Some(timeout_ms).filter(|ms| !ms.is_nan()),
            max_waiting: Some(max_waiting)
                .filter(|most| !most.is_nan())
                .map(Whole::A),
            ping_every_ms: Some(ping_every_ms).filter(|ms| !ms.is_nan()),
            pings: ping_every_ms.is_nan() || ping_every_ms >= 0.0,
        };
        let options = options.to_core().or_throw()?;
        acquired(self.get()?, ask, &options)
    }

    /// Begins to wait.
    #[napi]
    pub fn wait(
        &self,
        names: Vec<String>,
        limits: Vec<f64>,
        options: NativeWaitOptions,
    ) -> napi::Result<NativeWait> {
        let asked = Asked::new(names, &limits)?;
        let options = options.to_core().or_throw()?;
        let wait = self.get()?.wait(&asked.asks(), &options);
        Ok(NativeWait::new(wait))
    }

    /// Begins to wait for further keys on top of a slot.
    #[napi]
    pub fn wait_on_top(
        &self,
        slot: &NativeSlot,
        names: Vec<String>,
        limits: Vec<f64>,
        options: NativeWaitOptions,
    ) -> napi::Result<NativeWait> {
        let asked = Asked::new(names, &limits)?;
        let options = options.to_core().or_throw()?;
        let wait = self
            .get()?
            .wait_on_top(slot.get()?, &asked.asks(), &options);
        Ok(NativeWait::new(wait))
    }

    /// Slots that were collected without a release, so far. Takes them back first, which may ring.
    #[napi]
    pub fn leaked(&self) -> napi::Result<u64> {
        Ok(self.get()?.leaked())
    }

    /// The leaks that were told since the last call.
    #[napi]
    pub fn take_told(&self) -> Vec<NativeLeak> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the pool. Whether this thread must drain.
    #[napi]
    pub fn close(&self) -> bool {
        let close = || {
            if let Some(pool) = &self.pool {
                pool.close();
            }
        };
        ringing(close).1
    }

    /// Lets go of the pool, which closes it. Whether this thread must drain.
    #[napi]
    pub fn free(&mut self) -> bool {
        ringing(|| drop(self.pool.take())).1
    }
}

/// What [`NativePool::try_first_of`] took.
#[napi]
pub struct NativeFirst {
    at: u32,
    slot: u32,
}

#[napi]
impl NativeFirst {
    /// Which of the keys it is of.
    #[napi]
    pub fn at(&self) -> u32 {
        self.at
    }

    /// The number of the slot.
    #[napi]
    pub fn slot(&self) -> u32 {
        self.slot
    }
}
