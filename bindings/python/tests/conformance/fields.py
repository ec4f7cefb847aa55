"""Reading a JSON object of which every field must be asked for, so that a typo cannot pass."""

from __future__ import annotations

from typing import Any

MISSING = object()


class Wrong(AssertionError):
    """What is wrong, as a sentence."""


class Fields:
    def __init__(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise Wrong(f"not an object: {value!r:.80}")
        self.map = value
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return self.map.get(name, default)

    def need(self, name: str) -> Any:
        self.asked.add(name)
        if name not in self.map:
            raise Wrong(f"field {name} is missing")
        return self.map[name]

    def has(self, name: str) -> bool:
        self.asked.add(name)
        return name in self.map

    def same(self, name: str, got: Any) -> None:
        """Compares field ``name``, if it is there, with what the library says."""
        if self.has(name) and (self.map[name] != got or type(self.map[name]) is not type(got)):
            raise Wrong(f"{name} is {got!r}, not {self.map[name]!r}")

    def done(self) -> None:
        unknown = set(self.map) - self.asked
        if unknown:
            raise Wrong(f"unknown fields {sorted(unknown)}")


def one_step(step: Any) -> tuple[str, Fields]:
    if not isinstance(step, dict) or len(step) != 1:
        raise Wrong("not one step")
    [(word, value)] = step.items()
    return word, Fields(value)


def whole(seconds: float | None, unit: float) -> int | None:
    """Seconds in whole units, rounded down; a float of seconds is at most a nanosecond off."""
    return None if seconds is None else int((seconds + 5e-10) * unit)
