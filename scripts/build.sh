#!/usr/bin/env bash
# Builds libreqbus.so and libreqbus.a in release, and writes what a static user must link beside it,
# as the compiler says it, to target/native-static-libs.txt.
#
# The list is asked for in the build itself (a second build with other flags would relink all). The
# two crate types are named because cargo turns link-time optimisation off for a library that is also
# made as an rlib, which ffi's own tests need.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

read -ra flags <<<"${CARGO_FLAGS:---locked}"
list=$target/native-static-libs.txt
mkdir -p "$target"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Cargo repeats the compiler's notes when nothing had to be built.
cargo rustc "${flags[@]}" --release -p reqbus-ffi --lib --crate-type cdylib,staticlib -- --print native-static-libs 2>&1 |
    tee "$log" | sed -e '/^note: link against the following/,/^$/d' -e '/native-static-libs:/d' -e '/^$/d' >&2 ||
    die "the build failed"

libs=$(sed -n 's/^.*native-static-libs: *//p' "$log" | tail -n 1)
[[ -n $libs ]] || die "the compiler printed no native-static-libs line: does ffi/Cargo.toml name the crate type staticlib?"
# Each library once, in the compiler's order.
printf '%s\n' "$libs" | tr -s '[:blank:]' '\n' | awk 'NF && !seen[$0]++' | paste -sd' ' >"$list"
