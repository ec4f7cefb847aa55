//! What pools and runners tell on a bus: what happens to waits, slots and checks, as events of their own kinds.
//!
//! Off unless a host makes a [`Teller`] and gives it to a pool ([`PoolOptions::observer`](crate::slots::PoolOptions)) or
//! a runner ([`RunnerOptions::observer`](crate::runner::RunnerOptions)). It tells the kinds that the host chose, when
//! something happened and never because somebody looked, under no lock of either; and nothing of what the bus itself does or loses, which its readers are told as losses.
//!
//! | kind | payload, one JSON object |
//! |---|---|
//! | `slot.wait_begun` | `keys`, `label`, `position` |
//! | `slot.granted` | `keys`, `label`, `waited_ms`, `pings` |
//! | `slot.refused` | `scope`, `id`, `label`, `outcome`, `limit`, `in_use`, `waiting`, `position`, `waited_ms`, `pings`, `retry_after_s` |
//! | `slot.lost` | `scope`, `id`, `label`, `holder`, `held_ms`, `reason` |
//! | `slot.held_long` | `scope`, `id`, `label`, `holder`, `held_ms` |
//! | `check.finished` | `id`, `verdict`, `took_ms`, `was_stuck` |
//!
//! `keys` is a list of `{"scope","id"}`; `limit` is a number, `"unlimited"` or null; `retry_after_s` is a number or null;
//! `holder` is a number as text, because JavaScript's numbers end at 2⁵³. The key of the event, which filters look at,
//! is the id of the (first) key, or of what was checked. An id of a secret scope is null, and such an event's key is empty.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::bus::{Bus, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::runner::{CheckObserver, FinishedCheck};
use crate::slots::{Holder, Key, Limit, PoolEvent, PoolEventKind, PoolObserver, Refusal};
use crate::sync::{AtomicU64, Ordering};

/// What a [`Teller`] tells.
#[derive(Clone, Copy, Debug)]
pub struct TellOptions<'a> {
    /// The kinds that it tells, of [`Teller::KINDS`]. None by default.
    pub kinds: &'a [&'a str],
    /// Scopes whose ids are secrets, and are told to nobody. `api_key` by default.
    pub secret_scopes: &'a [&'a str],
}

impl Default for TellOptions<'_> {
    fn default() -> Self {
        Self {
            kinds: &[],
            secret_scopes: &["api_key"],
        }
    }
}

/// Tells on a bus what happens in pools and runners.
///
/// It keeps the bus open as long as it lives, which is as long as the pools and runners that it was given to. What cannot be
/// published, because the bus was closed, is counted ([`Teller::failed`]).
pub struct Teller {
    bus: Bus,
    /// As [`Teller::KINDS`]; `None` for one that is not told.
    kinds: [Option<Kind>; 6],
    secret_scopes: Vec<Box<str>>,
    failed: AtomicU64,
}

/// Of a check that ended.
const CHECK_FINISHED: &str = "check.finished";

const SLOT_KINDS: [(&str, PoolEventKind); 5] = [
    ("slot.wait_begun", PoolEventKind::WaitBegun),
    ("slot.granted", PoolEventKind::Granted),
    ("slot.refused", PoolEventKind::Refused),
    ("slot.lost", PoolEventKind::Lost),
    ("slot.held_long", PoolEventKind::HeldLong),
];

impl Teller {
    /// The kinds that can be told.
    pub const KINDS: [&'static str; 6] = [
        SLOT_KINDS[0].0,
        SLOT_KINDS[1].0,
        SLOT_KINDS[2].0,
        SLOT_KINDS[3].0,
        SLOT_KINDS[4].0,
        CHECK_FINISHED,
    ];

    /// A teller. [`ErrorKind::InvalidArgument`] for a kind that is not one of [`Teller::KINDS`]; [`ErrorKind::Forked`].
    pub fn new(bus: &Bus, options: &TellOptions<'_>) -> Result<Arc<Self>> {
        let mut kinds = [None; 6];
        for name in options.kinds {
            let at = Self::KINDS.iter().position(|known| known == name);
            let place = at.and_then(|at| kinds.get_mut(at)).ok_or_else(unknown)?;
            *place = Some(bus.kind(name)?);
        }
        Ok(Arc::new(Self {
            bus: bus.clone(),
            kinds,
            secret_scopes: options.secret_scopes.iter().map(|&s| s.into()).collect(),
            failed: AtomicU64::new(0),
        }))
    }

    /// Events that could not be published: the bus was closed, or a fork made it another process's.
    #[must_use]
    pub fn failed(&self) -> u64 {
        // Relaxed: a statistic.
        self.failed.load(Ordering::Relaxed)
    }

    /// A kind's number on the bus, if it is told.
    fn number(&self, name: &str) -> Option<Kind> {
        let at = Self::KINDS.iter().position(|known| *known == name)?;
        self.kinds.get(at).copied().flatten()
    }

