"""The bus and its subscriptions, as asyncio sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from . import _fork, _reqbus
from ._errors import AudienceBusyError, ClosedError, TimeoutError
from ._reqbus import Event, EventId, Lost, Resync, Status
from ._waiting import bell_of, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._blocking_bus import BlockingBus, BlockingSubscription

Item: TypeAlias = Event | Lost | Resync | Status
Form: TypeAlias = Literal["json", "envelope", "ndjson", "sse"]
Start: TypeAlias = Literal["live", "oldest"]
Overflow: TypeAlias = Literal["drop_newest", "drop_oldest", "catch_up"]
_T = TypeVar("_T")


class Bus(_reqbus.Bus):
    """An event bus.

    ``log_events`` (1 to 1,048,576) and ``log_bytes`` (64 KiB to 16 GiB) bound what it keeps; ``resume_age`` (seconds)
    is how old an event may be that a resuming reader still gets; ``resume=False`` keeps only what attached readers
    have yet to read. Any thread may use it at any time. In a forked child it is a bus of its own, new and empty.
    """

    __slots__ = ()

    def __new__(
        cls,
        *,
        log_events: int = 2_000,
        log_bytes: int = 8 << 20,
        resume_age: float = 30.0,
        resume: bool = True,
        _clock: object = None,
    ) -> Self:
        self = super().__new__(
            cls, log_events=log_events, log_bytes=log_bytes, resume_age=resume_age, resume=resume, _clock=_clock
        )
        _fork.remember(self)
        return self

    @property
    def blocking(self) -> BlockingBus:
        """The same bus for threads."""
        from ._blocking_bus import BlockingBus

        return BlockingBus(self)

    def subscribe(
        self,
        *,
        keys: Iterable[str] = (),
        kinds: Iterable[str] = (),
        start: Start = "live",
        after: EventId | str | bytes | None = None,
        overflow: Overflow = "drop_newest",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        label: str = "",
        pid: int = 0,
        audience: str | None = None,
        audience_wait: float = 5.0,
        linger: float = 0.0,
    ) -> Subscription:
        """Subscribes: from now on, events whose key is among ``keys`` and whose kind is among ``kinds`` (none: all).

        ``after`` resumes after the event of this id, as it came from outside; what is no id, or one that cannot be
        resumed from, is told by a ``Resync`` item, never by an error. ``overflow`` says what happens when the reader is
        slow: ``drop_newest`` (a queue of ``capacity`` 64 events and ``capacity_bytes`` 1 MiB), ``drop_oldest`` (the
        latest ``capacity`` 256), or ``catch_up`` (whatever the log keeps).

        ``audience`` is a name that subscriptions share; while it is being cleaned up, entering or awaiting the
        subscription, or the first read, waits for up to ``audience_wait`` seconds, and raises ``AudienceBusyError``.
        ``linger`` (seconds) lets a burst gather after its first event.

        Raises ``InvalidArgumentError``, ``TooLargeError``, and ``ClosedError`` on a closed bus.
        """
        options = {
            "keys": list(keys),
            "kinds": list(kinds),
            "start": start,
            "overflow": overflow,
            "capacity": capacity,
            "capacity_bytes": capacity_bytes,
            "label": label,
            "pid": pid,
            "audience": audience,
            "audience_wait": audience_wait,
            "linger": linger,
        }
        return Subscription(self, after, options)


class Subscription(_reqbus.Subscription, AsyncIterator[Item]):
    """One reader of a bus: an asynchronous iterator of items, which ends when the subscription or its bus is closed.

    Made by ``Bus.subscribe``. Reading moves it; one wait at a time (a second raises ``BusyError``). A wait that is
    cancelled has taken nothing, and an iteration that stops midway leaves the rest for the next.
    """

    __slots__ = ()

    @property
    def blocking(self) -> BlockingSubscription:
        """The same subscription for threads."""
        from ._blocking_bus import BlockingSubscription

        return BlockingSubscription(self)

    async def _wait_for(self, look: Callable[[], _T | None], timeout: float | None, *, joins: bool = False) -> _T:
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        if not joins and not self._joined():
            await self._wait_for(self._has_joined, timeout, joins=True)
        number = self._begin(bell_of(loop))
        try:
            while True:
                future: asyncio.Future[None] = loop.create_future()
                self._expect(future)
                found = look()
                if found is not None:
                    return found
                if not await wait_for(future, None if end is None else max(0.0, end - loop.time())):
                    found = look()
                    if found is not None:
                        return found
                    raise TimeoutError("subscription", "nothing came in time")
                if self.linger and not joins and not self.closed:
                    await asyncio.sleep(self.linger)
        finally:
            self._end(number)

    def _has_joined(self) -> bool | None:
        return self._joined() or None

    async def _wait_next(self) -> Item:
        try:
            return await self._wait_for(self._next, None)
        except ClosedError:
            raise StopAsyncIteration from None

    async def recv(self, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None) -> list[Item]:
        """Waits until there is something, and takes it: 1 to ``max_items`` items of at most ``max_bytes``.

        Raises ``TimeoutError`` after ``timeout`` seconds, and ``ClosedError`` once everything up to the end was read.
        """
        return await self._wait_for(lambda: self._take(None, max_items, max_bytes), timeout)

    async def recv_texts(
        self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None
    ) -> list[bytes]:
        """As ``recv``: the text of each item in ``form``; ``max_bytes`` bounds the texts."""
        return await self._wait_for(lambda: self._take(form, max_items, max_bytes), timeout)

    async def recv_bytes(
        self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None
    ) -> bytes:
        """As ``recv_texts``, in one piece: what a server writes."""
        return await self._wait_for(lambda: self._take(form + "+", max_items, max_bytes), timeout)

    async def joined(self) -> Subscription:
        """Waits until it has joined its audience. Raises ``AudienceBusyError`` at its deadline."""
        if not self._joined():
            await self._wait_for(self._has_joined, None, joins=True)
        return self

    def __await__(self) -> Generator[Any, Any, Subscription]:
        return self.joined().__await__()

    def __aiter__(self) -> Subscription:
        return self

    async def __aenter__(self) -> Subscription:
        return await self.joined()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Subscription:
        if not self._joined():
            raise AudienceBusyError("audience", "it is being cleaned up: enter with async with, or wait by .blocking")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
