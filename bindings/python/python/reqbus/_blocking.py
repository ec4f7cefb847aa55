"""The threaded face: the same objects, with calls that block. None of them holds the interpreter's lock while it waits.

Each class has the methods of its asyncio face; where that returns an awaitable or an asynchronous context manager, this
one returns the value, which is a context manager for ``with``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from . import _reqbus
from ._bus import Bus, Form, Item, Overflow, Start, Subscription
from ._errors import ClosedError, Limit, TimeoutError
from ._pool import Ask, Key, SlotPool, _by_load
from ._records import BusStats, Consumer, Holder, KeyStats, Load, ScopeStats, SubscriptionStats
from ._reqbus import CleanupGuard, EventId, NewEvent, Slot, Wait

if TYPE_CHECKING:
    import asyncio
    from typing import Any

OnPing = Callable[[], object]


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


class BlockingPool:
    """A pool for threads: ``SlotPool.blocking``."""

    __slots__ = ("_pool",)

    def __init__(self, pool: SlotPool) -> None:
        self._pool = pool

    def acquire(
        self,
        scope: str,
        id: str | int,
        *,
        limit: Limit = None,
        label: str | None = None,
        timeout: float | None = None,
        max_waiting: int | None = None,
        ping_every: float | None = 15.0,
        on_ping: OnPing | None = None,
    ) -> Slot:
        """As ``SlotPool.acquire``, blocking until there is a slot."""
        return self._pool.acquire(
            scope,
            id,
            limit=limit,
            label=label,
            timeout=timeout,
            max_waiting=max_waiting,
            ping_every=ping_every,
            on_ping=on_ping,
        )._block()

    def acquire_all(
        self,
        asks: Iterable[Ask],
        *,
        on_top_of: Slot | None = None,
        label: str | None = None,
        timeout: float | None = None,
        max_waiting: int | None = None,
        ping_every: float | None = 15.0,
        on_ping: OnPing | None = None,
    ) -> Slot:
        """As ``SlotPool.acquire_all``, blocking until there is a slot."""
        return self._pool.acquire_all(
            asks,
            on_top_of=on_top_of,
            label=label,
            timeout=timeout,
            max_waiting=max_waiting,
            ping_every=ping_every,
            on_ping=on_ping,
        )._block()

    def try_acquire(self, scope: str, id: str | int, *, limit: Limit = None, label: str | None = None) -> Slot:
        """As ``SlotPool.try_acquire``."""
        return self._pool.try_acquire(scope, id, limit=limit, label=label)._block()

    def try_acquire_all(self, asks: Iterable[Ask], *, label: str | None = None) -> Slot:
        """As ``SlotPool.try_acquire_all``."""
        return self._pool.try_acquire_all(asks, label=label)._block()

    def try_first_of(self, asks: Iterable[Ask], *, label: str | None = None) -> tuple[int, Slot]:
        """As ``SlotPool.try_first_of``."""
        return self._pool._try_first_of(asks, label=label)

    def wait(
        self,
        asks: Iterable[Ask],
        *,
        on_top_of: Slot | None = None,
        label: str | None = None,
        timeout: float | None = None,
        max_waiting: int | None = None,
        ping_every: float | None = 15.0,
    ) -> BlockingWait:
        """As ``SlotPool.wait``."""
        wait = self._pool.wait(
            asks,
            on_top_of=on_top_of,
            label=label,
            timeout=timeout,
            max_waiting=max_waiting,
            ping_every=ping_every,
        )
        return BlockingWait(wait)

    def set_limit(self, scope: str, id: str | int, limit: Limit) -> None:
        """As ``SlotPool.set_limit``."""
        _reqbus.set_limit(self._pool, True, scope, id, limit)

    def clear_limit(self, scope: str, id: str | int) -> None:
        """As ``SlotPool.clear_limit``."""
        _reqbus.clear_limit(self._pool, True, scope, id)

    def close_key(self, scope: str, id: str | int) -> None:
        """As ``SlotPool.close_key``."""
        _reqbus.close_key(self._pool, True, scope, id)

    def open_key(self, scope: str, id: str | int) -> None:
        """As ``SlotPool.open_key``."""
        _reqbus.open_key(self._pool, True, scope, id)

    def load(self, keys: Iterable[Key]) -> list[Load]:
        """As ``SlotPool.load``."""
        loads: list[Load] = _reqbus.load(self._pool, True, keys)
        return loads

    def order_by_load(self, keys: Iterable[Key]) -> list[int]:
        """As ``SlotPool.order_by_load``."""
        return _by_load(self.load(keys))

    def holders(self, scope: str, id: str | int) -> list[Holder]:
        """As ``SlotPool.holders``."""
        holders: list[Holder] = _reqbus.holders(self._pool, True, scope, id)
        return holders

    def held_longer_than(self, seconds: float) -> list[Holder]:
        """As ``SlotPool.held_longer_than``."""
        holders: list[Holder] = _reqbus.held_longer_than(self._pool, True, seconds)
        return holders

    def force(self, scope: str, id: str | int, holder: int) -> bool:
        """As ``SlotPool.force``."""
        was_held: bool = _reqbus.force(self._pool, True, scope, id, holder)
        return was_held

    def key_stats(self, scope: str, id: str | int) -> KeyStats | None:
        """As ``SlotPool.key_stats``."""
        return self._pool.key_stats(scope, id)

    def scope_stats(self, scope: str) -> ScopeStats:
        """As ``SlotPool.scope_stats``."""
        return self._pool.scope_stats(scope)

    @property
    def known_keys(self) -> int:
        """As ``SlotPool.known_keys``."""
        return self._pool.known_keys

    @property
    def leaked(self) -> int:
        """As ``SlotPool.leaked``."""
        return self._pool.leaked

    @property
    def closed(self) -> bool:
        """As ``SlotPool.closed``."""
        return self._pool.closed

    def close(self) -> None:
        """As ``SlotPool.close``."""
        self._pool.close()

    @property
    def blocking(self) -> BlockingPool:
        """Itself."""
        return self

    def __repr__(self) -> str:
        return f"{self._pool!r}.blocking"


class BlockingWait:
    """A wait for threads: ``Wait.blocking``."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Wait) -> None:
        self._wait = wait

    @property
    def position(self) -> int:
        """As ``Wait.position``."""
        return self._wait.position

    def try_next(self) -> Slot | Literal["ping"] | None:
        """As ``Wait.try_next``."""
        return self._wait.try_next()

    def next(self, timeout: float | None = None) -> Slot | Literal["ping"]:
        """As ``Wait.next``, blocking."""
        step = self._wait._block(timeout)
        if step is None:
            raise TimeoutError("wait", "nothing new in that time; the wait goes on")
        return step

    def cancel(self, cause: str | None = None) -> None:
        """As ``Wait.cancel``."""
        self._wait.cancel(cause)

    @property
    def blocking(self) -> BlockingWait:
        """Itself."""
        return self

    def __repr__(self) -> str:
        return f"{self._wait!r}.blocking"


