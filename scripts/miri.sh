#!/usr/bin/env bash
# Runs core's unit tests of its unsafe code under miri, on a nightly toolchain that has it.
#
#   TOOLCHAIN   the toolchain           (default nightly)
#   FILTER      names of tests to run   (default event::block)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"

toolchain=${TOOLCHAIN:-nightly}
cargo "+$toolchain" miri --version >/dev/null 2>&1 ||
    die "no miri in '$toolchain'. Add it with: rustup toolchain install $toolchain --component miri,rust-src"
CARGO_TARGET_DIR=$target/miri MIRIFLAGS="-Zmiri-strict-provenance ${MIRIFLAGS:-}" \
    cargo "+$toolchain" miri test "${flags[@]}" -p reqbus-core --lib "${FILTER:-event::block}"
