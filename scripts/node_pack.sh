#!/usr/bin/env bash
# Builds the Node package for this machine, as it is published: its tarball and that of its platform, in target/node.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"
have node || die "missing: node, 20 or later"
have npm || die "missing: npm"

package=$root/bindings/node
name=$(node -p "require('$package/lib/native.js').platform()")
cargo build "${flags[@]}" -q --release -p reqbus-node
rm -rf "$target/node"
mkdir -p "$target/node/binaries"
cp "$target/release/libreqbus_node.so" "$target/node/binaries/reqbus.$name.node"
mapfile -t tarballs < <(node "$package/scripts/pack.js" "$target/node" --binaries "$target/node/binaries")
((${#tarballs[@]} == 2)) || die "two tarballs were expected: ${tarballs[*]}"
say "in your project: npm install --omit=optional ${tarballs[*]}"
