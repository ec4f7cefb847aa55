//! How many slots a key has.

use std::num::NonZeroU32;

use crate::error::{Error, ErrorKind, Result};

/// How many slots of a key may be in use at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// At most so many, 0 to [`Limit::MAX`]. 0 refuses newcomers; who waits already may still wait for a higher limit.
    Of(u32),
    /// No limit. Holders are still counted and listed.
    Unlimited,
}

impl Limit {
    /// The greatest number that [`Limit::Of`] takes.
    pub const MAX: u32 = 1_000_000_000;

    /// A limit as the replaced systems wrote it: 0 and less mean unlimited.
    ///
    /// [`ErrorKind::InvalidArgument`] above [`Limit::MAX`].
    pub fn nonpositive_is_unlimited(number: i64) -> Result<Self> {
        if number <= 0 {
            return Ok(Self::Unlimited);
        }
        let limit = Self::Of(u32::try_from(number).unwrap_or(u32::MAX));
        limit.check()?;
        Ok(limit)
    }

    /// [`ErrorKind::InvalidArgument`] above [`Limit::MAX`].
    pub fn check(self) -> Result<()> {
        match self {
            Self::Of(number) if number > Self::MAX => Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "limit",
                "it is above 1,000,000,000; say unlimited if there is to be no limit",
            )),
            _ => Ok(()),
        }
    }

    /// The share of one of `processes` processes: at least 1, unless the limit is 0.
    #[inline]
    pub(super) fn share(self, processes: NonZeroU32) -> Self {
        match self {
            Self::Of(number) if number > 0 && processes.get() > 1 => {
                Self::Of((number / processes).max(1))
            }
            limit => limit,
        }
    }

    /// Whether one more fits beside `in_use`.
    #[inline]
    pub(super) fn has_room(self, in_use: u32) -> bool {
        match self {
            Self::Of(number) => in_use < number,
            Self::Unlimited => true,
        }
    }

    /// `(in use + waiting) × 100 ÷ limit`, which may pass 100; 0 when unlimited or when the limit is 0.
    #[must_use]
    pub fn load_rate(self, in_use: u32, waiting: u32) -> u64 {
        match self {
            Self::Of(number) if number > 0 => {
                (u64::from(in_use) + u64::from(waiting)) * 100 / u64::from(number)
            }
            _ => 0,
        }
    }
}
