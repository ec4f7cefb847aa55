//! Errors on their way to JavaScript.

use napi::Status;
use reqbus_core::Error;

/// Parts kind, context and sentence in the reason of an error; stands in none of them.
const MARK: char = '\u{1}';

/// The error as `lib/errors.js` expects it: mark, kind, mark, context, mark, sentence.
pub fn to_js(error: &Error) -> napi::Error {
    let kind = error.kind().name();
    napi::Error::new(
        Status::GenericFailure,
        format!(
            "{MARK}{kind}{MARK}{}{MARK}{}",
            error.context(),
            error.message()
        ),
    )
}

/// A value or the error as above.
pub trait OrThrow<T> {
    /// The value or the error as above.
    fn or_throw(self) -> napi::Result<T>;
}

impl<T> OrThrow<T> for reqbus_core::error::Result<T> {
    fn or_throw(self) -> napi::Result<T> {
        self.map_err(|error| to_js(&error))
    }
}
