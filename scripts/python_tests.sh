#!/usr/bin/env bash
# Builds the Python package and runs all that checks it:
#
# * the suite under bindings/python/tests, on a build with the clock of tests (never in a wheel);
# * types: mypy, stubtest, pyright;
# * the wheel: its tag, its highest GLIBC symbol, what is in it, and a README snippet in an empty venv; the sdist builds.
#
# The venvs and wheels are under target/python. PYTHON names the interpreter (python3).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/python
package=$root/bindings/python
python=${PYTHON:-python3}
venv=$work/venv
mkdir -p "$work"

stamp=$(cat "$package/requirements-test.txt" <("$python" -VV))
if [[ ! -f $venv/.stamp || $(<"$venv/.stamp") != "$stamp" ]]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$package/requirements-test.txt"
    printf '%s' "$stamp" >"$venv/.stamp"
fi

# maturin reads no cargo flags of ours; the lock file decides the versions.
wheel_into() {
    local out=$1
    shift
    rm -rf "$out"
    PATH=$venv/bin:$PATH maturin build -q -m "$package/Cargo.toml" --locked --out "$out" -i "$venv/bin/python" "$@" >"$work/maturin.log" 2>&1 \
        || { cat "$work/maturin.log" >&2; die "maturin could not build the wheel"; }
}

# The suite. From a copy, so that what is imported is the wheel and not the source tree.
wheel_into "$work/test-wheel" --profile dev --features test-clock
"$venv/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$work"/test-wheel/*.whl
cd "$package"
"$venv/bin/python" -m pytest -q -p no:cacheprovider tests
"$venv/bin/python" -m mypy --cache-dir "$work/mypy" --strict python/reqbus
"$venv/bin/python" -m mypy.stubtest reqbus._reqbus --allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist --concise
"$venv/bin/pyright" --pythonpath "$venv/bin/python"
say "ok   pytest, mypy, stubtest, pyright"

# The wheel.
wheel_into "$work/wheels" --release
# Without the lock: cargo writes it anew for the members that go into the archive.
"$venv/bin/maturin" sdist -m "$package/Cargo.toml" --out "$work/wheels" >"$work/maturin.log" 2>&1 \
    || { cat "$work/maturin.log" >&2; die "maturin could not build the sdist"; }
shopt -s nullglob
wheels=("$work"/wheels/*.whl)
sdists=("$work"/wheels/*.tar.gz)
((${#wheels[@]} == 1 && ${#sdists[@]} == 1)) || die "one wheel and one sdist were expected: ${wheels[*]} ${sdists[*]}"
tar -tzf "${sdists[0]}" | grep '/core/src/lib.rs$' >/dev/null || die "the sdist holds no core to build from"
"$venv/bin/python" "$package/tests/check_wheel.py" "${wheels[0]}"
rm -rf "$work/empty"
"$python" -m venv "$work/empty"
"$work/empty/bin/pip" install -q --disable-pip-version-check --no-index "${wheels[0]}"
(cd "$work" && "$work/empty/bin/python" "$package/tests/check_snippets.py" "$package/README.md")
say "ok   wheel and sdist: $(basename "${wheels[0]}")"
