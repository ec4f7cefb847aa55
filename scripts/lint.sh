#!/usr/bin/env bash
# Formatting, clippy, documentation, shell scripts and the dependency policy.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
read -ra flags <<<"${CARGO_FLAGS:---locked}"

cargo fmt --all --check
cargo clippy "${flags[@]}" -q -p reqbus-core -p reqbus-ffi --all-targets -- -D warnings
cargo clippy "${flags[@]}" -q -p reqbus-ffi --lib --tests --features test-clock -- -D warnings
# The extensions have no tests in Rust, and what they export is used by no program of Rust.
for features in '' test-clock; do
    cargo clippy "${flags[@]}" -q -p reqbus-python -p reqbus-node --features "$features" -- -D warnings
done
# Module documentation is written for those who read the code too, and may link to private items.
RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc "${flags[@]}" -q --workspace --no-deps
say "ok   rustfmt, clippy, rustdoc"

for script in scripts/*.sh .ci/run; do
    bash -n "$script"
    [[ $script == scripts/lib.sh || -x $script ]] || die "$script is not executable"
done
if have shellcheck; then
    shellcheck -x scripts/*.sh .ci/run
    say "ok   shellcheck"
else
    say "ok   bash -n (shellcheck is not here)"
fi

# Each package ships the viewer, and none can take it from outside its own folder.
for viewer in bindings/node/lib/http bindings/python/python/reqbus/asgi; do
    cmp bindings/go/viewer.html "$viewer/viewer.html" || die "$viewer has another viewer than bindings/go"
done

scripts/deps_policy.py --self-test
scripts/deps_policy.py
if have cargo-deny; then cargo deny --locked check licenses bans sources; fi
