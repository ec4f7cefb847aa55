//! Pointer and length pairs, checked before they become slices.

use std::ffi::{c_char, c_void};

use crate::failure::Failure;
use crate::status::reqbus_status::{
    REQBUS_BUFFER_TOO_SMALL, REQBUS_LENGTH_OVERFLOW, REQBUS_MISALIGNED, REQBUS_NULL_WITH_LENGTH,
};

/// Why `len` values of type `T` cannot start at `ptr`, if so.
#[inline]
fn refuse<T>(ptr: *const T, len: usize, field: &'static str) -> Result<(), Failure> {
    if ptr.is_null() {
        return Err(Failure::new(
            REQBUS_NULL_WITH_LENGTH,
            field,
            "the pointer is NULL and the length is not 0",
        ));
    }
    if !ptr.is_aligned() {
        return Err(Failure::new(
            REQBUS_MISALIGNED,
            field,
            "the pointer is not aligned for what it points to",
        ));
    }
    if len
        .checked_mul(size_of::<T>())
        .is_none_or(|bytes| isize::try_from(bytes).is_err())
    {
        return Err(Failure::new(
            REQBUS_LENGTH_OVERFLOW,
            field,
            "the length is larger than any object can be",
        ));
    }
    Ok(())
}

/// `len` values of C's that start at `ptr`; none if `len` is 0, whatever `ptr` is.
///
/// # Safety
/// If `ptr` is not NULL and `len` not 0, the values are there, initialised, and stay unchanged for `'a`.
#[inline]
pub(crate) unsafe fn array<'a, T>(
    ptr: *const T,
    len: usize,
    field: &'static str,
) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    refuse(ptr, len, field)?;
    // SAFETY: not NULL, aligned and not too long as just checked; the rest is this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// A buffer of C's to write into.
///
/// # Safety
/// If `ptr` is not NULL and `len` not 0, the values are there, initialised, and nobody else uses them
/// for `'a`.
pub(crate) unsafe fn buffer<'a, T>(
    ptr: *mut T,
    len: usize,
    field: &'static str,
) -> Result<&'a mut [T], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    refuse(ptr, len, field)?;
    // SAFETY: as in `array`, and for this function's caller alone.
    Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
}

/// Bytes of C's.
///
/// # Safety
/// As for [`array`].
pub(crate) unsafe fn bytes<'a>(
    ptr: *const c_void,
    len: usize,
    field: &'static str,
) -> Result<&'a [u8], Failure> {
    // SAFETY: this function's contract is `array`'s.
    unsafe { array(ptr.cast::<u8>(), len, field) }
}

/// Text of C's, which must be UTF-8.
///
/// # Safety
/// As for [`array`].
#[inline]
pub(crate) unsafe fn text<'a>(
    ptr: *const c_char,
    len: usize,
    field: &'static str,
) -> Result<&'a str, Failure> {
    // SAFETY: this function's contract is `array`'s.
    let bytes = unsafe { array(ptr.cast::<u8>(), len, field) }?;
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8. Most texts are, and this costs a few instructions.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes)
        .map_err(|e| reqbus_core::Error::not_utf8(field, e.valid_up_to()).into())
}

/// Where bytes that C reads begin. An empty slice may point at nothing; C is given an address that is one, because some
/// hosts look at pointers (Go's collector does).
pub(crate) fn start_of(bytes: &[u8]) -> *const c_char {
    match bytes {
        [] => c"".as_ptr(),
        _ => bytes.as_ptr().cast(),
    }
}

/// Writes through an optional out pointer.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid by this function's contract.
        unsafe { out.write(value) };
    }
}

/// A required out pointer.
pub(crate) fn required<T>(out: *mut T, field: &'static str) -> Result<*mut T, Failure> {
    if out.is_null() {
        Err(Failure::null(field))
    } else {
        Ok(out)
    }
}

/// Copies `text` into a caller's buffer and tells its length, which a caller learns also when the buffer is
/// too short; then nothing else is written.
///
/// # Safety
/// As for [`buffer`], and `len` is NULL or valid for a write.
pub(crate) unsafe fn fill(
    ptr: *mut c_char,
    capacity: usize,
    len: *mut usize,
    field: &'static str,
    text: &[u8],
) -> Result<(), Failure> {
    let len = required(len, "len")?;
    // SAFETY: this function's contract.
    let space = unsafe { buffer(ptr.cast::<u8>(), capacity, field) }?;
    // SAFETY: not NULL, and valid by this function's contract.
    unsafe { put(len, text.len()) };
    let Some(space) = space.get_mut(..text.len()) else {
        return Err(Failure::new(
            REQBUS_BUFFER_TOO_SMALL,
            field,
            "the buffer is shorter than the text; its length was told",
        ));
    };
    space.copy_from_slice(text);
    Ok(())
}
