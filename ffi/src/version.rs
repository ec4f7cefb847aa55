//! Which libreqbus this is: in the header as macros, in the library as functions.

use std::ffi::c_char;

use crate::panic::guard;

/// Major version of this header.
pub const REQBUS_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const REQBUS_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const REQBUS_VERSION_PATCH: u32 = 0;
/// The version of this header as one number that grows: MAJOR * 1000000 + MINOR * 1000 + PATCH.
pub const REQBUS_VERSION: u32 = 1000;
/// The number of the binary interface, also in the soname: a library with another one is another library.
pub const REQBUS_ABI_VERSION: u32 = 0;

/// The version as text, with a NUL. In the header: REQBUS_VERSION_STRING.
const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library that runs, for example "0.1.0"; the header's is REQBUS_VERSION_STRING.
///
/// Returns a constant NUL-terminated string. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn reqbus_version() -> *const c_char {
    guard(|| Some(TEXT.as_ptr().cast()))
}

/// The interface number of the library that runs; it must equal the header's REQBUS_ABI_VERSION.
///
/// Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn reqbus_abi_version() -> u32 {
    guard(|| Some(REQBUS_ABI_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macros_are_the_package_version() {
        let text = format!("{REQBUS_VERSION_MAJOR}.{REQBUS_VERSION_MINOR}.{REQBUS_VERSION_PATCH}");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        let number =
            REQBUS_VERSION_MAJOR * 1_000_000 + REQBUS_VERSION_MINOR * 1_000 + REQBUS_VERSION_PATCH;
        assert_eq!(number, REQBUS_VERSION);
        assert!(
            include_str!("../build.rs").contains(&format!("libreqbus.so.{REQBUS_ABI_VERSION}\""))
        );
    }
}
