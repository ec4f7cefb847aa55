"""Measures the Python package beside what gateways write without it: python -m bench [--out PATH] [--check]."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import reqbus

from . import dashboards
from .rows import Row, row, write

BURST = 32
BURSTS = 300
PAYLOAD = '{"method":"POST","path":"/v1/messages","model":"claude","status":"success"}'


def run(coroutine: Callable[[], Awaitable[float]]) -> Callable[[], float]:
    return lambda: asyncio.run(_run(coroutine))


async def _run(coroutine: Callable[[], Awaitable[float]]) -> float:
    return await coroutine()


def publish_ours(readers: int) -> Callable[[], Awaitable[float]]:
    """Nanoseconds of a publish; the readers drain each burst before the next."""

    async def measure() -> float:
        bus, spent = reqbus.Bus(), 0

        async def read(sub: reqbus.Subscription) -> None:
            try:
                while True:
                    await sub.recv()
            except reqbus.ClosedError:
                pass

        subs = [bus.subscribe(overflow="catch_up") for _ in range(readers)]
        reading = [asyncio.create_task(read(sub)) for sub in subs]
        await asyncio.sleep(0)
        for _ in range(BURSTS):
            start = time.perf_counter_ns()
            for _ in range(BURST):
                bus.publish("request", text=PAYLOAD)
            spent += time.perf_counter_ns() - start
            while any(sub.stats().pending for sub in subs):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        bus.close()
        await asyncio.gather(*reading)
        return spent / (BURST * BURSTS)

    return measure


def publish_theirs(readers: int) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        spent = 0
        queues: list[asyncio.Queue[str | None]] = [asyncio.Queue() for _ in range(readers)]

        async def read(queue: asyncio.Queue[str | None]) -> None:
            while await queue.get() is not None:
                pass

        reading = [asyncio.create_task(read(queue)) for queue in queues]
        await asyncio.sleep(0)
        for _ in range(BURSTS):
            start = time.perf_counter_ns()
            for _ in range(BURST):
                for queue in queues:
                    queue.put_nowait(PAYLOAD)
            spent += time.perf_counter_ns() - start
            while any(queue.qsize() for queue in queues):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        for queue in queues:
            queue.put_nowait(None)
        await asyncio.gather(*reading)
        return spent / (BURST * BURSTS)

    return measure


async def acquire_ours() -> float:
    pool, count = reqbus.SlotPool(), 30_000
    start = time.perf_counter_ns()
    for _ in range(count):
        async with pool.acquire("user", "42", limit=5):
            pass
    return (time.perf_counter_ns() - start) / count


async def acquire_theirs() -> float:
    semaphores, count = {"41": asyncio.Semaphore(5), "42": asyncio.Semaphore(5)}, 30_000
    start = time.perf_counter_ns()
    for _ in range(count):
        async with semaphores["42"]:
            pass
    return (time.perf_counter_ns() - start) / count


async def held_over_ours() -> float:
    """As it is met: the slot is held across a turn of the loop, so that each release finds a waiter."""
    pool, count = reqbus.SlotPool(), 2_000

    async def one() -> None:
        for _ in range(count):
            async with pool.acquire("user", "42", limit=1, timeout=60):
                await asyncio.sleep(0)

    start = time.perf_counter_ns()
    await asyncio.gather(*[one() for _ in range(4)])
    return (time.perf_counter_ns() - start) / (4 * count)


async def held_over_theirs() -> float:
    semaphore, count = asyncio.Semaphore(1), 2_000

    async def one() -> None:
        for _ in range(count):
            async with semaphore:
                await asyncio.sleep(0)

    start = time.perf_counter_ns()
    await asyncio.gather(*[one() for _ in range(4)])
    return (time.perf_counter_ns() - start) / (4 * count)


async def from_thread(wait: Callable[[], Awaitable[None]], release: Callable[[], None]) -> float:
    """Median nanoseconds from a release in another thread to the grant here."""
    asked, times, released = threading.Semaphore(0), [], [0]
    rounds = 1_500

    def releaser() -> None:
        for _ in range(rounds):
            asked.acquire()
            time.sleep(0.0001)  # the loop sleeps by then
            released[0] = time.perf_counter_ns()
            release()

    thread = threading.Thread(target=releaser)
    thread.start()
    for _ in range(rounds):
        asked.release()
        await wait()
        times.append(time.perf_counter_ns() - released[0])
    thread.join()
    return float(sorted(times)[rounds // 2])


async def hand_over_thread_ours() -> float:
    pool = reqbus.SlotPool()
    held = [await pool.acquire("user", "42", limit=1)]

    async def wait() -> None:
        held.append(await pool.acquire("user", "42", limit=1))

    return await from_thread(wait, lambda: held.pop().release() and None)


async def hand_over_thread_theirs() -> float:
    semaphore, loop = asyncio.Semaphore(0), asyncio.get_running_loop()

    async def wait() -> None:
        await semaphore.acquire()

    return await from_thread(wait, lambda: loop.call_soon_threadsafe(semaphore.release) and None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[3] / "target" / "bench.json")
    parser.add_argument("--check", action="store_true", help="fail if a ratio is over its limit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="names that begin with this")
    given = parser.parse_args()
    rows: list[Row] = []

    def measured(name: str, *how: Any) -> None:
        if name.startswith(given.only):
            rows.append(row(f"python/{name}", *how))

    def add(name: str, peer: str, limit: float, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]) -> None:
        measured(name, peer, "ns", limit, run(ours), run(theirs), given.rounds)

    add("publish/1", "asyncio.Queue.put_nowait", 1.0, publish_ours(1), publish_theirs(1))
    add("publish/64", "one asyncio.Queue per reader", 0.05, publish_ours(64), publish_theirs(64))
    ours, theirs = (lambda: dashboards.measure("ours")), (lambda: dashboards.measure("theirs"))
    peer = "asyncio.Queue, json.dumps, sse-starlette"
    measured("dashboards/64", peer, "CPU ns/frame", 0.1, ours, theirs, min(3, given.rounds))
    add("acquire-release", "asyncio.Semaphore in a dict", 1.5, acquire_ours, acquire_theirs)
    add("hand-over", "asyncio.Semaphore", 1.5, held_over_ours, held_over_theirs)
    add("hand-over-thread", "call_soon_threadsafe", 3.0, hand_over_thread_ours, hand_over_thread_theirs)
    write(rows, given.out)
    return int(given.check and any(row.ratio > row.limit for row in rows))


if __name__ == "__main__":
    sys.exit(main())
