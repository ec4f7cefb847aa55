"""Slots, as asyncio sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _fork, _reqbus
from ._errors import Limit, TimeoutError
from ._records import Holder, Leak, Load
from ._reqbus import Slot as Slot
from ._reqbus import Wait as Wait
from ._waiting import bell_of, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._blocking_slots import BlockingPool

Ask: TypeAlias = tuple[str, str | int] | tuple[str, str | int, Limit]
Key: TypeAlias = tuple[str, str | int]


class SlotPool(_reqbus.SlotPool):
    """Limits on requests in flight, per user, account, key or whatever else the host names.

    ``first`` and ``last`` are scopes: the order in which a call of several takes them (default: ``user``, ``api_key``,
    others, ``account``). ``processes`` divides each limit among so many processes. ``on_leak`` is told of each slot
    that was collected without a release, on the thread of a later call. A ``teller`` tells on its bus what happens to
    waits and slots, and of slots held for longer than ``held_long`` seconds (600; 0.001 or more). Any thread may use it at any time. In a forked
    child it is a pool of its own, new and empty.
    """

    __slots__ = ()

    def __new__(
        cls,
        *,
        first: Iterable[str] | None = None,
        last: Iterable[str] | None = None,
        processes: int = 1,
        on_leak: Callable[[Leak], object] | None = None,
        teller: _reqbus.Teller | None = None,
        held_long: float = 600.0,
        _clock: object = None,
        _fault: object = None,
    ) -> Self:
        self = super().__new__(
            cls,
            first=None if first is None else list(first),
            last=None if last is None else list(last),
            processes=processes,
            on_leak=on_leak,
            teller=teller,
            held_long=held_long,
            _clock=_clock,
            _fault=_fault,
        )
        _fork.remember(self)
        return self

    @property
    def blocking(self) -> BlockingPool:
        """The same pool for threads."""
        from ._blocking_slots import BlockingPool

        return BlockingPool(self)

    def wait(
        self,
        asks: Iterable[Ask],
        *,
        on_top_of: Slot | None = None,
        label: str | None = None,
        timeout: float | None = None,
        max_waiting: int | None = None,
        ping_every: float | None = 15.0,
    ) -> Wait:
        """Asks at once for a slot of every key, and stands in the queue if there is no room: for hosts that look for
        themselves (``Wait.next``, ``Wait.try_next``). Dropped before its end, the wait is cancelled."""
        return self._wait(
            asks,
            on_top_of=on_top_of,
            label=label,
            timeout=timeout,
            max_waiting=max_waiting,
            ping_every=ping_every,
        )

    def set_limit(self, scope: str, id: str | int, limit: Limit) -> Awaitable[None]:
        """Sets a limit that wins over those of calls until it is cleared."""
        answer: Awaitable[None] = _reqbus.set_limit(self, False, scope, id, limit)
        return answer

    def clear_limit(self, scope: str, id: str | int) -> Awaitable[None]:
        """The limits of calls decide again."""
        answer: Awaitable[None] = _reqbus.clear_limit(self, False, scope, id)
        return answer

    def close_key(self, scope: str, id: str | int) -> Awaitable[None]:
        """Refuses newcomers and waiters as ``SlotClosed`` until ``open_key``. Holders keep their slots."""
        answer: Awaitable[None] = _reqbus.close_key(self, False, scope, id)
        return answer

    def open_key(self, scope: str, id: str | int) -> Awaitable[None]:
        """Opens a closed key."""
        answer: Awaitable[None] = _reqbus.open_key(self, False, scope, id)
        return answer

    def load(self, keys: Iterable[Key]) -> Awaitable[list[Load]]:
        """How keys stand, in their order."""
        answer: Awaitable[list[Load]] = _reqbus.load(self, False, keys)
        return answer

    async def order_by_load(self, keys: Iterable[Key]) -> list[int]:
        """The order of these keys by load rate, the least loaded first, of equal ones in the caller's order."""
        return _by_load(await self.load(keys))

    def holders(self, scope: str, id: str | int) -> Awaitable[list[Holder]]:
        """Who holds slots of a key, oldest first."""
        answer: Awaitable[list[Holder]] = _reqbus.holders(self, False, scope, id)
        return answer

    def held_longer_than(self, seconds: float) -> Awaitable[list[Holder]]:
        """Who has held a slot of any key for longer: suspects. It frees nothing."""
        answer: Awaitable[list[Holder]] = _reqbus.held_longer_than(self, False, seconds)
        return answer

    def force(self, scope: str, id: str | int, holder: int) -> Awaitable[bool]:
        """Takes a slot away from its holder (``Holder.id``), whose slot is then lost. Whether it was held."""
        was_held: Awaitable[bool] = _reqbus.force(self, False, scope, id, holder)
        return was_held


def _by_load(loads: list[Load]) -> list[int]:
    return sorted(range(len(loads)), key=lambda at: loads[at].rate)


async def wait_next(wait: Wait, timeout: float | None) -> Slot | Literal["ping"]:
    """What is new with a wait: its coroutine."""
    loop = asyncio.get_running_loop()
    bell = bell_of(loop)
    end = None if timeout is None else loop.time() + timeout
    while True:
        future: asyncio.Future[None] = loop.create_future()
        wait._expect(bell, future)
        step = wait.try_next()
        if step is not None:
            return step
        if not await wait_for(future, None if end is None else max(0.0, end - loop.time())):
            raise TimeoutError("wait", "nothing new in that time; the wait goes on")


async def until_lost(slot: Slot) -> str | None:
    """Why a slot was lost; ``None`` once it was released: its coroutine."""
    loop = asyncio.get_running_loop()
    bell = bell_of(loop)
    while True:
        future: asyncio.Future[None] = loop.create_future()
        slot._expect(bell, future)
        if slot.lost is not None:
            return slot.lost
        if slot.released:
            return None
        await future


def tie(slot: Slot, done: asyncio.Future[Any]) -> Callable[[], None]:
    """Releases ``slot`` when ``done`` is; what is returned unties it."""

    def release(_done: asyncio.Future[Any]) -> None:
        slot.release()

    done.add_done_callback(release)
    return lambda: (done.remove_done_callback(release), None)[1]
