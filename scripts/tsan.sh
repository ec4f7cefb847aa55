#!/usr/bin/env bash
# Runs the stress tests of core under ThreadSanitizer, on a nightly toolchain.
#
# With the component rust-src, std is instrumented too. Without it only our code and its dependencies
# are, and this says so: what std's own code orders is then not seen (a contended std Mutex, a
# channel), so a stress test shares by parking_lot, crossbeam, atomics, Arc and join only, or it is
# accused of races that it does not have.
#
#   TOOLCHAIN   the toolchain           (default nightly)
#   FILTER      names of tests to run   (default: all stress tests)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

toolchain=${TOOLCHAIN:-nightly}
have rustup || die "rustup is not here, which chooses the toolchain"
sysroot=$(RUSTUP_AUTO_INSTALL=0 rustc "+$toolchain" --print sysroot 2>/dev/null) ||
    die "no toolchain '$toolchain'. Add it with: rustup toolchain install $toolchain --component rust-src"
host=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
read -ra flags <<<"${CARGO_FLAGS:---locked}"

rustflags=-Zsanitizer=thread
if [[ -d $sysroot/lib/rustlib/src/rust/library ]]; then
    say "tsan: std instrumented"
    flags+=(-Zbuild-std)
else
    say "tsan: no rust-src in '$toolchain': std is NOT instrumented (rustup component add rust-src --toolchain $toolchain)"
    rustflags+=" -Cunsafe-allow-abi-mismatch=sanitizer"
    TSAN_OPTIONS="suppressions=$root/scripts/tsan.supp ${TSAN_OPTIONS:-}"
fi

# With an instrumented std nothing is ignored by name. A report is a failure.
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
filter=()
[[ -z ${FILTER:-} ]] || filter=("$FILTER")
CARGO_TARGET_DIR=$target/tsan RUSTFLAGS=$rustflags \
    cargo "+$toolchain" test "${flags[@]}" --target "$host" --release -p reqbus-core --test bus_stress \
    --test slots_stress --test runner_stress -- "${filter[@]}"
