//! What is limited, and how far: keys, limits, and what a call asks for.

use std::ffi::c_char;
use std::ops::Deref;

use reqbus_core::slots::{Ask, Key, Limit};

use crate::failure::Failure;
use crate::panic::guard_status;
use crate::slice::{array, put, required, text};
use crate::status::reqbus_status::{self, REQBUS_INVALID_ARGUMENT, REQBUS_OK};

/// The greatest limit that is a number: 1,000,000,000. A greater one, and one below 0, is REQBUS_INVALID_ARGUMENT.
pub const REQBUS_LIMIT_MAX: i64 = 1_000_000_000;
/// The limit of a key that has none: holders are still counted and listed.
pub const REQBUS_UNLIMITED: i64 = i64::MAX;
/// No limit is said: a call takes the one that the key has, and is refused with REQBUS_INVALID_ARGUMENT if it has none
/// yet. In what reqbus fills: the limit is not known.
pub const REQBUS_LIMIT_NOT_GIVEN: i64 = i64::MAX - 1;

/// What is limited: a scope ("user") and an id in it ("42"). Any UTF-8 text of 1 to 255 bytes for either; no byte
/// has a meaning (':', '{', '}' and NUL included). An id may be a secret: no error shows it. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_key {
    /// What sort of thing is limited. A slot holds at most one key of a scope.
    pub scope: *const c_char,
    /// Length of `scope` in bytes.
    pub scope_len: usize,
    /// Which one.
    pub id: *const c_char,
    /// Length of `id` in bytes.
    pub id_len: usize,
}

/// A key that a call asks a slot of, with the limit that the caller knows for it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_ask {
    /// What is asked for.
    pub key: reqbus_key,
    /// 0 to REQBUS_LIMIT_MAX, REQBUS_UNLIMITED, or REQBUS_LIMIT_NOT_GIVEN. 0 refuses newcomers. The latest call
    /// decides; a limit that reqbus_pool_set_limit has set wins over it.
    pub limit: i64,
}

impl reqbus_key {
    /// The key as core takes it, which checks it where it is used.
    ///
    /// # Safety
    /// As for [`text`], for both.
    #[inline]
    pub(crate) unsafe fn to_core<'a>(self) -> Result<Key<'a>, Failure> {
        // SAFETY: this function's contract.
        unsafe {
            Ok(Key::new(
                text(self.scope, self.scope_len, "scope")?,
                text(self.id, self.id_len, "id")?,
            ))
        }
    }
}

/// A limit of the header as core has it.
pub(crate) fn limit_of(number: i64) -> Result<Option<Limit>, Failure> {
    match number {
        REQBUS_UNLIMITED => Ok(Some(Limit::Unlimited)),
        REQBUS_LIMIT_NOT_GIVEN => Ok(None),
        0.. => {
            let limit = Limit::Of(u32::try_from(number).unwrap_or(u32::MAX));
            limit.check()?;
            Ok(Some(limit))
        }
        _ => Err(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "limit",
            "it is below 0; say REQBUS_UNLIMITED if there is to be no limit",
        )),
    }
}

/// A limit of core as the header has it.
pub(crate) fn number_of(limit: Option<Limit>) -> i64 {
    match limit {
        Some(Limit::Of(number)) => i64::from(number),
        Some(Limit::Unlimited) => REQBUS_UNLIMITED,
        None => REQBUS_LIMIT_NOT_GIVEN,
    }
}

/// The key that a caller's pointer leads to.
///
/// # Safety
/// `key` is NULL or readable, with texts as long as they say, for `'a`.
pub(crate) unsafe fn key_at<'a>(key: *const reqbus_key) -> Result<Key<'a>, Failure> {
    if key.is_null() {
        return Err(Failure::null("key"));
    }
    // SAFETY: not NULL; one value of this function's contract.
    let key = unsafe { array(key, 1, "key") }?;
    match key {
        // SAFETY: this function's contract.
        [key] => unsafe { key.to_core() },
        _ => Err(Failure::null("key")),
    }
}

/// The keys of a caller's array.
///
/// # Safety
/// As for [`array`], with texts as long as they say.
pub(crate) unsafe fn keys_of<'a>(
    keys: *const reqbus_key,
    count: usize,
) -> Result<Vec<Key<'a>>, Failure> {
    // SAFETY: this function's contract.
    let keys = unsafe { array(keys, count, "keys") }?;
    // SAFETY: as above, for each of them.
    keys.iter().map(|key| unsafe { key.to_core() }).collect()
}

/// What is wrong with a caller's array, and the scope of the key that it is about; empty if it is about none.
pub(crate) struct WrongAsk<'a> {
    pub(crate) failure: Failure,
    pub(crate) scope: &'a str,
}

impl From<WrongAsk<'_>> for Failure {
    fn from(wrong: WrongAsk<'_>) -> Self {
        wrong.failure
    }
}

/// What a caller's array asks for.
pub(crate) enum Asks<'a> {
    /// The common call: without an allocation.
    One([Ask<'a>; 1]),
    Many(Vec<Ask<'a>>),
}

impl<'a> Deref for Asks<'a> {
    type Target = [Ask<'a>];
    fn deref(&self) -> &[Ask<'a>] {
        match self {
            Self::One(ask) => ask,
            Self::Many(asks) => asks,
        }
    }
}

/// What a caller's array asks for.
///
/// # Safety
/// As for [`array`], with texts as long as they say.
#[inline]
pub(crate) unsafe fn asks_of<'a>(
    asks: *const reqbus_ask,
    count: usize,
) -> Result<Asks<'a>, WrongAsk<'a>> {
    let of_no_key = |failure| WrongAsk { failure, scope: "" };
    // SAFETY: this function's contract.
    let asks = unsafe { array(asks, count, "asks") }.map_err(of_no_key)?;
    let to_core = |ask: &reqbus_ask| {
        // SAFETY: this function's contract.
        let key = unsafe { ask.key.to_core() }.map_err(of_no_key)?;
        let limit = limit_of(ask.limit);
        let limit = limit.map_err(|failure| WrongAsk {
            failure,
            scope: key.scope,
        })?;
        Ok(Ask { key, limit })
    };
    match asks {
        [ask] => to_core(ask).map(|ask| Asks::One([ask])),
        asks => asks
            .iter()
            .map(to_core)
            .collect::<Result<_, _>>()
            .map(Asks::Many),
    }
}

/// Writes to `*limit` what `number` means where 0 and less mean unlimited: the number itself, or REQBUS_UNLIMITED. No other
/// function of reqbus reads a limit so.
///
/// REQBUS_INVALID_ARGUMENT above REQBUS_LIMIT_MAX; REQBUS_NULL_ARGUMENT if `limit` is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_limit_nonpositive_is_unlimited(
    number: i64,
    limit: *mut i64,
) -> reqbus_status {
    guard_status(std::ptr::null_mut(), || {
        let limit = required(limit, "limit")?;
        let meant = Limit::nonpositive_is_unlimited(number)?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(limit, number_of(Some(meant))) };
        Ok(REQBUS_OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_cores() {
        assert_eq!(REQBUS_LIMIT_MAX, i64::from(Limit::MAX));
        assert_eq!(number_of(limit_of(7).ok().flatten()), 7);
        assert!(limit_of(-1).is_err() && limit_of(REQBUS_LIMIT_MAX + 1).is_err());
        assert!(limit_of(i64::from(u32::MAX) + 5).is_err() && limit_of(i64::MIN).is_err());
    }
}
