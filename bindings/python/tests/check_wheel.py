"""Looks into a wheel: its tag, what is in it, its symbols. Usage: check_wheel.py WHEEL."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: The newest glibc that a wheel of this machine may ask for; one that is published is built against an older one.
GLIBC = (2, 34)

NEEDED = ["__init__.py", "py.typed", "_reqbus.pyi", "_errors.py", "_blocking_bus.py"]


def main(wheel: Path) -> None:
    assert re.search(r"-cp310-abi3-(manylinux|macosx|linux)", wheel.name), f"{wheel.name} is not for CPython 3.10 and later"
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        for name in NEEDED:
            assert f"reqbus/{name}" in names, f"{name} is missing"
        assert not any("test" in name for name in names), [name for name in names if "test" in name]
        [extension] = [name for name in names if name.endswith(".so")]
        binary = Path(archive.extract(extension, folder))
        assert b"go_down" not in binary.read_bytes(), "the store of tests is in the wheel"
        check_symbols(binary, wheel)


def check_symbols(binary: Path, wheel: Path) -> None:
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", binary], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, found)) for found in re.findall(r"@GLIBC_(\d+)\.(\d+)", symbols)}
    highest = max(versions)
    assert highest <= GLIBC, f"it asks for glibc {highest}, above {GLIBC}"
    tag = re.search(r"manylinux_(\d+)_(\d+)", wheel.name)
    assert tag is None or highest <= tuple(map(int, tag.groups())), f"{wheel.name} asks for glibc {highest}"
    exported = re.findall(r"(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+\s+(\S+)", symbols)
    assert [name for name in exported if name.startswith("PyInit_")] == ["PyInit__reqbus"], exported
    print(f"{wheel.name}: glibc {highest[0]}.{highest[1]}, {binary.stat().st_size // 1024} KiB")


main(Path(sys.argv[1]))