class BlockingSlot:
    """A slot for threads: ``Slot.blocking``. Only waiting for its loss differs."""

    __slots__ = ("_slot",)

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def release(self) -> Literal["released", "already", "lost"]:
        """As ``Slot.release``."""
        return self._slot.release()

    def release_scope(self, scope: str) -> Literal["released", "already", "lost"] | None:
        """As ``Slot.release_scope``."""
        return self._slot.release_scope(scope)

    def join(self, other: Slot) -> None:
        """As ``Slot.join``."""
        self._slot.join(other)

    @property
    def keys(self) -> list[tuple[str, str]]:
        """As ``Slot.keys``."""
        return self._slot.keys

    @property
    def holders(self) -> list[Holder]:
        """As ``Slot.holders``."""
        return self._slot.holders

    @property
    def lost(self) -> Literal["expired", "forced", "store"] | None:
        """As ``Slot.lost``."""
        return self._slot.lost

    @property
    def released(self) -> bool:
        """As ``Slot.released``."""
        return self._slot.released

    def until_lost(self, timeout: float | None = None) -> Literal["expired", "forced", "store"] | None:
        """As ``Slot.until_lost``, blocking. Raises ``TimeoutError`` after ``timeout`` seconds."""
        lost = self._slot._block_lost(timeout)
        if lost is False:
            raise TimeoutError("slot", "it was not lost in that time")
        return lost

    def release_on_done(self, done: asyncio.Future[Any]) -> None:
        """As ``Slot.release_on_done``."""
        self._slot.release_on_done(done)

    def detach(self) -> None:
        """As ``Slot.detach``."""
        self._slot.detach()

    @property
    def blocking(self) -> BlockingSlot:
        """Itself."""
        return self

    def __enter__(self) -> BlockingSlot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"{self._slot!r}.blocking"


