//! How libreqbus.so is linked: its soname, and that it is never unloaded.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    // The number is REQBUS_ABI_VERSION (src/version.rs); tests/c/versions.c compares the two.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libreqbus.so.0");
    // The at-fork handler and thread-local destructors must outlive a dlclose.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // No `--exclude-libs` or version script is needed: rustc exports from a cdylib only what
    // carries `no_mangle`, which in this workspace is `reqbus_*` (checked with nm).
}
