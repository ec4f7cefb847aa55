# Shared by the scripts of this directory; sourced, never run.
# shellcheck shell=bash

# The repository root, wherever the caller stands.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where cargo builds: CARGO_TARGET_DIR if it is set, else target/. Absolute.
case "${CARGO_TARGET_DIR:-target}" in
    /*) target=${CARGO_TARGET_DIR} ;;
    *) target=$root/${CARGO_TARGET_DIR:-target} ;;
esac
stage=${STAGE:-$target/stage}

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# The workspace's version, from the one place that holds it.
workspace_version() {
    awk -F'"' '/^\[/ { inside = ($0 == "[workspace.package]") }
               inside && /^version[ ]*=/ { print $2; exit }' "$root/Cargo.toml"
}

# pkg-config that knows the staged package and nothing else of reqbus.
staged_pkg_config() { PKG_CONFIG_PATH=$stage/lib/pkgconfig pkg-config "$@"; }
