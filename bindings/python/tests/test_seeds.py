"""The tests of the waiting helper that slots replace (SEEDS 2.9), by their names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import reqbus
from reqbus import _reqbus

from .conftest import moving


def backoffs(count: int, **options: Any) -> list[float]:
    backoff = reqbus.Backoff(**options)
    return [backoff.next_delay() for _ in range(count)]


def test_next_backoff_exponential_growth() -> None:
    assert all(0.1 <= delay <= 2.0 for delay in backoffs(10))
    assert backoffs(4, jitter=False) == pytest.approx([0.1, 0.15, 0.225, 0.3375])


def test_next_backoff_bounded_by_max_backoff() -> None:
    assert max(backoffs(100)) <= 2.0


def test_next_backoff_bounded_by_initial_backoff() -> None:
    assert all(min(backoffs(3)) >= 0.1 for _ in range(50))


def test_next_backoff_has_jitter() -> None:
    assert len(set(backoffs(50, first=0.5, cap=0.6))) > 1
    assert backoffs(50, seed=7) == backoffs(50, seed=7) != backoffs(50, seed=8)


def test_next_backoff_initial_value_grows() -> None:
    assert sum(sum(backoffs(6)[1:]) / 5 for _ in range(20)) / 20 > 0.1


def test_next_backoff_converges_to_max_backoff() -> None:
    assert all(delay >= 1.6 for delay in backoffs(40)[20:])


async def in_use(pool: reqbus.SlotPool, scope: str = "user") -> tuple[int, int]:
    [load] = await pool.load([(scope, 1)])
    return load.in_use, load.waiting


async def test_try_acquire_user_slot() -> None:
    pool = reqbus.SlotPool()
    slot = await pool.try_acquire("user", 1, limit=1)
    assert slot.release() == "released" and slot.release() == "already" and await in_use(pool) == (0, 0)


async def test_try_acquire_account_slot_not_acquired() -> None:
    pool = reqbus.SlotPool()
    held = await pool.try_acquire("account", 1, limit=1)
    with pytest.raises(reqbus.SlotBusy):
        await pool.try_acquire("account", 1, limit=1)
    assert await in_use(pool, "account") == (1, 0)
    held.release()


async def test_wait_for_slot_with_ping_timeout_account_and_user_acquire() -> None:
    pool = reqbus.SlotPool()
    for scope in ("account", "user"):
        held, pings = await pool.acquire(scope, 1, limit=1), []
        asyncio.get_running_loop().call_later(0.01, held.release)
        slot = await pool.acquire(scope, 1, limit=1, on_ping=lambda pings=pings: pings.append(1))
        assert not pings and slot.release() == "released"


async def test_acquire_user_slot_with_wait_immediate_acquire_skips_wait_queue() -> None:
    pool = reqbus.SlotPool()
    async with pool.acquire("user", 1, limit=1, max_waiting=1):
        stats = pool.key_stats("user", 1)
    assert stats is not None and (stats.counters.granted, stats.counters.granted_after_wait) == (1, 0)


async def test_acquire_user_slot_with_wait_wait_success_decrements_before_return() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 1, limit=1)
    asyncio.get_running_loop().call_later(0.01, held.release)
    async with pool.acquire("user", 1, limit=1):
        assert await in_use(pool) == (1, 0)


async def test_acquire_user_slot_with_wait_timeout_decrements_wait_queue() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 1, limit=1)
    with pytest.raises(reqbus.SlotTimedOut):
        await pool.acquire("user", 1, limit=1, timeout=0.01)
    assert await in_use(pool) == (1, 0)
    held.release()


async def test_acquire_user_slot_with_wait_request_cancel_decrements_wait_queue() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 1, limit=1)

    async def one() -> None:
        async with pool.acquire("user", 1, limit=1):
            pytest.fail("granted")

    task = asyncio.create_task(one())
    await asyncio.sleep(0.01)
    assert await in_use(pool) == (1, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await in_use(pool) == (1, 0) and held.release() == "released"


async def test_wait_for_slot_with_ping_timeout_timeout_and_stream_ping() -> None:
    clock = _reqbus.Clock()  # type: ignore[attr-defined]
    pool = reqbus.SlotPool(_clock=clock)
    held, written = await pool.acquire("user", 1, limit=1), bytearray()
    with pytest.raises(reqbus.SlotTimedOut) as caught:
        async with moving(clock):
            await pool.acquire(
                "user", 1, limit=1, timeout=0.07, ping_every=0.01, on_ping=lambda: written.extend(b": ping\n\n")
            )
    assert written.count(b": ping") == caught.value.pings >= 1
    held.release()


async def test_wait_for_slot_with_ping_timeout_parent_context_canceled() -> None:
    pool = reqbus.SlotPool()
    held = await pool.acquire("user", 1, limit=1)
    with pytest.raises(asyncio.TimeoutError) as caught:
        # The host's own limit, not the pool's.
        await asyncio.wait_for(_acquire(pool), 0.01)
    assert not isinstance(caught.value, reqbus.Error)
    held.release()


async def _acquire(pool: reqbus.SlotPool) -> reqbus.Slot:
    return await pool.acquire("user", 1, limit=1)


async def test_acquire_account_slot_with_wait_timeout_immediate_attempt_before_backoff() -> None:
    pool = reqbus.SlotPool()
    slot = await pool.acquire("account", 1, limit=1, timeout=0)
    assert slot.release() == "released"


def releases(release: Callable[[], str], callers: int) -> list[str]:
    start, got = threading.Barrier(callers), []

    def call() -> None:
        start.wait()
        got.append(release())

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_wrap_release_no_goroutine_leak() -> None:
    pool, before = reqbus.SlotPool().blocking, threading.active_count()
    for _ in range(100):
        pool.acquire("user", 1, limit=1).release()
    assert threading.active_count() == before


async def test_wrap_release_context_cancellation() -> None:
    pool = reqbus.SlotPool()
    task = asyncio.create_task(asyncio.sleep(3600))
    (await pool.acquire("user", 1, limit=1)).release_on_done(task)  # cancelling alone releases
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert await in_use(pool) == (0, 0) and pool.leaked == 0


@pytest.mark.parametrize("callers", [1, 10])
def test_wrap_release_multiple_and_concurrent_calls_only_release_once(callers: int) -> None:
    pool = reqbus.SlotPool().blocking
    slot = pool.acquire("user", 1, limit=2)
    other = pool.acquire("user", 1, limit=2)
    assert sorted(releases(slot.release, callers) + [slot.release()]) == ["already"] * callers + ["released"]
    assert pool.load([("user", 1)])[0].in_use == 1
    other.release()


async def test_wrap_release_concurrent_cancel_and_manual_release_runs_exactly_once() -> None:
    pool, loop = reqbus.SlotPool(), asyncio.get_running_loop()
    for _ in range(20):
        slot, other = await pool.acquire("user", 1, limit=2), await pool.acquire("user", 1, limit=2)
        task = asyncio.create_task(asyncio.sleep(3600))
        slot.release_on_done(task)
        racing = loop.run_in_executor(None, releases, slot.release, 16)
        task.cancel()
        got = await racing
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert got.count("released") <= 1 and await in_use(pool) == (1, 0)
        other.release()


async def test_wrap_release_already_canceled_context_releases_once() -> None:
    pool = reqbus.SlotPool()
    done = asyncio.get_running_loop().create_future()
    done.cancel()
    for _ in range(1000):
        slot = await pool.acquire("user", 1, limit=1)
        slot.release_on_done(done)
        await asyncio.sleep(0)
        assert slot.released and await in_use(pool) == (0, 0)


async def test_concurrency_error_response() -> None:
    """What a host answers with is in the error, and nothing of the key or of a store's address is."""
    pool = reqbus.SlotPool()
    held = [await pool.acquire("user", "secret-7", limit=1) for _ in range(1)]
    for _ in range(8):
        slot = await pool.acquire("user", "secret-7", limit=2)
        slot.release()
    with pytest.raises(reqbus.SlotBusy) as caught:
        await pool.acquire("user", "secret-7", limit=1, max_waiting=0)
    assert caught.value.retry_after is not None and 1 <= caught.value.retry_after <= 60
    assert "secret" not in str(caught.value) + repr(caught.value)
    held[0].release()
