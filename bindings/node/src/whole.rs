//! Numbers from JavaScript: a number or a BigInt, checked.

use std::time::Duration;

use napi::Either;
use napi::bindgen_prelude::BigInt;
use reqbus_core::{Error, ErrorKind};

/// A whole number as JavaScript says it.
pub type Whole = Either<f64, BigInt>;

/// Whole numbers up to here are exact in a double.
const SAFE: f64 = 9_007_199_254_740_991.0;

fn refused(context: &'static str, why: &'static str) -> Error {
    Error::fixed(ErrorKind::InvalidArgument, context, why)
}

fn whole(value: &Whole, context: &'static str) -> Result<i128, Error> {
    match value {
        Either::A(number) if number.trunc() == *number && number.abs() <= SAFE => {
            Ok(*number as i128)
        }
        Either::A(_) => Err(refused(
            context,
            "it is not a whole number within 2^53; say larger ones as a BigInt",
        )),
        Either::B(number) => {
            let too_long = refused(context, "it does not fit 64 bits");
            let (is_negative, amount, is_lossless) = number.get_u64();
            if !is_lossless && (number.words.len() > 1 || !is_negative) {
                return Err(too_long);
            }
            let amount = match number.words.as_slice() {
                [] => 0,
                [word] => i128::from(*word),
                _ => i128::from(amount),
            };
            Ok(if is_negative { -amount } else { amount })
        }
    }
}

/// As 64 bits without a sign.
pub fn to_u64(value: &Whole, context: &'static str) -> Result<u64, Error> {
    u64::try_from(whole(value, context)?)
        .map_err(|_| refused(context, "it is below 0 or does not fit 64 bits"))
}

/// As 64 bits with a sign.
pub fn to_i64(value: &Whole, context: &'static str) -> Result<i64, Error> {
    i64::try_from(whole(value, context)?)
        .map_err(|_| refused(context, "it does not fit 64 bits with a sign"))
}

/// As 32 bits without a sign.
pub fn to_u32(value: &Whole, context: &'static str) -> Result<u32, Error> {
    u32::try_from(whole(value, context)?)
        .map_err(|_| refused(context, "it is below 0 or above 4,294,967,295"))
}

/// As a size.
pub fn to_size(value: &Whole, context: &'static str) -> Result<usize, Error> {
    usize::try_from(whole(value, context)?)
        .map_err(|_| refused(context, "it is below 0 or does not fit"))
}

/// Milliseconds, with fractions; infinity is as long as there is.
pub fn to_duration(ms: f64, context: &'static str) -> Result<Duration, Error> {
    if ms == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(ms / 1_000.0)
        .map_err(|_| refused(context, "it is no time: say milliseconds, 0 or more"))
}

/// Milliseconds with fractions.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
