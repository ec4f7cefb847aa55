#!/usr/bin/env bash
# Tests the Go package of bindings/go against the staged library, in every build that finds something of its own.
#
#   scripts/go_tests.sh              all of it
#   scripts/go_tests.sh NAME...      only these steps
#
# Needs the staged package (`make stage`) and a Go toolchain as new as bindings/go/go.mod says. The modules that it needs
# come by the go tool's own settings. REQBUS_STRESS multiplies the time of fuzzing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root/bindings/go"

[[ -f $stage/lib/pkgconfig/reqbus-static.pc ]] || die "no staged package in $stage: run 'make stage'"
work=$target/go
rm -rf "$work"
mkdir -p "$work"
module=$(go list -m)
export GOFLAGS=${GOFLAGS:-}
limit=(-timeout 10m)

# run CMD...: with the staged library, found as a user finds it.
run() { PKG_CONFIG_PATH=$stage/lib/pkgconfig LD_LIBRARY_PATH=$stage/lib "$@"; }

# fails SENTENCE CMD...: the command must fail, and say this.
fails() {
    local sentence=$1
    shift
    if "$@" >"$work/said" 2>&1; then die "'$*' succeeded"; fi
    grep -qF -- "$sentence" "$work/said" || {
        cat "$work/said" >&2
        die "'$*' did not say '$sentence'"
    }
}

format() {
    local found
    found=$(gofmt -l . ../../examples/go)
    [[ -z $found ]] || die "gofmt wants to change $found"
    run go vet ./...
    # Each file with C says of each call that it keeps nothing and calls nothing back.
    local missing callers
    mapfile -t callers < <(grep -lE '\bC\.(reqbus|rb)_[a-z_]+\(' ./*.go | grep -v version.go)
    missing=$(grep -L 'cgo noescape' "${callers[@]}" || true)
    [[ -z $missing ]] || die "no cgo annotations in $missing"
}

plain() { run go test "${limit[@]}" ./...; }
race() { run go test -race -short "${limit[@]}" ./...; }
cgocheck() { GOEXPERIMENT=cgocheck2 run go test -short "${limit[@]}" ./...; }
# A collection before each native call: what is not kept alive is freed under it.
collecting() { run go test -tags reqbus_gc -short "${limit[@]}" -run 'Test[^C]|TestConformance/(resume|close|slots_close|slots_lost|slots_scopes)$' .; }
static() {
    run go test -tags reqbus_static -short "${limit[@]}" .
    run go test -tags reqbus_static -c -o "$work/static.test" .
    if readelf -d "$work/static.test" | grep -q libreqbus; then die "the static program needs libreqbus.so"; fi
}

# All cases, also those that move the clock, and those of slots on a store behind a line.
testclock() {
    local flags
    read -ra flags <<<"${CARGO_FLAGS:---locked}"
    CARGO_TARGET_DIR=$target/testclock cargo build "${flags[@]}" -q -p reqbus-ffi --features test-clock </dev/null
    local lib=$target/testclock/lib major
    major=$(workspace_version)
    major=${major%%.*}
    mkdir -p "$lib"
    cp "$target/testclock/debug/libreqbus.so" "$lib/libreqbus.so.$major"
    ln -sf "libreqbus.so.$major" "$lib/libreqbus.so"
    CGO_CFLAGS="-g -O2 -I$root/include" CGO_LDFLAGS="-g -O2 -L$lib" LD_LIBRARY_PATH=$lib \
        go test -tags reqbus_testclock -short "${limit[@]}" .
}

fuzz() {
    local name seconds=$((2 * ${REQBUS_STRESS:-1}))
    for name in FuzzID FuzzOptions FuzzAcquire FuzzAdmit; do
        run go test -run '^$' -fuzz "^$name\$" -fuzztime "${seconds}s" "${limit[@]}" .
    done
}

# gin, chi and echo, in a module of their own.
frameworks() { (cd frameworks && run go vet ./... && run go test "${limit[@]}" ./...); }

# The gateway in examples/go.
example() { (cd ../../examples/go && run go vet ./... && run go test "${limit[@]}" ./...); }

# What is wrong is said in a sentence.
linking() {
    fails 'reqbus_needs_cgo__set_CGO_ENABLED_1' env CGO_ENABLED=0 go build .
    # With a flag that no other build has: one that is in the cache asks for no library.
    fails 'Package reqbus was not found' env PKG_CONFIG_PATH="$work" PKG_CONFIG_LIBDIR="$work" go build -gcflags=-e .
}

# An installed library, `go get` and `go test` in a module outside the tree. The module comes from a proxy in a directory,
# as the real one would hand it out.
consumer() {
    # No other run has this version: the go tool keeps what it knows of one for ever.
    local version prefix=$work/prefix proxy=$work/proxy/$module/@v dir=$work/consumer
    version=v0.0.1-test.$(date +%s)
    PREFIX=$prefix LIBDIR=$prefix/lib INCLUDEDIR=$prefix/include DESTDIR='' "$root/scripts/install.sh" >/dev/null
    mkdir -p "$proxy" "$dir"
    echo "$version" >"$proxy/list"
    printf '{"Version":"%s"}\n' "$version" >"$proxy/$version.info"
    cp go.mod "$proxy/$version.mod"
    python3 - "$module@$version" "$proxy/$version.zip" <<'PYTHON'
import os, sys, zipfile
prefix, out = sys.argv[1:]
with zipfile.ZipFile(out, "w") as made:
    for folder, folders, files in os.walk("."):
        # A folder with a go.mod of its own is another module.
        folders[:] = [f for f in folders if not os.path.exists(os.path.join(folder, f, "go.mod"))]
        for file in files:
            path = os.path.relpath(os.path.join(folder, file), ".")
            made.write(path, f"{prefix}/{path}")
PYTHON
    cp "$root/examples/go/"*.go "$dir/"
    (
        cd "$dir"
        export GOPROXY="file://$work/proxy,$(go env GOPROXY)" GONOSUMDB=$module GONOSUMCHECK=1 GOFLAGS=-mod=mod
        export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
        export GOMODCACHE=$work/modules
        go mod init example.com/consumer 2>/dev/null
        go get "$module@$version" 2>/dev/null
        go vet ./...
        go test "${limit[@]}" ./...
        go test -tags reqbus_static "${limit[@]}" ./...
        go mod vendor && go build -mod=vendor -o "$work/vendored" .
        go clean -modcache
    )
}

steps=("$@")
((${#steps[@]})) || steps=(format plain race cgocheck collecting static testclock fuzz frameworks example linking consumer)
# Not in a condition: a step ends with its first command that fails.
trap 'say "-- go: ${step:-}: FAILED" >&2' ERR
set -E
for step in "${steps[@]}"; do
    start=$SECONDS
    say "-- go: $step"
    "$step"
    say "-- go: $step: $((SECONDS - start)) s"
done
