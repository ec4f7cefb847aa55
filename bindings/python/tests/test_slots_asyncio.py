"""Slots in asyncio: hand-over, cancelling, pings, losses."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

import reqbus
from reqbus import _reqbus
from reqbus._waiting import bell_of

from .conftest import moving


async def load(pool: reqbus.SlotPool, scope: str = "user", id: str | int = 42) -> tuple[int, int]:
    [load] = await pool.load([(scope, id)])
    return load.in_use, load.waiting


async def until(condition: Any) -> None:
    while not await condition():
        await asyncio.sleep(0)


async def test_uncontended_suspends_nobody() -> None:
    pool = reqbus.SlotPool()

    async def both() -> None:
        async with pool.acquire("user", 42, limit=1) as slot:
            assert slot.keys == [("user", "42")]
            assert await load(pool) == (1, 0)
        (await pool.try_acquire("user", 42, limit=1)).release()

    coroutine = both()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert await load(pool) == (0, 0)


async def test_nothing_is_asked_before_it_is_awaited_and_once() -> None:
    pool = reqbus.SlotPool()
    asked = pool.acquire("user", 42, limit=1)
    assert await load(pool) == (0, 0) and "not begun" in repr(asked)
    slot = await asked
    with pytest.raises(reqbus.InvalidArgumentError):
        await asked
    assert await load(pool) == (1, 0)
    slot.release()


async def test_s3_an_own_release_hands_over_without_the_descriptor() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    order: list[int] = []

    async def one(number: int) -> None:
        async with pool.acquire("user", 42, limit=1):
            order.append(number)

    waiting = [asyncio.create_task(one(number)) for number in range(10)]
    await until(lambda: same(load(pool), (1, 10)))
    bell = bell_of(asyncio.get_running_loop())
    raises = bell.raises()
    assert held.release() == "released"
    await asyncio.gather(*waiting)
    assert order == list(range(10)) and bell.raises() == raises


async def same(coroutine: Any, value: Any) -> bool:
    return bool(await coroutine == value)


async def test_s3_a_release_of_another_thread_is_handed_over() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    waiting = asyncio.create_task(_take(pool))
    await until(lambda: same(load(pool), (1, 1)))
    thread = threading.Thread(target=held.release)
    thread.start()
    slot = await waiting
    thread.join()
    assert slot.release() == "released" and slot.release() == "already"


async def _take(pool: reqbus.SlotPool, **options: Any) -> reqbus.Slot:
    return await pool.acquire("user", 42, limit=1, **options)


@pytest.mark.parametrize("stage", ["queued", "offered", "granted", "twice"])
async def test_s2_a_cancelled_task_has_given_everything_back(stage: str) -> None:
    pool = reqbus.SlotPool()
    for _ in range(50):
        held = await pool.acquire("user", 42, limit=1)
        waiting = asyncio.create_task(_take(pool))
        behind = asyncio.create_task(_take(pool))
        await until(lambda: same(load(pool), (1, 2)))
        if stage == "offered":
            held.release()  # its future has its result, the task has not run
            waiting.cancel()
        elif stage == "granted":
            held.release()
            (await waiting).release()
            waiting.cancel()
        else:
            waiting.cancel()
            if stage == "twice":
                waiting.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert await load(pool) == (1, 1), "nothing is left when CancelledError has left acquire"
            held.release()
        if stage != "granted":
            with pytest.raises(asyncio.CancelledError):
                await waiting
        (await behind).release()
        assert await load(pool) == (0, 0)
    assert pool.leaked == 0


async def test_s2_cancelled_inside_wait_for() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(_take(pool), 0.01)
    assert await load(pool) == (1, 0)
    held.release()


async def test_s5_pings_are_written_between_waits() -> None:
    clock = _reqbus.Clock()  # type: ignore[attr-defined]
    pool = reqbus.SlotPool(_clock=clock)
    held = await pool.acquire("user", 42, limit=1)
    written: list[str] = []

    async def write() -> None:
        written.append("ping")
        await asyncio.sleep(0)
        if len(written) == 3:
            held.release()

    async with moving(clock), pool.acquire("user", 42, limit=1, ping_every=0.01, on_ping=write):
        assert len(written) == 3

    def write_now() -> None:
        written.append("now")

    held = await pool.acquire("user", 42, limit=1)
    with pytest.raises(reqbus.SlotTimedOut) as caught:
        async with moving(clock):
            await pool.acquire("user", 42, limit=1, timeout=0.05, ping_every=0.01, on_ping=write_now)
    assert caught.value.pings >= 1 and "now" in written and isinstance(caught.value, TimeoutError)


async def test_s5_a_ping_that_fails_cancels_with_its_cause() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)

    async def fail() -> None:
        raise ConnectionResetError("the client is gone")

    with pytest.raises(reqbus.SlotCancelled) as caught:
        await pool.acquire("user", 42, limit=1, ping_every=0.01, on_ping=fail)
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert await load(pool) == (1, 0)
    held.release()


async def test_s4_a_refusal_says_how_the_key_stood() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    waiting = asyncio.create_task(_take(pool))
    await until(lambda: same(load(pool), (1, 1)))
    with pytest.raises(reqbus.QueueFull) as full:
        await pool.acquire("user", 42, limit=1, max_waiting=1)
    error = full.value
    assert (error.outcome, error.scope, error.limit, error.in_use, error.waiting) == ("queue_full", "user", 1, 1, 1)
    assert error.retry_after is None and "42" not in str(error)
    with pytest.raises(reqbus.SlotBusy):
        await pool.try_acquire("user", 42, limit=1)
    with pytest.raises(reqbus.SlotInvalid) as invalid:
        await pool.acquire("user", "x" * 256, limit=1)
    assert isinstance(invalid.value.cause, reqbus.TooLargeError)
    pool.close()
    with pytest.raises(reqbus.SlotClosed):
        await waiting
    assert held.release() == "released"


async def test_s6_several_keys_and_more_on_top() -> None:
    pool = reqbus.SlotPool()
    async with pool.acquire_all([("account", 7, 1), ("user", 42, 2)]) as slot:
        assert slot.keys == [("user", "42"), ("account", "7")]
        with pytest.raises(reqbus.SlotInvalid):
            await pool.acquire_all([("account", 8, 1)], on_top_of=slot)
        assert slot.release_scope("account") == "released" and slot.release_scope("other") is None
        more = await pool.acquire_all([("zone", 8, 1)], on_top_of=slot)
        slot.join(more)
        assert [key for key, _ in slot.keys] == ["user", "zone"] and more.keys == []
    assert await load(pool) == await load(pool, "zone", 8) == (0, 0)
    at, slot = await pool.try_first_of([("account", 1, 0), ("account", 2, 1)])
    assert at == 1
    slot.release()


async def test_s10_a_lost_slot_is_told_once() -> None:
    pool = reqbus.SlotPool()
    slot = await pool.acquire("user", 42, limit=1, label="job")
    waiting = asyncio.create_task(slot.until_lost())
    await asyncio.sleep(0)
    [holder] = await pool.holders("user", 42)
    assert holder.label == "job" and await pool.force("user", 42, holder.id)
    assert await waiting == slot.lost == "forced" == slot.blocking.until_lost()
    assert slot.release() == "lost" and slot.release() == "already"
    slot = await pool.acquire("user", 42, limit=1)
    waiting = asyncio.create_task(slot.until_lost())
    await asyncio.sleep(0)
    await asyncio.get_running_loop().run_in_executor(None, slot.release)
    assert await waiting is None and slot.released


async def test_s11_a_forgotten_slot_is_released_counted_and_told() -> None:
    told: list[reqbus.Leak] = []
    pool = reqbus.SlotPool(on_leak=told.append)
    slot: Any = await pool.acquire("user", 42, limit=1, label="forgotten")
    cycle = [slot]
    cycle.append(cycle)
    del slot, cycle
    gc.collect()
    assert await load(pool) == (0, 0) and pool.leaked == 1
    [leak] = told
    assert leak.key == ("user", "42") and leak.label == "forgotten"


async def test_release_on_done_ties_a_slot_and_detach_unties_it() -> None:
    pool = reqbus.SlotPool()
    for tied in (True, False):
        slot = await pool.acquire("user", 42, limit=1)
        task = asyncio.create_task(asyncio.sleep(3600))
        slot.release_on_done(task)
        if not tied:
            slot.detach()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert await load(pool) == ((0, 0) if tied else (1, 0))
    assert slot.release() == "released"


async def test_a_wait_is_looked_at_by_its_owner() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    wait = pool.wait([("user", 42, 1)], ping_every=0.01)
    assert wait.position == 1 and wait.try_next() is None
    assert await wait.next() == "ping"
    with pytest.raises(reqbus.TimeoutError):
        await wait.next(timeout=0)
    held.release()
    slot = await wait.next(timeout=5)
    assert isinstance(slot, reqbus.Slot) and slot.release() == "released"
    dropped = pool.wait([("user", 42, 1)])
    del dropped
    assert await load(pool) == (0, 0) and pool.leaked == 0


async def test_one_queue_for_tasks_and_threads() -> None:
    pool, order = reqbus.SlotPool(), []
    held = await pool.acquire("user", 42, limit=1)

    def thread(number: int) -> None:
        with pool.blocking.acquire("user", 42, limit=1):
            order.append(number)

    async def task(number: int) -> None:
        async with pool.acquire("user", 42, limit=1):
            order.append(number)

    waiting: list[Any] = []
    loop = asyncio.get_running_loop()
    for number in range(6):
        waiting.append(
            asyncio.ensure_future(task(number)) if number % 2 else loop.run_in_executor(None, thread, number)
        )
        await until(lambda number=number: same(load(pool), (1, number + 1)))
    held.release()
    await asyncio.gather(*waiting)
    assert order == list(range(6))


async def test_what_awaits_without_a_task_of_asyncio_is_given_back_too() -> None:
    """A wait is driven by hand, as a task does it: closed, or something is thrown in, it has taken nothing."""
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    for ends in ("close", "throw", "drop"):
        waiting = pool.acquire("user", 42, limit=1).__await__()
        future = waiting.send(None) if hasattr(waiting, "send") else next(waiting)
        assert future._asyncio_future_blocking and await load(pool) == (1, 1)
        if ends == "close":
            waiting.close()
        elif ends == "throw":
            with pytest.raises(KeyError):
                waiting.throw(KeyError("thrown"))
        del waiting, future
        gc.collect()
        assert await load(pool) == (1, 0)
    waiting = pool.acquire("user", 42, limit=1).__await__()
    future = next(waiting)
    held.release()
    assert future.done()
    with pytest.raises(StopIteration) as stopped:
        next(waiting)
    assert stopped.value.value.release() == "released"


async def test_a_wake_for_nothing_sleeps_again() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 42, limit=1)
    waiting = pool.acquire("user", 42, limit=1).__await__()
    first = next(waiting)
    first.set_result(None)
    second = next(waiting)
    assert second is not first and not second.done()
    held.release()
    assert second.done()
    waiting.close()
    assert await load(pool) == (0, 0)
