//! What a call asks for, as JavaScript says it.

use reqbus_core::slots::{Ask, Key, Limit};
use reqbus_core::{Error, ErrorKind};

use crate::failure::OrThrow;

/// A limit: a number from 0, infinity for none, NaN for "the call names none".
pub fn limit(number: f64) -> Result<Option<Limit>, Error> {
    if number.is_nan() {
        return Ok(None);
    }
    set_limit(number).map(Some)
}

/// A limit that must be one.
pub fn set_limit(number: f64) -> Result<Limit, Error> {
    if number == f64::INFINITY {
        return Ok(Limit::Unlimited);
    }
    if number.trunc() != number || number < 0.0 {
        let why = "it is no whole number from 0; say 'unlimited' if there is to be no limit";
        return Err(Error::fixed(ErrorKind::InvalidArgument, "limit", why));
    }
    // Too large stays too large: the core says how large it may be.
    Ok(Limit::Of(number.min(f64::from(u32::MAX)) as u32))
}

/// As JavaScript hears it: a number, `Infinity`, or NaN for none.
pub fn limit_as_number(limit: Option<Limit>) -> f64 {
    match limit {
        Some(Limit::Of(number)) => f64::from(number),
        Some(Limit::Unlimited) => f64::INFINITY,
        None => f64::NAN,
    }
}

/// The keys of one call: scopes and ids, one behind the other, and a limit for each.
pub struct Asked {
    names: Vec<String>,
    limits: Vec<Option<Limit>>,
}

impl Asked {
    /// Checks the limits; the core checks the rest.
    pub fn new(names: Vec<String>, limits: &[f64]) -> napi::Result<Self> {
        let limits = limits.iter().map(|&number| limit(number));
        let limits = limits.collect::<Result<_, _>>().or_throw()?;
        Ok(Self { names, limits })
    }

    /// As the core takes them.
    pub fn asks(&self) -> Vec<Ask<'_>> {
        let keys = keys(&self.names).into_iter();
        keys.zip(&self.limits)
            .map(|(key, &limit)| Ask { key, limit })
            .collect()
    }
}

/// Scopes and ids, one behind the other, as keys.
pub fn keys(names: &[String]) -> Vec<Key<'_>> {
    let pairs = names.chunks_exact(2);
    pairs
        .filter_map(|pair| match pair {
            [scope, id] => Some(Key::new(scope, id)),
            _ => None,
        })
        .collect()
}
