"""The faces by which the cases are run: asyncio, and threads. A step never waits, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import reqbus


class Face:
    """Calls of asyncio, each run to its end on a loop of its own; where a call must not wait, it is not let."""

    name = "asyncio"

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def end(self) -> None:
        self.loop.close()

    def run(self, awaitable: Any) -> Any:
        async def call() -> Any:
            return await awaitable

        return self.loop.run_until_complete(call())

    def of(self, made: Any) -> Any:
        return made

    def recv(self, sub: Any, form: str | None, limits: dict[str, int]) -> list[Any]:
        """What is there now, by a wait with a timeout of nothing."""
        try:
            return self.run(
                sub.recv(**limits, timeout=0) if form is None else sub.recv_texts(form, **limits, timeout=0)
            )
        except reqbus.TimeoutError:
            return []

    def acquire(self, call: Callable[[Any], Any], pool: Any) -> Any:
        return self.run(call(pool))

    def look(self, wait: Any) -> Any:
        try:
            return self.run(wait.next(timeout=0))
        except reqbus.TimeoutError:
            return None


class Blocking(Face):
    """Calls of the threaded face."""

    name = "blocking"

    def run(self, value: Any) -> Any:
        return value

    def of(self, made: Any) -> Any:
        return made.blocking


class Trying(Blocking):
    """The calls that never wait, which are the same in both faces."""

    name = "trying"

    def recv(self, sub: Any, form: str | None, limits: dict[str, int]) -> list[Any]:
        return sub.try_recv(**limits) if form is None else sub.try_recv_texts(form, **limits)

    def look(self, wait: Any) -> Any:
        return wait.try_next()


FACES = {face.name: face for face in (Face, Blocking, Trying)}
