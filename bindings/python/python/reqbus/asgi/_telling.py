"""What a connection is told: events as they come, heartbeats when it is quiet, no longer than the client takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .._bus import Subscription
from .._errors import ClosedError
from .._waiting import bell_of

_MAX_ITEMS = 256
_MAX_BYTES = 1 << 20


class Linger:
    """Lets a burst gather: connections that are rung within so many seconds of the first are woken together, once."""

    __slots__ = ("_rung", "_seconds", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.loop = loop
        self._seconds = seconds
        self._rung: list[Telling] = []

    def add(self, telling: Telling) -> None:
        if self._seconds <= 0:
            return telling.wake()
        self._rung.append(telling)
        if len(self._rung) == 1:
            self.loop.call_later(self._seconds, self._wake_all)

    def _wake_all(self) -> None:
        rung, self._rung = self._rung, []
        for telling in rung:
            telling.wake()


class Telling:
    """Tells one subscription to one connection. To the subscription it is the future that is rung.

    One timer serves its heartbeats and the time that a write may take; it is set anew when it fires, not for each.
    """

    __slots__ = (
        "_form",
        "_heartbeat",
        "_linger",
        "_quiet_from",
        "_sub",
        "_task",
        "_timer",
        "_waiter",
        "_write_timeout",
        "_writes_from",
    )

    def __init__(self, sub: Subscription, form: Any, linger: Linger, heartbeat: float, write_timeout: float) -> None:
        self._sub = sub
        self._form = form
        self._linger = linger
        self._heartbeat = heartbeat
        self._write_timeout = write_timeout
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._writes_from: float | None = None
        self._quiet_from = linger.loop.time()
        self._timer = linger.loop.call_later(min(heartbeat, write_timeout), self._look)

    async def run(self, write: Callable[[Any], Awaitable[None]], *, joined: bool) -> None:
        """Until the end of the subscription, or until the client takes nothing any more."""
        loop, sub = self._linger.loop, self._sub
        form = self._form + "+" if joined else self._form
        self._task = asyncio.current_task()
        number = sub._begin(bell_of(loop))
        try:
            while True:
                sub._expect(self)
                text = sub._take(form, _MAX_ITEMS, _MAX_BYTES)
                while text is None:
                    self._waiter = loop.create_future()
                    await self._waiter
                    self._waiter = None
                    sub._expect(self)
                    text = sub._take(form, _MAX_ITEMS, _MAX_BYTES)
                    if text is None and loop.time() >= self._quiet_from + self._heartbeat:
                        text = sub.heartbeat(self._form)
                self._writes_from = loop.time()
                await write(text)
                self._quiet_from, self._writes_from = loop.time(), None
        except (ClosedError, OSError):
            return
        except asyncio.CancelledError:
            if not self._is_late(loop.time()):
                raise
        finally:
            self._timer.cancel()
            sub._end(number)
            self._task = self._waiter = None  # no circle: the subscription goes at once

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # As the future that is rung.

    def set_result(self, _result: None) -> None:
        self._linger.add(self)

    def done(self) -> bool:
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._linger.loop

    def _is_late(self, now: float) -> bool:
        return self._writes_from is not None and now >= self._writes_from + self._write_timeout

    def _look(self) -> None:
        now = self._linger.loop.time()
        if self._writes_from is not None:
            if self._is_late(now) and self._task is not None:
                self._task.cancel()
                return
            at = self._writes_from + self._write_timeout
        else:
            at = self._quiet_from + self._heartbeat
            if now >= at:
                self.wake()
                at = now + self._heartbeat
            # A write may begin at any time.
            at = min(at, now + self._write_timeout)
        self._timer = self._linger.loop.call_at(at, self._look)
