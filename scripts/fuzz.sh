#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/ at length: by cargo-fuzz on a nightly toolchain if both are here,
# else the same bodies on random and mutated inputs (core/tests/wire_fuzz.rs).
#
#   FUZZ_SECONDS   for each target   (default 600)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"
seconds=${FUZZ_SECONDS:-600}

if have cargo-fuzz && cargo +nightly --version >/dev/null 2>&1; then
    for file in fuzz/fuzz_targets/*.rs; do
        name=$(basename "$file" .rs)
        say "fuzz: $name for $seconds s"
        cargo +nightly fuzz run "$name" -- "-max_total_time=$seconds"
    done
else
    say "fuzz: no cargo-fuzz with a nightly toolchain: random and mutated inputs, without coverage to guide them"
    REQBUS_FUZZ_MS=$((seconds * 1000)) cargo test "${flags[@]}" --release -p reqbus-core --test '*fuzz*' -- --nocapture --test-threads=1
fi
