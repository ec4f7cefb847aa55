"""Coroutine tests run on a loop of their own, once on asyncio's and once on uvloop's, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

#: Multiplies the size of tests that can run longer.
STRESS = int(os.environ.get("REQBUS_STRESS", "1"))

#: No test waits longer than this, whatever is wrong.
LIMIT = 60.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("_loop")
        metafunc.parametrize("_loop", LOOPS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names}
    run_on(LOOPS[pyfuncitem.callspec.params["_loop"]], pyfuncitem.obj(**given))
    return True


def run_on(new_loop: Callable[[], asyncio.AbstractEventLoop], coroutine: Any) -> Any:
    """Runs a coroutine as ``asyncio.run`` does, and fails if something on the loop failed unheard."""
    loop, unheard = new_loop(), []
    loop.set_exception_handler(lambda _loop, context: unheard.append(context))
    try:
        answer = loop.run_until_complete(asyncio.wait_for(coroutine, LIMIT))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert not unheard, unheard
    return answer


@asynccontextmanager
async def moving(clock: Any, step: float = 0.01) -> AsyncIterator[None]:
    """Moves a driven clock by steps, between which everybody on the loop has a few turns."""

    async def move() -> None:
        while True:
            for _ in range(8):
                await asyncio.sleep(0)
            clock.advance(step)

    task = asyncio.ensure_future(move())
    try:
        yield
    finally:
        task.cancel()


def pytest_collection_finish() -> None:
    """Tests that collect look at what they made, not at all that was imported before."""
    gc.collect()
    gc.freeze()
