#!/usr/bin/env bash
# Builds the Node extension twice (as it is shipped, and with the clock of tests) and runs its tests.
#
#   scripts/node_tests.sh            all
#   scripts/node_tests.sh --no-npm   without npm ci: what is in node_modules stays
#
# REQBUS_STRESS multiplies the random tests and the leak check.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"
have node || die "missing: node, 20 or later"
have npm || die "missing: npm"

package=$root/bindings/node
name=$(node -p "require('$package/lib/native.js').platform()")

if [[ ${1:-} != --no-npm ]]; then
    (cd "$package" && npm ci --silent --no-progress)
fi
# Under the dev profile both: these are tests of what JavaScript sees, not of speed.
cargo build "${flags[@]}" -q -p reqbus-node
cp "$target/debug/libreqbus_node.so" "$package/reqbus.$name.node"
cargo build "${flags[@]}" -q -p reqbus-node --features test-clock
cp "$target/debug/libreqbus_node.so" "$package/test/support/reqbus.test.node"

cd "$package"
npx --no-install tsc --project test/types
# What hangs has failed.
node --expose-gc --test --test-timeout=$((${REQBUS_STRESS:-1} * 120000)) --test-force-exit test/*.test.js
