"""Waiting in asyncio: one bell per event loop, and the futures that it gives their results."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ._errors import SlotCancelled, SlotError
from ._reqbus import Acquire, Answer, LoopBell, Wait

if TYPE_CHECKING:
    from ._reqbus import Slot

OnPing: TypeAlias = Callable[[], Awaitable[object] | object]

#: The loop that waited last, and its bell: most processes have one.
_latest: tuple[Callable[[], asyncio.AbstractEventLoop | None], LoopBell | None] = (lambda: None, None)

_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBell] = weakref.WeakKeyDictionary()


def bell_of(loop: asyncio.AbstractEventLoop) -> LoopBell:
    """The bell of the running loop, which is registered with the loop at the first call and stays until it is closed."""
    global _latest
    known, bell = _latest
    if known() is loop and bell is not None:
        bell.sit()
        return bell
    bell = _bells.get(loop)
    if bell is None:
        bell = LoopBell(loop)
        loop.add_reader(bell.fd(), bell.drain)
        _bells[loop] = bell
    bell.sit()
    # What it holds of a bell is that of one loop, until there is another.
    _latest = (weakref.ref(loop), bell)
    return bell


async def wait_for_slot(wait: Wait, on_ping: OnPing | None, entering: Acquire | None) -> Slot:
    """The slot of a wait that has begun. Whatever ends it before that gives everything back, before it leaves here."""
    loop = asyncio.get_running_loop()
    bell = bell_of(loop)
    try:
        while True:
            future = loop.create_future()
            step = wait._expect_and_look(bell, future)
            if step is None:
                await future
            elif step != "ping":
                if entering is not None:
                    entering._entered(step)
                return step
            elif on_ping is not None:
                await _ping(wait, on_ping)
    except SlotError:
        raise
    except BaseException:
        wait.cancel()
        raise


async def _ping(wait: Wait, on_ping: OnPing) -> None:
    try:
        written = on_ping()
        if inspect.isawaitable(written):
            await written
    except Exception as error:
        raise _not_written(wait, error) from error


def _not_written(wait: Wait, error: Exception) -> SlotError:
    wait.cancel(repr(error)[:200])
    try:
        wait.try_next()
    except SlotError as refusal:
        return refusal
    return SlotCancelled(text="its ping could not be written")


def block_for_slot(wait: Wait, on_ping: OnPing | None) -> Slot:
    """The slot of a wait that has begun, for a thread."""
    try:
        while True:
            step = wait._block(None)
            if step is not None and step != "ping":
                return step
            if step == "ping" and on_ping is not None:
                try:
                    on_ping()
                except Exception as error:
                    raise _not_written(wait, error) from error
    except SlotError:
        raise
    except BaseException:
        wait.cancel()
        raise


async def wait_for_answer(answer: Answer) -> Any:
    """The answer of a store that answers later."""
    loop = asyncio.get_running_loop()
    bell = bell_of(loop)
    while True:
        future = loop.create_future()
        answer._expect(bell, future)
        taken = answer._take()
        if taken is not None:
            return taken[0]
        await future


async def wait_for(future: asyncio.Future[None], timeout: float | None) -> bool:
    """Whether ``future`` had its result within so many seconds."""
    if timeout is None:
        await future
        return True
    loop = asyncio.get_running_loop()
    late = False

    def ring() -> None:
        nonlocal late
        if not future.done():
            late = True
            future.set_result(None)

    timer = loop.call_later(timeout, ring)
    try:
        await future
    finally:
        timer.cancel()
    return not late


