#!/usr/bin/env bash
# Runs the loom models: tests of core whose names begin with loom_, in its sources and in
# core/tests/loom*.rs, built with --cfg loom in a target directory of their own. Other files of
# core/tests are not built: what they use need not know --cfg loom.
#
#   PREEMPTIONS   how many times a schedule may preempt   (default 2; 3 is thorough and slow)
#   FILTER        names of models                         (default loom_)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"

built=(--lib)
if compgen -G 'core/tests/loom*.rs' >/dev/null; then built+=(--test 'loom*'); fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Optimised as releases are, but not over crates: it makes models no faster here, and their build a third slower.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=false
LOOM_MAX_PREEMPTIONS=${PREEMPTIONS:-2} RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$target/loom \
    cargo test "${flags[@]}" --release -p reqbus-core "${built[@]}" "${FILTER:-loom_}" </dev/null 2>&1 | tee "$log"
# A filter that matches nothing passes in cargo's eyes.
ran=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
((ran > 0)) || die "no loom model ran"
say "ok   $ran loom models"
