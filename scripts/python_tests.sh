#!/usr/bin/env bash
# Builds the Python package and runs all that checks it:
#
#   scripts/python_tests.sh              all of it
#   scripts/python_tests.sh NAME...      only these steps, in this order
#
#   build   the package with the clock of tests (never in a wheel), for the next two
#   suite   bindings/python/tests
#   types   mypy, stubtest, pyright
#   wheel   its tag, its highest GLIBC symbol, what is in it, and a README snippet in an empty venv; the sdist builds
#   others  one wheel serves each other CPython that is on the path
#   free    a free-threaded build, where such an interpreter is: importing it leaves the interpreter's lock off
#
# The venvs and wheels are under target/python. PYTHON names the interpreter (python3). REQBUS_STRESS multiplies the size of
# the tests that can run longer.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/python
package=$root/bindings/python
snippets=$package/tests/check_snippets.py
python=${PYTHON:-python3}
venv=$work/venv
mkdir -p "$work"

# What the tests run with, while the wheels are built: maturin comes first. Its imports compile what they need of it.
installed=
install() {
    local stamp start=$SECONDS
    stamp=$(cat "$package/requirements-test.txt" <("$python" -VV))
    if [[ -f $venv/.stamp && $(<"$venv/.stamp") == "$stamp" ]]; then return; fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
    local pip=("$venv/bin/pip" install -q --disable-pip-version-check --no-compile)
    "${pip[@]}" "$(grep '^maturin' "$package/requirements-test.txt")"
    {
        "${pip[@]}" -r "$package/requirements-test.txt"
        printf '%s' "$stamp" >"$venv/.stamp"
        say "-- python: what the tests run with: $((SECONDS - start)) s"
    } &
    installed=$!
}
# Waits for that.
await_install() {
    if [[ -n $installed ]]; then wait "$installed" || die "pip could not install what the tests run with"; fi
    installed=
}

# wheel_into FOLDER ARGUMENT...: builds one. maturin reads no cargo flags of ours; the lock file decides the versions.
wheel_into() {
    local out=$1
    shift
    rm -rf "$out"
    PATH=$venv/bin:$PATH maturin build -q -m "$package/Cargo.toml" --locked --out "$out" "$@" >"$out.log" 2>&1 \
        || { cat "$out.log" >&2; die "maturin could not build the wheel"; }
}

# The released wheel, unless it is there.
wheels=()
released() {
    shopt -s nullglob
    wheels=("$work"/wheels/*.whl)
    ((${#wheels[@]})) || wheel_into "$work/wheels" -i "$venv/bin/python" --release
    wheels=("$work"/wheels/*.whl)
    ((${#wheels[@]} == 1)) || die "one wheel was expected: ${wheels[*]}"
    rm -rf "$work/unpacked"
    "$venv/bin/python" -m zipfile -e "${wheels[0]}" "$work/unpacked"
}

# From a copy, so that what is imported is the wheel and not the source tree.
build() {
    wheel_into "$work/test-wheel" -i "$venv/bin/python" --profile dev --features test-clock
    await_install
    "$venv/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$work"/test-wheel/*.whl
}

suite() {
    (cd "$package" && "$venv/bin/python" -m pytest -q -p no:cacheprovider tests)
}

types() {
    cd "$package"
    "$venv/bin/python" -m mypy --cache-dir "$work/mypy" --strict python/reqbus
    "$venv/bin/python" -m mypy.stubtest reqbus._reqbus --allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist --concise
    "$venv/bin/pyright" --pythonpath "$venv/bin/python"
    cd "$root"
}

wheel() {
    rm -rf "$work/wheels" "$work/sdist" "$work/empty"
    released
    # Without the lock: cargo writes it anew for the members that go into the archive.
    "$venv/bin/maturin" sdist -m "$package/Cargo.toml" --out "$work/sdist" >"$work/maturin.log" 2>&1 \
        || { cat "$work/maturin.log" >&2; die "maturin could not build the sdist"; }
    tar -tzf "$work"/sdist/*.tar.gz | grep '/core/src/lib.rs$' >/dev/null || die "the sdist holds no core to build from"
    "$venv/bin/python" "$package/tests/check_wheel.py" "${wheels[0]}"
    "$python" -m venv "$work/empty"
    "$work/empty/bin/pip" install -q --disable-pip-version-check --no-index "${wheels[0]}"
    (cd "$work" && "$work/empty/bin/python" "$snippets" --wheel "$package/README.md")
}

others() {
    local other
    released
    for other in python3.{10..20}; do
        have "$other" && "$other" -c '' 2>/dev/null || continue
        (cd "$work" && PYTHONPATH=$work/unpacked "$other" "$snippets" --wheel "$package/README.md" >/dev/null) \
            || die "$other cannot use the wheel"
        say "ok   $("$other" -V)"
    done
}

# Without the interpreter's lock there is no stable ABI: a build for that interpreter.
free() {
    local free
    for free in python3.{20..13}t; do
        have "$free" || continue
        wheel_into "$work/free-wheel" -i "$(command -v "$free")" --release
        rm -rf "$work/free"
        "$venv/bin/python" -m zipfile -e "$work"/free-wheel/*.whl "$work/free"
        (cd "$work" && PYTHONPATH=$work/free "$free" "$snippets" --wheel "$package/README.md")
        return
    done
    say "ok   no free-threaded CPython is here, and none was built for"
}

# run NAME
run() {
    local start=$SECONDS
    step=$1
    say "-- python: $step"
    "$step"
    say "-- python: $step: $((SECONDS - start)) s"
}

# Not in a condition: a step ends with its first command that fails.
trap 'say "-- python: ${step:-}: FAILED" >&2' ERR
set -E
install
if (($#)); then
    await_install
    for name in "$@"; do run "$name"; done
else
    # Two at a time: the suite hardly uses more than one core.
    run build
    await_install
    (run types && run wheel) >"$work/beside.log" 2>&1 &
    beside=$!
    run suite
    wait "$beside" || { cat "$work/beside.log" >&2; die "types or wheel: failed"; }
    cat "$work/beside.log"
    run others
    run free
fi
