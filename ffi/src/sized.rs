//! Structs that begin with their size, and so can grow.
//!
//! A caller writes `sizeof` of *its* struct into the first field. An older caller's struct is shorter:
//! what it lacks is zero, which means "default" in every field. A newer caller's struct is longer: what
//! this version does not know must be zero, else the call is refused, because an option that is
//! ignored in silence is worse than an error. A struct that reqbus fills is filled as far as both
//! sides know it, and zero beyond.

use std::mem::MaybeUninit;

use crate::failure::Failure;
use crate::status::reqbus_status::{
    REQBUS_INVALID_SIZE, REQBUS_LENGTH_OVERFLOW, REQBUS_MISALIGNED, REQBUS_UNKNOWN_OPTION,
};

/// Longer than any version of any struct will be: bounds what a garbage size makes us read.
const MAX_SIZE: usize = 4096;

/// A struct of the header whose first field is its size.
///
/// # Safety
/// `repr(C)`, a `usize` first, and only integers, raw pointers, arrays of these, and functions that may be NULL: every
/// byte pattern is a value.
pub(crate) unsafe trait SizedStruct: Copy {
    /// Its C name, for errors.
    const NAME: &'static str;
}

/// Marks structs as [`SizedStruct`].
macro_rules! sized_struct {
    ($($c:ident),+ $(,)?) => {$(
        // SAFETY: `repr(C)`, `size: usize` first, then only what the trait allows: `tests/layout.rs` pins the
        // fields one by one.
        unsafe impl $crate::sized::SizedStruct for $c {
            const NAME: &'static str = stringify!($c);
        }
    )+};
}
pub(crate) use sized_struct;

fn check_size<T: SizedStruct>(size: usize) -> Result<(), Failure> {
    if size < size_of::<usize>() || size > MAX_SIZE || !size.is_multiple_of(align_of::<T>()) {
        return Err(Failure::new(
            REQBUS_INVALID_SIZE,
            T::NAME,
            "the size field must be sizeof of the struct",
        ));
    }
    Ok(())
}

fn check_pointer<T: SizedStruct>(ptr: *const T) -> Result<(), Failure> {
    if ptr.is_null() {
        return Err(Failure::null(T::NAME));
    }
    if !ptr.is_aligned() {
        return Err(Failure::new(
            REQBUS_MISALIGNED,
            T::NAME,
            "the pointer is not aligned for the struct",
        ));
    }
    Ok(())
}

/// All fields at their defaults, which are zero.
pub(crate) fn defaults<T: SizedStruct>() -> T {
    // SAFETY: every byte pattern is a value of `T`, by the trait's contract.
    unsafe { MaybeUninit::<T>::zeroed().assume_init() }
}

/// A copy of a caller's struct, whichever version it is of.
///
/// # Safety
/// `from` is NULL, or as many bytes as its first field says are readable.
pub(crate) unsafe fn read<T: SizedStruct>(from: *const T) -> Result<T, Failure> {
    check_pointer(from)?;
    // SAFETY: not NULL and aligned; a size is there by this function's contract.
    let size = unsafe { from.cast::<usize>().read() };
    check_size::<T>(size)?;
    if size > size_of::<T>() {
        // SAFETY: `size` bytes are readable by this function's contract, and at most `MAX_SIZE`.
        let all = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) };
        if all.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
            return Err(Failure::new(
                REQBUS_UNKNOWN_OPTION,
                T::NAME,
                "the struct sets a field that this version of libreqbus does not know",
            ));
        }
    }
    let mut copy = defaults::<T>();
    let known = size.min(size_of::<T>());
    // SAFETY: `known` bytes are readable there and writable here, apart from each other, and any bytes
    // make a `T` by the trait's contract.
    unsafe {
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut copy).cast::<u8>(), known);
    }
    Ok(copy)
}

/// Like [`read`], but NULL means that every field has its default.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn read_or_defaults<T: SizedStruct>(from: *const T) -> Result<T, Failure> {
    if from.is_null() {
        return Ok(defaults());
    }
    // SAFETY: this function's contract is `read`'s.
    unsafe { read(from) }
}

/// Fills a caller's struct, whichever version it is of. Its size field stays as the caller set it.
///
/// # Safety
/// `into` is NULL, or as many bytes as its first field says are writable.
pub(crate) unsafe fn write<T: SizedStruct>(into: *mut T, value: &T) -> Result<(), Failure> {
    check_pointer(into)?;
    // SAFETY: not NULL and aligned; a size is there by this function's contract.
    let size = unsafe { into.cast::<usize>().read() };
    check_size::<T>(size)?;
    let after_size = size_of::<usize>();
    let known = size.min(size_of::<T>());
    // SAFETY: from the end of the size field to `known` both structs have bytes; from `known` to `size`
    // the caller's has, by this function's contract.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(value).cast::<u8>().add(after_size),
            into.cast::<u8>().add(after_size),
            known - after_size,
        );
        into.cast::<u8>().add(known).write_bytes(0, size - known);
    }
    Ok(())
}

/// Fills element `at` of a caller's array, whose elements are `stride` bytes long, whichever version that is. Sets
/// its size field.
///
/// # Safety
/// `array` is not NULL, [`check_stride`] accepted it, and element `at` is within what is writable there.
pub(crate) unsafe fn write_at<T: SizedStruct>(
    array: *mut T,
    stride: usize,
    at: usize,
    value: &T,
) -> Result<(), Failure> {
    let element = array.cast::<u8>().wrapping_add(at * stride).cast::<T>();
    // SAFETY: aligned, as the array and the stride are, and writable by this function's contract.
    unsafe { element.cast::<usize>().write(stride) };
    // SAFETY: its size field was just written.
    unsafe { write(element, value) }
}

/// Checks an array of `count` structs that are `stride` bytes long each: its place, its alignment, its length.
pub(crate) fn check_stride<T: SizedStruct>(
    array: *const T,
    count: usize,
    stride: usize,
) -> Result<(), Failure> {
    check_size::<T>(stride)?;
    if count == 0 {
        return Ok(());
    }
    check_pointer(array)?;
    let bytes = count.checked_mul(stride);
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Failure::new(
            REQBUS_LENGTH_OVERFLOW,
            T::NAME,
            "the array is larger than any object can be",
        ));
    }
    Ok(())
}

/// Refuses flag bits that this version does not know.
pub(crate) fn check_flags(flags: u32, known: u32, field: &'static str) -> Result<(), Failure> {
    if flags & !known == 0 {
        return Ok(());
    }
    Err(Failure::new(
        REQBUS_UNKNOWN_OPTION,
        field,
        "a bit is set that this version of libreqbus does not know",
    ))
}