    /// An event's kind, if it is told.
    fn kind_of(&self, kind: PoolEventKind) -> Option<(&'static str, Kind)> {
        let (name, _) = SLOT_KINDS.iter().find(|(_, known)| *known == kind)?;
        Some((name, self.number(name)?))
    }

    fn publish(&self, kind: &str, key: &str, payload: Map<String, Value>) {
        let payload = Value::Object(payload).to_string();
        if self
            .bus
            .publish(NewEvent::json(kind, &payload).key(key))
            .is_err()
        {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An id, if it may be told.
    fn id<'a>(&self, key: Key<'a>) -> Option<&'a str> {
        let is_secret = self.secret_scopes.iter().any(|scope| **scope == *key.scope);
        (!is_secret).then_some(key.id)
    }

    fn key(&self, key: Key<'_>) -> Map<String, Value> {
        object(json!({"scope": key.scope, "id": self.id(key)}))
    }

    fn of_call(&self, keys: &[Key<'_>], label: &str) -> Map<String, Value> {
        let keys: Vec<_> = keys.iter().map(|key| self.key(*key)).collect();
        object(json!({"keys": keys, "label": label}))
    }

    fn of_holder(&self, holder: &Holder) -> Map<String, Value> {
        let mut payload = self.key(holder.key.as_key());
        payload.append(&mut object(json!({
            "label": holder.label,
            "holder": holder.id.to_u64().to_string(),
            "held_ms": millis(holder.age),
        })));
        payload
    }

    fn of_refusal(&self, key: Key<'_>, label: &str, refusal: &Refusal) -> Map<String, Value> {
        let limit = match refusal.limit() {
            Some(Limit::Of(limit)) => json!(limit),
            Some(Limit::Unlimited) => json!("unlimited"),
            None => Value::Null,
        };
        let mut payload = self.key(key);
        payload.append(&mut object(json!({
            "label": label,
            "outcome": refusal.outcome().name(),
            "limit": limit,
            "in_use": refusal.in_use(),
            "waiting": refusal.waiting(),
            "position": refusal.position(),
            "waited_ms": millis(refusal.waited()),
            "pings": refusal.pings(),
            "retry_after_s": refusal.retry_after().map(|after| after.as_secs()),
        })));
        payload
    }
}

impl PoolObserver for Teller {
    fn wants(&self, kind: PoolEventKind) -> bool {
        self.kind_of(kind).is_some()
    }

    fn observe(&self, event: &PoolEvent<'_>) {
        let Some((name, kind)) = self.kind_of(event.kind()) else {
            return;
        };
        if !self.bus.wanted(kind) {
            return; // nobody could get it
        }
        let (key, payload) = match *event {
            PoolEvent::WaitBegun {
                keys,
                label,
                position,
            } => {
                let mut payload = self.of_call(keys, label);
                payload.insert("position".into(), position.into());
                (keys.first().copied(), payload)
            }
            PoolEvent::Granted {
                keys,
                label,
                waited,
                pings,
            } => {
                let mut payload = self.of_call(keys, label);
                payload.insert("waited_ms".into(), millis(waited).into());
                payload.insert("pings".into(), pings.into());
                (keys.first().copied(), payload)
            }
            PoolEvent::Refused {
                key,
                label,
                refusal,
            } => (Some(key), self.of_refusal(key, label, refusal)),
            PoolEvent::Lost { holder, reason } => {
                let mut payload = self.of_holder(holder);
                payload.insert("reason".into(), reason.name().into());
                (Some(holder.key.as_key()), payload)
            }
            PoolEvent::HeldLong { holder } => (Some(holder.key.as_key()), self.of_holder(holder)),
        };
        self.publish(
            name,
            key.and_then(|key| self.id(key)).unwrap_or(""),
            payload,
        );
    }
}

impl CheckObserver for Teller {
    fn check_finished(&self, check: &FinishedCheck<'_>) {
        let number = self.number(CHECK_FINISHED);
        if number.is_some_and(|kind| self.bus.wanted(kind)) {
            let payload = json!({
                "id": check.id,
                "verdict": check.verdict.name(),
                "took_ms": millis(check.took),
                "was_stuck": check.was_stuck,
            });
            self.publish(CHECK_FINISHED, check.id, object(payload));
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = Self::KINDS.iter().zip(&self.kinds);
        let told = told.filter(|(_, kind)| kind.is_some());
        f.debug_struct("Teller")
            .field("kinds", &told.map(|(name, _)| name).collect::<Vec<_>>())
            .field("secret_scopes", &self.secret_scopes)
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}

/// The fields of what is an object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cold]
fn unknown() -> Error {
    Error::fixed(
        ErrorKind::InvalidArgument,
        "kinds",
        "it is no kind that can be told: slot.wait_begun, slot.granted, slot.refused, slot.lost, slot.held_long, check.finished",
    )
}
