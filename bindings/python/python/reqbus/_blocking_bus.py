"""The threaded face: the same objects, with calls that block. None of them holds the interpreter's lock while it waits.

Each class has the methods of its asyncio face; where that returns an awaitable or an asynchronous context manager, this
one returns the value, which is a context manager for ``with``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from ._bus import Bus, Form, Item, Overflow, Start, Subscription
from ._errors import ClosedError, TimeoutError
from ._records import BusStats, Consumer, SubscriptionStats
from ._reqbus import CleanupGuard, EventId, NewEvent

if TYPE_CHECKING:
    from typing import Any


class BlockingBus:
    """A bus for threads: ``Bus.blocking``."""

    __slots__ = ("_bus",)

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def publish(
        self,
        kind: str,
        value: object = None,
        *,
        text: str | None = None,
        json: str | None = None,
        data: bytes | bytearray | None = None,
        key: str | None = None,
        time_ns: int | None = None,
    ) -> EventId | None:
        """As ``Bus.publish``, which never waits."""
        return self._bus.publish(kind, value, text=text, json=json, data=data, key=key, time_ns=time_ns)

    def publish_request(
        self,
        *,
        method: str = "",
        path: str = "",
        model: str = "",
        account_id: int = 0,
        status: Literal["success", "error", "rate_limited"] = "success",
        latency_ms: float | None = None,
        key: str = "",
        extra: object = None,
        timestamp_ns: int | None = None,
    ) -> EventId | None:
        """As ``Bus.publish_request``, which never waits."""
        return self._bus.publish_request(
            method=method,
            path=path,
            model=model,
            account_id=account_id,
            status=status,
            latency_ms=latency_ms,
            key=key,
            extra=extra,
            timestamp_ns=timestamp_ns,
        )

    def publish_many(self, events: list[NewEvent]) -> EventId | None:
        """As ``Bus.publish_many``, which never waits."""
        return self._bus.publish_many(events)

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
    ) -> BlockingSubscription:
        """As ``Bus.subscribe``; blocks while the audience is being cleaned up, for up to ``audience_wait`` seconds."""
        subscription = self._bus.subscribe(
            keys=keys,
            kinds=kinds,
            start=start,
            after=after,
            overflow=overflow,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            label=label,
            pid=pid,
            audience=audience,
            audience_wait=audience_wait,
            linger=linger,
        )
        return subscription.blocking.joined()

    def wanted(self, kind: str) -> bool:
        """As ``Bus.wanted``."""
        return self._bus.wanted(kind)

    def set_status(self, source: str, state: str, detail: str = "") -> None:
        """As ``Bus.set_status``."""
        self._bus.set_status(source, state, detail)

    @property
    def epoch(self) -> int:
        """As ``Bus.epoch``."""
        return self._bus.epoch

    @property
    def newest(self) -> EventId:
        """As ``Bus.newest``."""
        return self._bus.newest

    @property
    def closed(self) -> bool:
        """As ``Bus.closed``."""
        return self._bus.closed

    def close(self) -> None:
        """As ``Bus.close``."""
        self._bus.close()

    def stats(self) -> BusStats:
        """As ``Bus.stats``."""
        return self._bus.stats()

    def consumers(self) -> list[Consumer]:
        """As ``Bus.consumers``."""
        return self._bus.consumers()

    def audience_count(self, name: str) -> int:
        """As ``Bus.audience_count``."""
        return self._bus.audience_count(name)

    @property
    def blocking(self) -> BlockingBus:
        """Itself."""
        return self

    def __repr__(self) -> str:
        return f"{self._bus!r}.blocking"


class BlockingSubscription(Iterator[Item]):
    """A subscription for threads, an iterator of items: ``Subscription.blocking``."""

    __slots__ = ("_subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    @property
    def id(self) -> int:
        """As ``Subscription.id``."""
        return self._subscription.id

    @property
    def label(self) -> str:
        """As ``Subscription.label``."""
        return self._subscription.label

    @property
    def linger(self) -> float:
        """As ``Subscription.linger``."""
        return self._subscription.linger

    @property
    def is_first(self) -> bool:
        """As ``Subscription.is_first``."""
        return self._subscription.is_first

    @property
    def closed(self) -> bool:
        """As ``Subscription.closed``."""
        return self._subscription.closed

    @property
    def settled(self) -> EventId | None:
        """As ``Subscription.settled``."""
        return self._subscription.settled

    @property
    def blocking(self) -> BlockingSubscription:
        """Itself."""
        return self

    def joined(self) -> BlockingSubscription:
        """Blocks until it has joined its audience. Raises ``AudienceBusyError`` at its deadline."""
        self._subscription._block_joined()
        return self

    def stats(self) -> SubscriptionStats:
        """As ``Subscription.stats``."""
        return self._subscription.stats()

    def heartbeat(self, form: Form = "sse") -> bytes:
        """As ``Subscription.heartbeat``."""
        return self._subscription.heartbeat(form)

    def cleanup_guard(self) -> CleanupGuard | None:
        """As ``Subscription.cleanup_guard``."""
        return self._subscription.cleanup_guard()

    def close(self) -> bool | None:
        """As ``Subscription.close``."""
        return self._subscription.close()

    def interrupt(self) -> None:
        """As ``Subscription.interrupt``."""
        self._subscription.interrupt()

    def try_recv(self, max_items: int = 256, max_bytes: int = 1 << 20) -> list[Item]:
        """As ``Subscription.try_recv``."""
        return self._subscription.try_recv(max_items, max_bytes)

    def try_recv_texts(self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20) -> list[bytes]:
        """As ``Subscription.try_recv_texts``."""
        return self._subscription.try_recv_texts(form, max_items, max_bytes)

    def try_recv_bytes(self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20) -> bytes:
        """As ``Subscription.try_recv_bytes``."""
        return self._subscription.try_recv_bytes(form, max_items, max_bytes)

    def _recv(self, form: str | None, max_items: int, max_bytes: int, timeout: float | None) -> Any:
        found = self._subscription._block(form, max_items, max_bytes, timeout)
        if found is None:
            raise TimeoutError("subscription", "nothing came in time")
        return found

    def recv(self, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None) -> list[Item]:
        """As ``Subscription.recv``, blocking."""
        items: list[Item] = self._recv(None, max_items, max_bytes, timeout)
        return items

    def recv_texts(
        self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None
    ) -> list[bytes]:
        """As ``Subscription.recv_texts``, blocking."""
        texts: list[bytes] = self._recv(form, max_items, max_bytes, timeout)
        return texts

    def recv_bytes(
        self, form: Form, max_items: int = 256, max_bytes: int = 1 << 20, timeout: float | None = None
    ) -> bytes:
        """As ``Subscription.recv_bytes``, blocking."""
        text: bytes = self._recv(form + "+", max_items, max_bytes, timeout)
        return text

    def __iter__(self) -> BlockingSubscription:
        return self

    def __next__(self) -> Item:
        try:
            item = self._subscription._next()
            if item is not None:
                return item
            items: list[Item] = self._recv(None, 1, 1 << 20, None)
            return items[0]
        except ClosedError:
            raise StopIteration from None

    def __enter__(self) -> BlockingSubscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self._subscription!r}.blocking"
