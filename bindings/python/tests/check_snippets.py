"""Checks each Python block of documents, as its reader would: check_snippets.py [--wheel] FILE...

A block that imports reqbus is a program, and is run. One whose paragraphs all stand in the example is run there. Any other
is a fragment: it is checked by mypy within a function that has what a gateway has, and not run.

``--wheel``: it is the released wheel that is run, and there are programs alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import reqbus
from reqbus import _reqbus

EXAMPLE = Path(__file__).parents[3] / "examples" / "python" / "gateway.py"

PRELUDE = """
import asyncio
from typing import Any
import reqbus
from reqbus import asgi
async def upstream() -> None: ...
async def is_well(id: str) -> bool: ...
async def ping() -> None: ...
"""

GIVEN = "bus: reqbus.Bus, pool: reqbus.SlotPool, app: Any, user: str, last_event_id: str | None"


def blocks(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text()
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield f"{file.name}:{text.count(chr(10), 0, found.start()) + 1}", found[1]


def is_in_example(block: str) -> bool:
    example = EXAMPLE.read_text()
    return all(paragraph.strip("\n") in example for paragraph in block.split("\n\n"))


def check_types(fragments: list[tuple[str, str]]) -> None:
    text = PRELUDE
    for number, (place, block) in enumerate(fragments):
        text += f"# {place}\nasync def fragment_{number}({GIVEN}) -> None:\n" + textwrap.indent(block, "    ")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fragments.py"
        file.write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--disable-error-code=empty-body", str(file)]
        checked = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr + text


def main(arguments: list[str]) -> None:
    is_wheel = "--wheel" in arguments
    assert not (is_wheel and _reqbus.has_test_clock()), "the clock of tests is in the wheel"
    programs, fragments, in_example = 0, [], 0
    for file in (Path(argument) for argument in arguments if not argument.startswith("-")):
        for place, block in blocks(file):
            if re.search(r"^import reqbus", block, re.MULTILINE):
                exec(compile(block, place, "exec"), {"__name__": "__main__"})
                programs += 1
            elif is_in_example(block):
                in_example += 1
            else:
                fragments.append((place, block))
    if is_wheel:
        assert programs and not fragments and not in_example, "a program was expected"
    if fragments:
        check_types(fragments)
    if hasattr(sys, "_is_gil_enabled") and "free-threading" in sys.version:
        assert not sys._is_gil_enabled(), "importing reqbus has switched the interpreter's lock on"
    counted = f"{programs} snippets run, {in_example} of the example, {len(fragments)} checked by mypy"
    print(f"{counted}, with reqbus from {Path(reqbus.__file__).parent}")


main(sys.argv[1:])
