"""Ends: of the interpreter, of a loop, of a subinterpreter. Each is clean, or a clear error; none hangs."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

import reqbus

from .conftest import LOOPS


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, (done.returncode, done.stderr)
    return done.stdout


def test_an_interpreter_exits_with_everything_open() -> None:
    program = """
        import asyncio, threading, reqbus
        bus, pool = reqbus.Bus(), reqbus.SlotPool(on_leak=print)
        sub, slot = bus.subscribe(), pool.blocking.acquire("user", 1, limit=1)
        wait = pool.wait([("user", 1, 1)])
        threading.Thread(target=sub.blocking.recv, daemon=True).start()
        threading.Thread(target=lambda: pool.blocking.acquire("user", 1), daemon=True).start()

        async def main():
            other = bus.subscribe()
            asyncio.ensure_future(other.recv())
            asyncio.ensure_future(wait.next())
            await asyncio.sleep(0.05)
            bus.publish("k", 1)
            main.kept = other
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        bus.publish("k", 2)
        print("end")
    """
    assert "end" in run_python(program)


def test_an_interpreter_exits_while_a_thread_publishes() -> None:
    program = """
        import threading, time, reqbus
        bus = reqbus.Bus()
        kept = [bus.subscribe(overflow="catch_up") for _ in range(9)]
        def publish():
            while True:
                bus.publish("k", text="x")
        def read():
            for item in kept[0].blocking:
                pass
        for target in (publish, publish, read):
            threading.Thread(target=target, daemon=True).start()
        time.sleep(0.1)
        print("end")
    """
    for _ in range(5):
        assert run_python(program) == "end\n"


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_that_is_closed_in_the_middle_loses_nothing(name: str) -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    sub = bus.subscribe()
    held = pool.blocking.acquire("user", 1, limit=1)
    loop = LOOPS[name]()

    async def begin() -> None:
        asyncio.ensure_future(sub.recv())
        asyncio.ensure_future(_acquire(pool))
        await asyncio.sleep(0)

    async def _acquire(pool: reqbus.SlotPool) -> reqbus.Slot:
        return await pool.acquire("user", 1, limit=1)

    loop.run_until_complete(begin())
    loop.set_exception_handler(lambda _loop, _context: None)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    bus.publish("k", 1)
    held.release()
    del tasks, task, loop
    gc.collect()
    [load] = pool.blocking.load([("user", 1)])
    assert (load.in_use, load.waiting) == (0, 0)

    async def again() -> list[object]:
        (await _acquire(pool)).release()
        return [item.value for item in await sub.recv()]

    assert asyncio.run(again()) == [1]


def test_a_subinterpreter_is_refused_clearly() -> None:
    program = """
        import reqbus
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            import _interpreters as interpreters
        inner = interpreters.create()
        try:
            interpreters.run_string(inner, '''
        try:
            import reqbus
        except ImportError as error:
            assert "subinterpreters" in str(error), error
        else:
            raise AssertionError("it was imported twice")
        ''')
        finally:
            interpreters.destroy(inner)
        print(reqbus.Bus().publish("k", 1) is not None)
    """
    assert run_python(program) == "True\n"


def test_the_collector_sees_what_a_pool_leads_to() -> None:
    class Gateway:
        def __init__(self) -> None:
            self.pool = reqbus.SlotPool(on_leak=self.told)

        def told(self, leak: reqbus.Leak) -> None:
            raise AssertionError(leak)

    gone = weakref.ref(Gateway())
    gc.collect()
    assert gone() is None


def test_a_loop_in_the_place_of_a_collected_one_has_a_bell_of_its_own() -> None:
    """Loops come and go at one address; each is rung from other threads."""
    pool = reqbus.SlotPool()

    async def hand_over() -> None:
        held = await pool.acquire("user", 1, limit=1)
        waiting = asyncio.ensure_future(_acquire())
        while not (await pool.load([("user", 1)]))[0].waiting:
            await asyncio.sleep(0)
        threading.Thread(target=held.release).start()
        (await asyncio.wait_for(waiting, 30)).release()

    async def _acquire() -> reqbus.Slot:
        return await pool.acquire("user", 1, limit=1)

    place = 0
    for _ in range(12):
        loops = [asyncio.new_event_loop() for _ in range(20)]
        loop = next((loop for loop in loops if id(loop) == place), loops[0])
        place = id(loop)
        loop.run_until_complete(hand_over())
        for one in loops:
            one.close()
        del loop, loops, one
        gc.collect()
