#!/usr/bin/env bash
# Every check and every test, in the order in which a failure is cheapest to learn of.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"

SECONDS=0
step() {
    local title=$1 start=$SECONDS
    shift
    say "== $title"
    "$@" || die "$title: failed"
    say "== $title: $((SECONDS - start)) s"
}

step "lint" scripts/lint.sh
step "Rust tests" cargo test "${flags[@]}" -p reqbus-core -p reqbus-ffi
step "slots through the C ABI" cargo test "${flags[@]}" -p reqbus-ffi --features test-clock --test slots_model
step "loom models" scripts/loom.sh
step "build and stage" make --no-print-directory stage
step "library" scripts/check_library.sh
step "static libraries" scripts/check_static_libs.sh
step "packages" scripts/check_packages.sh
step "C programs" scripts/ctests.sh
step "Go" scripts/go_tests.sh
step "Python package" scripts/python_tests.sh
step "Node" scripts/node_tests.sh
step "snippets of the documentation" scripts/readme_snippets.sh
step "demo" env SPEED="${DEMO_SPEED:-300}" scripts/demo.sh
say "all passed in $SECONDS s"
