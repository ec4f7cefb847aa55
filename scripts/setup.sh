#!/usr/bin/env bash
# Makes sure that what a command needs is on this machine.
#
#   scripts/setup.sh demo    a Rust toolchain, a C compiler, pkg-config
#   scripts/setup.sh test    that, and all that `make test` runs
#
# As root on Debian and its kin, missing packages are installed from the distribution. Elsewhere it
# names what is missing and stops. It fetches nothing else, and is quick when all is there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

level=${1:-test}
commands=(gcc pkg-config)
case $level in
    demo) ;;
    test) commands+=(g++ clang cmake valgrind python3 nm readelf go) ;;
    *) die "unknown level '$level': say demo or test" ;;
esac

package_of() {
    case $1 in
        valgrind) echo valgrind libc6-dbg ;;
        nm | readelf) echo binutils ;;
        gcc) echo gcc libc6-dev ;;
        go) echo golang-go ;;
        *) echo "$1" ;;
    esac
}

missing=()
for command in "${commands[@]}"; do
    have "$command" || missing+=("$command")
done
# Debian parts the module that makes venvs from its python3.
if [[ $level == test ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]] && have apt-get; then
        packages=()
        for command in "${missing[@]}"; do
            read -ra of <<<"$(package_of "$command")"
            packages+=("${of[@]}")
        done
        say "setup: installing ${packages[*]}"
        export DEBIAN_FRONTEND=noninteractive
        log=$(mktemp)
        if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${packages[@]}"; } \
            </dev/null >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            die "apt-get could not install ${packages[*]}"
        fi
        rm -f "$log"
    else
        die "missing: ${missing[*]}. Install them with your package manager (Debian: $(
            for command in "${missing[@]}"; do package_of "$command"; done | tr '\n' ' '
        )) and run this again."
    fi
fi

# Rust comes from its own installer, which this script leaves to you.
have cargo || die "missing: cargo. Install Rust from https://www.rust-lang.org/tools/install and run this again."
wanted=$(awk -F'"' '/^rust-version/ { print $2; exit }' "$root/Cargo.toml")
found=$(rustc --version | awk '{ print $2 }')
if [[ $(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1) != "$wanted" ]]; then
    die "rustc $found is older than $wanted, which Cargo.toml asks for. Update it (rustup update) and run this again."
fi
if [[ $level == test ]]; then
    python3 -c 'import tomllib' 2>/dev/null || die "python3 is older than 3.11, which scripts/deps_policy.py needs (tomllib)."
    have node && have npm || die "missing: node and npm. Install Node 20 or later from https://nodejs.org and run this again."
    [[ $(node -p 'process.versions.node.split(".")[0]') -ge 20 ]] || die "node $(node --version) is older than 20, which bindings/node needs."
    cargo fmt --version >/dev/null 2>&1 || die "missing: rustfmt. Add it with: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "missing: clippy. Add it with: rustup component add clippy"
fi
if [[ $level == test ]]; then
    # An older go fetches a newer toolchain by itself, if its own settings let it (GOTOOLCHAIN).
    wanted=$(awk '$1 == "go" { print $2; exit }' "$root/bindings/go/go.mod")
    found=$(cd "$root/bindings/go" && go env GOVERSION 2>&1) || true
    found=${found#go}
    if [[ $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
        die "go $found is older than $wanted, which bindings/go/go.mod asks for. Install a newer one from https://go.dev/dl and run this again."
    fi
fi
