"""The threaded face of slots: see ``_blocking_bus``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from . import _reqbus
from ._errors import Limit, TimeoutError
from ._pool import Ask, Key, SlotPool, _by_load
from ._records import Holder, KeyStats, Load, ScopeStats
from ._reqbus import Slot, Wait

if TYPE_CHECKING:
    import asyncio
    from typing import Any

OnPing = Callable[[], object]


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


