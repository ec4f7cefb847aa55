"""Runs each Python block of a document, as its reader would. Usage: check_snippets.py FILE."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import reqbus
from reqbus import _reqbus

blocks = re.findall(r"^```python\n(.*?)^```", Path(sys.argv[1]).read_text(), re.MULTILINE | re.DOTALL)
assert blocks, "there is no snippet"
assert not _reqbus.has_test_clock(), "the clock of tests is in the wheel"
for block in blocks:
    exec(compile(block, sys.argv[1], "exec"), {"__name__": "__main__"})
if hasattr(sys, "_is_gil_enabled") and "free-threading" in sys.version:
    assert not sys._is_gil_enabled(), "importing reqbus has switched the interpreter's lock on"
print(f"{len(blocks)} snippets run with reqbus from {Path(reqbus.__file__).parent}")
