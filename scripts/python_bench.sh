#!/usr/bin/env bash
# Measures the Python package beside peers and adds its rows to target/bench.json. Arguments go to `python -m bench`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

work=$target/python
venv=$work/bench
[[ -x $venv/bin/maturin ]] || {
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check 'maturin>=1.9.4,<2' 'uvicorn>=0.30' httptools 'uvloop>=0.21' 'sse-starlette>=2'
}
rm -rf "$work/bench-wheel"
PATH=$venv/bin:$PATH maturin build -q -m bindings/python/Cargo.toml --locked --release --out "$work/bench-wheel" -i "$venv/bin/python"
"$venv/bin/pip" install -q --disable-pip-version-check --no-index --force-reinstall "$work"/bench-wheel/*.whl
cd bindings/python
"$venv/bin/python" -m bench --out "$target/bench.json" "$@"
