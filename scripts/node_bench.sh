#!/usr/bin/env bash
# Measures the Node package, as it is shipped, beside its peers. Arguments go to bindings/node/bench.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"
have node || die "missing: node, 20 or later"

package=$root/bindings/node
name=$(node -p "require('$package/lib/native.js').platform()")
[[ -d $package/node_modules ]] || (cd "$package" && npm ci --silent --no-progress)
cargo build "${flags[@]}" -q --release -p reqbus-node
binary=$package/reqbus.$name.node
cp "$target/release/libreqbus_node.so" "$binary"
exec node "$package/bench" "$@"
