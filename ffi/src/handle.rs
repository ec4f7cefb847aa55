//! Opaque handles: who owns them, how they are freed, and how they know a fork.
//!
//! A C type is tied to its Rust type and to an ownership by one line ([`handle!`]), and only the
//! functions for that ownership compile for it: a struct that the caller allocated (`sized`) cannot be
//! freed here, and a handle cannot be copied out of.
//!
//! A handle carries the fork generation it was made in. [`borrow`] compares it, by one relaxed load,
//! before anything else of the object is touched; [`free`] in a child leaks the parent's object, whose
//! locks may be held by threads that do not exist there.

use std::ptr::null_mut;

use reqbus_core::fork::Generation;

use crate::failure::Failure;
use crate::status::reqbus_status;

/// A value with the fork generation it was made in.
pub(crate) struct Stamped<T> {
    born: Generation,
    value: T,
}

impl<T> Stamped<T> {
    pub(crate) fn new(born: Generation, value: T) -> Self {
        Self { born, value }
    }

    /// The value, of which no pointer is left.
    pub(crate) fn into_value(self) -> T {
        self.value
    }

    /// The value without a look at the generation: only for values that hold no lock.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

/// How a pointer to a C type keeps its object alive.
pub(crate) trait Ownership {}

/// The pointer is the one owner, a `Box`: freed once, by the function that takes `T **`.
pub(crate) struct Boxed;
impl Ownership for Boxed {}

/// The pointer is lent for the call of a callback; the object is reqbus's own, and nothing of C's frees it.
pub(crate) struct Lent;
impl Ownership for Lent {}

/// A C type, the Rust type behind it, and who owns it.
pub(crate) trait Handle: Sized {
    type Rust;
    type Ownership: Ownership;
    /// The C name without its prefix, for errors.
    const NAME: &'static str;
    fn wrap(inside: Stamped<Self::Rust>) -> Self;
    fn inside(&self) -> &Stamped<Self::Rust>;
    fn inside_mut(&mut self) -> &mut Stamped<Self::Rust>;
    fn unwrap(self) -> Stamped<Self::Rust>;
}

/// Ties C type `$c` to Rust type `$rust`: `handle!(reqbus_bus, Bus, Boxed, "bus")`.
macro_rules! handle {
    ($c:ident, $rust:ty, $ownership:ty, $name:literal) => {
        impl $crate::handle::Handle for $c {
            type Rust = $rust;
            type Ownership = $ownership;
            const NAME: &'static str = $name;
            fn wrap(inside: $crate::handle::Stamped<$rust>) -> Self {
                Self(inside)
            }
            fn inside(&self) -> &$crate::handle::Stamped<$rust> {
                &self.0
            }
            fn inside_mut(&mut self) -> &mut $crate::handle::Stamped<$rust> {
                &mut self.0
            }
            fn unwrap(self) -> $crate::handle::Stamped<$rust> {
                self.0
            }
        }
    };
}
pub(crate) use handle;

/// A place that C gave for a new handle: not NULL, and NULL is in it from now on.
pub(crate) struct Place<C>(*mut *mut C);

impl<C: Handle<Ownership = Boxed>> Place<C> {
    /// Checks `out` and writes NULL into it, so that a failing constructor leaves NULL behind.
    ///
    /// # Safety
    /// `out` is NULL or valid for a write for as long as the place is used.
    pub(crate) unsafe fn new(out: *mut *mut C) -> Result<Self, Failure> {
        if out.is_null() {
            return Err(Failure::null("out"));
        }
        // SAFETY: not NULL, and valid by this function's contract.
        unsafe { out.write(null_mut()) };
        Ok(Self(out))
    }

    /// Makes a handle of `value` and gives it to C.
    #[inline]
    pub(crate) fn fill(self, value: C::Rust) {
        let stamped = Stamped::new(Generation::current(), value);
        let handle = Box::into_raw(Box::new(C::wrap(stamped)));
        // SAFETY: `new` checked the pointer, and its caller vouched for it till now.
        unsafe { self.0.write(handle) };
    }
}

/// The object behind a handle, if the handle is not NULL and not of a parent process.
///
/// # Safety
/// `handle` is NULL or came from [`Place::fill`] and is not freed before the borrow ends.
pub(crate) unsafe fn borrow<'a, C: Handle + 'a>(handle: *const C) -> Result<&'a C::Rust, Failure> {
    // SAFETY: not NULL (checked by `as_ref`) means alive, by this function's contract.
    let inside = unsafe { handle.as_ref() }
        .ok_or(Failure::null(C::NAME))?
        .inside();
    inside.born.check()?;
    Ok(&inside.value)
}

/// The object behind a handle that no other call uses, to be changed.
///
/// # Safety
/// As for [`borrow`], and nobody else uses the handle before the borrow ends.
pub(crate) unsafe fn borrow_alone<'a, C: Handle + 'a>(
    handle: *mut C,
) -> Result<&'a mut C::Rust, Failure> {
    // SAFETY: not NULL (checked by `as_mut`) means alive, and this borrow's alone, by this function's contract.
    let inside = unsafe { handle.as_mut() }
        .ok_or(Failure::null(C::NAME))?
        .inside_mut();
    inside.born.check()?;
    Ok(&mut inside.value)
}

/// Frees the handle in `slot` and leaves NULL there. NULL in either place is fine.
///
/// # Safety
/// `slot` is NULL or valid for reads and writes; what is in it is NULL or came from [`Place::fill`], was
/// not freed, and no other call uses it.
pub(crate) unsafe fn free<C: Handle<Ownership = Boxed>>(
    slot: *mut *mut C,
) -> Result<reqbus_status, Failure> {
    // SAFETY: this function's contract is `take`'s.
    if let Some(owned) = unsafe { take(slot) } {
        drop_in_its_process(owned.unwrap());
    }
    Ok(reqbus_status::REQBUS_OK)
}

/// Takes the value out of the handle in `slot`, which becomes NULL. FORKED in a child of its process,
/// and then the handle stays where it is, to be freed.
///
/// # Safety
/// As for [`free`].
pub(crate) unsafe fn consume<C: Handle<Ownership = Boxed>>(
    slot: *mut *mut C,
) -> Result<C::Rust, Failure> {
    // SAFETY: NULL or valid, by this function's contract.
    let handle = unsafe { slot.as_ref() }.ok_or(Failure::null(C::NAME))?;
    // SAFETY: what is in the slot is NULL or alive, by this function's contract; the borrow ends here.
    unsafe { borrow(*handle) }?;
    // SAFETY: as for `free`.
    let owned = unsafe { take(slot) }.ok_or(Failure::null(C::NAME))?;
    Ok(owned.unwrap().value)
}

/// Takes the box out of `slot`, leaving NULL there first: what follows may panic.
///
/// # Safety
/// As for [`free`].
unsafe fn take<C: Handle<Ownership = Boxed>>(slot: *mut *mut C) -> Option<Box<C>> {
    if slot.is_null() {
        return None;
    }
    // SAFETY: not NULL, and valid by this function's contract.
    let handle = unsafe { slot.replace(null_mut()) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: it came from `Box::into_raw` in `Place::fill`, and nobody freed or uses it.
    Some(unsafe { Box::from_raw(handle) })
}

/// Drops a value in the process that made it; in a child of that process it is leaked.
pub(crate) fn drop_in_its_process<T>(stamped: Stamped<T>) {
    if stamped.born.is_current() {
        drop(stamped);
    } else {
        std::mem::forget(stamped);
    }
}
