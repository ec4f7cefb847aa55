"""What is under way in a runner, and who waits for a change of that."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._errors import ClosedError

if TYPE_CHECKING:
    from ._runner import Runner

#: What the current task or thread does for a runner, if it does; tasks that it makes do it too.
current: contextvars.ContextVar[Work | None] = contextvars.ContextVar("reqbus_runner_work", default=None)


class Work:
    """Something that is under way: a check, or the loop that asks what is due (its id is ``None``)."""

    __slots__ = ("id", "runner")

    def __init__(self, runner: Runner, id: str | None) -> None:
        self.runner = runner
        self.id = id


class Rounds:
    """What is under way in a runner, and who waits for a change of that."""

    __slots__ = ("_lock", "inside", "started", "stopped", "watchers", "works")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.works: set[Work] = set()
        #: Those of them that have stopped the runner from inside: nobody waits for them.
        self.inside: set[Work] = set()
        self.watchers: set[Callable[[], None]] = set()
        self.started = self.stopped = False

    def start(self) -> bool:
        """Whether it was not started before. Raises ``ClosedError`` after a stop."""
        with self._lock:
            if self.stopped:
                raise ClosedError("runner", "it was stopped")
            started, self.started = self.started, True
            return not started

    def begin(self, work: Work) -> None:
        with self._lock:
            self.works.add(work)

    def end(self, work: Work) -> None:
        with self._lock:
            self.works.discard(work)
            self.inside.discard(work)
        self.wake()

    def stop(self, own: Work | None) -> None:
        with self._lock:
            self.stopped = True
            if own is not None and own in self.works:
                self.inside.add(own)
        self.wake()

    def left(self, own: Work | None) -> set[Work]:
        """Whom a stop waits for."""
        with self._lock:
            return self.works - self.inside if own is not None else set(self.works)

    def watch(self, watcher: Callable[[], None]) -> None:
        with self._lock:
            self.watchers.add(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        with self._lock:
            self.watchers.discard(watcher)

    def wake(self) -> None:
        with self._lock:
            watchers = list(self.watchers)
        for watcher in watchers:
            watcher()


def on_loop(loop: asyncio.AbstractEventLoop, change: asyncio.Future[None]) -> Callable[[], None]:
    """What gives ``change`` its result, from any thread."""

    def set_result() -> None:
        if not change.done():
            change.set_result(None)

    def watcher() -> None:
        try:
            loop.call_soon_threadsafe(set_result)
        except RuntimeError:
            pass  # the loop was closed: nobody waits there any more

    return watcher


