"""Threads: hammering one bus and one pool, blocking without the interpreter's lock, and what 10,000 rounds leave."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest

import reqbus

from .conftest import LOOPS, STRESS, run_on


def run_threads(*targets: Any) -> None:
    errors: list[BaseException] = []

    def guarded(target: Any) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * STRESS)
        assert not thread.is_alive(), "a thread hangs"
    assert not errors, errors


def test_threads_hammer_one_bus() -> None:
    bus = reqbus.Bus(log_events=500).blocking
    publishers, each = 4, 2_000 * STRESS
    subs = [bus.subscribe(overflow=overflow) for overflow in ("drop_newest", "drop_oldest", "catch_up") * 2]
    orders: list[list[int]] = []

    def publish() -> None:
        for number in range(each):
            bus.publish("k", text=str(number))

    def read(sub: reqbus.BlockingSubscription) -> None:
        got, missed = [], 0
        for item in sub:
            if isinstance(item, reqbus.Lost):
                missed += item.missed
            else:
                assert isinstance(item, reqbus.Event)
                got.append(item.id.seq)
        assert len(got) + missed == publishers * each and got == sorted(set(got))
        stats = sub.stats()
        assert stats.matched == stats.delivered + stats.lost == publishers * each and stats.delivered == len(got)
        orders.append(got)

    def publish_then_close() -> None:
        run_threads(*[publish] * publishers)
        bus.close()

    run_threads(publish_then_close, *[lambda sub=sub: read(sub) for sub in subs])
    assert len(orders) == len(subs)


def test_threads_and_loops_hammer_one_pool() -> None:
    pool = reqbus.SlotPool()
    now: Counter[int] = Counter()
    lock, most = threading.Lock(), 0

    def enter(key: int) -> None:
        nonlocal most
        with lock:
            now[key] += 1
            most = max(most, now[key])
            assert now[key] <= 2

    def leave(key: int) -> None:
        with lock:
            now[key] -= 1

    def thread() -> None:
        for number in range(300):
            with pool.blocking.acquire("user", number % 3, limit=2, timeout=50):
                enter(number % 3)
                leave(number % 3)

    async def task(seed: int) -> None:
        for number in range(100):
            async with pool.acquire("user", (seed + number) % 3, limit=2, timeout=50):
                enter((seed + number) % 3)
                await asyncio.sleep(0)
                leave((seed + number) % 3)

    async def tasks() -> None:
        await asyncio.gather(*[task(seed) for seed in range(5)])

    run_threads(thread, thread, *[lambda loop=loop: run_on(loop, tasks()) for loop in LOOPS.values()])
    assert most == 2 and [load.in_use for load in pool.blocking.load([("user", n) for n in range(3)])] == [0, 0, 0]
    assert pool.leaked == 0


def test_a_blocked_thread_does_not_hold_the_interpreter() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    held = pool.blocking.acquire("user", 1, limit=1)
    sub = bus.subscribe().blocking
    done: list[str] = []

    def wait_for_both() -> None:
        sub.recv()
        done.append("event")
        pool.blocking.acquire("user", 1, limit=1).release()
        done.append("slot")

    thread = threading.Thread(target=wait_for_both)
    thread.start()
    counted = sum(1 for _ in range(100_000))  # this thread runs meanwhile
    bus.publish("k", counted)
    while not done:
        time.sleep(0.001)
    held.release()
    thread.join(10)
    assert done == ["event", "slot"]


def test_a_signal_ends_a_blocking_wait() -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()
    held = pool.blocking.acquire("user", 1, limit=1)

    class Rung(Exception):
        pass

    def ring(_number: int, _frame: Any) -> None:
        raise Rung

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        for wait in (bus.subscribe().blocking.recv, lambda: pool.blocking.acquire("user", 1, limit=1)):
            timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(Rung):
                wait()
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert pool.blocking.load([("user", 1)])[0].waiting == 0
    held.release()


def counted() -> tuple[int, int, int]:
    """Descriptors, threads and objects of this process."""
    gc.collect()
    ours = sum(1 for thing in gc.get_objects() if str(type(thing).__module__).startswith("reqbus"))
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), ours


@pytest.mark.parametrize("name", LOOPS)
def test_ten_thousand_rounds_leave_nothing(name: str) -> None:
    bus, pool = reqbus.Bus(), reqbus.SlotPool()

    async def rounds(count: int) -> None:
        for _ in range(count):
            sub = bus.subscribe(overflow="catch_up")
            held = await pool.acquire("user", 1, limit=1)
            reading = asyncio.create_task(sub.recv())
            waiting = asyncio.ensure_future(_acquire(pool))
            lost = asyncio.create_task(held.until_lost())
            await asyncio.sleep(0)
            bus.publish("k", text="x")
            held.release()
            (await waiting).release()
            await reading
            await lost
            sub.close()

    async def _acquire(pool: reqbus.SlotPool) -> reqbus.Slot:
        return await pool.acquire("user", 1, limit=1)

    run_on(LOOPS[name], rounds(100))
    time.sleep(0.3)  # the thread of timers goes
    before = counted()
    for _ in range(10 * STRESS):
        run_on(LOOPS[name], rounds(1_000))
    time.sleep(0.3)
    after = counted()
    assert after[0] <= before[0] and after[1] <= before[1] and after[2] <= before[2] + 2, (before, after)
    assert bus.stats().subscriptions == 0 and pool.leaked == 0
